"""Record episodes as a LeRobot v3.0 dataset: arrays in, files out.

Used as a context manager. Episodes reach the disk every few seconds; whatever ends the
block, an error or a kill included, the dataset holds whole episodes only
(:mod:`ml.lerobot.store`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from assets.errors import SandbotError, UsageError
from ml.lerobot import layout
from ml.lerobot.store import FRAMES_PER_FILE, Store
from ml.lerobot.video import Clip
from ml.spec import ArraySpec

Observations = Mapping[str, "np.ndarray | Clip"]
"""By group: (n, size), or of a camera a clip or (n, height, width, 3) uint8."""


class DatasetWriter:
    """:meth:`add_episode` for each episode, within a ``with`` block."""

    def __init__(
        self,
        folder: Path,
        *,
        observations: dict[str, ArraySpec],
        action: ArraySpec,
        control_dt: float,
        robot: str,
        about: dict[str, Any] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        batches: bool = False,
        frames_per_file: int = FRAMES_PER_FILE,
    ) -> None:
        """Describe the dataset.

        Args:
            folder: its name.
            observations: by group: "state" and other vectors, "images.<camera>".
            action: one-dimensional.
            control_dt: time between frames [s].
            robot: name of the robot.
            about: plain data kept under "sandbot" in ``info.json``: task, engine ...
                It may be changed while recording.
            overwrite: whether an existing dataset makes way.
            resume: whether to go on with an existing one.
            batches: whether episodes come many at once, and :meth:`settle` is called
                after each batch; else it is done after each episode.
            frames_per_file: when a new data file begins.

        Raises:
            UsageError: ``folder`` exists, or what is there cannot be continued, or the
                rate is not a whole number, or a group has no place in a dataset.
        """
        self.fps = _rate(control_dt)
        self._groups = dict(observations)
        self._store = Store(
            folder,
            features=layout.make_features(observations, action, self.fps),
            fps=self.fps,
            robot=robot,
            about=about if about is not None else {},
            overwrite=overwrite,
            resume=resume,
            frames_per_file=frames_per_file,
        )
        self._batches = batches
        self._clips = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._store.close()
        except SandbotError:
            if error is None:
                raise
        if error is None and not self.episodes:
            raise UsageError(f"no episode for {self.folder}: nothing is written")

    @property
    def folder(self) -> Path:
        """The dataset's name."""
        return self._store.folder

    @property
    def about(self) -> dict[str, Any]:
        """Written at each commit."""
        return self._store.about

    @property
    def episodes(self) -> int:
        """How many there are so far."""
        return self._store.episodes

    @property
    def frames(self) -> int:
        """How many there are so far."""
        return self._store.frames

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What ``meta/episodes`` says of each."""
        return self._store.rows

    def new_clip(self, group: str) -> Clip:
        """A film of one camera, to encode pictures as they come.

        Hand it to :meth:`add_episode` in the end, or :meth:`~Clip.discard` it.

        Args:
            group: "images.<camera>".
        """
        height, width, _ = self._groups[group].shape
        self._clips += 1
        path = self._store.scratch / f"{self._clips:06d}.mp4"
        return Clip(path, self.fps, height, width)

    def commit(self) -> None:
        """Put the episodes on the disk now, and not within a few seconds."""
        self._store.commit()

    def settle(self) -> None:
        """Put the episodes on the disk, if that was not done a moment ago."""
        self._store.settle()

    def add_episode(
        self,
        observations: Observations,
        action: np.ndarray,
        *,
        instruction: str,
        reward: np.ndarray,
        success: np.ndarray,
        executed: np.ndarray | None = None,
        clipped: np.ndarray | None = None,
        outcomes: dict[str, bool] | None = None,
        seed: int = 0,
        identity: int = 0,
    ) -> None:
        """Add an episode of n frames; frame t holds what was seen before action t.

        Args:
            observations: of each group.
            action: (n, outputs), what the demonstrator wanted.
            instruction: what the robot is asked to do; LeRobot's "task".
            reward: (n,) of the step that action t made.
            success: (n,) bool, after that step.
            executed: (n, outputs), what the robot was sent; None: ``action``.
            clipped: (n,) how many elements of the action were out of limits.
            outcomes: other notions of success, at the end.
            seed: of the environment's draws.
            identity: of the environment in these draws.

        Raises:
            UsageError: no frames, a wrong shape, NaN or infinity, a missing group.
        """
        n = len(action)
        if set(observations) != set(self._groups):
            raise UsageError(
                f"an episode has the groups {', '.join(self._groups)}, got "
                f"{', '.join(observations) or 'none'}"
            )
        vectors = {k: v for k, v in observations.items() if not _is_camera(k)}
        frame = np.arange(n)
        columns = {
            **{
                layout.PREFIX + k: np.asarray(v, np.float32) for k, v in vectors.items()
            },
            layout.ACTION: np.asarray(action, np.float32),
            layout.EXECUTED: np.asarray(
                action if executed is None else executed, np.float32
            ),
            layout.CLIPPED: np.asarray(
                np.zeros(n) if clipped is None else clipped, np.int64
            ),
            "next.reward": np.asarray(reward, np.float32),
            "next.done": frame == n - 1,
            "next.success": np.asarray(success, bool),
            "timestamp": (frame / self.fps).astype(np.float32),
            "frame_index": frame,
        }
        self._check(columns, n)
        clips = {
            layout.PREFIX + k: self._clip(k, v, n)
            for k, v in observations.items()
            if _is_camera(k)
        }
        row = {
            "seed": int(seed),
            "id": int(identity),
            "success": bool(columns["next.success"][-1]),
            **{f"outcomes/{k}": bool(v) for k, v in (outcomes or {}).items()},
        }
        videos = {key: clip.finish() for key, clip in clips.items()}
        self._store.add(columns, instruction, row, videos)
        if not self._batches:
            self.settle()

    def _clip(self, group: str, pictures: "np.ndarray | Clip", n: int) -> Clip:
        """The episode's film, made now if it was not made on the way."""
        if isinstance(pictures, Clip):
            clip = pictures
        else:
            clip = self.new_clip(group)
            for picture in pictures:
                clip.add(picture)
        if clip.frames != n:
            raise UsageError(
                f"{group!r} of an episode of {n} frames has {clip.frames} pictures"
            )
        return clip

    def _check(self, columns: dict[str, np.ndarray], n: int) -> None:
        for key, values in columns.items():
            size = self._store.features[key]["shape"][0]
            wanted = (n,) if size == 1 and values.ndim == 1 else (n, size)
            if n == 0 or values.shape != wanted:
                raise UsageError(
                    f"{key!r} of an episode is (frames, {size}) with the same number "
                    f"of frames, at least 1, as the others ({n}); got {values.shape}"
                )
            if not np.isfinite(values).all():
                frame = np.argwhere(~np.isfinite(values))[0][0]
                raise UsageError(
                    f"{key!r} of episode {self.episodes} is not finite at frame "
                    f"{frame}: leave the episode out"
                )


def _is_camera(group: str) -> bool:
    return group.startswith(layout.IMAGES)


def _rate(control_dt: float) -> int:
    fps = round(1 / control_dt)
    if abs(fps * control_dt - 1) > 1e-6:
        raise UsageError(
            f"LeRobot's layout takes a whole number of frames per second, got "
            f"1 / {control_dt} s"
        )
    return fps
