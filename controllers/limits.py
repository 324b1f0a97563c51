"""Limits that a command passes on its way out: smooth ones, and a limit on its rate."""

import numpy as np


def soft_limit(value: np.ndarray, limit: np.ndarray | float) -> np.ndarray:
    """Close to ``value`` when small, never beyond ``limit`` in size, smooth in between.

    ``v / sqrt(1 + (v / limit)^2)``: square root and division round correctly on every
    machine, a hyperbolic tangent need not.
    """
    ratio = value / limit
    return value / np.sqrt(1.0 + ratio * ratio)


class RateLimiter:
    """A batched value that moves towards its goal at a limited rate."""

    def __init__(self, num_envs: int, size: int):
        self.value = np.zeros((num_envs, size))
        """(num_envs, size) where it stands."""

    def reset(self, where: np.ndarray, value: np.ndarray | float = 0.0) -> None:
        """Put some environments' values somewhere, without regard to the rate.

        Args:
            where: (num_envs,) bool.
            value: broadcastable to (num_envs, size).
        """
        np.copyto(self.value, value, where=where[:, None])

    def move(self, goal: np.ndarray, rate: np.ndarray | float, dt: float) -> np.ndarray:
        """Go on for ``dt`` [s] at up to ``rate`` [1/s]; returns where it stands then.

        Args:
            goal: (num_envs, size).
            rate: broadcastable to (num_envs, size).
            dt: [s]
        """
        most = np.asarray(rate) * dt
        self.value = self.value + np.clip(goal - self.value, -most, most)
        return self.value.copy()
