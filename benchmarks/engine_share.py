"""How much of the humanoid's step is physics?

HumanoidWalk at 64 and 1,024 environments on two threads, with random actions, each
episode starting anew after a fall: the time inside ``Batch.step`` over the time of the
whole ``Env.step`` of the same run, where the engine, the task, observation, reward,
restarts and randomisation are the rest. Candidates take turns, round after round;
figures are medians over the rounds.

Others' work on the machine makes threads wait for a core, and that counts as physics by
the clock. So the share is also told by the processor's time: as it would be if the
physics' work were divided among both threads without loss, which is the lower figure,
and both must meet the bar. Under ``train`` randomisation there is no bar.

    python -m benchmarks.engine_share
"""

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.record import bar, record
from sims import make_env

TASK = "humanoid-walk"
THREADS = 2
BARS = {64: 0.70, 1024: 0.85}
"""By the number of environments: the least share."""
BLOCK = 4096
"""Environment steps of a round, at most."""


@dataclass
class Spent:
    """Time of one thing."""

    wall: float = 0.0
    """[s]"""
    cpu: float = 0.0
    """Of all threads [s]."""

    def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Call, and add what it takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu


@dataclass
class Candidate:
    """An environment, its random actions, and what its rounds took."""

    task: str
    num_envs: int
    randomize: str
    rounds: list[tuple[Spent, Spent]] = field(default_factory=list)
    """(all, physics) of each."""

    def __post_init__(self) -> None:
        """Make it, and let episodes fall apart."""
        self.env: Any = make_env(
            self.task,
            num_envs=self.num_envs,
            randomize=self.randomize,
            threads=THREADS,
            autoreset=True,
        )
        self._physics = Spent()
        inner = self.env.engine.batch.step
        self.env.engine.batch.step = lambda *a, **k: self._physics.run(inner, *a, **k)
        low, high = self.env.action_spec.limits()
        shape = (8, self.num_envs, len(low))
        self._actions = np.random.default_rng(0).uniform(low, high, shape)
        self._steps = max(4, min(40, BLOCK // self.num_envs))
        self.env.reset()
        self.restarts = 0
        """Episodes that ended in the rounds."""

    @property
    def name(self) -> str:
        """Who it is."""
        return f"{self.task} x {self.num_envs}, {self.randomize}"

    def run(self) -> None:
        """One round."""
        self._physics.wall = self._physics.cpu = 0.0
        whole = Spent()
        for step in range(self._steps):
            action = self._actions[step % len(self._actions)]
            _, _, ended, late, _ = whole.run(self.env.step, action)
            self.restarts += int((ended | late).sum())
        physics = Spent(self._physics.wall, self._physics.cpu)
        self.rounds.append((whole, physics))

    def row(self) -> dict[str, float]:
        """Medians; the first third of the rounds, in which all fall at once, is left
        out."""
        kept = self.rounds[len(self.rounds) // 3 :]
        steps = self._steps * self.num_envs
        physics = np.array([p.cpu / THREADS for _, p in kept])
        outside = np.array([w.cpu - p.cpu for w, p in kept])
        return {
            "num_envs": self.num_envs,
            "share": float(np.median([p.wall / w.wall for w, p in kept])),
            "share_by_processor": float(np.median(physics / (physics + outside))),
            "us_physics": float(np.median(physics) / steps * 1e6),
            "us_outside": float(np.median(outside) / steps * 1e6),
            "env_steps_per_second": float(steps / np.median([w.wall for w, _ in kept])),
            "restarts_per_step": self.restarts / (steps * len(self.rounds)),
        }


def measure(task: str, rounds: int) -> dict[str, dict[str, float]]:
    """Rows of all candidates, by name."""
    found = [
        Candidate(task, num_envs, randomize)
        for num_envs in BARS
        for randomize in ("none", "train")
    ]
    for _ in range(rounds):
        for candidate in found:
            candidate.run()
    for candidate in found:
        candidate.env.close()
    return {candidate.name: candidate.row() for candidate in found}


def bars(rows: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Of the candidates without randomisation."""
    lines = []
    for name, row in rows.items():
        if not name.endswith("none"):
            continue
        least = BARS[int(row["num_envs"])]
        for what in ("share", "share_by_processor"):
            told = f"{what.replace('_', ' ')} inside Batch.step, {name}"
            lines.append(bar(told, row[what], ">=", least))
    return lines


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description="share of physics in a step")
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    rows = measure(given.task, given.rounds)
    lines = bars(rows)
    for name, row in rows.items():
        print(
            f"{name:32s} inside {row['share']:6.1%}, by the processor "
            f"{row['share_by_processor']:6.1%}; per environment step "
            f"{row['us_physics']:6.1f} us of physics, {row['us_outside']:5.1f} "
            f"outside; {row['env_steps_per_second']:7.0f} steps/s; "
            f"{row['restarts_per_step']:.4f} restarts"
        )
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']:75s} {line['figure']:.3f} {line['bar']} {met}")
    if given.task == TASK:
        result = {"n": given.rounds, "threads": THREADS, "rows": rows, "bars": lines}
        path = record("engine_share", result)
        print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
