"""From roll-outs to the rows of ``results.json``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.rollout import Rollout
from ml.files import write_json
from ml.provenance import commit, versions
from ml.statistics import wilson_interval

Row = dict[str, Any]
"""One policy in one engine under one randomisation; plain data."""

FILE = "results.json"


def rows(results: Sequence[Rollout], command: str) -> list[Row]:
    """Plain data of each result, with its 95% Wilson interval and where it comes from.

    Args:
        results: of :func:`evaluation.rollout.evaluate`.
        command: that produces them again.
    """
    source = {"command": command, "commit": commit(), "versions": versions()}
    table = []
    for result in results:
        low, high = wilson_interval(result.successes, result.n)
        table.append(
            {
                "task": result.task,
                "policy": result.policy,
                "engine": result.engine,
                "randomize": result.randomize,
                "n": result.n,
                "successes": result.successes,
                "success_rate": result.rate,
                "ci_low": float(low),
                "ci_high": float(high),
                "mean_return": float(result.returns.mean()),
                "mean_length": float(result.lengths.mean()),
                "diverged": int(result.diverged.sum()),
                "seed": result.seed,
                **source,
            }
        )
    return table


def write_rows(folder: Path, table: Sequence[Row]) -> Path:
    """Write ``results.json`` into a folder; returns its path.

    Raises:
        SandbotError: the folder cannot be written to.
    """
    path = folder / FILE
    write_json(path, list(table))
    return path
