"""Put trained policies where they come along: ``assets/pretrained/<task>/<kind>``.

python -m benchmarks.pretrained --runs runs/imitation

Of ``python -m benchmarks.imitation``'s checkpoints always that of the first training
seed, since choosing the best of several by the test would flatter it. What that
benchmark found of it stands in its model card, with what it does in PyBullet, and in
``results/pretrained.json``, where what --tasks and --kinds leave out stays.
"""

import argparse
import json
import shutil
from pathlib import Path

from benchmarks.record import record, recorded
from evaluation.cards import update_card
from evaluation.results import rows
from evaluation.rollout import evaluate
from policies.pretrained import FOLDER

FILES = ("config.json", "model.safetensors", "README.md")
LARGEST = 10 * 2**20
"""Bytes of a checkpoint."""
LEAST = 0.2
"""Success, the published criterion's where there is one: who has less stays away."""


def main() -> None:
    """Copy, judge, write the cards, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/imitation"))
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument(
        "--bullet", type=int, default=100, help="episodes there; 0: none"
    )
    parser.add_argument("--tasks", nargs="+", help="by default all in --runs")
    parser.add_argument("--kinds", nargs="+", help="by default all in --runs")
    given = parser.parse_args()
    judged = sorted(given.runs.glob(f"*/*-{given.seed}/judged.json"))
    sources = {
        (path.parents[1].name, path.parent.name.rpartition("-")[0]): path.parent
        for path in judged
    }
    table_of_all = [
        row
        for row in recorded("pretrained")
        if not chosen(given, row["task"], row["policy"])
    ]
    for (task, kind), source in sources.items():
        if not chosen(given, task, kind):
            continue
        found = json.loads((source / "judged.json").read_text())
        rate = found.get("benchmark_success_rate", found["success_rate"])
        if rate < LEAST:
            print(f"{task} {kind}: {rate:.1%} stays away, under {LEAST:.0%}")
            continue
        folder = FOLDER / task / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(source / name, folder / name)
        for name in ("config.json", "README.md"):
            text = (folder / name).read_text()  # that it was resumed changes no bit
            (folder / name).write_text(text.replace(" --resume", ""))
        size = sum((folder / name).stat().st_size for name in FILES)
        if size > LARGEST:
            raise SystemExit(f"{folder} has {size} bytes: at most {LARGEST} come along")
        about = json.loads((folder / "config.json").read_text())
        told = f"sandbot eval {task} --policy {kind} --episodes {found['n']}"
        origin = {k: about[k] for k in ("commit", "versions")}
        table = [{**found, "policy": str(folder), "command": told, **origin}]
        if given.bullet:
            results = evaluate(
                task, [str(folder)], engines=["bullet"], episodes=given.bullet
            )
            table += rows(results, told)
        update_card(folder, table)
        table_of_all += [{**row, "policy": kind} for row in table]
        rates = ", ".join(
            f"{row['engine']} {row['success_rate']:.1%} of {row['n']}" for row in table
        )
        print(f"{task} {kind}: {rates}, {size / 2**20:.1f} MiB", flush=True)
    record("pretrained", {"rows": sorted(table_of_all, key=lambda row: row["task"])})


def chosen(given: argparse.Namespace, task: str, kind: str) -> bool:
    """Whether this call is about a policy."""
    return (not given.tasks or task in given.tasks) and (
        not given.kinds or kind in given.kinds
    )


if __name__ == "__main__":
    main()
