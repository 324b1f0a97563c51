"""A dataset on disk that grows, and is whole at every moment.

What is under the dataset's name is always a complete dataset of the episodes that were
committed. A commit builds the next version beside it and exchanges the two
(:mod:`ml.folders`), every few seconds and in the end; a kill costs the episodes since
the last one, never a part of an episode. Files are a function of the episodes alone,
so that a dataset that was cut off and continued is, byte for byte, the uninterrupted
one: episodes fill data files one after the other, each video is a file of its own.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import UsageError
from ml import folders
from ml.files import writing
from ml.lerobot import layout, statistics, tasks
from ml.lerobot.reader import read_dataset, read_rows
from ml.lerobot.video import StoredVideo

FRAMES_PER_FILE = 100_000
"""Frames after which a new data file begins; only the last one is written again."""
COMMIT_SECONDS = 0.5
"""Least time between two commits [s] ..."""
COMMIT_SHARE = 0.05
"""... and the most of the time that commits may take."""


class Store:
    """Episodes of given features; see the module's top."""

    def __init__(
        self,
        folder: Path,
        *,
        features: layout.Features,
        fps: float,
        robot: str | None,
        about: dict[str, Any],
        overwrite: bool = False,
        resume: bool = False,
        frames_per_file: int = FRAMES_PER_FILE,
    ) -> None:
        """No episode is written before the first commit.

        Args:
            folder: the dataset's name.
            features: as in ``info.json``.
            fps: frames per second.
            robot: its name.
            about: plain data for "sandbot" of ``info.json``, written at each commit.
            overwrite: whether the first commit replaces an existing dataset.
            resume: whether to go on with an existing one; where there is none, begin.
            frames_per_file: when a new data file begins.

        Raises:
            UsageError: the folder exists, or the dataset in it has other features.
            SandbotError: the dataset in it is damaged, or another process writes it.
        """
        self.folder = Path(folder)
        self.features, self.fps, self.robot = features, fps, robot
        self.about = about
        self.frames = 0
        self.rows: list[dict[str, Any]] = []
        """Of ``meta/episodes``."""
        self._per_file = frames_per_file
        self._columns: list[dict[str, np.ndarray]] = []
        self._tasks: dict[str, int] = {}
        self._closed = 0
        """Data files that are in place and will not change."""
        self._videos: dict[str, list[Path]] = {k: [] for k in self._video_keys}
        """By camera: where each of its files is at present."""
        self._last_given: dict[str, Path] = {}
        """By camera: the file of the last episode, as it was given."""
        self._committed = 0
        self._last, self._cost = time.monotonic(), 0.0
        folders.recover(self.folder)
        if self.folder.exists() and not (resume or overwrite):
            raise UsageError(
                f"{folder} exists: name another folder, remove it, or ask to overwrite"
            )
        self._lock = folders.acquire(self.folder)
        try:
            if resume and self.folder.exists():
                self._load()
        except BaseException:
            folders.release(self.folder, self._lock)
            raise

    @property
    def episodes(self) -> int:
        """How many there are so far."""
        return len(self.rows)

    @property
    def scratch(self) -> Path:
        """A hidden folder beside the dataset, for videos that are being made."""
        return self.folder.with_name(f".{self.folder.name}.scratch")

    def add(
        self,
        columns: dict[str, np.ndarray],
        instruction: str,
        row: dict[str, Any],
        videos: dict[str, StoredVideo],
    ) -> None:
        """Add an episode; it is safe from the next commit on.

        Args:
            columns: (n, size) or (n,) of each feature that is a number, but for
                "index", "episode_index" and "task_index", which are set here.
            instruction: what the robot is to do, in words.
            row: more about the episode.
            videos: of each camera.
        """
        n, episode = len(next(iter(columns.values()))), len(self.rows)
        task = self._tasks.setdefault(instruction, len(self._tasks))
        columns = {key: _row_shape(values) for key, values in columns.items()} | {
            "episode_index": np.full(n, episode),
            "index": self.frames + np.arange(n),
            "task_index": np.full(n, task),
        }
        file = self._file_for(n)
        found = {
            "episode_index": episode,
            "tasks": [instruction],
            "length": n,
            **_prefixed("data", layout.place(file)),
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + n,
        }
        for key in self._video_keys:
            found |= _prefixed(f"videos/{key}", self._place_video(key, videos[key]))
        found |= _prefixed("meta/episodes", layout.place(0)) | row
        for key in layout.number_keys(self.features):
            of = statistics.of_numbers(columns[key])
            found |= _prefixed(f"stats/{key}", of)
        for key in self._video_keys:
            found |= _prefixed(f"stats/{key}", videos[key].statistics)
        self.rows.append(found)
        self._columns.append(columns)
        self.frames += n

    def settle(self) -> None:
        """Commit what is new, if the last time is long enough ago."""
        since = time.monotonic() - self._last
        due = since >= max(COMMIT_SECONDS, self._cost / COMMIT_SHARE)
        if due and self._committed < len(self.rows):
            self.commit()

    def commit(self) -> None:
        """Put all episodes so far under the dataset's name.

        Raises:
            SandbotError: they cannot be written.
        """
        began = time.monotonic()
        staging = folders.next_version(self.folder)
        with writing(self.folder):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            self._write_data(staging)
            self._write_videos(staging)
            self._write_meta(staging)
        folders.publish(self.folder)
        for key, paths in self._videos.items():
            paths[:] = [
                self.folder / self._video_name(key, i) for i in range(len(paths))
            ]
        self._committed = len(self.rows)
        self._last = time.monotonic()
        self._cost = self._last - began

    def close(self, *, commit: bool = True) -> None:
        """Commit what is left, or drop it, and clear up."""
        try:
            if commit and self._committed < len(self.rows):
                self.commit()
        finally:
            shutil.rmtree(folders.next_version(self.folder), ignore_errors=True)
            shutil.rmtree(self.scratch, ignore_errors=True)
            folders.release(self.folder, self._lock)

    @property
    def _video_keys(self) -> list[str]:
        return layout.video_keys(self.features)

    def _file_for(self, n: int) -> int:
        """Number of the data file that takes n more frames."""
        if not self.rows:
            return 0
        last = self._file_of(self.rows[-1])
        used = sum(r["length"] for r in self.rows if self._file_of(r) == last)
        return last if used + n <= self._per_file else last + 1

    def _file_of(self, row: dict[str, Any]) -> int:
        return _number(row, "data")

    def _place_video(self, key: str, video: StoredVideo) -> dict[str, Any]:
        """Columns that say where a video is; a file given twice is stored once."""
        paths = self._videos[key]
        if video.path != self._last_given.get(key):
            paths.append(video.path)
            self._last_given[key] = video.path
        ends = {"from_timestamp": video.start, "to_timestamp": video.end}
        return layout.place(len(paths) - 1) | ends

    def _video_name(self, key: str, file: int) -> str:
        return layout.VIDEO.format(video_key=key, **layout.place(file))

    def _write_data(self, staging: Path) -> None:
        """Link the data files that are full, and write the others."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = layout.schema(self.features)
        files = [self._file_of(row) for row in self.rows]
        for file in range(files[-1] + 1):
            name = layout.DATA.format(**layout.place(file))
            if file < self._closed:
                folders.link(self.folder / name, staging / name)
                continue
            parts = [c for c, f in zip(self._columns, files, strict=True) if f == file]
            arrays = [
                layout.column(np.concatenate([c[f.name] for c in parts]), f.type)
                for f in schema
            ]
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), staging / name)
            folders.sync(staging / name)
        self._closed = files[-1]

    def _write_videos(self, staging: Path) -> None:
        for key, paths in self._videos.items():
            for file, path in enumerate(paths):
                target = staging / self._video_name(key, file)
                folders.link(path, target)
                if path.is_relative_to(self.scratch):
                    folders.sync(target)
                    os.unlink(path)

    def _write_meta(self, staging: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = staging / layout.EPISODES.format(**layout.place(0))
        path.parent.mkdir(parents=True)
        names = dict.fromkeys(name for row in self.rows for name in row)
        table = {name: [row.get(name) for row in self.rows] for name in names}
        pq.write_table(pa.Table.from_pydict(table), path)
        pq.write_table(tasks.table(list(self._tasks)), staging / layout.TASKS)
        _dump(staging / layout.STATS, dict(self._statistics()))
        _dump(staging / layout.INFO, self._info())
        for file in (path, *(staging / "meta").glob("*.*")):
            folders.sync(file)

    def _statistics(self) -> Iterator[tuple[str, statistics.Statistics]]:
        for key in self.features:
            if key in self._video_keys:
                parts = [_part(row, f"stats/{key}/") for row in self.rows]
                yield key, statistics.together(parts)
            elif key in self._columns[0]:
                values = np.concatenate([c[key] for c in self._columns])
                yield key, statistics.of_numbers(values)

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": layout.VERSION,
            "robot_type": self.robot,
            "total_episodes": len(self.rows),
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.CHUNK_FILES,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self.rows)}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self._video_keys else None,
            "features": self.features,
            "sandbot": self.about,
        }

    def _load(self) -> None:
        """Take up the episodes of the dataset that is there."""
        data = read_dataset(self.folder)
        if data.info["features"] != self.features or data.info["fps"] != self.fps:
            raise UsageError(
                f"{self.folder} cannot be continued: it has other features or another "
                f"rate; name another folder, or ask to overwrite"
            )
        self.rows = read_rows(self.folder)
        self._columns = [data.episode(i) for i in range(len(self.rows))]
        self.frames = int(data.info["total_frames"])
        self._tasks = {t: i for i, t in enumerate(tasks.read(self.folder))}
        self._closed = self._file_of(self.rows[-1])
        for key, paths in self._videos.items():
            count = _number(self.rows[-1], f"videos/{key}") + 1
            paths += [self.folder / self._video_name(key, i) for i in range(count)]
        self._committed = len(self.rows)


def _row_shape(values: np.ndarray) -> np.ndarray:
    """(n,) in place of (n, 1)."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _number(row: dict[str, Any], stem: str) -> int:
    """The inverse of :func:`layout.place`, from an episode's columns."""
    chunk, file = row[f"{stem}/chunk_index"], row[f"{stem}/file_index"]
    return chunk * layout.CHUNK_FILES + file


def _prefixed(stem: str, columns: dict[str, Any]) -> dict[str, Any]:
    return {f"{stem}/{name}": value for name, value in columns.items()}


def _part(row: dict[str, Any], stem: str) -> dict[str, Any]:
    return {
        name.removeprefix(stem): value
        for name, value in row.items()
        if name.startswith(stem)
    }


def _dump(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")
