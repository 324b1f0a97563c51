"""A million steps of every task with random actions: does anything break, or leak?

    python -m benchmarks.endurance [--tasks arm-reach humanoid-walk] [--steps 1000000]

Each task runs in a process of its own, in the engine ``mujoco`` on two threads, with
uniformly random actions within their limits, under its profile of randomisation
``train``, and each episode that ends starts anew. Counted are

- numbers that are not finite in observations, rewards and states,
- environments that broke down, and were ended and reset,
- MuJoCo's warnings, all of them, as :attr:`MujocoEngine.warnings` has them, and, by
  its side, how often MuJoCo said one (the first of its kind since an environment's
  reset), which is heard here and must not be more,
- resident memory when a tenth of the steps is done, and at the end.

Random actions are harsh on purpose; so a breakdown is no failure as long as it is
counted, and as nothing but it follows from it. Every warning must be one of a
breakdown: contacts or constraints that found no room would be forces that are missing.

What the file holds of tasks that a call leaves out stays.
"""

import argparse
import time
from collections import Counter
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil

from benchmarks.record import bar, record, recorded

PROFILES = ("train", "none")
"""Of the randomisation, the first that a task has."""
GROWTH = 8.0
"""The most that memory may grow, from a tenth of the steps to the end [MiB]."""
BREAKDOWNS = ("BADQPOS", "BADQVEL", "BADQACC")
"""Warnings by which MuJoCo says that the physics of an environment broke down."""


def endure(task: str, steps: int, num_envs: int, threads: int, seed: int) -> dict:
    """Run one task with random actions.

    Args:
        task: its name.
        steps: environment steps in all, rounded up to whole steps of all environments.
        num_envs: how many at once.
        threads: of the engine.
        seed: of draws and actions.

    Returns:
        What was counted, by name.
    """
    from policies import make_policy
    from sims import make_env, make_task
    from sims.engines.mujoco import MujocoEngine

    profiles = make_task(task).randomizations
    profile = next(name for name in PROFILES if name in profiles)
    heard = _listen()
    env = make_env(
        task,
        num_envs=num_envs,
        randomize=profile,
        seed=seed,
        threads=threads,
        autoreset=True,
    )
    policy = make_policy("random", env.task, num_envs, seed=seed)
    process = psutil.Process()
    rounds = -(-steps // num_envs)
    warm, before, bad, ended = max(1, rounds // 10), 0, 0, 0
    start, busy = time.perf_counter(), sum(process.cpu_times()[:2])
    obs = env.reset()
    for done in range(rounds):
        obs, reward, terminated, truncated, _ = env.step(policy.act(obs))
        over = np.logical_or(terminated, truncated)
        ended += int(over.sum())
        policy.reset(over)
        bad += _not_finite([*obs.values(), reward, env.engine.qpos, env.engine.qvel])
        if done + 1 == warm:
            before = process.memory_info().rss
    took = time.perf_counter() - start
    grown = process.memory_info().rss - before
    assert isinstance(env.engine, MujocoEngine)
    result = {
        "task": task,
        "randomize": profile,
        "steps": rounds * num_envs,
        "num_envs": num_envs,
        "episodes": ended,
        "not_finite": bad,
        "diverged": env.diverged_count,
        "warnings": env.engine.warnings,
        "heard": dict(heard),
        "memory_MiB": before / 2**20,
        "growth_MiB": grown / 2**20,
        "seconds": took,
        "cpu_seconds": sum(process.cpu_times()[:2]) - busy,
    }
    env.close()
    return result


def _listen() -> Counter:
    """How often MuJoCo says each warning from now on; it is said nowhere else."""
    import mujoco

    from sims.engines.mujoco_warnings import KINDS

    starts = {
        mujoco.mju_warningText(kind, 0).split("0")[0]: name
        for kind, name in enumerate(KINDS)
    }
    heard: Counter = Counter()

    def hear(text: str) -> None:
        named = [name for start, name in starts.items() if text.startswith(start)]
        heard[named[0] if named else text] += 1

    mujoco.set_mju_user_warning(hear)
    return heard


def _not_finite(arrays: list[np.ndarray]) -> int:
    """How many numbers are NaN or infinite."""
    return sum(int(a.size - np.isfinite(a).sum()) for a in arrays)


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must hold, over all tasks."""
    lost, unclaimed, missed = 0, 0, 0
    for row in rows:
        for kind, times in row["heard"].items():
            missed += max(0, times - row["warnings"].get(kind, 0))
        lost += sum(n for kind, n in row["warnings"].items() if kind not in BREAKDOWNS)
        told = sum(n for kind, n in row["warnings"].items() if kind in BREAKDOWNS)
        unclaimed += abs(told - row["diverged"])
    count = f"{len(rows)} tasks, {min(row['steps'] for row in rows):,} steps each"
    return [
        bar(
            f"numbers that are not finite, {count}",
            sum(row["not_finite"] for row in rows),
            "<=",
            0,
        ),
        bar(
            "growth of memory, the worst task [MiB]",
            max(row["growth_MiB"] for row in rows),
            "<=",
            GROWTH,
        ),
        bar("warnings that MuJoCo said and nobody counted, all tasks", missed, "<=", 0),
        bar("warnings of contacts, constraints or matrices, all tasks", lost, "<=", 0),
        bar(
            "breakdowns that MuJoCo warns of and the environments do not count, or the "
            "other way round",
            unclaimed,
            "<=",
            0,
        ),
    ]


def main() -> None:
    """Run, print, record; exit with 1 where a bar is missed."""
    from sims import TASKS

    parser = argparse.ArgumentParser(description="a million random steps of each task")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = [r for r in recorded("endurance", "runs") if r["task"] not in options.tasks]
    for task in options.tasks:
        numbers = options.steps, options.num_envs, options.threads, options.seed
        with get_context("spawn").Pool(1) as alone:
            row = alone.apply(endure, (task, *numbers))
        rows.append(row)
        print(
            f"{task:22s} {row['steps']:9,d} steps, {row['episodes']:6,d} episodes, "
            f"{row['not_finite']} not finite, {row['diverged']} diverged, warnings "
            f"{row['warnings'] or 'none'}, memory {row['memory_MiB']:.0f} MiB "
            f"{row['growth_MiB']:+.1f}, {row['seconds']:.0f} s",
            flush=True,
        )
    lines = bars(rows)
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:g} ({line['bar']}) {met}")
    path = record("endurance", {"seed": options.seed, "runs": rows, "bars": lines})
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(line["met"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
