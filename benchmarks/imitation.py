"""ALOHA from 50 demonstrations: ACT, diffusion, flow, MIP and plain BC beside them.

python -m benchmarks.imitation                  # transfer and insertion, three seeds
python -m benchmarks.imitation --tasks aloha-pick arm-reach --seeds 0 --kinds bc flow

Each policy is trained from scratch with several seeds, one thread each and ``--jobs``
at once, and judged on the same episodes, which no training, validation or selection has
seen. What is already in --runs is not trained again: a benchmark that was interrupted
goes on. Results of tasks and policies that this call does not name stay in the file.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.record import bar, record, recorded, sandbot
from evaluation.results import rows
from evaluation.rollout import rollout
from ml.statistics import wilson_interval
from policies.collect import collect

TASKS = ("aloha-transfer-cube", "aloha-peg-insertion")
"""Those with bars."""
MORE_TASKS = ("aloha-handover", "aloha-pick", "mobile-aloha-fetch")
ARM_TASKS = ("arm-press", "arm-reach", "arm-track")
DEMONSTRATIONS = dict.fromkeys(TASKS, 50)
DEMONSTRATIONS |= dict.fromkeys(ARM_TASKS, 200)
DEMONSTRATIONS |= {"aloha-handover": 200, "mobile-aloha-fetch": 300}
DEMONSTRATIONS |= {"aloha-pick": 1000, "arm-track": 1000}
"""How many are learned from: more where more may lie about."""
SETTINGS: dict[str, list[str]] = {
    "bc": [
        *("--hidden", "256", "256", "256", "--chunk", "50", "--execute", "25"),
        *("--steps", "6000", "--batch-size", "256", "--select", "last"),
        *("--ema-decay", "0.999"),
    ],
    "act": [],
    "diffusion": [],
    "flow": [],
    "mip": [],
}
"""What is told to ``sandbot train`` beside data, task and seed."""
ARM = {"bc": [], "flow": [], "mip": []}
"""The same for the two-link arm, which is moved by torques, a hundred a second."""
SHORT = ["--chunk", "8", "--execute", "1"]
"""Where that arm has to be precise, and not only to press."""
LONGER = {
    "bc": ["--hidden", "512", "512", "512", "--steps", "20000"],
    "flow": ["--steps", "16000"],
}
MANY = (*MORE_TASKS, "arm-track")
"""Tasks with so many demonstrations that the longer trainings pay."""
OF_TASK = {"mobile-aloha-fetch": ["--constant", "accept"]}
"""Its tray never moves."""
BARS = {
    ("aloha-transfer-cube", "act"): 0.95,
    ("aloha-transfer-cube", "better"): 0.95,
    ("aloha-transfer-cube", "other"): 0.80,
    ("aloha-peg-insertion", "best"): 0.60,
}
"""Success of the published criterion; "better" and "other" of diffusion and flow."""
MINUTES = 30.0
"""What a training may take."""
NOT_MEASURED = [
    "aloha-transfer-cube from pictures at full size (480 x 640): no GPU was at hand"
]


def settings(kind: str, task: str) -> list[str]:
    """What is told to ``sandbot train``."""
    usual = ARM[kind] if task in ARM_TASKS else SETTINGS[kind]
    if task in ("arm-reach", "arm-track") and kind != "bc":
        usual = SHORT
    more = LONGER.get(kind, []) if task in MANY else []
    return [*usual, *more, *OF_TASK.get(task, [])]


def train(kind: str, task: str, seed: int, runs: Path) -> Path:
    """One checkpoint, unless it is there; the run's folder."""
    out = runs / task / f"{kind}-{seed}"
    if (out / "config.json").is_file():
        return out
    going_on = ["--resume"] if out.exists() else []
    arguments = [
        *("train", kind, "--data", str(runs / task / "data"), "--task", task),
        *("--out", str(out), "--seed", str(seed), *settings(kind, task), *going_on),
    ]
    sandbot(arguments, runs / task / f"{kind}-{seed}.log")
    return out


def judge(folder: Path, task: str, kind: str, seed: int, episodes: int) -> dict:
    """The row of one checkpoint; kept beside it."""
    kept = folder / "judged.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    began = time.perf_counter()
    result = rollout(task, str(folder), episodes=episodes, threads=1)
    about = json.loads((folder / "config.json").read_text())
    left_out = ("command", "commit", "versions", "policy")
    row = {k: v for k, v in rows([result], "")[0].items() if k not in left_out}
    row |= {
        "kind": kind,
        "training_seed": seed,
        "training_steps": about["steps"],
        "training_seconds": about["seconds"],
        "parameters": about["parameters"],
        "evaluation_seconds": round(time.perf_counter() - began, 1),
        "training_command": about["command"],
    }
    kept.write_text(json.dumps(row, indent=2) + "\n")
    return row


def pooled(found: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of all training seeds together, with each one's rates."""
    first, n = found[0], sum(row["n"] for row in found)
    row = {k: first[k] for k in ("task", "engine", "randomize", "engine_version")}
    shown = f"{first['kind']}, {DEMONSTRATIONS[first['task']]} demonstrations"
    row |= {"policy": shown, "n": n}
    row |= {"kind": first["kind"], "evaluation_seed": first["seed"]}
    for prefix in ("", "benchmark_"):
        if f"{prefix}success_rate" not in first:
            continue
        count = round(sum(r[f"{prefix}success_rate"] * r["n"] for r in found))
        low, high = wilson_interval(count, n)
        row |= {f"{prefix}success_rate": count / n, f"{prefix}ci_low": low}
        row |= {f"{prefix}ci_high": high, f"{prefix}successes": count}
    return row | {"successes": row["successes"], "seeds": found}


def bars(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is asked for, beside the figures."""
    measured = [r for r in table if r["task"] in TASKS]
    rate = {(r["task"], r["kind"]): r["benchmark_success_rate"] for r in measured}
    lines = []
    for (task, what), least in BARS.items():
        kinds = {k: v for (t, k), v in rate.items() if t == task}
        pair = sorted((v, k) for k, v in kinds.items() if k in ("diffusion", "flow"))
        if what == "act" and "act" in kinds:
            name, figure = "act", kinds["act"]
        elif what in ("better", "other") and len(pair) == 2:
            figure, name = pair[-1 if what == "better" else 0]
        elif what == "best" and kinds:
            figure, name = max((v, k) for k, v in kinds.items())
        else:
            continue
        text = f"{name} on {task}, benchmark's success, all training seeds"
        lines.append(bar(text, figure, ">=", least))
    longest = max(s["training_seconds"] for r in table for s in r["seeds"]) / 60
    lines.append(bar("longest of these trainings [min]", longest, "<=", MINUTES))
    return lines


def _before(tasks: list[str], kinds: list[str]) -> list[dict[str, Any]]:
    """Recorded rows that this call does not measure again."""
    table = recorded("imitation")
    return [r for r in table if r["task"] not in tasks or r["kind"] not in kinds]


def main() -> None:
    """Collect, train, judge, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    choices = (*TASKS, *MORE_TASKS, *ARM_TASKS)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=choices)
    parser.add_argument(
        "--kinds", nargs="+", default=list(SETTINGS), choices=list(SETTINGS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--runs", type=Path, default=Path("runs/imitation"))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    for task in given.tasks:
        data = given.runs / task / "data"
        if not data.exists():
            collect(task, "expert", episodes=DEMONSTRATIONS[task], out=data, threads=1)
    work = [
        (kind, task, seed)
        for task in given.tasks
        for kind in given.kinds
        for seed in given.seeds
        if task not in ARM_TASKS or kind in ARM
    ]
    with ThreadPoolExecutor(given.jobs) as pool:
        folders = list(pool.map(lambda w: train(w[0], w[1], w[2], given.runs), work))
    table = _before(given.tasks, given.kinds)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (kind, task, seed), folder in zip(work, folders, strict=True):
        row = judge(folder, task, kind, seed, given.episodes)
        found.setdefault((task, kind), []).append(row)
        told = f"strict {row['success_rate']:.1%}"
        if "benchmark_success_rate" in row:
            told = f"benchmark's {row['benchmark_success_rate']:.1%}, {told}"
        print(
            f"{task} {kind} seed {seed}: {told}, trained "
            f"{row['training_seconds']:.0f} s",
            flush=True,
        )
    table = sorted(
        [*table, *map(pooled, found.values())], key=lambda r: (r["task"], r["kind"])
    )
    lines = bars(table)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:70} {line['figure']:8.3g}  {line['bar']:8} {verdict}")
    result: dict[str, Any] = {
        "demonstrations": DEMONSTRATIONS,
        "rows": table,
        "bars": lines,
    }
    result |= {"not_measured": NOT_MEASURED}
    path = record("imitation", result, whole="python -m benchmarks.imitation")
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
