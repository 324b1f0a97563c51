"""Inputs and outputs of a network brought to unit size, by numbers kept inside it.

    normalised = (x - offset) / scale

"mean_std": offset is the mean, scale the standard deviation. "min_max": the data fill
[-1, 1]. "quantile": what lies between the 1st and 99th percentile does, so that a few
outliers do not squeeze the rest (pi0.5, OpenVLA); those are left outside, or clipped
where ``clip`` says so. The numbers are buffers: they travel in the checkpoint's
weights, since a policy whose normaliser was lost or taken from other data looks healthy
and fails.

A dimension that does not vary in the data (standard deviation or half range below 1e-6
of its size, or of 1 where it is smaller) would be divided by almost nothing, and the
first other value at run time would be huge (openpi#814): it is only centred, with scale
1. Where only the percentiles coincide, as of a gripper that hardly ever moves, the
whole range is taken instead. ``degenerate="raise"`` refuses such data.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from assets.errors import UsageError, unknown

MODES = ("mean_std", "min_max", "quantile")
QUANTILES = (0.01, 0.99)
"""Ends of the range that "quantile" brings to [-1, 1]."""
CHOICES = ("unit", "raise")
"""What to do with a dimension that does not vary."""
DEGENERATE = 1e-6
"""Relative spread below which a dimension counts as constant."""


class Normalizer(nn.Module):
    """One affine map for each named array. NaN until fitted or loaded, on purpose."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        mode: str = "mean_std",
        *,
        degenerate: str = "unit",
        clip: bool = False,
    ) -> None:
        """Reserve the buffers.

        Args:
            sizes: number of elements of each array, such as
                ``{"observation.state": 10, "action": 2}``.
            mode: one of :data:`MODES`.
            degenerate: "unit" gives a dimension that does not vary scale 1, "raise"
                refuses to fit to it.
            clip: whether what is normalised is kept in [-1, 1]. Not with "mean_std".

        Raises:
            UsageError: unknown mode or choice, or a clip that would cut standardised
                data.
        """
        super().__init__()
        if mode not in MODES:
            raise unknown("normaliser mode", mode, MODES)
        if degenerate not in CHOICES:
            raise unknown("choice for what does not vary", degenerate, CHOICES)
        if clip and mode == "mean_std":
            raise UsageError(
                "clip keeps what is normalised in [-1, 1], where a third of "
                "standardised data is not: take mode min_max or quantile with it"
            )
        self.mode, self.degenerate, self.clip = mode, degenerate, clip
        self.sizes = dict(sizes)
        for key, size in sizes.items():
            for part in ("offset", "scale"):
                self.register_buffer(_buffer(key, part), torch.full((size,), torch.nan))

    def fit(self, data: Mapping[str, np.ndarray]) -> "Normalizer":
        """Take the numbers from data, each array (n, size), in double precision.

        Raises:
            UsageError: an array is missing, empty, not finite or of another size; or,
                with ``degenerate="raise"``, has dimensions that do not vary.
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
            offset, scale, constant = _affine(values, self.mode)
            if constant.any() and self.degenerate == "raise":
                raise self._constant(key, np.flatnonzero(constant).tolist())
            self.get_buffer(_buffer(key, "offset")).copy_(torch.from_numpy(offset))
            self.get_buffer(_buffer(key, "scale")).copy_(torch.from_numpy(scale))
        return self

    def normalize(self, key: str, x: Tensor) -> Tensor:
        """Bring (..., size) to unit size.

        Raises:
            UsageError: no such array.
        """
        offset, scale = self._numbers(key)
        y = (x - offset) / scale
        return y.clamp(-1, 1) if self.clip else y

    def unnormalize(self, key: str, x: Tensor) -> Tensor:
        """The inverse of :meth:`normalize`, but for what that clipped."""
        offset, scale = self._numbers(key)
        return x * scale + offset

    def _constant(self, key: str, columns: list[int]) -> UsageError:
        what = "percentiles do" if self.mode == "quantile" else "data do"
        return UsageError(
            f"{key!r}: the {what} not vary in dimensions {columns}, so nothing says "
            f"what their unit is: leave them out, record more, or accept scale 1 with "
            f"degenerate='unit'"
        )

    def _numbers(self, key: str) -> tuple[Tensor, Tensor]:
        if key not in self.sizes:
            raise unknown("array of the normaliser", key, self.sizes)
        return self.get_buffer(_buffer(key, "offset")), self.get_buffer(
            _buffer(key, "scale")
        )


def _affine(values: np.ndarray, mode: str) -> tuple[np.ndarray, ...]:
    """Offset and scale of each column, and which columns do not vary (by ``mode``)."""
    if mode == "mean_std":
        offset, scale = values.mean(0), values.std(0)
        constant = _flat(offset, scale)
        return offset, np.where(constant, 1.0, scale), constant
    offset, scale = _middle(values.min(0), values.max(0))
    scale = np.where(constant := _flat(offset, scale), 1.0, scale)
    if mode == "quantile":
        inner, width = _middle(*np.quantile(values, QUANTILES, axis=0))
        constant = _flat(inner, width)
        offset = np.where(constant, offset, inner)
        scale = np.where(constant, scale, width)
    return offset, scale, constant


def _middle(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (low + high) / 2, (high - low) / 2


def _flat(offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return scale <= DEGENERATE * np.maximum(1.0, np.abs(offset))


def _buffer(key: str, part: str) -> str:
    """Name of a buffer; torch allows no dot in one."""
    return f"{key.replace('.', '/')}:{part}"
