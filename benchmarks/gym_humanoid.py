"""Humanoid-v5 on our engine: the same numbers as Gymnasium's, and how many a second.

Equality: our batch starts where Gymnasium's environments start, and all take the same
random actions, through falls and far beyond. Compared are every observation, reward,
term of it and end; contact forces are in both, or in neither.

Speed: environments step with random actions and start anew when they fall. Candidates
take turns, round after round, so that what else the machine does falls on all of them
alike; ratios are medians of each round's ratio. Each project is given its better
number of environments, and Gymnasium the better of ``SyncVectorEnv`` and
``AsyncVectorEnv``, in each round. EnvPool runs in an interpreter of its own
(``SANDBOT_ENVPOOL_PYTHON``, with ``pip install envpool``), where it waits while others
work; without it, its bars are "not measured".

The bars are on the clock, so that the machine has to be idle. Beside them stands the
processor's time, which others' work on the machine disturbs less: what threads do
together counts as divided among :data:`THREADS` free cores without loss, all of it for
EnvPool, the physics alone for ours. There is no such figure for ``AsyncVectorEnv``,
whose work lies in other processes.

    SANDBOT_ENVPOOL_PYTHON=.../bin/python python -m benchmarks.gym_humanoid
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from benchmarks.record import bar, record
from sims import make_env

WORKER = Path(__file__).with_name("envpool_worker.py")
PEER = "Humanoid-v5"
LIMIT = 1e-6
"""Of every difference to Gymnasium."""
BLOCK = 8192
"""Environment steps of a candidate's turn, about."""
THREADS = 2
COUNTS = (64, 1024, 2048)
"""Environments at once, of ours and of EnvPool's."""
BARS = {"Gymnasium": 2.5, "EnvPool": 1.3}
"""Least ratios of environment steps per second, by project."""
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "with contact forces": ("gym-humanoid", {}, {}),
    "without": (
        "gym-humanoid-no-forces",
        {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0},
        {
            "use_contact_force": False,
            "post_constraint": False,
            "contact_cost_weight": 0.0,
        },
    ),
}
"""Our task, and what Gymnasium and EnvPool are told."""
TERMS = ("forward", "ctrl", "survive", "contact")
Cost = tuple[float, float]
"""By the clock, and by the processor with :data:`THREADS` free cores [s]."""
Turn = Callable[[], Cost]
"""Steps a block; what an environment step costs."""


def differences(
    task: str, options: dict[str, Any], seeds: int, steps: int, gym_id: str = PEER
) -> dict[str, float]:
    """The largest difference of each kind; "ends" counts those that differ, and "falls"
    how many Gymnasium saw.

    Args:
        task: ours.
        options: of Gymnasium's.
        seeds: episodes, one for each of Gymnasium's seeds from 0 on.
        steps: control steps of each.
        gym_id: Gymnasium's.
    """
    env: Any = make_env(task, num_envs=seeds)
    peers = [gym.make(gym_id, **options).unwrapped for _ in range(seeds)]
    first = [peer.reset(seed=seed)[0] for seed, peer in enumerate(peers)]
    env.reset()
    data: list[Any] = [getattr(peer, "data") for peer in peers]  # noqa: B009
    qpos, qvel = (np.array([getattr(d, n) for d in data]) for n in ("qpos", "qvel"))
    env.engine.reset(np.ones(seeds, bool), qpos, qvel)
    env.task.note(env.engine, env.state)
    kinds = ("observation", "reward", *TERMS, "ends", "falls")
    found: dict[str, float] = dict.fromkeys(kinds, 0.0)
    seen = env.task.observe(env.engine, env.state)["state"]
    found["observation"] = float(np.abs(seen - first).max())
    rng = np.random.default_rng(0)
    low, high = env.action_spec.limits()
    for _ in range(steps):
        actions = rng.uniform(low, high, (seeds, len(low)))
        mine = env.step(actions)
        theirs = [p.step(a) for p, a in zip(peers, actions, strict=True)]
        pairs = {"observation": (mine[0]["state"], [t[0] for t in theirs])}
        pairs["reward"] = (mine[1], [t[1] for t in theirs])
        for term in TERMS:
            told = [t[4].get(f"reward_{term}", 0.0) for t in theirs]
            pairs[term] = (mine[4]["terms"].get(term, np.zeros(seeds)), told)
        for name, (ours, their) in pairs.items():
            apart = float(np.abs(ours - np.array(their)).max())
            found[name] = max(found[name], apart)
        ended = np.array([t[2] for t in theirs])
        found["ends"] += int((mine[2] != ended).sum())
        found["falls"] += int(ended.sum())
    env.close()
    return found


def ours(task: str, num_envs: int) -> Turn:
    """In our engine."""
    env: Any = make_env(task, num_envs=num_envs, threads=THREADS, autoreset=True)
    env.reset()
    shared, inner = [0.0], env.engine.batch.step

    def physics(*args: Any, **kwargs: Any) -> None:
        start = time.process_time()
        inner(*args, **kwargs)
        shared[0] += time.process_time() - start

    env.engine.batch.step = physics
    return _turn(env.step, num_envs, env.action_spec.limits(), shared)


def gymnasiums(kind: str, options: dict[str, Any], num_envs: int) -> Turn:
    """In Gymnasium's own batches."""
    make = [lambda: gym.make(PEER, **options)] * num_envs
    batch = SyncVectorEnv(make) if kind == "SyncVectorEnv" else AsyncVectorEnv(make)
    batch.reset(seed=0)
    space: Any = batch.single_action_space
    return _turn(batch.step, num_envs, (space.low, space.high), [0.0])


def _turn(
    step: Callable[[Any], Any], num_envs: int, limits: Any, shared: list[float]
) -> Turn:
    """A block of steps; the only element of ``shared`` sums what threads share [s]."""
    low, high = limits
    shape = (16, num_envs, len(low))
    actions = np.random.default_rng(0).uniform(low, high, shape)
    count = max(1, BLOCK // num_envs)

    def turn() -> Cost:
        shared[0] = 0.0
        start, begun = time.perf_counter(), time.process_time()
        for index in range(count):
            step(actions[index % len(actions)])
        cpu = time.process_time() - begun - shared[0] * (1 - 1 / THREADS)
        wall = time.perf_counter() - start
        return wall / (count * num_envs), cpu / (count * num_envs)

    return turn


class EnvPool:
    """EnvPool, behind a pipe."""

    def __init__(self, python: str) -> None:
        """Start its interpreter."""
        self._process = subprocess.Popen(
            [python, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = ""

    def make(self, name: str, options: dict[str, Any], num_envs: int) -> Turn:
        """Its environments, on :data:`THREADS` threads."""
        job = {"name": name, "gym_id": PEER, "num_envs": num_envs, "options": options}
        job["threads"] = THREADS
        self.version = self._ask({"make": job})["version"]
        steps = max(1, BLOCK // num_envs)

        def turn() -> Cost:
            took = self._ask({"name": name, "steps": steps})
            count = steps * num_envs
            return took["wall"] / count, took["cpu"] / THREADS / count

        return turn

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("EnvPool's process ended: its message stands above")
        return json.loads(answer)


def race(turns: dict[str, Turn], rounds: int) -> dict[str, np.ndarray]:
    """What an environment step costs each, (rounds, 2); a first round is dropped."""
    taken: dict[str, list[Cost]] = {name: [] for name in turns}
    for _ in range(rounds + 1):
        for name, turn in turns.items():
            taken[name].append(turn())
    return {name: np.array(costs[1:]) for name, costs in taken.items()}


def candidates(kind: str, pool: EnvPool | None) -> dict[str, Turn]:
    """Who takes part."""
    task, options, told = KINDS[kind]
    found = {f"sandbot x {count}": ours(task, count) for count in COUNTS}
    if pool is not None:
        for count in COUNTS:
            name = f"EnvPool x {count}"
            found[name] = pool.make(f"{name}, {kind}", told, count)
    for batch, count in (("SyncVectorEnv", 8), ("AsyncVectorEnv", 2)):
        found[f"{batch} x {count}"] = gymnasiums(batch, options, count)
    return found


def ratios(taken: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Speed of ours over each project's, each at its best, by either clock."""
    mine = _best(taken, "sandbot")
    found = {}
    for project in ("VectorEnv", "EnvPool"):
        if any(project in name for name in taken):
            ratio = np.median(_best(taken, project) / mine, axis=0)
            name = "Gymnasium" if project == "VectorEnv" else project
            found[name] = {"clock": float(ratio[0]), "processor": float(ratio[1])}
    return found


def _best(taken: dict[str, np.ndarray], project: str) -> np.ndarray:
    """(rounds, 2): the least cost of a project's candidates."""
    costs = []
    for name, cost in taken.items():
        if project in name:
            unseen = np.inf if "Async" in name else 0.0
            costs.append(cost + np.array([0.0, unseen]))
    return np.min(costs, axis=0)


def bars(kind: str, found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The bars, by the clock; all ratios are printed."""
    lines = []
    for project, ratio in found.items():
        what = f"Humanoid-v5 {kind}: steps/s over {project}'s best"
        clock, processor = ratio["clock"], ratio["processor"]
        print(f"{what}: {processor:.2f} by the processor, {clock:.2f} by the clock")
        lines.append(bar(what, clock, ">=", BARS[project]))
    return lines


def main() -> None:
    """Compare, race, print, record."""
    parser = argparse.ArgumentParser(description="Humanoid-v5 on our engine")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=500)
    given = parser.parse_args()
    equal, lines = {}, []
    for kind, (task, options, _) in KINDS.items():
        equal[kind] = differences(task, options, given.seeds, given.steps)
        worst = max(equal[kind][name] for name in ("observation", "reward", *TERMS))
        what = f"Humanoid-v5 {kind}: largest difference of anything to Gymnasium's"
        lines.append(bar(what, worst, "<=", LIMIT))
        what = f"Humanoid-v5 {kind}: ends of episodes that differ"
        lines.append(bar(what, equal[kind]["ends"], "<=", 0))
    python = os.environ.get("SANDBOT_ENVPOOL_PYTHON")
    pool = EnvPool(python) if python else None
    speeds, found = {}, {}
    for kind in KINDS:
        taken = race(candidates(kind, pool), given.rounds)
        found[kind] = ratios(taken)
        lines += bars(kind, found[kind])
        speeds[kind] = {
            n: (1 / np.median(c, axis=0)).tolist() for n, c in taken.items()
        }
        for name, (clock, processor) in speeds[kind].items():
            print(
                f"{kind:20s} {name:20s} {clock:8.0f} environment steps/s, "
                f"{processor:8.0f} by the processor",
                flush=True,
            )
    result: dict[str, Any] = {"n": given.seeds, "steps": given.steps, "bars": lines}
    result |= {"rounds": given.rounds, "threads": THREADS, "load": os.getloadavg()[2]}
    result |= {"differences": equal}
    result |= {"steps_per_second": speeds, "ratios": found}
    if pool is None:
        said = (
            "steps/s of Humanoid-v5 over EnvPool's: SANDBOT_ENVPOOL_PYTHON is not set"
        )
        result["not_measured"] = [said]
    else:
        result["peer"] = {"envpool": pool.version}
        pool.close()
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']:75s} {line['figure']:.3g} {line['bar']} {met}")
    path = record("gym_humanoid", result)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
