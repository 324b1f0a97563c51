"""What a new user meets: a fresh clone, then ``make demo`` and ``make test``, timed.

Clones the last commit into an empty folder, without any virtual environment.

    python -m benchmarks.fresh_clone
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.record import record

BAR = 600.0
"""Longest that either may take [s]."""
SOURCE = Path(__file__).parents[1]


def timed(target: str, folder: Path) -> tuple[float, str]:
    """Seconds that ``make target`` takes, and the end of what it prints."""
    start = time.perf_counter()
    done = subprocess.run(
        ["make", target], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"make {target} failed:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout[-3000:]


def main() -> None:
    """Clone, run, print, record."""
    parser = argparse.ArgumentParser(description="make demo and make test, timed")
    parser.add_argument("--targets", nargs="+", default=["demo", "test"])
    targets = parser.parse_args().targets
    bars = []
    with tempfile.TemporaryDirectory() as empty:
        clone = Path(empty) / "sandbot"
        subprocess.run(["git", "clone", "-q", str(SOURCE), str(clone)], check=True)
        for target in targets:
            shutil.rmtree(clone / ".venv", ignore_errors=True)
            seconds, tail = timed(target, clone)
            print(tail)
            print(f"make {target}: {seconds:.0f} s, bar {BAR:.0f} s")
            bars.append(
                {
                    "what": f"`make {target}` in a fresh clone [s]",
                    "figure": round(seconds),
                    "bar": f"<= {BAR:.0f}",
                    "met": seconds <= BAR,
                }
            )
    path = record("fresh_clone", {"bars": bars})
    print(f"wrote {path.relative_to(SOURCE)}")


if __name__ == "__main__":
    main()
