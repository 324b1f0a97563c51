"""ALOHA's scripted experts in each engine, on the same episodes.

python -m benchmarks.aloha_experts [--tasks aloha-transfer-cube ...]

The bars are of strict success in ``mujoco``, and of the transfer in ``bullet``; the
contact model there is frozen, under the version that ``engine_version`` names.
"""

import argparse
import json

from benchmarks.record import RESULTS, record
from evaluation.results import rows
from evaluation.rollout import evaluate
from ml.provenance import command

BARS = {
    ("aloha-transfer-cube", "mujoco"): 0.98,
    ("aloha-handover", "mujoco"): 0.98,
    ("aloha-peg-insertion", "mujoco"): 0.95,
    ("aloha-pick", "mujoco"): 0.95,
    ("mobile-aloha-fetch", "mujoco"): 0.95,
    ("aloha-transfer-cube", "bullet"): 0.80,
}
"""By task and engine, without randomisation."""
TASKS = tuple(dict.fromkeys(task for task, _ in BARS))
TWO_WAYS = ("aloha-transfer-cube", "aloha-script-two-ways")
"""A task, and its expert with two strategies."""


def main() -> None:
    """Evaluate, print, record; tasks that are not named keep their recorded rows."""
    parser = argparse.ArgumentParser(description="success of ALOHA's experts")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--bullet", type=int, default=200, help="in that engine")
    parser.add_argument("--varied", type=int, default=200, help="under train and gap")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = _kept(options.tasks)
    for task in options.tasks:
        for policy in ("expert", *([TWO_WAYS[1]] if task == TWO_WAYS[0] else [])):
            for engine, count, profiles in (
                ("mujoco", options.episodes, ["none"]),
                ("mujoco", options.varied, ["train", "gap"]),
                ("bullet", options.bullet, ["none"]),
            ):
                if engine == "bullet" and policy != "expert":
                    continue
                results = evaluate(
                    task,
                    [policy],
                    engines=[engine],
                    randomize=profiles,
                    episodes=count,
                    seed=options.seed,
                )
                table += [_lean(row) for row in rows(results, command())]
    table.sort(key=lambda row: TASKS.index(row["task"]))
    for row in table:
        print(
            f"{row['task']:20s} {row['policy']:22s} {row['engine']:6s} "
            f"{row['randomize']:5s} {row['successes']:3d}/{row['n']} "
            f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
        )
    path = record("aloha_experts", {"rows": table, "bars": _bars(table)})
    print(f"wrote {path.relative_to(path.parents[2])}")


def _lean(row: dict) -> dict:
    """Without what the record says once for all."""
    return {k: v for k, v in row.items() if k not in ("command", "commit", "versions")}


def _kept(tasks: list[str]) -> list[dict]:
    """Recorded rows of other tasks."""
    path = RESULTS / "aloha_experts.json"
    if not path.exists():
        return []
    return [r for r in json.loads(path.read_text())["rows"] if r["task"] not in tasks]


def _bars(table: list[dict]) -> list[dict]:
    bars = []
    for (task, engine), least in BARS.items():
        for row in table:
            if (row["task"], row["engine"], row["randomize"], row["policy"]) == (
                task,
                engine,
                "none",
                "expert",
            ):
                bars.append(
                    {
                        "what": f"expert of {task} in {engine}, strict success",
                        "figure": row["success_rate"],
                        "bar": f">= {least:g}",
                        "met": row["success_rate"] >= least,
                    }
                )
    return bars


if __name__ == "__main__":
    main()
