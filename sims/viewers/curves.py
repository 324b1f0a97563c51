"""The shown environment's reward, its terms and its metrics over the last seconds.

Curves are recorded only while they are shown. A point of a curve is the mean over a few
control steps, so that a window of :data:`SPAN` has at most :data:`POINTS` points, at
any rate of control: pages draw and send each point anew in every picture.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sims.env import Env, Step

SPAN = 8.0
"""What is kept [s of simulated time]."""
POINTS = 160
"""At most, per curve."""


@dataclass(frozen=True, kw_only=True)
class CurvesView:
    """A moment of the curves; each is (n,), NaN where an episode begins."""

    times: np.ndarray
    """From minus :data:`SPAN` to 0, which is the latest point [s]."""
    reward: np.ndarray
    """All terms together."""
    terms: dict[str, np.ndarray]
    """By name, weighted: their sum is the reward."""
    metrics: dict[str, np.ndarray]
    """By name, with the unit in brackets."""
    success: np.ndarray | None
    """0 or 1, or between where it changed; None: the task measures none."""


class Curves:
    """See the module's top."""

    def __init__(self, dt: float) -> None:
        """Nothing is recorded yet.

        Args:
            dt: control step [s].
        """
        self.steps_per_point = max(1, math.ceil(SPAN / dt / POINTS - 1e-9))
        self._step = self.steps_per_point * dt
        self._rows: deque[np.ndarray] = deque(maxlen=math.ceil(SPAN / self._step))
        self._names: tuple[tuple[str, ...], tuple[str, ...], bool] = (), (), False
        self._sum: np.ndarray = np.zeros(0)
        self._count = 0
        self.on = False
        """Whether they are recorded and shown."""
        self._shown = 0
        self._view: CurvesView | None = None

    def toggle(self) -> None:
        """Record and show them, or do not."""
        self.on = not self.on
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
        self._count, self._view = 0, None

    def begin(self) -> None:
        """An episode starts: leave a gap."""
        self._count = 0
        if self._rows and not np.isnan(self._rows[-1]).all():
            self._append(np.full(len(self._rows[-1]), np.nan))

    def record(self, env: "Env", shown: int, outcome: "Step") -> None:
        """Take note of a step; nothing where the curves are off.

        Args:
            env: that was stepped.
            shown: index of the environment.
            outcome: of the step.
        """
        if not self.on:
            return
        _, reward, _, _, info = outcome
        metrics, success = env.task.metrics(env.engine, env.state), info["success"]
        measured = success is not None
        names = tuple(info["terms"]), tuple(metrics), measured
        if (names, shown) != (self._names, self._shown):
            self.clear()
            self._names, self._shown = names, shown
        parts = [reward, *info["terms"].values(), *metrics.values()]
        row = np.array([float(part[shown]) for part in parts])
        if measured:
            row = np.append(row, float(success[shown]))
        self._sum = row if self._count == 0 else self._sum + row
        self._count += 1
        if self._count == self.steps_per_point:
            self._append(self._sum / self._count)
            self._count = 0

    def view(self, shown: int) -> CurvesView | None:
        """The curves of an environment; None: they are off, or there is nothing yet."""
        if shown != self._shown:
            return None
        if self._view is None and self._rows:
            columns = np.array(self._rows).T
            terms, metrics, measured = self._names
            count = columns.shape[1]
            first = 1 + len(terms)
            self._view = CurvesView(
                times=(np.arange(count) - (count - 1)) * self._step,
                reward=columns[0],
                terms=dict(zip(terms, columns[1:first], strict=True)),
                metrics=dict(zip(metrics, columns[first:], strict=False)),
                success=columns[-1] if measured else None,
            )
        return self._view

    def _append(self, row: np.ndarray) -> None:
        self._rows.append(row)
        self._view = None
