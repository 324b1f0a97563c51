"""Teleoperation: valid datasets, whose replay succeeds?

python -m benchmarks.teleop

Thirty episodes through the leader arms: a scripted hand with tremor and drift pulls
them, the robot follows; all thirty are kept, failures too. Then the recorded actions
are executed in fresh environments from the recorded seeds, and the task judges them.
For comparison, the same actions in the other engine.

And twenty episodes of the interactive path: a script holds keys as a person would,
which steer hands that pull the leaders, in a session like that behind a viewer.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from evaluation.replay import replay
from ml.lerobot import Demonstrations, read_dataset
from ml.lerobot.check import check
from ml.statistics import wilson_interval
from policies.collect import collect
from policies.teleop.teleoperate import teleoperate
from sims import make_env

POLICY = "leader-arms"
BAR = 0.9
SECONDS = 60.0
"""Length of an episode that is typed [s]."""


def replayed(
    data: Demonstrations, task: str, engine: str, seconds: float | None = None
) -> int:
    """How many of a dataset's episodes succeed when their actions are executed again.

    An episode ends where it was solved; elsewhere it may take a moment longer, in which
    the last action is held.

    Args:
        data: the episodes.
        task: that they are of.
        engine: in which they are executed.
        seconds: after so long an episode ends [s]; None: as the task says.
    """
    successes = 0
    for index, row in enumerate(data.episodes):
        env = make_env(task, engine=engine, seed=int(row["seed"]))
        if seconds is not None:
            env.max_steps = round(seconds / env.control_dt)
        env.reset(seed=int(row["seed"]), ids=np.array([row["id"]]))
        actions, solved = data.episode(index)["action"].astype(float), False
        for step in range(env.max_steps):
            action = actions[min(step, len(actions) - 1)]
            _, _, terminated, _, info = env.step(action[None])
            solved = bool(info["success"][0])
            if terminated[0]:
                break
        env.close()
        successes += solved
    return successes


def leaders(task: str, episodes: int, seed: int) -> dict[str, Any]:
    """Record through the leader arms, and replay: rows, bars and more."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "leaders"
        summary = collect(
            task,
            POLICY,
            episodes=episodes,
            out=out,
            seed=seed,
            noise=0.0,
            keep_failures=True,
        )
        findings = check(out).findings
        data = read_dataset(out)
        counts = {e: replayed(data, task, e) for e in ("mujoco", "bullet")}
    for finding in findings:
        print(finding.text)
    what = "replay of the leader arms' recordings"
    rows = [row(task, what, e, n, episodes) for e, n in counts.items()]
    rate = rows[0]["success_rate"]
    first = f"{episodes} episodes through leader arms: findings of check"
    return {
        "seconds": round(summary.seconds, 1),
        "successes_while_recording": summary.successes,
        "rows": rows,
        "bars": [
            bar(first, len(findings), "<= 0", not findings),
            bar(
                "the same, replayed through the followers: success",
                rate,
                f">= {BAR:g}",
                rate >= BAR,
            ),
        ],
    }


def typed(task: str, episodes: int, seed: int) -> dict[str, Any]:
    """Record what a script types, and replay: rows, bars and more."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "typed"
        began = time.perf_counter()
        summary = teleoperate(
            task,
            inputs=["script"],
            viewer="none",
            out=out,
            episodes=episodes,
            seconds=SECONDS,
            seed=seed,
            keep_failures=True,
        )
        took = time.perf_counter() - began
        findings = check(out).findings
        data = read_dataset(out)
        again = replayed(data, task, "mujoco", SECONDS)
        bits = sum(not one.same for one in replay(out))
    for finding in findings:
        print(finding.text)
    solved = sum(bool(r["success"]) for r in data.episodes)
    lengths = data.bounds[:, 1] - data.bounds[:, 0]
    first = f"{episodes} episodes typed by held keys: findings of check"
    return {
        "typed_seconds": round(took, 1),
        "typed_episode_seconds": round(float(lengths.mean()) / data.info["fps"], 1),
        "typed_steps_per_second": round(summary.frames / took, 1),
        "rows": [
            row(task, "keys held by a script", "mujoco", solved, episodes),
            row(task, "replay of what the keys did", "mujoco", again, episodes),
        ],
        "bars": [
            bar(first, len(findings), "<= 0", not findings),
            bar(
                "the same: success while recorded",
                solved / episodes,
                f">= {BAR:g}",
                solved / episodes >= BAR,
            ),
            bar(
                "the same, replayed through the followers: success",
                again / episodes,
                f">= {BAR:g}",
                again / episodes >= BAR,
            ),
            bar("the same: episodes replayed with other bits", bits, "<= 0", not bits),
        ],
    }


def row(task: str, policy: str, engine: str, successes: int, n: int) -> dict[str, Any]:
    """A line of the table of successes."""
    low, high = wilson_interval(successes, n)
    print(f"{policy}, {engine}: {successes} of {n}")
    return {
        "task": task,
        "policy": policy,
        "engine": engine,
        "randomize": "none",
        "n": n,
        "successes": successes,
        "success_rate": successes / n,
        "ci_low": low,
        "ci_high": high,
    }


def bar(what: str, figure: float, text: str, met: bool) -> dict[str, Any]:
    """A line of the table of bars."""
    return {"what": what, "figure": figure, "bar": text, "met": met}


def main() -> None:
    """Record, check, replay, print, record the figures."""
    parser = argparse.ArgumentParser(description="teleoperation, recorded and replayed")
    parser.add_argument("--task", default="aloha-transfer-cube")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--typed", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    parts = [
        leaders(given.task, given.episodes, given.seed),
        typed(given.task, given.typed, given.seed),
    ]
    result: dict[str, Any] = {"seed": given.seed, **parts[0], **parts[1]}
    for key in ("rows", "bars"):
        result[key] = [line for part in parts for line in part[key]]
    path = record("teleop", result)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
