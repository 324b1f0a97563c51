"""Record demonstrations: a policy acts in an environment, and a dataset remembers.

The executed action may be disturbed (:mod:`policies.dart`) while the recorded one is
what the demonstrator wanted.

The identities of recorded episodes begin at :data:`FIRST_ID`, far from those of
evaluations (0, 1, 2 ...): with whatever seed, nothing is tested on what it was shown.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError, UsageError
from policies.dart import Disturbance

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from sims.env import Env
    from sims.policy import Policy

FIRST_ID = 1_000_000
"""Identity of the first recorded episode."""
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
    """Wall-clock time [s]."""

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
    num_envs: int = 50,
    randomize: str = "none",
    seed: int = 0,
    noise: float | None = None,
    keep_failures: bool = False,
    overwrite: bool = False,
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
        out: the dataset's folder; whole or absent.
        engine: name of the engine; None: the task's usual one.
        num_envs: how many at a time.
        randomize: profile of the randomisation.
        seed: of all draws, the disturbance included.
        noise: standard deviation of the disturbance of the executed action, as a
            fraction of its limits; 0: none; None: the largest of :data:`NOISES` with
            which the policy still solves most episodes, else none.
        keep_failures: whether to keep episodes that did not succeed.
        overwrite: whether an existing dataset makes way.
        threads: of the engine; 0: one per core.
        device: of networks: cpu, cuda or auto.
        progress: told how far it is.

    Raises:
        UsageError: a name or number that is not allowed, or ``out`` exists.
        SandbotError: the policy fails too often, or ``out`` cannot be written.
    """
    from ml.lerobot import DatasetWriter
    from ml.provenance import command, commit, versions
    from policies import make_policy
    from sims import make_env, make_task

    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    if noise is not None and not 0 <= noise <= 1:
        raise UsageError(f"noise is a fraction of the limits, 0 to 1, got {noise:g}")
    chosen = make_task(task)
    if "state" not in chosen.obs_spec:
        raise UsageError(
            f"a dataset records the group 'state', and {chosen.name} observes "
            f"{', '.join(chosen.obs_spec)}: choose an environment with one Box"
        )
    env = make_env(
        chosen,
        engine=engine,
        num_envs=min(num_envs, episodes),
        randomize=randomize,
        seed=seed,
        threads=threads,
    )
    about: dict[str, Any] = {
        "task": task,
        "policy": str(policy),
        "engine": env.engine.name,
        "randomize": randomize,
        "seed": seed,
        "command": command(),
        "commit": commit(),
        "versions": versions(),
    }
    try:
        demonstrator = make_policy(
            policy, chosen, env.num_envs, seed=seed, device=device
        )
        writer = DatasetWriter(
            out,
            observation=chosen.obs_spec["state"],
            action=chosen.action_spec,
            control_dt=env.control_dt,
            instruction=chosen.description,
            robot=chosen.robot,
            about=about,
            overwrite=overwrite,
        )
        recorder = _Recorder(env, demonstrator, keep_failures, seed)
        with writer:
            recorder.noise = recorder.probe() if noise is None else noise
            summary = recorder.fill(writer, episodes, progress)
            about |= {
                "noise": summary.noise,
                "attempts": summary.attempts,
                "successes": summary.successes,
            }
    finally:
        env.close()
    return summary


class _Recorder:
    """Runs batches of episodes until enough were worth keeping."""

    def __init__(
        self,
        env: "Env",
        policy: "Policy",
        keep_failures: bool,
        seed: int,
    ) -> None:
        self.env, self.policy = env, policy
        self.keep_failures, self.seed = keep_failures, seed
        self.noise = 0.0
        self.measured = False
        """Whether the task measured success in any episode so far."""
        self.low, self.high = env.action_spec.limits()
        self.limited = bool(np.isfinite(self.high - self.low).all())

    def probe(self) -> float:
        """The largest disturbance that the demonstrator copes with; 0: none."""
        ids = FIRST_ID + np.arange(PROBE + self.env.num_envs)
        for noise in NOISES if self.limited else ():
            self.noise = noise
            outcomes: list[bool] = []
            while len(outcomes) < PROBE:
                batch = ids[len(outcomes) : len(outcomes) + self.env.num_envs]
                outcomes += [_solved(episode) for episode in self._run(batch)]
                if not self.measured:
                    return 0.0
            if sum(outcomes[:PROBE]) >= PROBE_RATE * PROBE:
                return noise
        return 0.0

    def fill(
        self, writer: "DatasetWriter", episodes: int, progress: Progress | None
    ) -> CollectSummary:
        """Record, and stop at the attempt that completes the dataset."""
        began = time.perf_counter()
        attempts = successes = frames = 0
        while writer.episodes < episodes:
            if attempts >= ATTEMPTS * episodes:
                raise SandbotError(
                    f"only {successes} of {attempts} episodes succeeded, and "
                    f"{episodes} are wanted: take another policy or less noise, or "
                    f"keep failures"
                )
            ids = FIRST_ID + attempts + np.arange(self.env.num_envs)
            for identity, episode in zip(ids, self._run(ids), strict=True):
                success = _solved(episode)
                del episode["diverged"]
                attempts += 1
                successes += success
                if success or self.keep_failures:
                    writer.add_episode(
                        **episode, seed=self.seed, identity=int(identity)
                    )
                    frames += len(episode["reward"])
                if writer.episodes == episodes:
                    break
            if progress is not None:
                progress(writer.episodes, attempts)
        return CollectSummary(
            folder=writer.folder,
            episodes=episodes,
            frames=frames,
            attempts=attempts,
            successes=successes if self.measured else None,
            noise=self.noise,
            seconds=time.perf_counter() - began,
        )

    def _run(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """One episode of each identity."""
        env = self.env
        obs = env.reset(seed=self.seed, ids=ids)
        if hasattr(self.policy, "ids"):
            self.policy.ids = ids  # pyright: ignore[reportAttributeAccessIssue]
        self.policy.reset()
        steps: list[dict[str, np.ndarray]] = []
        running = np.ones(env.num_envs, bool)
        lengths = np.zeros(env.num_envs, int)
        diverged = np.zeros(env.num_envs, bool)
        disturbance = Disturbance(env, self.noise)
        disturbance.reset()
        while running.any():
            wanted = np.clip(self.policy.act(obs), self.low, self.high)
            seen = obs["state"].astype(np.float32)
            executed = wanted + disturbance.next()
            obs, reward, terminated, truncated, info = env.step(executed)
            success = info["success"]
            if success is None:
                if not self.keep_failures:
                    raise UsageError(
                        f"{env.task.name} measures no success: keep failures as well "
                        f"(--keep-failures)"
                    )
                success = np.zeros(env.num_envs, bool)
            else:
                self.measured = True
            steps.append(
                {
                    "observation": seen,
                    "action": wanted.astype(np.float32),
                    "reward": np.array(reward, np.float32),
                    "success": np.array(success),
                }
            )
            lengths += running
            diverged |= running & info["diverged"]
            running &= ~(terminated | truncated)
        whole = {key: np.stack([step[key] for step in steps], 1) for key in steps[0]}
        return [
            {key: values[i, : lengths[i]] for key, values in whole.items()}
            | {"diverged": diverged[i]}
            for i in range(env.num_envs)
        ]


def _solved(episode: dict[str, Any]) -> bool:
    return bool(episode["success"][-1]) and not episode["diverged"]
