"""Recording demonstrations: how fast, how safe, and can it be replayed?

- Seconds for 50 state-only demonstrations, from the command to the finished dataset.
- ``kill -9`` at twenty random moments of ``sandbot collect``, each resumed by the next:
  after each the dataset opens and holds whole episodes only, and in the end it is the
  one of an uninterrupted run.
- Replaying all recorded actions from their seeds gives the same states bit for bit.

    python -m benchmarks.collect
    python -m benchmarks.collect --task arm-reach --kills 5
"""

import argparse
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from evaluation.replay import replay
from ml.lerobot import Demonstrations, read_dataset
from ml.lerobot.check import check

EPISODES = 50
SECONDS = 60.0
"""Bar for so many demonstrations."""
MOMENTS = 1.5, 4.0
"""When a kill comes after a start [s] ..."""
USUAL = 10.0
"""... where so many demonstrations take this long [s]; later where they take longer."""
IDLE = 5
"""The most kills that may come before anything new was recorded; of twenty."""
Bar = dict[str, Any]


def command(
    task: str, episodes: int, out: Path, noise: float | None = None
) -> list[str]:
    """What is typed to collect, or to go on."""
    words = f"collect {task} --episodes {episodes} --resume".split()
    words += [] if noise is None else ["--noise", str(noise)]
    return [sys.executable, "-m", "sandbot.main", *words, "--out", str(out)]


def collect(
    task: str, episodes: int, out: Path, noise: float | None = None
) -> tuple[float, str]:
    """Seconds of the whole command, and what it prints."""
    began = time.perf_counter()
    done = subprocess.run(
        command(task, episodes, out, noise), check=True, capture_output=True, text=True
    )
    return time.perf_counter() - began, done.stdout.strip()


def whole(folder: Path) -> str | None:
    """What is wrong with a dataset after a kill; None: nothing."""
    if not folder.exists():
        return None
    report = check(folder)
    data = read_dataset(folder)
    ends = data.bounds[:, 1] - 1
    if report.findings:
        return report.findings[0].text
    if not data.frames["next.done"][ends].all():
        return "an episode is cut"
    if data.frames["next.done"].sum() != len(ends):
        return "frames follow the end of an episode"
    return None


def disturb(
    task: str,
    episodes: int,
    out: Path,
    noise: float,
    moments: list[float],
) -> list[dict[str, Any]]:
    """Collect with a kill at each moment [s]; what the dataset held then.

    The noise is given, or the time between two kills would go into choosing it.
    """
    found = []
    for moment in moments:
        process = subprocess.Popen(
            command(task, episodes, out, noise),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        else:
            if process.returncode:
                raise SystemExit(f"collecting failed: {errors.decode()}")
            raise SystemExit("collecting ended before the last kill: nothing is proven")
        fault = whole(out)
        there = len(read_dataset(out).episodes) if out.exists() else 0
        found.append({"after_seconds": round(moment, 2), "episodes": there})
        found[-1]["fault"] = fault
        print(f"killed after {moment:.2f} s: {there} episodes, {fault or 'whole'}")
    return found


def same(one: Demonstrations, other: Demonstrations) -> bool:
    """Whether two datasets hold the same episodes, to the bit."""
    return (
        one.episodes == other.episodes
        and one.frames.keys() == other.frames.keys()
        and all(np.array_equal(one.frames[k], other.frames[k]) for k in one.frames)
    )


def idle(kills: list[dict[str, Any]]) -> int:
    """How many kills came before their run had added an episode: they prove little."""
    there = [0] + [kill["episodes"] for kill in kills]
    return sum(after <= before for before, after in pairwise(there))


def bar(what: str, figure: float, limit: float) -> Bar:
    """A figure that must not exceed a limit."""
    met = bool(figure <= limit)
    print(f"{what}: {figure:g} (bar: <= {limit:g}) {'' if met else 'MISSED'}")
    return {"what": what, "figure": figure, "bar": f"<= {limit:g}", "met": met}


def main() -> None:
    """Measure, compare, print, record."""
    parser = argparse.ArgumentParser(description="how demonstrations are recorded")
    parser.add_argument("--task", default="aloha-transfer-cube")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fast, killed, calm = (Path(folder) / n for n in ("fast", "killed", "calm"))
        seconds, said = collect(given.task, EPISODES, fast)
        print(said)
        noise = read_dataset(fast).about["noise"]
        chance, stretch = random.Random(given.seed), max(1.0, seconds / USUAL)
        moments = [stretch * chance.uniform(*MOMENTS) for _ in range(given.kills)]
        many = math.ceil(EPISODES / seconds * stretch * MOMENTS[1] * given.kills)
        kills = disturb(given.task, many, killed, noise, moments)
        collect(given.task, many, killed, noise)
        collect(given.task, many, calm, noise)
        faults = sum(kill["fault"] is not None for kill in kills)
        differs = int(not same(read_dataset(killed), read_dataset(calm)))
        replayed = replay(calm)
        other = sum(not one.same for one in replayed)
        megabytes = sum(p.stat().st_size for p in fast.rglob("*") if p.is_file()) / 1e6
    name = f"{EPISODES} state-only demonstrations of {given.task} [s]"
    bars = [
        bar(name, round(seconds, 2), SECONDS),
        bar(f"datasets with a fault after {len(kills)} kill -9", faults, 0),
        bar("of them, before their run had added an episode", idle(kills), IDLE),
        bar("differences of the resumed dataset to an uninterrupted one", differs, 0),
        bar(f"of {len(replayed)} episodes, replayed otherwise", other, 0),
    ]
    result = {
        "task": given.task,
        "seed": given.seed,
        "said": said.replace(str(fast), "dataset").splitlines(),
        "seconds": round(seconds, 2),
        "megabytes": round(megabytes, 2),
        "kills": kills,
        "bars": bars,
    }
    path = record("collect", result)
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(one["met"] for one in bars):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
