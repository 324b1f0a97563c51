"""When the next tick falls due, and how fast it really goes."""

import time
from collections import deque
from collections.abc import Callable

from assets.errors import UsageError

SPEEDS = tuple(2.0**power for power in range(-5, 4))
"""Speeds relative to real time, from 1/32 to 8."""
_LATE = 0.25
"""Whoever is further behind than this gives up the lost time [s of wall clock]."""
_WINDOW = 1.0
"""Span over which the achieved real-time factor is measured [s of wall clock]."""


class Pace:
    """Ticks of ``dt`` at ``speed`` times real time."""

    def __init__(
        self,
        dt: float,
        speed: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Count from now.

        Args:
            dt: simulated time of a tick [s].
            speed: one of :data:`SPEEDS`.
            clock: seconds, for tests.

        Raises:
            UsageError: a speed that is not allowed.
        """
        self.clock = clock
        self.ticks = 0
        """Taken so far."""
        self._dt = dt
        self._speed = check_speed(speed)
        self._anchor = (clock(), 0)
        self._trace: deque[tuple[float, int]] = deque()

    @property
    def speed(self) -> float:
        """Target real-time factor, one of :data:`SPEEDS`."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = check_speed(speed)
        self.restart()

    @property
    def due(self) -> float:
        """When the next tick falls due [s of the clock]."""
        wall, ticks = self._anchor
        return wall + (self.ticks - ticks) * self._dt / self._speed

    def restart(self) -> None:
        """Count from now, and forget what was achieved."""
        self._anchor = (self.clock(), self.ticks)
        self._trace.clear()

    def catch_up(self) -> None:
        """Give up time that is lost, rather than run after it."""
        now = self.clock()
        if self.due < now - _LATE:
            self._anchor = (now, self.ticks)

    def record(self) -> None:
        """Take note of where we are, for :attr:`achieved`; once per frame."""
        now = self.clock()
        self._trace.append((now, self.ticks))
        while len(self._trace) > 2 and self._trace[1][0] <= now - _WINDOW:
            self._trace.popleft()

    @property
    def achieved(self) -> float:
        """Real-time factor over the last second; 0 before there is one."""
        if len(self._trace) < 2:
            return 0.0
        (then, before), (now, ticks) = self._trace[0], self._trace[-1]
        return (ticks - before) * self._dt / (now - then) if now > then else 0.0


def check_speed(speed: float) -> float:
    """The speed, if it is one of :data:`SPEEDS`.

    Raises:
        UsageError: it is not.
    """
    if speed not in SPEEDS:
        allowed = ", ".join(speed_text(s)[:-1] for s in SPEEDS)
        raise UsageError(f"speed is one of {allowed}, got {speed!r}")
    return float(speed)


def speed_text(speed: float) -> str:
    """A speed as people write it: "1/4x", "2x", "0.93x"."""
    if speed in SPEEDS:
        return f"{speed:g}x" if speed >= 1 else f"1/{round(1 / speed)}x"
    return f"{speed:.2f}x"
