"""torch under the names of the array API standard, for :func:`sims.arrays.namespace`.

The functions are those of ``array_api_compat.torch``, and torch's own beside them.
Those below are written anew: with a number for an argument the former make a tensor of
it first, which on a GPU travels from the host each time, and makes the host wait.
"""

from typing import Any

import torch
from array_api_compat import torch as _compat


def maximum(a: Any, b: Any) -> Any:
    """Elementwise; one of the two may be a number."""
    if isinstance(b, (int, float)):
        return torch.clamp(a, min=b)
    return maximum(b, a) if isinstance(a, (int, float)) else torch.maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """Elementwise; one of the two may be a number."""
    if isinstance(b, (int, float)):
        return torch.clamp(a, max=b)
    return minimum(b, a) if isinstance(a, (int, float)) else torch.minimum(a, b)


def clip(x: Any, low: Any, high: Any) -> Any:
    """Elementwise, between two numbers or two tensors."""
    return torch.clamp(x, low, high)


def astype(x: Any, dtype: Any) -> Any:
    """As another type."""
    return x.to(dtype)


def cbrt(x: Any) -> Any:
    """The cube root of numbers of at least 0."""
    return x ** (1 / 3)


def __getattr__(name: str) -> Any:
    """What is not written anew."""
    found = getattr(_compat, name)
    globals()[name] = found
    return found
