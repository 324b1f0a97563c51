"""Behaviour cloning of ArmReach: how well, how fast, and what each idea is worth.

One dataset of 200 demonstrations; from it a perceptron, and with velocities removed
from the observation a perceptron and an LSTM. Then the same without an idea: without
disturbing the demonstrator, and an LSTM that is not shown the changes of its inputs.
Each is judged on the same 500 episodes in ``mujoco``, none of which is in the data.

    python -m benchmarks.bc
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import bar, record
from evaluation.rollout import Rollout, rollout
from ml.statistics import mcnemar_exact, wilson_interval
from ml.training_setup import TrainingConfig
from policies.bc import BCConfig
from policies.collect import CollectSummary, collect
from policies.imitation import train

TASK = "arm-reach"
VELOCITIES = ("joint_vel",)
LSTM = {"network": "lstm", "hidden": (128, 128), "drop": VELOCITIES}
BASELINE, BLIND = "BC (MLP)", "BC (MLP) without velocities"
MEMORY = "BC (LSTM) without velocities"
MODELS: dict[str, dict[str, Any]] = {
    BASELINE: {},
    BLIND: {"drop": VELOCITIES},
    MEMORY: LSTM,
    "BC (LSTM) without velocities, not shown changes": LSTM | {"changes": False},
}
CALM = "BC (MLP), demonstrator not disturbed"


ELSEWHERE = (("bullet", "none"), ("mujoco", "train"), ("mujoco", "gap"))
ELSEWHERE += (("bullet", "train"), ("bullet", "gap"))
"""Where the perceptron is judged besides: (engine, randomisation)."""


def judge(
    folder: Path, episodes: int, engine: str = "mujoco", randomize: str = "none"
) -> Rollout:
    """Roll a checkpoint out on the episodes that everybody gets."""
    return rollout(
        TASK,
        str(folder),
        engine=engine,
        randomize=randomize,
        episodes=episodes,
        threads=1,
    )


def solved(judged: Rollout) -> np.ndarray:
    """(n,) bool: which episodes succeeded."""
    assert judged.success is not None
    return judged.success


def row(name: str, judged: Rollout) -> dict[str, Any]:
    """What is recorded of a model's episodes."""
    successes = int(solved(judged).sum())
    low, high = wilson_interval(successes, judged.n)
    return {
        "task": TASK,
        "policy": name,
        "engine": judged.engine,
        "randomize": judged.randomize,
        "n": judged.n,
        "successes": successes,
        "success_rate": successes / judged.n,
        "ci_low": low,
        "ci_high": high,
        "evaluation_seed": judged.seed,
    }


def tell(found: dict[str, Any], more: str = "") -> None:
    """Print a row."""
    print(
        f"{found['policy']:45} {found['engine']:6} {found['randomize']:5} "
        f"{found['success_rate']:6.1%} of {found['n']} "
        f"({found['ci_low']:.1%} to {found['ci_high']:.1%}){more}",
        flush=True,
    )


def learn(
    data: Path, out: Path, seed: int, episodes: int, **options: Any
) -> tuple[dict[str, Any], Rollout]:
    """Train and judge one model."""
    config = BCConfig(training=TrainingConfig(seed=seed), **options)
    began = time.perf_counter()
    result = train(data=data, task=TASK, out=out, config=config)
    wall = time.perf_counter() - began
    judged = judge(out, episodes)
    found = row(out.name, judged) | {
        "validation_loss": result.validation_loss,
        "training_steps": result.steps,
        "training_seconds": wall,
    }
    tell(found, f", trained {wall:.0f} s")
    return found, judged


def describe(summary: CollectSummary) -> dict[str, Any]:
    """What is recorded of a dataset."""
    return {
        "episodes": summary.episodes,
        "frames": summary.frames,
        "attempts": summary.attempts,
        "success_rate": summary.success_rate,
        "noise": summary.noise,
        "seconds": summary.seconds,
    }


def bars(rows: dict[str, dict[str, Any]], p: float) -> list[dict[str, Any]]:
    """The bars, each with its figure."""
    rate = {name: found["success_rate"] for name, found in rows.items()}
    seconds = rows[BASELINE]["training_seconds"]
    return [
        bar("BC: success, 200 demonstrations", rate[BASELINE], ">=", 0.95),
        bar("BC: training [s]", seconds, "<=", 180),
        bar("BC without velocities: success of the LSTM", rate[MEMORY], ">=", 0.9),
        bar(
            "the same, minus the MLP without velocities",
            rate[MEMORY] - rate[BLIND],
            ">=",
            0.0,
        ),
        bar("the same, LSTM against MLP, p (McNemar)", p, "<=", 0.001),
    ]


def main() -> None:
    """Collect, train, judge, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demonstrations", type=int, default=200)
    parser.add_argument("--episodes", type=int, default=500, help="to judge on")
    parser.add_argument("--seed", type=int, default=0, help="of data and training")
    given = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    judged: dict[str, Rollout] = {}
    datasets = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, noise in (("disturbed", None), ("calm", 0.0)):
            summary = collect(
                TASK,
                "computed-torque",
                episodes=given.demonstrations,
                out=root / name,
                seed=given.seed,
                noise=noise,
                threads=1,
            )
            datasets[name] = describe(summary)
        for name, options in MODELS.items():
            rows[name], judged[name] = learn(
                root / "disturbed", root / name, given.seed, given.episodes, **options
            )
        rows[CALM], judged[CALM] = learn(
            root / "calm", root / CALM, given.seed, given.episodes
        )
        elsewhere = []
        for engine, profile in ELSEWHERE:
            there = judge(root / BASELINE, given.episodes, engine, profile)
            elsewhere.append(row(BASELINE, there))
            tell(elsewhere[-1])
    first, second = solved(judged[MEMORY]), solved(judged[BLIND])
    p = mcnemar_exact(int((first & ~second).sum()), int((second & ~first).sum()))
    lines = bars(rows, p)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:45} {line['figure']:8.3g}  {line['bar']:9} {verdict}")
    record(
        "bc",
        {
            "seed": given.seed,
            "datasets": datasets,
            "rows": [*rows.values(), *elsewhere],
            "bars": lines,
        },
    )


if __name__ == "__main__":
    main()
