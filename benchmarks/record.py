"""How a result is kept: JSON under ``benchmarks/results/``, with its origin."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.provenance import command, commit, versions

RESULTS = Path(__file__).parent / "results"


def record(name: str, result: dict[str, Any], whole: str | None = None) -> Path:
    """Write ``results/<name>.json``: result, machine, versions, commit and date.

    Args:
        name: of the file.
        result: what was measured; its entries count more than the others.
        whole: the command that measures all of it, where this call may have measured a
            part, and another the rest; this call then stands beside it.
    """
    told = command()
    payload = {
        "command": whole or told,
        **({"last_call": told} if whole not in (None, told) else {}),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), "processor": processor()},
        "versions": versions(),
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(payload, indent=2) + "\n")
    os.replace(partial, path)
    return path


def recorded(name: str, key: str = "rows") -> list[dict[str, Any]]:
    """Lines of ``results/<name>.json``; none where there is no such file."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())[key] if path.is_file() else []


def bar(what: str, figure: float, sign: str, limit: float) -> dict[str, Any]:
    """A figure beside its bar.

    Args:
        what: it is.
        figure: measured.
        sign: ">=" or "<=".
        limit: the bar.
    """
    figure = float(figure)  # NumPy's own is no JSON
    met = figure >= limit if sign == ">=" else figure <= limit
    return {"what": what, "figure": figure, "bar": f"{sign} {limit:g}", "met": met}


def sandbot(arguments: Sequence[str], log: Path) -> None:
    """Run a command of ours in a process of its own, on one thread, into a log.

    Raises:
        CalledProcessError: it failed.
    """
    with log.open("a") as file:
        subprocess.run(
            [Path(sys.executable).parent / "sandbot", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
            check=True,
        )


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
