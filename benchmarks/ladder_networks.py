"""The ladder's networks on CartPole, measured: DQN, REINFORCE, A2C.

Each function is a part of ``benchmarks/ladder.py``: it returns bars, figures and the
curves that pictures are drawn from. A network is judged by a hundred fresh episodes, in
which it does what it holds to be best.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.record import bar
from ml.statistics import mean_interval
from policies.ladder import a2c, dqn, reinforce
from policies.ladder.a2c import A2CConfig
from policies.ladder.dqn import DQNConfig, Trained
from policies.ladder.gradient_noise import measure
from policies.ladder.reinforce import ReinforceConfig
from policies.ladder.trial import greedy, returns

WORLD = "CartPole-v1"
SOLVED = 475
"""Mean return, as Gymnasium has it."""
JUDGED = 100
"""Episodes."""
SEEDS = 3
POINTS = 60

Part = dict[str, Any]


def compare(
    ways: dict[str, Callable[[int], Trained]], steps: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train each way with each seed: figures and curves.

    Args:
        ways: by name, what trains with a seed.
        steps: at which curves end; None: at the last of the longest.
    """
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, train in ways.items():
        runs = [train(seed) for seed in range(SEEDS)]
        judged = [
            returns(WORLD, greedy(run.net), episodes=JUDGED).mean() for run in runs
        ]
        last = steps or max(int(run.ends[-1]) for run in runs)
        grid = np.linspace(0, last, POINTS + 1)[1:]
        curves[name] = {
            "steps": grid.round().astype(int).tolist(),
            "returns": [smooth(run, grid) for run in runs],
        }
        figures[name] = {
            "returns": [float(mean) for mean in judged],
            "mean": float(np.mean(judged)),
            "interval": mean_interval(judged),
            "steps": [int(run.ends[-1]) for run in runs],
        }
        print(f"{name:35} " + " ".join(f"{m:6.1f}" for m in judged), flush=True)
    return figures, curves


def smooth(run: Trained, grid: np.ndarray) -> list[float]:
    """Mean return of the twenty episodes before each step of a grid."""
    found = []
    for step in grid:
        last = int(np.searchsorted(run.ends, step, side="right"))
        recent = run.returns[max(0, last - 20) : last]
        found.append(round(float(recent.mean()), 1) if len(recent) else 0.0)
    return found


def least(figures: dict[str, Any], name: str) -> float:
    """Of the seeds' mean returns."""
    return min(figures[name]["returns"])


def deep_q() -> Part:
    """DQN, and what is lost without its two remedies."""
    ways: dict[str, dict[str, Any]] = {
        "DQN": {},
        "without target network": {"target": False},
        "without replay": {"replay": False},
    }

    def way(options: dict[str, Any]) -> Callable[[int], Trained]:
        config = DQNConfig(**options)
        return lambda seed: dqn.train(WORLD, replace(config, seed=seed))

    given = {name: way(options) for name, options in ways.items()}
    figures, curves = compare(given, DQNConfig().steps)
    bars = [
        bar(
            "DQN: mean return on CartPole, least of 3 seeds",
            least(figures, "DQN"),
            ">=",
            SOLVED,
        ),
        bar(
            "DQN without replay: mean return, mean of 3 seeds",
            figures["without replay"]["mean"],
            "<=",
            SOLVED,
        ),
    ]
    return {"figures": figures, "curves": curves, "bars": bars}


def policy_gradient() -> Part:
    """REINFORCE with and without a baseline, and the noise of its gradient."""
    base = ReinforceConfig()

    def way(baseline: bool) -> Callable[[int], Trained]:
        config = replace(base, baseline=baseline)
        return lambda seed: reinforce.train(WORLD, replace(config, seed=seed))

    figures, curves = compare({"with baseline": way(True), "without": way(False)})
    ratios = []
    for seed in range(SEEDS):
        early = replace(base, updates=20, seed=seed)
        run = reinforce.train(WORLD, early)
        assert run.value is not None
        noise = measure(
            WORLD,
            run.net,
            run.value,
            episodes=64,
            discount=base.discount,
            scale=base.scale,
            seed=100 + seed,
        )
        ratios.append(noise.ratio)
    print("variance of the gradient, with over without:", np.round(ratios, 3))
    return {
        "figures": figures | {"variance_ratio": ratios},
        "curves": curves,
        "bars": [
            bar(
                "REINFORCE with baseline: mean return, least of 3 seeds",
                least(figures, "with baseline"),
                ">=",
                SOLVED,
            ),
            bar(
                "REINFORCE: the gradient's variance with baseline over without, worst",
                max(ratios),
                "<=",
                0.8,
            ),
        ],
    }


def actor_critic() -> Part:
    """A2C by lambda."""

    def way(trace: float) -> Callable[[int], Trained]:
        config = A2CConfig(trace=trace)
        return lambda seed: a2c.train(WORLD, replace(config, seed=seed))

    ways = {f"lambda {trace:g}": way(trace) for trace in (0.95, 0.0)}
    figures, curves = compare(ways, A2CConfig().steps)
    return {
        "figures": figures,
        "curves": curves,
        "bars": [
            bar(
                "A2C, lambda 0.95: mean return on CartPole, least of 3 seeds",
                least(figures, "lambda 0.95"),
                ">=",
                SOLVED,
            )
        ],
    }
