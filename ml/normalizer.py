"""Inputs and outputs of a network brought to unit size, by numbers kept inside it.

    normalised = (x - offset) / scale

"mean_std": offset is the mean, scale the standard deviation. "min_max": the data fill
[-1, 1]. The numbers are buffers: they travel in the checkpoint's weights, since a
policy whose normaliser was lost or taken from other data looks healthy and fails.

A dimension that does not vary in the data (standard deviation or half range below 1e-6
of its size, or of 1 where it is smaller) would be divided by almost nothing, and the
first other value at run time would be huge: it is only centred, with scale 1.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from assets.errors import UsageError, unknown

MODES = ("mean_std", "min_max")
DEGENERATE = 1e-6
"""Relative spread below which a dimension counts as constant."""


class Normalizer(nn.Module):
    """One affine map for each named array. NaN until fitted or loaded, on purpose."""

    def __init__(self, sizes: Mapping[str, int], mode: str = "mean_std") -> None:
        """Reserve the buffers.

        Args:
            sizes: number of elements of each array, such as
                ``{"observation.state": 10, "action": 2}``.
            mode: one of :data:`MODES`.

        Raises:
            UsageError: unknown mode.
        """
        super().__init__()
        if mode not in MODES:
            raise unknown("normaliser mode", mode, MODES)
        self.mode = mode
        self.sizes = dict(sizes)
        for key, size in sizes.items():
            for part in ("offset", "scale"):
                self.register_buffer(_buffer(key, part), torch.full((size,), torch.nan))

    def fit(self, data: Mapping[str, np.ndarray]) -> "Normalizer":
        """Take the numbers from data, each array (n, size), in double precision.

        Raises:
            UsageError: an array is missing, empty, not finite or of another size.
        """
        for key, size in self.sizes.items():
            if key not in data:
                raise unknown("array to fit the normaliser to", key, data)
            values = np.asarray(data[key], np.float64)
            if values.ndim != 2 or values.shape[1] != size or not len(values):
                raise UsageError(
                    f"the normaliser of {key!r} takes (n, {size}) with n > 0, "
                    f"got {values.shape}"
                )
            if not np.isfinite(values).all():
                raise UsageError(f"{key!r} holds NaN or infinity: nothing to fit to")
            offset, scale = _affine(values, self.mode)
            self.get_buffer(_buffer(key, "offset")).copy_(torch.from_numpy(offset))
            self.get_buffer(_buffer(key, "scale")).copy_(torch.from_numpy(scale))
        return self

    def normalize(self, key: str, x: Tensor) -> Tensor:
        """Bring (..., size) to unit size.

        Raises:
            UsageError: no such array.
        """
        offset, scale = self._numbers(key)
        return (x - offset) / scale

    def unnormalize(self, key: str, x: Tensor) -> Tensor:
        """The inverse of :meth:`normalize`."""
        offset, scale = self._numbers(key)
        return x * scale + offset

    def _numbers(self, key: str) -> tuple[Tensor, Tensor]:
        if key not in self.sizes:
            raise unknown("array of the normaliser", key, self.sizes)
        return self.get_buffer(_buffer(key, "offset")), self.get_buffer(
            _buffer(key, "scale")
        )


def _affine(values: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale of each column, with the rule for constant ones."""
    if mode == "mean_std":
        offset, scale = values.mean(0), values.std(0)
    else:
        low, high = values.min(0), values.max(0)
        offset, scale = (low + high) / 2, (high - low) / 2
    constant = scale <= DEGENERATE * np.maximum(1.0, np.abs(offset))
    return offset, np.where(constant, 1.0, scale)


def _buffer(key: str, part: str) -> str:
    """Name of a buffer; torch allows no dot in one."""
    return f"{key.replace('.', '/')}:{part}"
