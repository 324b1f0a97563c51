"""Do our algorithms learn what Stable-Baselines3's learn, with the same settings?

    python -m benchmarks.rl_agreement                      # all, which takes hours
    python -m benchmarks.rl_agreement --cases pendulum --algorithms td3 --seeds 0 1

One update of ours is one of theirs to rounding error (``tests/policies``); this is
about all that lies around it: random actions first, noise, replay, ends of episodes,
when networks are updated. Both learn for the same number of control steps with the same
settings, one environment and one update per step, and are judged in Gymnasium's own
environment from the same starts. Ours acts in ``gym-half-cheetah`` where theirs acts in
``HalfCheetah-v5``, whose data are the same to rounding error.

They agree where the 95% intervals of the mean return overlap, over at least three
seeds of each. Where the spread between seeds is wide, that says little: the table has
both means, so that one can see. What the file holds of trainings that a call leaves out
stays; what was not run is listed as such.
"""

import argparse
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.record import bar, record, recorded
from ml.statistics import mean_interval
from policies.rl.algorithms import ALGORITHMS as KNOWN

SEEDS = (0, 1, 2)
EPISODES = 50
"""Of the final judgement."""
CASES: dict[str, dict[str, Any]] = {
    "pendulum": {
        "task": "Pendulum-v1",
        "gym_id": "Pendulum-v1",
        "steps": 8_000,
        "every": 1_000,
        "settings": {"learning_rate": 1e-3, "learning_starts": 500, "net": (64, 64)},
    },
    "half-cheetah": {
        "task": "gym-half-cheetah",
        "gym_id": "HalfCheetah-v5",
        "steps": 30_000,
        "every": 6_000,
        "settings": {
            "learning_rate": 1e-3,
            "batch_size": 128,
            "learning_starts": 1_000,
            "net": (128, 128),
        },
    },
}
"""By name; settings are on top of Stable-Baselines3's defaults, on both sides.

With its defaults their SAC has learned nothing after 10,000 steps of the cheetah, where
there is nothing to agree on; with these a step takes half the time, too.
"""
ON_POLICY: dict[str, dict[str, Any]] = {
    "pendulum": {
        "steps": 61_440,
        "every": 20_480,
        "settings": {"learning_rate": 1e-3, "gamma": 0.9, "n_steps": 1024},
    },
    "half-cheetah": {"steps": 122_880, "every": 40_960, "settings": {"n_steps": 512}},
}
"""What is otherwise for PPO, which needs more steps, and takes less time for each."""
NUM_ENVS = 4
"""Of PPO."""
ALGORITHMS = tuple(name for name in ("sac", "td3", "ppo") if name in KNOWN)
LOOK = 10
"""Episodes of a look on the way."""
NOISE = 0.1
"""Spread of TD3's noise on actions in [-1, 1]."""
COMMON = ("learning_rate", "batch_size", "gamma", "tau")
"""Settings with one name on both sides."""


def setting(case: str, algorithm: str) -> dict[str, Any]:
    """A case, as it is for an algorithm."""
    return CASES[case] | (ON_POLICY[case] if algorithm == "ppo" else {})


def ours(case: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """A case's settings as fields of our configuration."""
    settings = case["settings"]
    found = {k: v for k, v in settings.items() if k in COMMON}
    found |= {"steps": case["steps"], "overlap": False}
    if algorithm == "ppo":
        rollout = {"num_envs": NUM_ENVS, "rollout": settings["n_steps"]}
        return found | rollout | {"normalize": False}
    if algorithm == "td3":
        found["explore_std"] = NOISE
    return found | {
        "warmup": settings["learning_starts"],
        "replay": case["steps"],
        "hidden": settings["net"],
        "critic_hidden": settings["net"],
        "num_envs": 1,
        "updates": 1,
    }


def theirs(case: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """The same as arguments of their class."""
    settings = case["settings"]
    found = {k: v for k, v in settings.items() if k in COMMON}
    if algorithm == "ppo":
        return found | {"n_envs": NUM_ENVS, "n_steps": settings["n_steps"]}
    if algorithm == "td3":
        found["action_std"] = NOISE
    return found | {
        "learning_starts": settings["learning_starts"],
        "buffer_size": case["steps"],
        "net_arch": list(settings["net"]),
    }


def run(case_name: str, algorithm: str, side: str, seed: int) -> dict[str, Any]:
    """One training."""
    from benchmarks.rl_runs import Watch, train_ours, train_theirs

    case = setting(case_name, algorithm)
    watch = Watch(case["gym_id"], case["every"], LOOK)
    if side == "ours":
        settings = ours(case, algorithm)
        act = train_ours(algorithm, case["task"], watch, settings, seed)
    else:
        settings = theirs(case, algorithm)
        act = train_theirs(algorithm, watch, case["steps"], settings, seed)
    return {
        "case": case_name,
        "algorithm": algorithm,
        "side": side,
        "seed": seed,
        "settings": settings,
        **watch.row(act, EPISODES),
    }


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a training is."""
    return row["case"], row["algorithm"], row["side"], row["seed"]


def compare(rows: list[dict[str, Any]]) -> tuple[list[dict], list[dict], list[str]]:
    """Means and intervals, bars, and what was not run."""
    table, bars, missing = [], [], []
    for case in CASES:
        for algorithm in ALGORITHMS:
            found = {
                side: [r for r in rows if key(r)[:3] == (case, algorithm, side)]
                for side in ("ours", "theirs")
            }
            for side, some in found.items():
                if some:
                    table.append(summary(case, algorithm, side, some))
            if min(map(len, found.values())) < len(SEEDS):
                done = ", ".join(f"{k} {len(v)}" for k, v in found.items())
                missing.append(f"{case}, {algorithm}: seeds done: {done}")
                continue
            low, high = np.transpose([t["interval"] for t in table[-2:]])
            bars.append(
                bar(
                    f"{algorithm} on {case}: gap between the 95% intervals of the mean "
                    f"return; below 0 they overlap",
                    max(low) - min(high),
                    "<=",
                    0,
                )
            )
    return table, bars, missing


def summary(
    case: str, algorithm: str, side: str, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Of one side's seeds."""
    returns = [row["return"] for row in rows]
    return {
        "case": case,
        "algorithm": algorithm,
        "side": side,
        "seeds": len(rows),
        "return": float(np.mean(returns)),
        "interval": list(mean_interval(returns)) if len(rows) > 1 else None,
        "processor_seconds": float(np.mean([r["processor_seconds"] for r in rows])),
    }


def main() -> None:
    """Run, print, record; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="ours against Stable-Baselines3's")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS)
    parser.add_argument("--sides", nargs="+", choices=("ours", "theirs"))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    for seed in options.seeds:
        for case in options.cases:
            for algorithm in options.algorithms or ALGORITHMS:
                for side in options.sides or ("ours", "theirs"):
                    with get_context("spawn").Pool(1) as alone:
                        row = alone.apply(run, (case, algorithm, side, seed))
                    rows = recorded("rl_agreement", "runs")  # another may add to it
                    rows = [r for r in rows if key(r) != key(row)] + [row]
                    print(
                        f"{case} {algorithm} {side:6s} seed {seed}: return "
                        f"{row['return']:.1f}, {row['seconds']:.0f} s by the clock, "
                        f"{row['processor_seconds']:.0f} s of the processor",
                        flush=True,
                    )
                    bars = keep(rows)
    if not all(line["met"] for line in bars):
        raise SystemExit(1)


def keep(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Record what there is, and say it; the bars."""
    table, bars, missing = compare(rows)
    for line in bars:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:.1f} ({line['bar']}) {met}")
    found = {"table": table, "bars": bars, "not_run": missing, "runs": rows}
    record("rl_agreement", found, whole="python -m benchmarks.rl_agreement")
    return bars


if __name__ == "__main__":
    main()
