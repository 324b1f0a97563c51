"""Put trained policies where they come along: ``assets/pretrained/<task>/<kind>``.

python -m benchmarks.pretrained --runs runs/imitation

Of ``python -m benchmarks.imitation``'s checkpoints always that of the first training
seed, since choosing the best of several by the test would flatter it. What that
benchmark found of it stands in its model card, with what it does in PyBullet, and in
``results/pretrained.json``, where what --tasks and --kinds leave out stays.

    python -m benchmarks.pretrained --checkpoint runs/arm-reach-fastsac --episodes 500

Of a checkpoint that no benchmark has judged, such as one of ``sandbot train``: it is
judged here, in both engines.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

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
    parser.add_argument("--checkpoint", type=Path, help="one that is judged here")
    parser.add_argument("--episodes", type=int, default=500, help="to judge it by")
    given = parser.parse_args()
    if given.checkpoint is not None:
        add(given.checkpoint, given.episodes, given.bullet)
        return
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
        table_of_all += place(task, kind, source, found, given.bullet)
    record("pretrained", {"rows": sorted(table_of_all, key=lambda row: row["task"])})


def add(source: Path, episodes: int, bullet: int) -> None:
    """Judge one checkpoint, and let it come along.

    Raises:
        SystemExit: it solves its task too rarely.
    """
    about = json.loads((source / "config.json").read_text())
    task, kind = about["task"], about["policy"]
    told = f"sandbot eval {task} --policy {kind} --episodes {episodes}"
    results = evaluate(task, [str(source)], engines=["mujoco"], episodes=episodes)
    (found,) = rows(results, told)
    if found["success_rate"] < LEAST:
        raise SystemExit(f"{found['success_rate']:.1%} stays away, under {LEAST:.0%}")
    kept = [
        row
        for row in recorded("pretrained")
        if (row["task"], row["policy"]) != (task, kind)
    ]
    kept += place(task, kind, source, found, bullet)
    record("pretrained", {"rows": sorted(kept, key=lambda row: row["task"])})


def place(
    task: str, kind: str, source: Path, found: dict[str, Any], bullet: int
) -> list[dict[str, Any]]:
    """Copy a checkpoint and write its card; what is recorded of it.

    Args:
        task: that it was trained for.
        kind: of policy.
        source: the checkpoint.
        found: its row in MuJoCo.
        bullet: episodes in PyBullet; 0: none.
    """
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
    if bullet:
        results = evaluate(task, [str(folder)], engines=["bullet"], episodes=bullet)
        table += rows(results, told)
    update_card(folder, table)
    rates = ", ".join(
        f"{row['engine']} {row['success_rate']:.1%} of {row['n']}" for row in table
    )
    print(f"{task} {kind}: {rates}, {size / 2**20:.1f} MiB", flush=True)
    return [{**row, "policy": kind} for row in table]


def chosen(given: argparse.Namespace, task: str, kind: str) -> bool:
    """Whether this call is about a policy."""
    return (not given.tasks or task in given.tasks) and (
        not given.kinds or kind in given.kinds
    )


if __name__ == "__main__":
    main()
