"""The expert of each task of the two-link arm in each engine, on the same episodes.

python -m benchmarks.experts
"""

import argparse

from benchmarks.record import record
from evaluation.results import rows
from evaluation.rollout import evaluate
from ml.provenance import command
from sims import TASKS

BAR = 0.95


def main() -> None:
    """Evaluate, print, record."""
    parser = argparse.ArgumentParser(description="success of the arm's experts")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = []
    for task in (name for name in TASKS if name.startswith("arm-")):
        results = evaluate(
            task,
            ["expert"],
            engines=["mujoco", "bullet"],
            randomize=["none", "train", "gap"],
            episodes=options.episodes,
            seed=options.seed,
        )
        table += rows(results, command())
    for row in table:
        met = (
            "" if row["randomize"] != "none" or row["success_rate"] >= BAR else "MISSED"
        )
        print(
            f"{row['task']:10s} {row['engine']:6s} {row['randomize']:5s} "
            f"{row['successes']:3d}/{row['n']} "
            f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}] {met}"
        )
    keep = ("command", "commit", "versions")
    lean = [{k: v for k, v in row.items() if k not in keep} for row in table]
    path = record("experts", {"bar": f"none: >= {BAR:g}", "rows": lean})
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
