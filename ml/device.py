"""Where networks run, by the name a person gives it."""

import re
from typing import TYPE_CHECKING

from assets.errors import SandbotError, UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")


def check_device(name: str) -> str:
    """The name, if it can be one of a device; without importing torch.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(
            f"unknown device {name!r}: known are {', '.join(DEVICES)}, and cuda:0, "
            f"cuda:1 ... for one of several GPUs"
        )
    return name


def find_device(name: str) -> "torch.device":
    """The device of that name.

    Args:
        name: "cpu", "cuda", "cuda:<index>", or "auto": a GPU where there is one.

    Raises:
        UsageError: another name.
        SandbotError: a GPU that is not there.
    """
    import torch

    if check_device(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise SandbotError(
            f"no device {name!r}: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} GPUs here; use cpu or auto"
        )
    return torch.device(name)
