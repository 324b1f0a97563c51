"""Write episodes as a LeRobot v3.0 dataset that is whole or absent.

Everything goes into a hidden folder beside the final name, which takes that name when
the ``with`` block ends without an error: a crash or a kill leaves no dataset with a
missing or half-written episode.
"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from assets.errors import UsageError
from ml.files import staged_folder, writing
from ml.lerobot import layout
from ml.spec import ArraySpec

FRAMES_PER_FILE = 500_000
"""Frames after which a new data file begins."""


class DatasetWriter:
    """Use as a context manager; :meth:`add_episode` for each episode."""

    def __init__(
        self,
        folder: Path,
        *,
        observation: ArraySpec,
        action: ArraySpec,
        control_dt: float,
        instruction: str,
        robot: str,
        about: dict[str, Any] | None = None,
        overwrite: bool = False,
        frames_per_file: int = FRAMES_PER_FILE,
    ) -> None:
        """Describe the dataset.

        Args:
            folder: its final name.
            observation: of ``observation.state``, one-dimensional.
            action: likewise.
            control_dt: time between frames [s].
            instruction: what the robot does, in words; LeRobot's "task".
            robot: name of the robot.
            about: plain data kept under "sandbot" in ``info.json``: task, engine ...
            overwrite: whether an existing ``folder`` is replaced at the end.
            frames_per_file: when a new data file begins.

        Raises:
            UsageError: ``folder`` exists, or the rate is not a whole number.
        """
        if folder.exists() and not overwrite:
            raise UsageError(
                f"{folder} exists: name another folder, remove it, or ask to overwrite"
            )
        self.folder = folder
        self.about = about or {}
        """May be changed until the block ends."""
        self._features = layout.make_features(observation, action)
        self._schema = layout.schema(self._features)
        self._fps = round(1 / control_dt)
        if abs(self._fps * control_dt - 1) > 1e-6:
            raise UsageError(
                f"LeRobot's layout takes a whole number of frames per second, got "
                f"1 / {control_dt} s"
            )
        self._instruction = instruction
        self._robot = robot
        self._per_file = frames_per_file
        self._stack = ExitStack()
        self._pending: list[dict[str, np.ndarray]] = []
        self._all: list[dict[str, np.ndarray]] = []
        self._rows: list[dict[str, Any]] = []
        self._frames = 0
        self._file = 0

    def __enter__(self) -> Self:
        self._staging = self._stack.enter_context(staged_folder(self.folder))
        return self

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            try:
                self._finish()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        return self._stack.__exit__(*error)

    @property
    def episodes(self) -> int:
        """How many there are so far."""
        return len(self._rows)

    def add_episode(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        *,
        reward: np.ndarray,
        success: np.ndarray,
        seed: int = 0,
        identity: int = 0,
    ) -> None:
        """Add an episode of n frames; frame t holds what was seen before action t.

        Args:
            observation: (n, inputs).
            action: (n, outputs), what the demonstrator wanted.
            reward: (n,) of the step that action t made.
            success: (n,) bool, after that step.
            seed: of the environment's draws.
            identity: of the environment in these draws.

        Raises:
            UsageError: no frames, a wrong shape, NaN or infinity.
        """
        n = len(observation)
        start, episode = self._frames, len(self._rows)
        frame = np.arange(n)
        columns = {
            layout.OBSERVATION: np.asarray(observation, np.float32),
            layout.ACTION: np.asarray(action, np.float32),
            "next.reward": np.asarray(reward, np.float32),
            "next.done": frame == n - 1,
            "next.success": np.asarray(success, bool),
            "timestamp": (frame / self._fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(n, episode),
            "index": start + frame,
            "task_index": np.zeros(n, np.int64),
        }
        self._check(columns, n)
        if self._pending and self._pending_frames() + n > self._per_file:
            self._flush()
        self._pending.append(columns)
        self._all.append(columns)
        self._rows.append(self._row(columns, seed, identity))
        self._frames += n

    def _check(self, columns: dict[str, np.ndarray], n: int) -> None:
        for key, values in columns.items():
            size = self._features[key]["shape"][0]
            wanted = (n,) if size == 1 and values.ndim == 1 else (n, size)
            if n == 0 or values.shape != wanted:
                raise UsageError(
                    f"{key!r} of an episode is (frames, {size}) with the same number "
                    f"of frames, at least 1, as the others ({n}); got {values.shape}"
                )
            if not np.isfinite(values).all():
                frame = np.argwhere(~np.isfinite(values))[0][0]
                raise UsageError(
                    f"{key!r} of episode {len(self._rows)} is not finite at frame "
                    f"{frame}: leave the episode out"
                )

    def _row(
        self, columns: dict[str, np.ndarray], seed: int, identity: int
    ) -> dict[str, Any]:
        """What ``meta/episodes`` says of an episode."""
        n = len(columns["index"])
        row: dict[str, Any] = {
            "episode_index": len(self._rows),
            "tasks": [self._instruction],
            "length": n,
            "data/chunk_index": self._file // layout.CHUNK_FILES,
            "data/file_index": self._file % layout.CHUNK_FILES,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + n,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            "seed": int(seed),
            "id": int(identity),
        }
        for key, values in columns.items():
            for name, value in layout.statistics(values).items():
                row[f"stats/{key}/{name}"] = value
        return row

    def _pending_frames(self) -> int:
        return sum(len(columns["index"]) for columns in self._pending)

    def _flush(self) -> None:
        """Write the pending episodes as one data file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._staging / layout.DATA.format(
            chunk_index=self._file // layout.CHUNK_FILES,
            file_index=self._file % layout.CHUNK_FILES,
        )
        arrays = [
            layout.column(np.concatenate([e[f.name] for e in self._pending]), f.type)
            for f in self._schema
        ]
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_arrays(arrays, schema=self._schema), path)
        self._pending = []
        self._file += 1

    def _finish(self) -> None:
        """Write what is left and all of ``meta/``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            raise UsageError(f"no episode for {self.folder}: nothing is written")
        if self._pending:
            self._flush()
        meta = self._staging / "meta"
        episodes = self._staging / layout.EPISODES.format(chunk_index=0, file_index=0)
        stats = {
            key: layout.statistics(np.concatenate([e[key] for e in self._all]))
            for key in self._features
        }
        with writing(meta):
            episodes.parent.mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(self._rows), episodes)
            pq.write_table(_task_table(self._instruction), meta / "tasks.parquet")
            _dump(self._staging / layout.STATS, stats)
            _dump(self._staging / layout.INFO, self._info())

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": layout.VERSION,
            "robot_type": self._robot,
            "total_episodes": len(self._rows),
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": layout.CHUNK_FILES,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": layout.DATA,
            "video_path": None,
            "features": self._features,
            "sandbot": self.about,
        }


def _task_table(instruction: str) -> Any:
    """One instruction as LeRobot's pandas writes it: the text is the table's index."""
    import pyarrow as pa

    index = "__index_level_0__"
    table = pa.table({"task_index": pa.array([0], pa.int64()), index: [instruction]})
    described = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            _pandas_column("task_index", "task_index", "int64", "int64"),
            _pandas_column(None, index, "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": None,
    }
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _pandas_column(name: str | None, field: str, kind: str, numpy: str) -> dict:
    return {
        "name": name,
        "field_name": field,
        "pandas_type": kind,
        "numpy_type": numpy,
        "metadata": None,
    }


def _dump(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")
