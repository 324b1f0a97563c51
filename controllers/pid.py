"""PID as it is used, batched: one loop per environment and element.

    u = kp (beta r - y) + I - kd D[y] + feedforward,  limited to [low, high]

What the textbook's three terms leave out (Astrom and Hagglund, "Advanced PID Control",
chapter 3), and what it is good for:

- The derivative acts on the *measurement* y, through a first-order filter, so that a
  step of the setpoint r makes no kick and noise is not amplified without bound.
- ``beta`` weighs the setpoint in the proportional term, to trade overshoot for speed.
- The integral is a trapezoid, and is pulled back by the part of u that the limits cut
  off, with time constant ``tracking_time`` (back-calculation). Clipping the integral
  alone leaves it at the clip for as long as it took to get there.
- Switching on, and changing gains, leave u where it was (bumpless transfer).
- ``dt`` may vary from call to call, and angles may turn through +-pi.
"""

from dataclasses import dataclass

import numpy as np

from assets.errors import UsageError
from controllers.angles import wrap


@dataclass(frozen=True, kw_only=True)
class PidGains:
    """Numbers of the loops; each a float or an array (size,)."""

    kp: np.ndarray | float
    """Proportional [u/y]."""
    ki: np.ndarray | float = 0.0
    """Integral [u/y/s]."""
    kd: np.ndarray | float = 0.0
    """Derivative [u s/y]."""
    beta: np.ndarray | float = 1.0
    """Setpoint weight of the proportional term."""
    filter_time: np.ndarray | float = 0.0
    """Of the derivative [s]; usually kd / kp / N with N from 8 to 20."""
    tracking_time: np.ndarray | float = 0.5
    """Of the anti-windup [s]; infinite switches it off."""
    low: np.ndarray | float = -np.inf
    """Lower limit of u."""
    high: np.ndarray | float = np.inf
    """Upper limit of u."""

    def __post_init__(self) -> None:
        for name in ("ki", "kd", "filter_time"):
            if np.any(np.asarray(getattr(self, name)) < 0):
                raise UsageError(
                    f"PidGains.{name} must not be negative, got {getattr(self, name)}"
                )
        if not np.all(np.asarray(self.tracking_time) > 0):
            raise UsageError(
                f"PidGains.tracking_time must be above 0 s, got {self.tracking_time}; "
                f"use infinity to switch the anti-windup off"
            )
        if not np.all(np.asarray(self.low) < np.asarray(self.high)):
            raise UsageError(
                f"PidGains.low must lie below high, got {self.low} and {self.high}"
            )


class Pid:
    """A batch of PID loops and their memory."""

    def __init__(
        self,
        gains: PidGains,
        num_envs: int,
        size: int = 1,
        *,
        angle: np.ndarray | bool = False,
    ):
        """Start with no memory.

        Args:
            gains: of all environments.
            num_envs: how many environments.
            size: loops per environment.
            angle: which elements are angles on the circle [rad], (size,) or all.
        """
        self.gains = gains
        self._angle = np.broadcast_to(np.asarray(angle, bool), (size,))
        shape = (num_envs, size)
        self.integral = np.zeros(shape)
        """The term I, in units of u."""
        self._slope = np.zeros(shape)
        self._measured = np.zeros(shape)
        self._error = np.zeros(shape)
        self._excess = np.zeros(shape)
        self._rest = np.zeros(shape)
        self._setpoint = np.zeros(shape)
        self._feedforward = np.zeros(shape)
        self._first = np.ones(num_envs, bool)
        self._follow = np.full(shape, np.nan)

    def reset(self, where: np.ndarray | None = None) -> None:
        """Forget the past of these environments (num_envs,), or of all."""
        where = np.ones(len(self._first), bool) if where is None else where
        self._first |= where
        self.integral[where] = 0.0
        self._excess[where] = 0.0
        self._follow[where] = np.nan

    def engage(self, output: np.ndarray, where: np.ndarray | None = None) -> None:
        """Switch on bumplessly: the next :meth:`update` begins at ``output``.

        Args:
            output: (num_envs, size) what acts on the plant now.
            where: (num_envs,) bool; None: everywhere.
        """
        self.reset(where)
        where = np.ones(len(self._first), bool) if where is None else where
        np.copyto(self._follow, output, where=where[:, None])

    def set_gains(self, gains: PidGains) -> None:
        """Change the gains; the integral takes up the difference in u."""
        before = self._rest
        self.gains = gains
        self._rest = self._without_integral()
        self.integral = self.integral + np.where(
            self._first[:, None], 0.0, before - self._rest
        )

    def update(
        self,
        setpoint: np.ndarray,
        measurement: np.ndarray,
        dt: float,
        feedforward: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """The next output u, (num_envs, size).

        Args:
            setpoint: r (num_envs, size).
            measurement: y (num_envs, size).
            dt: time since the last call [s].
            feedforward: added to u before its limits.

        Raises:
            UsageError: a time step that is not positive.
        """
        if not dt > 0:
            raise UsageError(f"a PID needs a time step above 0 s, got {dt}")
        g, first = self.gains, self._first[:, None]
        last = np.where(first, measurement, self._measured)
        measured = np.where(self._angle, last + wrap(measurement - last), measurement)
        setpoint = np.where(self._angle, measured + wrap(setpoint - measured), setpoint)
        error = setpoint - measured
        slope = (g.filter_time * self._slope + (measured - last)) / (g.filter_time + dt)
        self._slope = np.where(first, 0.0, slope)
        trapezoid = 0.5 * dt * (error + np.where(first, -error, self._error))
        pull = -np.expm1(-dt / np.asarray(g.tracking_time)) * self._excess
        self.integral = self.integral + g.ki * trapezoid - pull
        self._measured, self._error, self._setpoint = measured, error, setpoint
        self._feedforward = np.broadcast_to(feedforward, error.shape)
        self._rest = self._without_integral()
        asked = ~np.isnan(self._follow)
        self.integral = np.where(asked, self._follow - self._rest, self.integral)
        self._follow[:] = np.nan
        self._first[:] = False
        wanted = self._rest + self.integral
        output = np.clip(wanted, g.low, g.high)
        self._excess = wanted - output
        return output

    def _without_integral(self) -> np.ndarray:
        """All of u but the integral, at the last measurement."""
        g = self.gains
        proportional = g.kp * (g.beta * self._setpoint - self._measured)
        return proportional - g.kd * self._slope + self._feedforward
