"""From roll-outs to the rows of ``results.json``."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.rollout import Rollout
from ml.files import write_json
from ml.provenance import commit, versions
from ml.statistics import mean_interval, wilson_interval

Row = dict[str, Any]
"""One policy in one engine under one randomisation; plain data."""

FILE = "results.json"
BENCHMARK = "benchmark_success"
"""The outcome that is a published benchmark's own criterion."""


def rows(results: Sequence[Rollout], command: str) -> list[Row]:
    """Plain data of each result, with 95% intervals and where it comes from.

    Wilson's interval for each rate, and Student's t for the mean return. What a task
    does not measure, and an interval of one return, is None. A task that follows a
    published benchmark has that one's rate, too, as ``benchmark_success_rate``.

    Args:
        results: of :func:`evaluation.rollout.evaluate`.
        command: that produces them again.
    """
    source = {"command": command, "commit": commit(), "versions": versions()}
    table = []
    for result in results:
        low = high = None
        if result.successes is not None:
            low, high = wilson_interval(result.successes, result.n)
        least, most = mean_interval(result.returns)
        others = {name: _rate(values) for name, values in result.outcomes.items()}
        benchmark = others.pop(BENCHMARK, None)
        table.append(
            {
                "task": result.task,
                "policy": result.policy,
                "engine": result.engine,
                "randomize": result.randomize,
                "n": result.n,
                "successes": result.successes,
                "success_rate": result.rate,
                "ci_low": low,
                "ci_high": high,
                **{f"benchmark_{k}": v for k, v in (benchmark or {}).items()},
                "outcomes": others,
                "mean_return": float(result.returns.mean()),
                "return_ci_low": least if math.isfinite(least) else None,
                "return_ci_high": most if math.isfinite(most) else None,
                "mean_length": float(result.lengths.mean()),
                "diverged": int(result.diverged.sum()),
                "clipped": result.clipped,
                "engine_version": result.engine_version,
                "physics_share": result.physics_share,
                "seed": result.seed,
                **source,
            }
        )
    return table


def _rate(outcome: np.ndarray) -> dict[str, float]:
    """How often (n,) bool held, with Wilson's interval."""
    low, high = wilson_interval(int(outcome.sum()), len(outcome))
    return {"success_rate": float(outcome.mean()), "ci_low": low, "ci_high": high}


def write_rows(folder: Path, table: Sequence[Row]) -> Path:
    """Write ``results.json`` into a folder; returns its path.

    Raises:
        SandbotError: the folder cannot be written to.
    """
    path = folder / FILE
    write_json(path, list(table))
    return path


def return_interval_text(row: Row) -> str:
    """The interval of a row's mean return, as people write it."""
    if row["return_ci_low"] is None:
        return "unknown (n = 1)"
    return f"{row['return_ci_low']:.1f} to {row['return_ci_high']:.1f}"
