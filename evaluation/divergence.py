"""Sim to sim: where two engines part under the same actions, by which body, and why.

A policy acts in the first engine; the second gets the same actions, with the same seed,
identities and randomisation. The first frame in which a body is farther from its place
in the first engine than the tolerance is where they part; :mod:`evaluation.causes`
measures why. What that means for the task is told by each term of the reward.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError, unknown
from evaluation.causes import labels
from evaluation.divergence_curves import Curves, curves, joined
from evaluation.episodes import chunks
from evaluation.instruments import Instruments
from evaluation.partings import Tolerances
from evaluation.side_by_side import Change, both, run
from evaluation.verdicts import Verdict, judge

if TYPE_CHECKING:
    from evaluation.recorded import RecordedActions
    from policies.execution import Execution
    from sims.policy import Policy
    from sims.task import Task

EPISODES = 10
"""Where nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One policy's actions in two engines."""

    task: str
    policy: str
    engines: tuple[str, str]
    versions: tuple[str, str]
    randomize: str
    seed: int
    control_dt: float
    """[s]"""
    tolerances: Tolerances
    episodes: list[Verdict]
    curves: Curves

    @property
    def labels(self) -> tuple[str, str]:
        """What the engines are called beside each other."""
        return labels(self.engines)

    @property
    def parted(self) -> list[Verdict]:
        """The episodes that part."""
        return [one for one in self.episodes if one.parts]


def diverge(
    task: str,
    policy: "str | RecordedActions",
    engines: Sequence[str],
    *,
    randomize: str = "none",
    episodes: int = EPISODES,
    steps: int | None = None,
    seed: int = 0,
    tolerances: Tolerances | None = None,
    num_envs: int | None = None,
    threads: int = 0,
    device: str = "cpu",
    execution: "Execution | None" = None,
    change: Change | None = None,
    progress: Callable[[int], object] | None = None,
) -> Comparison:
    """Play the same episodes with the same actions in two engines.

    Args:
        task: a name in ``sims.TASKS``.
        policy: a policy's name, the folder of a checkpoint, or recorded actions, which
            bring their own episodes, seed and randomisation.
        engines: two names in ``sims.ENGINES``; the policy sees the first. One engine
            twice is allowed: its courses are the same, unless something is changed.
        randomize: a profile of the task.
        episodes: how many; episode ``i`` has the identity ``i``.
        steps: control steps of each at most; None: the task's.
        seed: of the episodes' draws.
        tolerances: None: those of :class:`~evaluation.partings.Tolerances`.
        num_envs: side by side; None: as many as both engines like.
        threads: of the engines; 0: one per core.
        device: of networks: cpu, cuda or auto.
        execution: how a network's chunks are executed; None: as its checkpoint says.
        change: done to the second engine alone when its episodes have begun.
        progress: told of each control step.

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
        SandbotError: a checkpoint that cannot be read, or an engine that is missing.
    """
    from policies import make_policy
    from policies.seeing import observed_by

    tolerances = tolerances or Tolerances()
    if not isinstance(policy, str):
        randomize, seed, episodes = policy.randomize, policy.seed, len(policy.ids)
    the_task, names = _check(
        *(task, engines, randomize, episodes, seed, num_envs, tolerances)
    )
    steps = _steps(steps, the_task)

    def make_actor(rows: np.ndarray) -> "Policy":
        if not isinstance(policy, str):
            return policy.actor(rows)
        size = len(rows)
        return make_policy(
            policy, the_task, size, seed=seed, device=device, execution=execution
        )

    seen = observed_by(make_actor(np.arange(1)))
    instruments = Instruments(the_task.robot, the_task.scene)
    batches = list(chunks(episodes, num_envs or _usual_size(the_task, names, seen)))
    found: list[Verdict] = []
    parts: list[Curves] = []
    with both(
        the_task, instruments, names, randomize, len(batches[0]), threads, **seen
    ) as pair:
        versions = pair[0].engine.version, pair[1].engine.version
        for rows in batches:
            ids, limits = rows, np.full(len(rows), steps)
            if not isinstance(policy, str):
                ids, lengths = policy.identities(rows)
                limits = np.minimum(limits, lengths)
            sides = run(
                *(pair, make_actor(rows), instruments, ids, seed),
                limits=limits,
                change=change,
                progress=progress,
            )
            count = min(episodes - int(rows[0]), len(rows))
            found += judge(the_task, instruments, names, sides, ids[:count], tolerances)
            parts.append(curves(instruments, sides, count, labels(names)))
    return Comparison(
        task=task,
        policy=policy if isinstance(policy, str) else policy.name,
        engines=names,
        versions=versions,
        randomize=randomize,
        seed=seed,
        control_dt=the_task.control_dt,
        tolerances=tolerances,
        episodes=found,
        curves=joined(parts),
    )


def _usual_size(task: "Task", engines: tuple[str, str], seen: dict[str, Any]) -> int:
    """Environments side by side that both engines like."""
    from evaluation.rollout import SEEING_ENVS
    from sims.registry import find_engine

    sizes = [find_engine(task, name)[1].default_num_envs for name in engines]
    return min([*sizes, SEEING_ENVS] if seen else sizes)


def _steps(steps: int | None, task: "Task") -> int:
    """The control steps of an episode.

    Raises:
        UsageError: fewer than one.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"steps must be at least 1, got {steps}")
    return task.max_steps if steps is None else min(steps, task.max_steps)


def _check(
    task: str,
    engines: Sequence[str],
    randomize: str,
    episodes: int,
    seed: int,
    num_envs: int | None,
    tolerances: Tolerances,
) -> tuple["Task", tuple[str, str]]:
    """Refuse what cannot run; the task, and the names of two engines."""
    from sims import make_task
    from sims.draws import check_seed
    from sims.engines import ENGINES
    from sims.registry import engines_of, find_engine

    the_task = make_task(task)
    if engines_of(the_task) is not ENGINES:
        raise UsageError(
            f"{task} brings its own engine, {', '.join(engines_of(the_task))}, and "
            f"runs in no other, so that there are no two to compare: take one of our "
            f"tasks; 'sandbot list' shows them"
        )
    if len(engines) != 2:
        raise UsageError(
            f"two engines are compared, got {len(engines)} ({', '.join(engines)}); "
            f"there are {', '.join(ENGINES)}, and one may be named twice"
        )
    first, second = (find_engine(the_task, name)[0] for name in engines)
    if randomize not in the_task.randomizations:
        raise unknown(f"randomisation of {task!r}", randomize, the_task.randomizations)
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    if not (tolerances.position > 0 and tolerances.angle > 0):
        raise UsageError(
            f"tolerances must be above 0, got {tolerances.position:g} m and "
            f"{tolerances.angle:g} rad"
        )
    if num_envs is not None and num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    check_seed(seed)
    return the_task, (first, second)
