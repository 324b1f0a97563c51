"""Names of files and columns of LeRobot's dataset layout, version 3.0.

    data/chunk-000/file-000.parquet            one row per frame, episodes on end
    meta/info.json                             rate, features, totals, path templates
    meta/stats.json                            statistics of each feature
    meta/tasks.parquet                         instruction -> task_index
    meta/episodes/chunk-000/file-000.parquet   one row per episode: where, how long

A feature has a dtype, a shape and names; one of shape (1,) is stored as a plain
number. What LeRobot has no place for (units, seeds, the engine) is in keys of our own,
which its reader passes over: "units" of a feature, "sandbot" of ``info.json``, and the
columns "seed" and "id" of an episode.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.spec import ArraySpec

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
CHUNK_FILES = 1000
"""Most files in one chunk's folder."""

OBSERVATION = "observation.state"
ACTION = "action"
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

Features = dict[str, dict[str, Any]]


def make_features(observation: ArraySpec, action: ArraySpec) -> Features:
    """The features of a state-only dataset, in the order of its columns."""
    return {
        OBSERVATION: _vector(observation),
        ACTION: _vector(action),
        "next.reward": _scalar("float32"),
        "next.done": _scalar("bool"),
        "next.success": _scalar("bool"),
        "timestamp": _scalar("float32"),
        "frame_index": _scalar("int64"),
        "episode_index": _scalar("int64"),
        "index": _scalar("int64"),
        "task_index": _scalar("int64"),
    }


def schema(features: Features) -> "pa.Schema":
    """Columns of a data file."""
    import pyarrow as pa

    columns = []
    for key, feature in features.items():
        value = (
            pa.bool_()
            if feature["dtype"] == "bool"
            else getattr(pa, feature["dtype"])()
        )
        size = feature["shape"][0]
        columns.append((key, value if size == 1 else pa.list_(value, size)))
    return pa.schema(columns)


def column(values: np.ndarray, kind: "pa.DataType") -> "pa.Array":
    """Rows (n,) or (n, size) as an Arrow column."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values.reshape(-1), kind)


def statistics(values: np.ndarray) -> dict[str, list[float] | list[int]]:
    """What LeRobot keeps of each feature, over the rows of (n, size) or (n,)."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found: dict[str, list[float] | list[int]] = {
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


def _vector(spec: ArraySpec) -> dict[str, Any]:
    names = list(spec.names) or [f"{i}" for i in range(spec.size)]
    return {
        "dtype": "float32",
        "shape": [spec.size],
        "names": names,
        "units": list(spec.units) or ["1"] * spec.size,
    }


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}
