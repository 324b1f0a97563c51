"""Names of files and columns of LeRobot's dataset layout, version 3.0.

    data/chunk-000/file-000.parquet            one row per frame, episodes on end
    videos/<feature>/chunk-000/file-000.mp4    what a camera saw; one episode or more
    meta/info.json                             rate, features, totals, path templates
    meta/stats.json                            statistics of each feature
    meta/tasks.parquet                         instruction -> task_index
    meta/episodes/chunk-000/file-000.parquet   one row per episode: where, how long

A feature has a dtype, a shape and names; one of shape (1,) is stored as a plain
number, a video outside of the data files. What LeRobot has no place for is in keys of
our own, which its reader passes over: "units", "low" and "high" of a feature, "sandbot"
of ``info.json``, the columns "seed", "id", "success" and "outcomes/..." of an episode,
and two features of a frame:

- ``executed_action``: what the robot was sent, where that is not ``action``, what the
  demonstrator wanted (:mod:`policies.dart`). Its name does not begin with "action", or
  LeRobot would let a policy predict it.
- ``clipped``: how many elements of the demonstrator's action lay outside of their
  limits before they were cut off.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from ml.spec import ArraySpec

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK_FILES = 1000
"""Most files in one chunk's folder."""

PREFIX = "observation."
"""Before the name of each group of observations."""
IMAGES = "images."
"""How the name of a group begins that holds what a camera saw."""
OBSERVATION = "observation.state"
ACTION = "action"
EXECUTED = "executed_action"
CLIPPED = "clipped"
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
NOT_NUMBERS = ("video", "image", "string")
"""Types of features that are no columns of numbers."""

Features = dict[str, dict[str, Any]]


def make_features(
    observations: dict[str, ArraySpec], action: ArraySpec, fps: int
) -> Features:
    """The features of a dataset, in the order of its columns.

    Args:
        observations: by group; those named "images.<camera>" are (height, width, 3).
        action: one-dimensional.
        fps: frames per second.

    Raises:
        UsageError: nothing is observed, or a group that has no place here.
    """
    if not observations:
        raise UsageError("a dataset records at least one group of observations")
    wanted = _vector(action)
    return {
        **{PREFIX + k: _observed(k, spec, fps) for k, spec in observations.items()},
        ACTION: wanted,
        EXECUTED: dict(wanted),
        CLIPPED: _scalar("int64"),
        "next.reward": _scalar("float32"),
        "next.done": _scalar("bool"),
        "next.success": _scalar("bool"),
        "timestamp": _scalar("float32"),
        "frame_index": _scalar("int64"),
        "episode_index": _scalar("int64"),
        "index": _scalar("int64"),
        "task_index": _scalar("int64"),
    }


def video_keys(features: Features) -> list[str]:
    """The features that are videos."""
    return [key for key, one in features.items() if one["dtype"] == "video"]


def number_keys(features: Features) -> list[str]:
    """The features that are numbers or vectors in the data files."""
    return [
        key
        for key, one in features.items()
        if one["dtype"] not in NOT_NUMBERS and len(one["shape"]) == 1
    ]


def place(index: int) -> dict[str, int]:
    """Chunk and file of the data or video file of that number."""
    return {"chunk_index": index // CHUNK_FILES, "file_index": index % CHUNK_FILES}


def schema(features: Features) -> "pa.Schema":
    """Columns of a data file."""
    import pyarrow as pa

    columns = []
    for key in number_keys(features):
        dtype, size = features[key]["dtype"], features[key]["shape"][0]
        value = pa.bool_() if dtype == "bool" else getattr(pa, dtype)()
        columns.append((key, value if size == 1 else pa.list_(value, size)))
    return pa.schema(columns)


def column(values: np.ndarray, kind: "pa.DataType") -> "pa.Array":
    """Rows (n,) or (n, size) as an Arrow column."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values.reshape(-1), kind)


def _observed(name: str, spec: ArraySpec, fps: int) -> dict[str, Any]:
    if "/" in name:
        raise UsageError(
            f"LeRobot's layout allows no '/' in a name, got the group {name!r}"
        )
    if not name.startswith(IMAGES):
        return _vector(spec)
    if len(spec.shape) != 3 or spec.shape[2] != 3 or spec.dtype != "uint8":
        raise UsageError(
            f"a camera's pictures are (height, width, 3) uint8, {name!r} is "
            f"{spec.shape} {spec.dtype}"
        )
    return _video(spec.shape[0], spec.shape[1], fps)


def _video(height: int, width: int, fps: int) -> dict[str, Any]:
    """The feature of a camera, as LeRobot describes it."""
    if height % 2 or width % 2:
        raise UsageError(
            f"H.264 halves the colours' resolution: height and width are even, got "
            f"{width} x {height}"
        )
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def _vector(spec: ArraySpec) -> dict[str, Any]:
    names = list(spec.names) or [f"{i}" for i in range(spec.size)]
    units = list(spec.units) or ["1"]
    feature: dict[str, Any] = {
        "dtype": "float32",
        "shape": [spec.size],
        "names": names,
        "units": units if len(units) == spec.size else units * spec.size,
    }
    low, high = (np.ravel(limit).astype(float) for limit in spec.limits())
    if np.isfinite(low).all() and np.isfinite(high).all():
        feature |= {"low": low.tolist(), "high": high.tolist()}
    return feature


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}
