"""Statistics of features, as LeRobot keeps them per episode and of a whole dataset.

Numbers are few enough to be looked at again as a whole. Pictures are not: theirs are
per channel, (3, 1, 1), of pixel values in [0, 1], and those of a dataset are put
together from its episodes' (mean and variance exactly, after Chan et al. 1979,
"Updating formulae"; quantiles by their weighted mean, as LeRobot does).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml.lerobot.layout import QUANTILES

Statistics = dict[str, Any]
"""min, max, mean, std, count and the quantiles q01 to q99, as plain lists."""
_ROWS = 150
"""About so many rows and columns of a picture are looked at, as in LeRobot."""
_LARGE = 300
"""Of pictures that are larger than this [pixels]."""


def of_numbers(values: np.ndarray) -> Statistics:
    """Over the rows of (n, size) or (n,)."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found: Statistics = {
        "min": rows.min(0).tolist(),
        "max": rows.max(0).tolist(),
        "mean": rows.mean(0).tolist(),
        "std": rows.std(0).tolist(),
        "count": [len(rows)],
    }
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    for name, row in zip(QUANTILES, quantiles, strict=True):
        found[name] = row.tolist()
    return found


class PictureCounts:
    """How often each value occurred in each channel, picture by picture."""

    def __init__(self) -> None:
        self.pictures = 0
        self._counts = np.zeros((3, 256), np.int64)

    def add(self, picture: np.ndarray) -> None:
        """Count a picture (height, width, 3) uint8, thinned out if it is large."""
        height, width = picture.shape[:2]
        every = max(height, width) // _ROWS if max(height, width) >= _LARGE else 1
        thin = picture[::every, ::every]
        for channel in range(3):
            self._counts[channel] += np.bincount(
                thin[..., channel].ravel(), minlength=256
            )
        self.pictures += 1

    def statistics(self) -> Statistics:
        """Per channel, of values in [0, 1]."""
        values = np.arange(256) / 255
        total = self._counts.sum(1)
        mean = self._counts @ values / total
        below = np.cumsum(self._counts, axis=1)
        spread = ((values - mean[:, None]) ** 2 * self._counts).sum(1) / total
        columns = {
            "min": values[(self._counts > 0).argmax(1)],
            "max": values[255 - (self._counts[:, ::-1] > 0).argmax(1)],
            "mean": mean,
            "std": np.sqrt(spread),
        }
        for name, share in QUANTILES.items():
            columns[name] = values[(below >= share * total[:, None]).argmax(1)]
        shaped = {k: v.reshape(3, 1, 1).tolist() for k, v in columns.items()}
        return shaped | {"count": [self.pictures]}


def together(parts: Sequence[Statistics]) -> Statistics:
    """Of a whole dataset, from those of its episodes."""
    counts = np.array([part["count"][0] for part in parts], float)
    weights = counts / counts.sum()

    def stack(name: str) -> np.ndarray:
        return np.array([part[name] for part in parts], float)

    def average(values: np.ndarray) -> np.ndarray:
        return np.tensordot(weights, values, axes=1)

    mean = average(stack("mean"))
    variance = average(stack("std") ** 2 + (stack("mean") - mean) ** 2)
    return {
        "min": stack("min").min(0).tolist(),
        "max": stack("max").max(0).tolist(),
        "mean": mean.tolist(),
        "std": np.sqrt(variance).tolist(),
        "count": [int(counts.sum())],
        **{name: average(stack(name)).tolist() for name in QUANTILES},
    }
