"""What an array means: one description for every consumer of it.

Gymnasium spaces, LeRobot features, checkpoint configurations and (later) ONNX metadata
are all made from an :class:`ArraySpec`, so that the names, units and limits of a
robot's observations are written once.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assets.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """Shape, limits, names and units of one row of a batched array."""

    shape: tuple[int, ...]
    """Shape of one environment's row, without the batch."""
    low: tuple[float, ...] = ()
    """Lower limit of each element, in row-major order; one: of all; empty: none."""
    high: tuple[float, ...] = ()
    """Upper limit of each element, in row-major order; one: of all; empty: none."""
    names: tuple[str, ...] = ()
    """Name of each element of a one-dimensional array."""
    units: tuple[str, ...] = ()
    """Unit of each element, "1" for none; one: of all."""
    dtype: str = "float32"
    """Type at the boundary (Gymnasium, files, networks); physics is float64."""

    def __post_init__(self) -> None:
        for field in ("low", "high", "names", "units"):
            given = len(getattr(self, field))
            shared = given == 1 and field != "names"
            if given not in (0, self.size) and not shared:
                raise UsageError(
                    f"ArraySpec.{field} has {given} elements, its shape {self.shape} "
                    f"has {self.size}: give one for each, or none"
                )

    @property
    def size(self) -> int:
        """Number of elements of one row."""
        return int(np.prod(self.shape))

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limits, (*shape) each; where there are none, infinite, or
        the ends of an integer type."""
        if np.issubdtype(np.dtype(self.dtype), np.integer):
            ends = np.iinfo(self.dtype)
            lowest, highest = int(ends.min), int(ends.max)
        else:
            lowest, highest = -np.inf, np.inf
        return self._full(self.low or (lowest,)), self._full(self.high or (highest,))

    def columns(self, prefixes: Iterable[str]) -> np.ndarray:
        """Indices of the elements whose name starts with one of the prefixes."""
        starts = tuple(prefixes)
        return np.array(
            [i for i, name in enumerate(self.names) if name.startswith(starts)], int
        )

    def without(self, prefixes: Iterable[str]) -> "ArraySpec":
        """This array with the elements of :meth:`columns` left out."""
        drop = set(self.columns(prefixes).tolist())
        keep = [i for i in range(self.size) if i not in drop]

        def pick(values: tuple) -> tuple:
            if len(values) != self.size:
                return values
            return tuple(values[i] for i in keep)

        return ArraySpec(
            shape=(len(keep),),
            low=pick(self.low),
            high=pick(self.high),
            names=pick(self.names),
            units=pick(self.units),
            dtype=self.dtype,
        )

    def _full(self, values: tuple[float, ...]) -> np.ndarray:
        """(*shape) from a value for each element, or one for all."""
        if len(values) == 1:
            return np.full(self.shape, values[0], self.dtype)
        return np.asarray(values, self.dtype).reshape(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a checkpoint's ``config.json``."""
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "ArraySpec":
        """The inverse of :meth:`to_dict`."""
        return ArraySpec(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}  # type: ignore[arg-type]
        )
