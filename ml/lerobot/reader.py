"""Load a LeRobot v3.0 dataset into memory, and refuse one that is damaged.

Numbers are small (200 episodes of 4 s at 100 Hz: 6 MB), so all frames are held as
arrays; what cameras saw stays on the disk until it is asked for. Everything a training
relies on is checked here once: each promised episode is there, frames are in order,
shapes are those of ``info.json``, nothing is NaN.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError, UsageError, unknown
from ml.files import sha256
from ml.lerobot import layout


@dataclass(frozen=True, kw_only=True)
class Demonstrations:
    """A dataset in memory."""

    folder: Path
    info: dict[str, Any]
    """``meta/info.json``."""
    episodes: list[dict[str, Any]]
    """Rows of ``meta/episodes``, in order, without the statistics."""
    bounds: np.ndarray
    """(episodes, 2): first frame, and one behind the last, of each."""
    frames: dict[str, np.ndarray]
    """Each feature that is a number, (frames, size), or (frames,) where its size is
    1."""

    @property
    def control_dt(self) -> float:
        """Time between frames [s]."""
        return 1 / self.info["fps"]

    @property
    def about(self) -> dict[str, Any]:
        """What our own writer noted; empty for datasets of others."""
        return self.info.get("sandbot") or {}

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the observations that are vectors, such as "state"."""
        return tuple(
            key.removeprefix(layout.PREFIX)
            for key in self.frames
            if key.startswith(layout.PREFIX)
        )

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that have videos, such as "top"."""
        stem = layout.PREFIX + layout.IMAGES
        keys = layout.video_keys(self.info["features"])
        return tuple(key.removeprefix(stem) for key in keys)

    def names(self, key: str) -> tuple[str, ...]:
        """Names of a feature's elements.

        Raises:
            UsageError: no such feature.
        """
        if key not in self.info["features"]:
            raise unknown(f"feature of {self.folder}", key, self.info["features"])
        return tuple(self.info["features"][key]["names"] or ())

    def instruction(self, index: int) -> str:
        """What the robot was asked to do in an episode; "" if nothing is noted."""
        return str((self.episodes[index].get("tasks") or [""])[0])

    def origin(self, index: int) -> dict[str, Any]:
        """What was noted where an episode was recorded; of a merged dataset, there."""
        source = self.episodes[index].get("source")
        sources = self.about.get("sources")
        if source is None or not sources:
            return self.about
        return sources[source]

    def video(self, index: int, camera: str) -> np.ndarray:
        """What a camera saw in an episode, (frames, height, width, 3) uint8; decoded
        now.

        Raises:
            UsageError: no such episode or camera.
            SandbotError: the video is missing, cut or cannot be decoded.
        """
        from ml.lerobot.video import read

        self._check_index(index)
        if camera not in self.cameras:
            raise unknown(f"camera of {self.folder}", camera, self.cameras)
        keys = layout.video_keys(self.info["features"])
        key = keys[self.cameras.index(camera)]
        path, start, _ = video_place(self.folder, self.info, self.episodes[index], key)
        first, end = self.bounds[index]
        return read(path, start, int(end - first), self.info["fps"])

    def vectors(self, key: str) -> np.ndarray:
        """A feature as (frames, size), whatever its size.

        Raises:
            UsageError: no such feature.
        """
        if key not in self.frames:
            raise unknown(f"feature of {self.folder}", key, self.frames)
        return self.frames[key].reshape(len(self.frames[key]), -1)

    def episode(self, index: int) -> dict[str, np.ndarray]:
        """The frames of one episode.

        Raises:
            UsageError: no such episode.
        """
        self._check_index(index)
        first, end = self.bounds[index]
        return {key: values[first:end] for key, values in self.frames.items()}

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self.bounds):
            raise UsageError(
                f"{self.folder} has episodes 0 to {len(self.bounds) - 1}, got {index}"
            )

    def sha256(self) -> str:
        """Of all files; names the data that a checkpoint was trained on."""
        return sha256(self.folder)


def read_dataset(folder: Path) -> Demonstrations:
    """Load and check a dataset.

    Raises:
        UsageError: there is no dataset at ``folder``, or one of another version.
        SandbotError: it is damaged; the message says where.
    """
    folder = Path(folder)
    while True:
        version = _version(folder)
        try:
            return _read(folder)
        except SandbotError:
            if _version(folder) == version:  # not exchanged for a newer one meanwhile
                raise


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``meta/episodes`` with the statistics, in order."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("meta/episodes/*/*.parquet")):
        rows += _read_parquet(folder, path).to_pylist()
    return sorted(rows, key=lambda row: row["episode_index"])


def video_place(
    folder: Path, info: dict[str, Any], episode: dict[str, Any], key: str
) -> tuple[Path, float, float]:
    """File of a video feature's episode, and where it begins and ends there [s].

    Raises:
        SandbotError: the episode's row does not say.
    """
    try:
        name = (info.get("video_path") or layout.VIDEO).format(
            video_key=key,
            chunk_index=int(episode[f"videos/{key}/chunk_index"]),
            file_index=int(episode[f"videos/{key}/file_index"]),
        )
        start = float(episode[f"videos/{key}/from_timestamp"])
        end = float(episode[f"videos/{key}/to_timestamp"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(
            folder,
            f"meta/episodes does not say where the video {key!r} of episode "
            f"{episode.get('episode_index')} is",
        ) from error
    return folder / name, start, end


def _version(folder: Path) -> int | None:
    """Changes when a writer exchanges the folder for its next version."""
    return folder.stat().st_ino if folder.exists() else None


def _read(folder: Path) -> Demonstrations:
    info = _read_info(folder)
    episodes = _read_episodes(folder, int(info["total_episodes"]))
    frames = _read_frames(folder, info, episodes)
    bounds = _check_frames(folder, info, episodes, frames)
    return Demonstrations(
        folder=folder, info=info, episodes=episodes, bounds=bounds, frames=frames
    )


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / layout.INFO
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a dataset: {layout.INFO} is missing. Give the folder "
            f"that 'sandbot collect --out' made"
        )
    try:
        info = json.loads(path.read_text())
        version = info["codebase_version"]
        shapes = {k: tuple(f["shape"]) for k, f in info["features"].items()}
        numbers = int(info["total_episodes"]), int(info["total_frames"]), info["fps"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, f"{layout.INFO} cannot be read ({error!r})") from error
    if version != layout.VERSION:
        raise UsageError(
            f"{folder} has codebase_version {version!r}, this reads "
            f"{layout.VERSION!r}: convert it with LeRobot's own script"
        )
    if len(shapes.get(layout.ACTION, ())) != 1:
        raise _damaged(folder, f"{layout.INFO} has no one-dimensional 'action'")
    if not any(key.startswith(layout.PREFIX) for key in shapes):
        raise _damaged(folder, f"{layout.INFO} has no feature 'observation...'")
    if min(numbers) <= 0:
        raise _damaged(folder, f"{layout.INFO} says it holds no episodes or frames")
    return info


def _read_episodes(folder: Path, total: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("meta/episodes/*/*.parquet")):
        table = _read_parquet(folder, path)
        keep = [name for name in table.column_names if not name.startswith("stats/")]
        rows += table.select(keep).to_pylist()
    try:
        rows.sort(key=lambda row: row["episode_index"])
        present = [int(row["episode_index"]) for row in rows]
        _ = [int(row["length"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"meta/episodes lacks {error}") from error
    if present != list(range(total)):
        missing = sorted(set(range(total)) - set(present))
        what = f"episode {missing[0]} is missing" if missing else "episodes repeat"
        raise _damaged(
            folder, f"{what} in meta/episodes ({total} promised, {len(present)} there)"
        )
    return rows


def _read_frames(
    folder: Path, info: dict[str, Any], episodes: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    """All frames of the data files that the episodes name, in order."""
    places = {
        (int(e.get("data/chunk_index", 0)), int(e.get("data/file_index", 0)))
        for e in episodes
    }
    tables = []
    for chunk, file in sorted(places):
        name = layout.DATA.format(chunk_index=chunk, file_index=file)
        path = folder / name
        if not path.is_file():
            raise _damaged(folder, f"{name} is missing")
        tables.append(_read_parquet(folder, path))
    frames = {}
    for key in layout.number_keys(info["features"]):
        size = info["features"][key]["shape"][0]
        parts = [_rows(folder, table, key, size) for table in tables]
        frames[key] = np.concatenate(parts)
    for key in ("episode_index", "frame_index"):
        if key not in frames or frames[key].dtype.kind != "i" or frames[key].min() < 0:
            raise _damaged(folder, f"there is no column {key!r} of indices from 0 on")
    order = np.lexsort((frames["frame_index"], frames["episode_index"]))
    return {key: values[order] for key, values in frames.items()}


def _rows(folder: Path, table: Any, key: str, size: int) -> np.ndarray:
    """A column as (n,) or (n, size)."""
    import pyarrow as pa

    if key not in table.column_names:
        raise _damaged(folder, f"there is no column {key!r}")
    values = table.column(key).combine_chunks()
    n = len(values)
    if values.null_count:
        raise _damaged(folder, f"{key!r} has missing values")
    if not pa.types.is_nested(values.type):
        flat = values.to_numpy(zero_copy_only=False)
        found = 1
    else:
        flat = values.flatten().to_numpy(zero_copy_only=False)
        widths = _widths(values)
        wrong = widths[widths != size]
        found = int(wrong[0]) if len(wrong) else size
    if found != size:
        raise _damaged(
            folder, f"{key!r} has {found} elements, {layout.INFO} says {size}"
        )
    return flat.copy() if size == 1 else flat.reshape(n, size).copy()


def _widths(lists: Any) -> np.ndarray:
    """Number of elements of each list of an Arrow column."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(lists.type):
        return np.full(len(lists), lists.type.list_size)
    return np.diff(lists.offsets.to_numpy())


def _check_frames(
    folder: Path,
    info: dict[str, Any],
    episodes: list[dict[str, Any]],
    frames: dict[str, np.ndarray],
) -> np.ndarray:
    """Each episode's frames; (episodes, 2)."""
    total = len(frames["episode_index"])
    lengths = np.array([int(row["length"]) for row in episodes])
    counted = np.bincount(frames["episode_index"], minlength=len(episodes))
    if len(counted) != len(episodes) or (counted != lengths).any():
        short = min(len(counted), len(lengths))
        bad = np.flatnonzero(counted[:short] != lengths[:short])
        which = int(bad[0]) if len(bad) else short
        there = int(counted[which]) if which < len(counted) else 0
        raise _damaged(
            folder,
            f"episode {which} has {there} frames, meta/episodes promises "
            f"{lengths[which] if which < len(lengths) else 0}",
        )
    if total != int(info["total_frames"]):
        raise _damaged(
            folder, f"it has {total} frames, {layout.INFO} says {info['total_frames']}"
        )
    ends = np.cumsum(lengths)
    bounds = np.stack([ends - lengths, ends], axis=1)
    expected = np.arange(total) - np.repeat(bounds[:, 0], lengths)
    if (frames["frame_index"] != expected).any():
        bad = int(np.flatnonzero(frames["frame_index"] != expected)[0])
        episode = int(frames["episode_index"][bad])
        raise _damaged(folder, f"frames of episode {episode} repeat or are missing")
    for key, values in frames.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.argwhere(~np.isfinite(values))[0][0])
            episode = int(frames["episode_index"][bad])
            frame = int(frames["frame_index"][bad])
            raise _damaged(
                folder,
                f"{key!r} is NaN or infinite at frame {frame} of episode {episode}",
            )
    return bounds


def _read_parquet(folder: Path, path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        name = path.relative_to(folder).as_posix()
        reason = str(error).splitlines()[0]
        raise _damaged(folder, f"{name} cannot be read ({reason})") from error


def _damaged(folder: Path, what: str) -> SandbotError:
    return SandbotError(
        f"dataset {folder} is damaged: {what}. Collect it again, or restore the file"
    )
