"""Thirty episodes through the leader arms: a valid dataset, whose replay succeeds?

python -m benchmarks.teleop

A scripted hand with tremor and drift pulls the leaders, the robot follows; all thirty
are kept, failures too. Then the recorded actions are executed in fresh environments
from the recorded seeds, and the task judges them. For comparison, the same actions in
the other engine.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import record
from ml.lerobot import Demonstrations, read_dataset
from ml.lerobot.check import check
from ml.statistics import wilson_interval
from policies.collect import collect
from sims import make_env

POLICY = "leader-arms"
BAR = 0.9


def replayed(data: Demonstrations, task: str, engine: str) -> int:
    """How many of a dataset's episodes succeed when their actions are executed again.

    An episode ends where it was solved; elsewhere it may take a moment longer, in which
    the last action is held.
    """
    successes = 0
    for index, row in enumerate(data.episodes):
        env = make_env(task, engine=engine, seed=int(row["seed"]))
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


def main() -> None:
    """Record, check, replay, print, record the figures."""
    parser = argparse.ArgumentParser(description="teleoperation through leader arms")
    parser.add_argument("--task", default="aloha-transfer-cube")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "leaders"
        summary = collect(
            given.task,
            POLICY,
            episodes=given.episodes,
            out=out,
            seed=given.seed,
            noise=0.0,
            keep_failures=True,
        )
        findings = check(out).findings
        data = read_dataset(out)
        counts = {e: replayed(data, given.task, e) for e in ("mujoco", "bullet")}
    rows = []
    for engine, successes in counts.items():
        low, high = wilson_interval(successes, given.episodes)
        rows.append(
            {
                "task": given.task,
                "policy": "replay of the leader arms' recordings",
                "engine": engine,
                "randomize": "none",
                "n": given.episodes,
                "successes": successes,
                "success_rate": successes / given.episodes,
                "ci_low": low,
                "ci_high": high,
            }
        )
        print(f"replayed in {engine}: {successes} of {given.episodes}")
    for finding in findings:
        print(finding.text)
    rate = rows[0]["success_rate"]
    bars = [
        {
            "what": f"{given.episodes} episodes through leader arms: findings of check",
            "figure": len(findings),
            "bar": "<= 0",
            "met": not findings,
        },
        {
            "what": "the same, replayed through the followers: success",
            "figure": rate,
            "bar": f">= {BAR:g}",
            "met": rate >= BAR,
        },
    ]
    result = {
        "seed": given.seed,
        "seconds": round(summary.seconds, 1),
        "successes_while_recording": summary.successes,
        "rows": rows,
        "bars": bars,
    }
    path = record("teleop", result)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
