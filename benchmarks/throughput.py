"""How much of an environment step is physics?

ArmReach at 1, 64 and 1,024 environments beside Gymnasium's Reacher-v5 (single, Sync,
Async) and Stable-Baselines3's DummyVecEnv, all in one process. Candidates take turns,
round after round, so that what else the machine does falls on all of them alike;
figures are medians over the rounds, ratios are medians of each round's ratio.

"Physics" is the time inside ``Batch.step`` for ours and inside ``do_simulation`` for
Reacher, overheads of those two calls included. Async's physics runs in other processes,
where it cannot be timed from here: it is taken as the single environment's, divided by
the number of cores, which favours Async.

    python -m benchmarks.throughput
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.record import record
from sims import make_env
from sims.gym_env import register_envs

REACHER = "Reacher-v5"
GYM_ENVS = 8
ASYNC_ENVS = 2


@dataclass
class Candidate:
    """Something that steps ``num_envs`` environments when called."""

    name: str
    num_envs: int
    calls: int
    step: Callable[[], object]
    physics: list[float]
    """Its only element sums the time spent in physics [s]."""
    rounds: list[tuple[float, float]] = field(default_factory=list)
    """(total, physics) of each round [microseconds per environment step]."""

    def run(self) -> None:
        """One round."""
        self.physics[0] = 0.0
        start = time.perf_counter()
        for _ in range(self.calls):
            self.step()
        total = time.perf_counter() - start
        steps = self.calls * self.num_envs
        self.rounds.append((total / steps * 1e6, self.physics[0] / steps * 1e6))


def timed(owner: object, name: str, clock: list[float]) -> None:
    """Make a method add the time it takes to ``clock``."""
    inner = getattr(owner, name)

    def outer(*args, **kwargs):
        start = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            clock[0] += time.perf_counter() - start

    setattr(owner, name, outer)


def ours(num_envs: int, randomize: str) -> Candidate:
    """ArmReach in our batched environment."""
    env = make_env("arm-reach", num_envs=num_envs, randomize=randomize, autoreset=True)
    clock = [0.0]
    timed(env.engine.batch, "step", clock)  # pyright: ignore[reportAttributeAccessIssue]
    env.reset()
    # spread the ends of the episodes, as they are spread in training
    env.state.steps[:] = np.arange(num_envs) * env.max_steps // num_envs
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, (num_envs, 2)) * [20.0, 8.0]
    return Candidate(
        f"ArmReach x {num_envs}, {randomize}",
        num_envs,
        max(4096 // num_envs, 60),
        lambda: env.step(action),
        clock,
    )


def ours_single() -> Candidate:
    """ArmReach through ``gym.make``."""
    env, clock = gym.make("sandbot/ArmReach-v0"), [0.0]
    timed(env.unwrapped.env.engine.batch, "step", clock)  # pyright: ignore
    env.reset(seed=0)
    action = np.array([5.0, -2.0], np.float32)

    def step() -> None:
        if env.step(action)[3]:
            env.reset()

    return Candidate("ArmReach, gym.make", 1, 1000, step, clock)


def reacher_single() -> Candidate:
    """Reacher through ``gym.make``."""
    env, clock = gym.make(REACHER), [0.0]
    timed(env.unwrapped, "do_simulation", clock)
    env.reset(seed=0)
    action = np.array([0.1, -0.1], np.float32)

    def step() -> None:
        if env.step(action)[3]:
            env.reset()

    return Candidate(f"{REACHER}, gym.make", 1, 1000, step, clock)


def reacher_batch(kind: str) -> Candidate:
    """Reacher in somebody else's batch."""
    clock = [0.0]

    def make() -> gym.Env:
        env = gym.make(REACHER)
        timed(env.unwrapped, "do_simulation", clock)
        return env

    if kind == "DummyVecEnv":
        batch = DummyVecEnv([make] * GYM_ENVS)
    elif kind == "SyncVectorEnv":
        batch = SyncVectorEnv([make] * GYM_ENVS)
    else:
        batch = AsyncVectorEnv([lambda: gym.make(REACHER)] * ASYNC_ENVS)
    count = ASYNC_ENVS if kind == "AsyncVectorEnv" else GYM_ENVS
    batch.reset()
    action = np.full((count, 2), 0.1, np.float32)
    name = f"{REACHER}, {kind} x {count}"
    return Candidate(name, count, 1000 // count, lambda: batch.step(action), clock)


def measure(rounds: int) -> list[Candidate]:
    """Interleaved rounds of every candidate, the first dropped as a warm-up."""
    register_envs()
    candidates = [
        ours_single(),
        reacher_single(),
        ours(1, "none"),
        ours(64, "none"),
        ours(1024, "none"),
        ours(1024, "train"),
        reacher_batch("SyncVectorEnv"),
        reacher_batch("AsyncVectorEnv"),
        reacher_batch("DummyVecEnv"),
    ]
    for _ in range(rounds + 1):
        for candidate in candidates:
            candidate.run()
    single = next(c for c in candidates if c.name == f"{REACHER}, gym.make")
    for candidate in candidates:
        candidate.rounds.pop(0)
    for candidate in candidates:
        if "Async" in candidate.name:
            cores = min(os.cpu_count() or 1, ASYNC_ENVS)
            candidate.rounds = [
                (total, physics / cores)
                for (total, _), (_, physics) in zip(
                    candidate.rounds, single.rounds, strict=True
                )
            ]
    return candidates


def summary(candidates: list[Candidate]) -> dict[str, dict[str, float]]:
    """Medians and quartiles of each candidate."""
    rows = {}
    for c in candidates:
        total, physics = np.array(c.rounds).T
        outside = total - physics
        rows[c.name] = {
            "num_envs": c.num_envs,
            "us_per_env_step": float(np.median(total)),
            "us_outside_physics": float(np.median(outside)),
            "us_outside_quartile_1": float(np.percentile(outside, 25)),
            "us_outside_quartile_3": float(np.percentile(outside, 75)),
            "physics_share": float(np.median(physics / total)),
            "env_steps_per_second": float(1e6 / np.median(total)),
        }
    return rows


def bars(candidates: list[Candidate]) -> list[dict[str, object]]:
    """The issue's bars, each with the figure."""
    rounds = {c.name: np.array(c.rounds) for c in candidates}
    outside = {name: r[:, 0] - r[:, 1] for name, r in rounds.items()}
    share = {name: r[:, 1] / r[:, 0] for name, r in rounds.items()}
    none, train = "ArmReach x 1024, none", "ArmReach x 1024, train"
    peers = [n for n in rounds if n.startswith(REACHER) and "gym.make" not in n]
    best = np.min([outside[n] for n in peers], axis=0)
    lines = [
        (
            "share of a step inside physics, 1,024 environments",
            np.median(share[none]),
            ">=",
            0.80,
        ),
        (
            "us outside physics, 1,024 environments, none",
            np.median(outside[none]),
            "<=",
            2.0,
        ),
        (
            "us outside physics, 1,024 environments, train",
            np.median(outside[train]),
            "<=",
            3.0,
        ),
        (
            "outside, over Reacher-v5's in the best batch",
            np.median(outside[none] / best),
            "<=",
            1 / 8,
        ),
        (
            "us outside physics, one environment, gym.make",
            np.median(outside["ArmReach, gym.make"]),
            "<=",
            60.0,
        ),
    ]
    return [
        {
            "what": what,
            "figure": float(figure),
            "bar": f"{sign} {bar:g}",
            "met": bool(figure >= bar if sign == ">=" else figure <= bar),
        }
        for what, figure, sign, bar in lines
    ]


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description="physics share of a step")
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    candidates = measure(rounds)
    rows, lines = summary(candidates), bars(candidates)
    print(f"{'':34s} us/step  outside  physics   steps/s")
    for name, row in rows.items():
        print(
            f"{name:34s} {row['us_per_env_step']:7.2f}  "
            f"{row['us_outside_physics']:7.2f}  {row['physics_share']:6.1%}  "
            f"{row['env_steps_per_second']:8.0f}"
        )
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:50s} {line['figure']:7.3f}  {line['bar']:9s} {verdict}")
    path = record("throughput", {"n": rounds, "rows": rows, "bars": lines})
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
