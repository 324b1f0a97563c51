"""Pendulum-v1 in 20,000 steps: how good, and how soon, beside Stable-Baselines3?

    python -m benchmarks.rl_pendulum [--seeds 0 1 2 3 4] [--sides ours theirs]

Theirs is SAC with the settings of their zoo: a learning rate of 1e-3, one environment,
one update per step. Ours is what ``sandbot train ALGORITHM --env Pendulum-v1 --steps
20000`` does with the project's recipe, from its start to the written checkpoint. Both
run in turn for each seed, each in a process of its own with one thread of torch, so
that whatever else the machine does meets both; time of the processor is told beside
the clock's. Final weights are judged, not the best on the way.

What the file holds of trainings that a call leaves out stays.
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
SIDES = ("ours", "theirs")
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
    from policies.rl.policy import load
    from policies.rl.recipes import configure
    from policies.rl.training import train
    from sims import make_task

    config = configure(ALGORITHM, GYM_ID, steps=STEPS, seed=seed, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        train(ALGORITHM, config, task=GYM_ID, out=out, progress=False)
        policy = load(out, make_task(GYM_ID), EPISODES)
    return lambda obs: policy.act({"state": obs})


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must hold: the return over all of our seeds, time over those of both."""
    mine, other = (_by_seed(rows, side) for side in SIDES)
    seeds = sorted(set(mine) & set(other))
    lines = [bar("seeds that both have done", len(seeds), ">=", len(SEEDS))]
    if mine:
        mean = float(np.mean([row["return"] for row in mine.values()]))
        what = f"mean return after {STEPS:,} steps, {len(mine)} seeds"
        lines.append(bar(what, mean, ">=", RETURN))
    named = {"seconds": "by the clock", "processor_seconds": "of the processor"}
    for name, words in named.items() if seeds else ():
        share = float(np.median([mine[s][name] / other[s][name] for s in seeds]))
        what = f"part of their time {words}, median of {len(seeds)} seeds"
        lines.append(bar(what, share, "<=", SHARE))
    return lines


def means(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each side's seeds: return, its 95% interval, and time."""
    found = {}
    for side in SIDES:
        some = list(_by_seed(rows, side).values())
        returns = [row["return"] for row in some]
        if some:
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
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    options = parser.parse_args()
    rows = recorded("rl_pendulum", "runs")
    lines: list[dict[str, Any]] = []
    for seed in options.seeds:
        for side in options.sides[:: 1 if seed % 2 else -1]:
            with get_context("spawn").Pool(1) as alone:
                row = alone.apply(run, (side, seed))
            rows = [r for r in rows if (r["side"], r["seed"]) != (side, seed)] + [row]
            print(
                f"{side:6s} seed {seed}: return {row['return']:.1f}, "
                f"{row['seconds']:.0f} s by the clock, "
                f"{row['processor_seconds']:.0f} s of the processor",
                flush=True,
            )
            lines = bars(rows)
            found = {"means": means(rows), "runs": rows, "bars": lines}
            record("rl_pendulum", found, whole="python -m benchmarks.rl_pendulum")
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:.3f} ({line['bar']}) {met}")
    if not all(line["met"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
