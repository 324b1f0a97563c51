"""Where networks run, by the name a person gives it."""

import torch

from assets.errors import SandbotError, UsageError

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str) -> torch.device:
    """The device of that name.

    Args:
        name: "cpu", "cuda", "cuda:<index>", or "auto": a GPU where there is one.

    Raises:
        UsageError: another name.
        SandbotError: a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if name != "cpu" and (kind != "cuda" or not (name == kind or index.isdigit())):
        raise UsageError(
            f"unknown device {name!r}: known are {', '.join(DEVICES)}, and cuda:0, "
            f"cuda:1 ... for one of several GPUs"
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise SandbotError(
            f"no device {name!r}: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} GPUs here; use cpu or auto"
        )
    return torch.device(name)
