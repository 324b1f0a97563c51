"""The array types, and the two writes that work on numpy and torch alike."""

from typing import Any

Array = Any
"""``np.ndarray`` on the CPU, ``torch.Tensor`` on the GPU; (num_envs, ...)."""
Mask = Any
"""Which environments: boolean, ``(num_envs,)``."""
Obs = dict[str, Array]
"""Groups of observations by name, each ``(num_envs, ...)``."""


def assign(dst: Array, values: Array, where: Mask) -> None:
    """Write ``values`` into the rows of ``dst`` that ``where`` selects, in place.

    Args:
        dst: (num_envs, ...).
        values: broadcastable to ``dst``.
        where: (num_envs,) bool.
    """
    where = where.reshape(where.shape + (1,) * (dst.ndim - 1))
    if hasattr(dst, "numpy"):  # a torch tensor
        import torch

        torch.where(where, torch.as_tensor(values, dtype=dst.dtype), dst, out=dst)
    else:
        import numpy as np

        np.copyto(dst, values, where=where)
