"""Run a policy for n episodes in one world, or in every combination of worlds.

Episode ``i`` is environment identity ``i`` (:mod:`sims.draws`): it starts from the same
state with the same target and the same physics under every engine and every policy.
So two results with the same seed are paired, episode by episode, and what is measured
does not depend on how many environments run side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from evaluation.episodes import OUTCOME, Progress, chunks, play

if TYPE_CHECKING:
    from policies.execution import Execution
    from sims.policy import Policy

SEEING_ENVS = 16
"""Environments side by side where a policy looks at pictures, which are drawn one by
one."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What one policy did in one engine under one randomisation."""

    task: str
    policy: str
    engine: str
    randomize: str
    seed: int
    control_dt: float
    """[s]"""
    success: np.ndarray | None
    """(n,) bool: of each episode, at its end; None: the task measures none."""
    returns: np.ndarray
    """(n,): sum of rewards."""
    lengths: np.ndarray
    """(n,) int: control steps."""
    diverged: np.ndarray
    """(n,) bool: episodes in which the physics broke down."""
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)
    """The task's other notions of success, each (n,) bool at the episode's end."""
    clipped: float = 0.0
    """Share of the actions' elements that lay outside of their limits."""
    engine_version: str = ""
    """Of the engine's library, and what of its settings moves results."""
    physics_share: float | None = None
    """Time inside the engine's step over the time of all; None: not measured."""
    device: str = "cpu"
    """Where networks ran."""
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    """The task's metrics over time, each (steps, n); NaN after an episode's end."""

    @property
    def n(self) -> int:
        """Number of episodes."""
        return len(self.returns)

    @property
    def successes(self) -> int | None:
        """Number of episodes that succeeded; None: the task measures none."""
        return None if self.success is None else int(self.success.sum())

    @property
    def rate(self) -> float | None:
        """Fraction of episodes that succeeded; None: the task measures none."""
        return None if self.successes is None else self.successes / self.n


def rollout(
    task: str,
    policy: str,
    *,
    engine: str | None = None,
    randomize: str = "none",
    episodes: int = 200,
    seed: int = 0,
    num_envs: int | None = None,
    threads: int = 0,
    device: str = "cpu",
    execution: "Execution | None" = None,
    progress: Progress | None = None,
) -> Rollout:
    """Run one policy for so many episodes.

    Args:
        task: a name in ``sims.TASKS``, or a Gymnasium id.
        policy: a policy's name, or the folder of a checkpoint.
        engine: a name in ``sims.ENGINES``; None: the task's usual one.
        randomize: a profile of the task.
        episodes: how many; episode ``i`` has the identity ``i``.
        seed: of the episodes' draws.
        num_envs: side by side; None: as many as the engine likes.
        threads: of the engine; 0: one per core.
        device: of networks: cpu, cuda or auto.
        execution: how a network's chunks are executed; None: as its checkpoint says.
        progress: told of each control step.

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
        SandbotError: a checkpoint that cannot be read.
    """
    from policies import make_policy
    from policies.clock import PhysicsClock
    from policies.seeing import observed_by
    from sims import make_env, make_task
    from sims.registry import find_engine

    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    if num_envs is not None and num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    the_task = make_task(task)
    engine_name, entry = find_engine(the_task, engine)

    def make_actor(size: int) -> "Policy":
        return make_policy(
            policy, the_task, size, seed=seed, device=device, execution=execution
        )

    seen = observed_by(make_actor(1))
    if num_envs is None and seen:
        num_envs = SEEING_ENVS
    batches = list(chunks(episodes, num_envs or entry.default_num_envs))
    env = make_env(
        the_task,
        engine=engine_name,
        num_envs=len(batches[0]),
        randomize=randomize,
        seed=seed,
        threads=threads,
        **seen,
    )
    try:
        parts = []
        with PhysicsClock(env.engine) as clock:
            for ids in batches:
                actor = make_actor(env.num_envs)
                count = min(episodes - int(ids[0]), len(ids))
                parts.append(play(env, actor, ids, count, seed, progress))
            share = clock.share
        engine_version = env.engine.version
    finally:
        env.close()
    joined = {
        key: np.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]
    }
    success, measured, returns, lengths, diverged, clipped = (
        joined.pop(key)
        for key in ("success", "measured", "returns", "lengths", "diverged", "clipped")
    )
    outcomes = {
        key.removeprefix(OUTCOME): joined.pop(key)
        for key in list(joined)
        if key.startswith(OUTCOME)
    }
    return Rollout(
        task=task,
        policy=policy,
        engine=engine_name,
        randomize=randomize,
        seed=seed,
        device=device,
        control_dt=env.control_dt,
        success=success if measured.any() else None,
        returns=returns,
        lengths=lengths,
        diverged=diverged,
        outcomes=outcomes,
        clipped=float(clipped.sum() / (lengths.sum() * env.action_spec.size)),
        engine_version=engine_version,
        physics_share=share,
        curves=joined,
    )


def evaluate(
    task: str,
    policies: Sequence[str],
    *,
    engines: Sequence[str] | None = None,
    randomize: Sequence[str] = ("none",),
    episodes: int = 200,
    seed: int = 0,
    num_envs: int | None = None,
    threads: int = 0,
    device: str = "cpu",
    execution: "Execution | None" = None,
    on_start: Callable[[str, str, str, int], None] | None = None,
    progress: Progress | None = None,
) -> list[Rollout]:
    """Run every policy in every engine under every randomisation, on the same episodes.

    Names and numbers of all combinations are checked before the first one runs.

    Args:
        task: a name in ``sims.TASKS``, or a Gymnasium id.
        policies: names, or folders of checkpoints.
        engines: names in ``sims.ENGINES``; None: the task's usual one.
        randomize: profiles of the task.
        episodes: how many in each combination.
        seed: of all of them.
        num_envs: side by side; None: as many as each engine likes.
        threads: of the engines; 0: one per core.
        device: of networks: cpu, cuda or auto.
        execution: how networks' chunks are executed; None: as their checkpoints say.
        on_start: told policy, engine, randomisation and the number of episode steps to
            come, before each combination.
        progress: told of each control step.

    Returns:
        One result for each, by policy, then randomisation, then engine.

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
        SandbotError: a checkpoint that cannot be read.
    """
    if engines is None:
        engines = (_usual_engine(task),)
    steps = _check(
        *(task, policies, engines, randomize, episodes),
        *(seed, num_envs, device, execution),
    )
    results = []
    for policy in policies:
        for profile in randomize:
            for engine in engines:
                if on_start is not None:
                    on_start(policy, engine, profile, episodes * steps)
                results.append(
                    rollout(
                        task,
                        policy,
                        engine=engine,
                        randomize=profile,
                        episodes=episodes,
                        seed=seed,
                        num_envs=num_envs,
                        threads=threads,
                        device=device,
                        execution=execution,
                        progress=progress,
                    )
                )
    return results


def _check(
    task: str,
    policies: Sequence[str],
    engines: Sequence[str],
    randomize: Sequence[str],
    episodes: int,
    seed: int,
    num_envs: int | None,
    device: str,
    execution: "Execution | None",
) -> int:
    """Refuse what cannot run before anything runs; the steps of an episode."""
    from policies import make_policy
    from sims import make_env, make_task
    from sims.draws import check_seed

    the_task = make_task(task)
    if num_envs is not None and num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    for kind, names in (
        ("policy", policies),
        ("engine", engines),
        ("randomize", randomize),
    ):
        if not names:
            raise UsageError(f"--{kind} wants at least one name")
        if len(set(names)) < len(names):
            raise UsageError(f"--{kind} names one of {', '.join(names)} twice")
    check_seed(seed)
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    for engine in engines:
        make_env(the_task, engine=engine, num_envs=num_envs or 1).close()
    for profile in randomize:
        if profile not in the_task.randomizations:
            raise unknown(
                f"randomisation of {task!r}", profile, the_task.randomizations
            )
    for policy in policies:
        make_policy(policy, the_task, 1, seed=seed, device=device, execution=execution)
    return int(the_task.max_steps)


def _usual_engine(task: str) -> str:
    """The first of the engines that a task runs in."""
    from sims import make_task
    from sims.registry import find_engine

    return find_engine(make_task(task), None)[0]
