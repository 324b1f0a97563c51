"""Pendulum-v1 in 20,000 steps: how good, and how soon, beside Stable-Baselines3?

    python -m benchmarks.rl_pendulum [--seeds 0 1 2 3 4]

Theirs is SAC with the settings of their zoo: a learning rate of 1e-3, one environment,
one update per step. Ours is what ``sandbot train ALGORITHM --env Pendulum-v1 --steps
20000`` does with the project's recipe, from its start to the written checkpoint. Both
run in turn for each seed, each in a process of its own with one thread of torch, so
that whatever else the machine does meets both; time of the processor is told beside
the clock's. Final weights are judged, not the best on the way.

What the file holds of seeds that a call leaves out stays.
"""

import argparse
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import bar, record, recorded
from ml.statistics import mean_interval

GYM_ID = "Pendulum-v1"
STEPS = 20_000
SEEDS = (0, 1, 2, 3, 4)
EPISODES = 100
ALGORITHM = "sac"
ZOO = {"learning_rate": 1e-3}
"""Of rl-baselines3-zoo's ``hyperparams/sac.yml``; the rest are the defaults."""
RETURN = -157.0
"""What the zoo's table has, after as many steps: -156.995."""
SHARE = 1 / 3
"""Of their time that ours may take."""


def run(side: str, seed: int) -> dict[str, Any]:
    """One training."""
    from benchmarks.rl_runs import Watch, train_theirs

    watch = Watch(GYM_ID, STEPS + 1, 1)  # nobody looks on the way
    act = (
        _ours(seed)
        if side == "ours"
        else train_theirs(ALGORITHM, watch, STEPS, ZOO, seed)
    )
    return {"side": side, "seed": seed, **watch.row(act, EPISODES)}


def _ours(seed: int) -> Any:
    """Train as the command does, and load what it wrote."""
    from policies.rl.algorithms import find_algorithm
    from policies.rl.policy import load
    from policies.rl.recipes import find_recipe
    from policies.rl.training import train
    from sims import make_task

    recipe = find_recipe(ALGORITHM, GYM_ID, gpu=False)
    config = find_algorithm(ALGORITHM).config(
        **recipe | {"steps": STEPS, "seed": seed, "threads": 1}
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        train(ALGORITHM, config, task=GYM_ID, out=out, progress=False)
        policy = load(out, make_task(GYM_ID), EPISODES)
    return lambda obs: policy.act({"state": obs})


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must hold, over the seeds that both have done."""
    both = {side: _by_seed(rows, side) for side in ("ours", "theirs")}
    seeds = sorted(set(both["ours"]) & set(both["theirs"]))
    mean = float(np.mean([both["ours"][seed]["return"] for seed in seeds]))
    shares = {
        name: float(
            np.median([both["ours"][s][name] / both["theirs"][s][name] for s in seeds])
        )
        for name in ("seconds", "processor_seconds")
    }
    count = f"{len(seeds)} seeds"
    return [
        bar(
            f"mean return after {STEPS:,} steps, {count}",
            mean,
            ">=",
            RETURN,
        ),
        bar(
            f"part of their time by the clock, {count}", shares["seconds"], "<=", SHARE
        ),
        bar(
            f"part of their time of the processor, {count}",
            shares["processor_seconds"],
            "<=",
            SHARE,
        ),
        bar("seeds", len(seeds), ">=", len(SEEDS)),
    ]


def means(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each side's seeds: return, its 95% interval, and time."""
    found = {}
    for side in ("ours", "theirs"):
        some = list(_by_seed(rows, side).values())
        returns = [row["return"] for row in some]
        found[side] = {
            "seeds": len(some),
            "return": float(np.mean(returns)),
            "interval": list(mean_interval(returns)) if len(some) > 1 else None,
            "seconds": float(np.mean([row["seconds"] for row in some])),
        }
    return found


def _by_seed(rows: list[dict[str, Any]], side: str) -> dict[int, dict[str, Any]]:
    return {row["seed"]: row for row in rows if row["side"] == side}


def main() -> None:
    """Run, print, record; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Pendulum-v1, ours and SB3's SAC")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    rows = [
        r for r in recorded("rl_pendulum", "runs") if r["seed"] not in options.seeds
    ]
    lines: list[dict[str, Any]] = []
    for seed in options.seeds:
        for side in ("ours", "theirs") if seed % 2 else ("theirs", "ours"):
            with get_context("spawn").Pool(1) as alone:
                row = alone.apply(run, (side, seed))
            rows.append(row)
            print(
                f"{side:6s} seed {seed}: return {row['return']:.1f}, "
                f"{row['seconds']:.0f} s by the clock, "
                f"{row['processor_seconds']:.0f} s of the processor",
                flush=True,
            )
        lines = bars(rows)
        record("rl_pendulum", {"means": means(rows), "runs": rows, "bars": lines})
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:.3f} ({line['bar']}) {met}")
    if not all(line["met"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
