"""``sandbot`` in double precision: to tell rounding from a fault, for nothing else.

python -m benchmarks.double train act ...
"""

import sys

import torch

from sandbot.main import main

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    sys.exit(main())
