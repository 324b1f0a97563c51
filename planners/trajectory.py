"""Trajectories: where to be, how fast, and with which acceleration, at any time.

A batch of piecewise polynomials of time, one row per environment. The profile from
point to point is the fifth-order polynomial that meets position, velocity and
acceleration at both ends; at rest at both ends it is the minimum-jerk movement (Flash
and Hogan, 1985), whose peak speed is 15/8 of the mean speed and whose peak acceleration
is 10/sqrt(3) times distance over squared duration.
"""

from dataclasses import dataclass

import numpy as np

from assets.errors import UsageError

PEAK_SPEED = 15.0 / 8.0
"""Of a minimum-jerk movement, over distance / duration."""
PEAK_ACCELERATION = 10.0 / np.sqrt(3.0)
"""Of a minimum-jerk movement, over distance / duration^2."""


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Piecewise polynomials; before its start and after its end it stands still."""

    knots: np.ndarray
    """(num_envs, segments + 1) times at which segments start and end, ascending [s]."""
    coefficients: np.ndarray
    """(num_envs, segments, order + 1, dim), constant term first, in the time since the
    segment's start."""

    def __post_init__(self) -> None:
        if self.knots.shape != (
            self.coefficients.shape[0],
            self.coefficients.shape[1] + 1,
        ):
            raise UsageError(
                f"a trajectory of coefficients {self.coefficients.shape} (num_envs, "
                f"segments, order + 1, dim) has knots (num_envs, segments + 1), got "
                f"{self.knots.shape}"
            )

    @property
    def duration(self) -> np.ndarray:
        """(num_envs,) [s]"""
        return self.knots[:, -1] - self.knots[:, 0]

    def at(self, time: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, velocity and acceleration, each (num_envs, dim).

        Args:
            time: (num_envs,), or one for all [s].
        """
        time = np.broadcast_to(np.asarray(time, float), self.knots.shape[:1])
        inside = np.clip(time, self.knots[:, 0], self.knots[:, -1])
        segment = (inside[:, None] >= self.knots[:, 1:-1]).sum(axis=1)
        rows = np.arange(len(time))
        since = (inside - self.knots[rows, segment])[:, None]
        parts = np.moveaxis(self.coefficients[rows, segment], 1, 0)
        position = np.zeros_like(parts[0])
        velocity, acceleration = position, position
        for part in parts[::-1]:  # Horner's scheme, and its derivatives
            acceleration = acceleration * since + 2.0 * velocity
            velocity = velocity * since + position
            position = position * since + part
        moving = (time == inside)[:, None]
        return (
            position,
            np.where(moving, velocity, 0.0),
            np.where(moving, acceleration, 0.0),
        )

    def where(self, mask: np.ndarray, other: "Trajectory") -> "Trajectory":
        """This trajectory, with the rows of ``mask`` (num_envs,) taken from another."""
        return Trajectory(
            knots=np.where(mask[:, None], other.knots, self.knots),
            coefficients=np.where(
                mask[:, None, None, None], other.coefficients, self.coefficients
            ),
        )


def quintic(
    start: np.ndarray,
    goal: np.ndarray,
    duration: np.ndarray,
    *,
    start_velocity: np.ndarray | float = 0.0,
    start_acceleration: np.ndarray | float = 0.0,
    goal_velocity: np.ndarray | float = 0.0,
    goal_acceleration: np.ndarray | float = 0.0,
    start_time: np.ndarray | float = 0.0,
) -> Trajectory:
    """The fifth-order polynomial between two states.

    Args:
        start: (num_envs, dim).
        goal: (num_envs, dim).
        duration: (num_envs,) above 0 [s].
        start_velocity: broadcastable to (num_envs, dim), as are the next three [1/s].
        start_acceleration: [1/s^2]
        goal_velocity: [1/s]
        goal_acceleration: [1/s^2]
        start_time: (num_envs,), or one for all [s].

    Raises:
        UsageError: a duration that is not positive.
    """
    if not (np.asarray(duration) > 0).all():
        raise UsageError(
            f"a trajectory lasts longer than 0 s, got {np.min(duration):g} s"
        )
    t = np.asarray(duration, float)[:, None]
    v0, a0, v1, a1 = (
        np.broadcast_to(np.asarray(x, float), start.shape)
        for x in (start_velocity, start_acceleration, goal_velocity, goal_acceleration)
    )
    # what the last three terms have to supply at the end
    dx = goal - (start + v0 * t + 0.5 * a0 * t * t)
    dv = (v1 - (v0 + a0 * t)) * t
    da = (a1 - a0) * t * t
    cubic = (10.0 * dx - 4.0 * dv + 0.5 * da) / (t * t * t)
    quartic = (-15.0 * dx + 7.0 * dv - da) / (t * t * t * t)
    last = (6.0 * dx - 3.0 * dv + 0.5 * da) / (t * t * t * t * t)
    parts = np.stack([start, v0, 0.5 * a0, cubic, quartic, last], axis=1)
    begin = np.broadcast_to(np.asarray(start_time, float), t[:, 0].shape)
    return Trajectory(
        knots=np.stack([begin, begin + t[:, 0]], axis=1), coefficients=parts[:, None]
    )


def minimum_jerk(
    start: np.ndarray,
    goal: np.ndarray,
    *,
    max_velocity: np.ndarray | float,
    max_acceleration: np.ndarray | float,
    min_duration: float = 0.1,
    start_time: np.ndarray | float = 0.0,
) -> Trajectory:
    """The fastest minimum-jerk movement from rest to rest within limits.

    All elements start and arrive together; the slowest decides how long it takes.

    Args:
        start: (num_envs, dim).
        goal: (num_envs, dim).
        max_velocity: above 0, broadcastable to (dim,) [1/s].
        max_acceleration: above 0, broadcastable to (dim,) [1/s^2].
        min_duration: [s]
        start_time: (num_envs,), or one for all [s].

    Raises:
        UsageError: a limit or duration that is not positive.
    """
    for name, value in (
        ("max_velocity", max_velocity),
        ("max_acceleration", max_acceleration),
    ):
        if not (np.asarray(value) > 0).all():
            raise UsageError(f"{name} must be above 0, got {value}")
    distance = np.abs(goal - start)
    by_speed = (PEAK_SPEED * distance / max_velocity).max(axis=1)
    by_push = np.sqrt((PEAK_ACCELERATION * distance / max_acceleration).max(axis=1))
    duration = np.maximum(np.maximum(by_speed, by_push), min_duration)
    return quintic(start, goal, duration, start_time=start_time)
