"""Two engines, one set of actions: a policy acts in the first, the second gets them.

Both environments have the same seed, identities and randomisation, so that they begin
alike and are late and pushed alike. The second one's observations are not looked at:
what differs afterwards is the physics.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.instruments import Instruments, Reading, stack
from evaluation.tape import Acts, Tape

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.env import Env
    from sims.policy import Policy
    from sims.task import Task

Change = Callable[["Engine"], None]
"""Done to the second engine after each reset, before the first action."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """What one engine did. Frame 0 is the start, frame t the state after t actions."""

    qpos: np.ndarray
    """(steps + 1, n, nq)"""
    qvel: np.ndarray
    """(steps + 1, n, nv)"""
    reading: Reading
    """Leading axes (steps + 1, n)."""
    terms: dict[str, np.ndarray]
    """Terms of the reward, each (steps, n)."""
    success: np.ndarray | None
    """(n,) whether the task was solved when the episode ended here; None: it measures
    none."""
    broken: np.ndarray
    """(steps + 1, n) whether the physics had broken down."""
    acts: list[Acts]
    """What acted in each step."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The same episodes in both engines."""

    first: Track
    second: Track
    lengths: np.ndarray
    """(n,) control steps of each episode, as it went in the first engine."""


@contextmanager
def both(
    task: "Task",
    instruments: Instruments,
    engines: tuple[str, str],
    randomize: str,
    num_envs: int,
    threads: int,
    **shown: Any,
) -> Iterator[tuple["Env", "Env"]]:
    """The two environments, closed at the end.

    Args:
        task: what is to be done.
        instruments: whose scene it is done in.
        engines: their names.
        randomize: a profile of the task.
        num_envs: in each.
        threads: of each engine; 0: one per core.
        shown: what the policy looks at, in the first one alone.
    """
    pair: list[Env] = []
    try:
        for name, seen in zip(engines, (shown, {}), strict=True):
            pair.append(
                _make(task, instruments, name, randomize, num_envs, threads, seen)
            )
        yield pair[0], pair[1]
    finally:
        for env in pair:
            env.close()


def _make(
    task: "Task",
    instruments: Instruments,
    engine: str,
    randomize: str,
    num_envs: int,
    threads: int,
    seen: dict[str, Any],
) -> "Env":
    """One environment, in the scene with sensors."""
    from sims.cameras import CameraRig
    from sims.env import Env
    from sims.registry import find_engine

    model, profile = instruments.model, task.randomizations[randomize]
    physics = find_engine(task, engine)[1].make(model, num_envs, threads=threads)
    rig = None
    try:
        if seen:
            names, size = seen["cameras"], seen["image_size"]
            rig = CameraRig(model, names, image_size=size, terms=profile.images)
        observe = seen.get("observe", "state")
        return Env(physics, task, profile, observe=observe, cameras=rig)
    except BaseException:
        if rig is not None:
            rig.close()
        physics.close()
        raise


def run(
    pair: tuple["Env", "Env"],
    policy: "Policy",
    instruments: Instruments,
    ids: np.ndarray,
    seed: int,
    *,
    limits: np.ndarray,
    change: Change | None = None,
    progress: Callable[[int], object] | None = None,
) -> Sides:
    """Play one batch of episodes in both.

    Args:
        pair: of :func:`both`.
        policy: not used before; it sees the first environment.
        instruments: of the scene.
        ids: (num_envs,) identities of the episodes.
        seed: of their draws.
        limits: (num_envs,) control steps of each episode at most.
        change: done to the second engine when the episodes have begun.
        progress: told of each control step.
    """
    from evaluation.episodes import start

    first, second = pair
    with Tape(first.engine) as one, Tape(second.engine) as two:
        obs = start(first, policy, ids, seed)
        second.reset(seed=seed, ids=ids)
        if change is not None:
            change(second.engine)
            second.engine.forward()
        one.begin()
        two.begin()
        logs = _Log(first, instruments, one), _Log(second, instruments, two)
        ended = np.zeros((2, first.num_envs), bool)
        lengths = np.zeros(first.num_envs, int)
        for step in range(1, int(limits.max()) + 1):
            action = np.array(policy.act(obs))
            told = first.step(action), second.step(action)
            obs = told[0][0]
            lengths[~ended[0]] = step
            for log, done, (*_, over, late, info) in zip(
                logs, ended, told, strict=True
            ):
                now = ~done & (over | late | (step == limits))
                log.add(info, now)
                done |= now
            if progress is not None:
                progress(first.num_envs)
            if ended.all():
                break
    return Sides(first=logs[0].track(), second=logs[1].track(), lengths=lengths)


class _Log:
    """Collects a :class:`Track`."""

    def __init__(self, env: "Env", instruments: Instruments, tape: Tape):
        self._env, self._instruments, self._tape = env, instruments, tape
        self._rows: list[tuple[np.ndarray, np.ndarray, Reading, np.ndarray]] = []
        self._terms: dict[str, list[np.ndarray]] = {}
        self._acts: list[Acts] = []
        self._success: np.ndarray | None = None
        self._note()

    def add(self, info: dict[str, Any], ended: np.ndarray) -> None:
        """Take the frame after a step."""
        self._note()
        self._acts.append(self._tape.take())
        for name, values in info["terms"].items():
            self._terms.setdefault(name, []).append(np.array(values, float))
        if info["success"] is not None:
            if self._success is None:
                self._success = np.zeros(len(ended), bool)
            solved = np.asarray(info["success"]) & ~np.asarray(info["diverged"])
            self._success[ended] = solved[ended]

    def track(self) -> Track:
        """All frames."""
        qpos, qvel, readings, broken = zip(*self._rows, strict=True)
        return Track(
            qpos=np.stack(qpos),
            qvel=np.stack(qvel),
            reading=stack(list(readings)),
            terms={name: np.stack(rows) for name, rows in self._terms.items()},
            success=self._success,
            broken=np.stack(broken),
            acts=self._acts,
        )

    def _note(self) -> None:
        engine = self._env.engine
        self._rows.append(
            (
                np.array(engine.qpos, float),
                np.array(engine.qvel, float),
                self._instruments.read(engine),
                np.array(engine.diverged()),
            )
        )
