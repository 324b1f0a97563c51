"""Record demonstrations: a policy acts in an environment, and a dataset remembers.

The executed action may be disturbed (:mod:`policies.dart`); the demonstrator's own is
recorded beside it. The dataset grows while it is recorded, and one that was cut off can
be continued: the result is that of an uninterrupted run.

The identities of recorded episodes begin at :data:`FIRST_ID`, far from those of
evaluations (0, 1, 2 ...): with whatever seed, nothing is tested on what it was shown.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError, UsageError
from policies.clock import PhysicsClock
from policies.origin import check_resumed, origin
from policies.recorder import Recorder, need_success
from policies.tape import IMAGES, Episode, recorded_groups

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from sims.env import Env

FIRST_ID = 1_000_000
"""Identity of the first recorded episode."""
NUM_ENVS = 10
"""Environments at once: few enough that episodes come in often, and are safe."""
NUM_ENVS_CAMERAS = 4
"""The same where cameras are recorded, each of which keeps an encoder busy."""
NOISES = (0.1, 0.03, 0.01, 0.003)
"""Standard deviations of the disturbance to choose from, as fractions of the actions'
limits. ``benchmarks/bc.py`` measures what the largest is good for in ArmReach."""
PROBE = 20
"""Episodes that a disturbance is tried on ..."""
PROBE_RATE = 0.8
"""... and the fraction of them that must succeed."""
ATTEMPTS = 5
"""Give up after this many attempts per wanted episode."""

Progress = Callable[[int, int], object]
"""(episodes kept, attempts), after each batch of episodes."""


@dataclass(frozen=True, kw_only=True)
class CollectSummary:
    """What was recorded."""

    folder: Path
    """Of the dataset."""
    episodes: int
    """In the dataset."""
    frames: int
    """In the dataset."""
    attempts: int
    """Episodes that were run to get them."""
    successes: int | None
    """Of the attempts; None: the task measures none."""
    noise: float
    """Standard deviation of the disturbance, as a fraction of the limits."""
    seconds: float
    """Wall-clock time of this run [s]."""
    physics_share: float | None
    """Of that time, spent in the physics engine; None: it cannot be told."""

    @property
    def success_rate(self) -> float | None:
        """Of the demonstrator, disturbed as it was; None: not measured."""
        return None if self.successes is None else self.successes / self.attempts


def collect(
    task: str,
    policy: str,
    *,
    episodes: int,
    out: Path,
    engine: str | None = None,
    num_envs: int | None = None,
    randomize: str = "none",
    seed: int = 0,
    noise: float | None = None,
    cameras: Sequence[str] = (),
    image_size: tuple[int, int] = (640, 480),
    keep_failures: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    threads: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CollectSummary:
    """Record episodes of a policy as a LeRobot dataset.

    Which episodes are in it does not depend on ``num_envs``: those with the lowest
    identities that succeeded.

    Args:
        task: name of the task, or a Gymnasium id.
        policy: a policy's name, or a checkpoint's folder.
        episodes: how many to keep.
        out: the dataset's folder; at every moment it holds whole episodes.
        engine: name of the engine; None: the task's usual one.
        num_envs: how many at a time; None: :data:`NUM_ENVS`, fewer with cameras.
        randomize: profile of the randomisation.
        seed: of all draws, the disturbance included.
        noise: standard deviation of the disturbance of the executed action, as a
            fraction of its limits; 0: none; None: the largest of :data:`NOISES` with
            which the policy still solves most episodes, else none.
        cameras: whose pictures are recorded, too.
        image_size: width and height of the pictures [pixels].
        keep_failures: whether to keep episodes that did not succeed.
        overwrite: whether an existing dataset makes way.
        resume: whether to go on with an existing dataset of the same settings.
        threads: of the engine; 0: one per core.
        device: of networks: cpu, cuda or auto.
        progress: told how far it is.

    Raises:
        UsageError: a name or number that is not allowed, or ``out`` exists, or the
            dataset to be continued was recorded differently.
        SandbotError: the policy fails too often, or ``out`` cannot be written.
    """
    from ml.lerobot import DatasetWriter
    from policies import make_policy
    from sims import make_env, make_task

    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    if noise is not None and not 0 <= noise <= 1:
        raise UsageError(f"noise is a fraction of the limits, 0 to 1, got {noise:g}")
    if overwrite and resume:
        raise UsageError("a dataset is continued or overwritten, not both")
    chosen = make_task(task)
    if num_envs is None:
        num_envs = NUM_ENVS_CAMERAS if cameras else NUM_ENVS
    seen: dict[str, Any] = {}
    if cameras:
        size = tuple(image_size)
        seen = {"observe": "both", "cameras": tuple(cameras), "image_size": size}

    def open_env(**seen: Any) -> "Env":
        return make_env(
            chosen,
            engine=engine,
            num_envs=min(num_envs or 0, episodes),
            randomize=randomize,
            seed=seed,
            threads=threads,
            **seen,
        )

    @contextmanager
    def blind() -> Iterator[Recorder]:
        plain = open_env()
        try:
            acting = make_policy(
                policy, chosen, plain.num_envs, seed=seed, device=device
            )
            yield Recorder(plain, acting, seed)
        finally:
            plain.close()

    env = open_env(**seen)
    try:
        demonstrator = make_policy(
            policy, chosen, env.num_envs, seed=seed, device=device
        )
        about = origin(
            env,
            policy,
            randomize=randomize,
            seed=seed,
            keep_failures=keep_failures,
            cameras=cameras,
            image_size=image_size,
        )
        if noise is not None:
            about["noise"] = noise
        writer = DatasetWriter(
            out,
            observations=recorded_groups(env),
            action=chosen.action_spec,
            control_dt=env.control_dt,
            robot=chosen.robot,
            about=check_resumed(out, about) if resume else about,
            overwrite=overwrite,
            resume=resume,
            batches=True,
        )
        sees = any(group.startswith(IMAGES) for group in demonstrator.obs_spec)
        with writer:
            recorder = Recorder(env, demonstrator, seed)
            prober = blind() if cameras and not sees else nullcontext(recorder)
            collector = _Collector(recorder, writer, prober)
            return collector.fill(episodes, keep_failures, progress)
    finally:
        env.close()


class _Collector:
    """Runs batches of episodes until enough were worth keeping."""

    def __init__(
        self,
        recorder: Recorder,
        writer: "DatasetWriter",
        prober: AbstractContextManager[Recorder],
    ) -> None:
        """Take up the count where the dataset has it.

        Args:
            recorder: makes the episodes.
            writer: takes them.
            prober: makes those on which a disturbance is tried; it draws no pictures
                where the policy does not look at them.
        """
        self.recorder, self.writer, self.prober = recorder, writer, prober
        self.about = writer.about
        rows = writer.rows
        self.attempts = rows[-1]["id"] - FIRST_ID + 1 if rows else 0
        self.successes = sum(row["success"] for row in rows)
        recorder.measured = self.about.get("successes") is not None

    def fill(
        self, episodes: int, keep_failures: bool, progress: Progress | None
    ) -> CollectSummary:
        """Record, and stop at the attempt that completes the dataset."""
        began = time.perf_counter()
        recorder, writer = self.recorder, self.writer
        with PhysicsClock(recorder.env.engine) as clock:
            if "noise" not in self.about:
                with self.prober as prober:
                    self.about["noise"] = probe(prober, keep_failures)
            while writer.episodes < episodes:
                self._check_rate(episodes)
                ids = FIRST_ID + self.attempts + np.arange(recorder.env.num_envs)
                batch = recorder.run(ids, self.about["noise"], writer)
                name = recorder.env.task.name
                need_success(name, recorder.measured, keep_failures)
                for identity, episode in zip(ids, batch, strict=True):
                    if writer.episodes == episodes:
                        episode.discard()
                        continue
                    self._take(episode, int(identity), keep_failures)
                writer.settle()
                if progress is not None:
                    progress(writer.episodes, self.attempts)
            share = clock.share
        return CollectSummary(
            folder=writer.folder,
            episodes=writer.episodes,
            frames=writer.frames,
            attempts=self.attempts,
            successes=self.successes if recorder.measured else None,
            noise=self.about["noise"],
            seconds=time.perf_counter() - began,
            physics_share=share,
        )

    def _take(self, episode: Episode, identity: int, keep_failures: bool) -> None:
        """Count an episode, and keep it if it is to be kept."""
        self.attempts += 1
        self.successes += episode.solved
        measured = self.recorder.measured
        self.about["attempts"] = self.attempts
        self.about["successes"] = self.successes if measured else None
        if not (episode.solved or keep_failures):
            episode.discard()
            return
        episode.write(self.writer, self.recorder.seed, identity)

    def _check_rate(self, episodes: int) -> None:
        if self.attempts >= ATTEMPTS * episodes:
            raise SandbotError(
                f"only {self.successes} of {self.attempts} episodes succeeded, and "
                f"{episodes} are wanted: take another policy or less noise, or "
                f"keep failures"
            )


def probe(recorder: Recorder, keep_failures: bool) -> float:
    """The largest disturbance that a demonstrator copes with; 0: none.

    Raises:
        UsageError: the task measures no success, and successes alone are to be kept.
    """
    size, most = recorder.env.num_envs, (1 - PROBE_RATE) * PROBE + 1e-9
    ids = FIRST_ID + np.arange(PROBE + size)
    for noise in NOISES if recorder.limited else ():
        solved: list[bool] = []
        failures = 0
        while len(solved) < PROBE and failures <= most:
            batch = ids[len(solved) : len(solved) + size]
            solved += [episode.solved for episode in recorder.run(batch, noise)]
            failures = solved[:PROBE].count(False)
            need_success(recorder.env.task.name, recorder.measured, keep_failures)
            if not recorder.measured:
                return 0.0
        if failures <= most:
            return noise
    return 0.0
