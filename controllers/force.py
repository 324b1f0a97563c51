"""Touch something, and press on it with a set force.

    F = r + I - b v

along the direction to press, v the tip's speed along it. While nothing is touched, r
goes to ``b * approach_speed``, so that the free tip moves at approach_speed (a guarded
approach); once something is, r rises to the set force at a limited rate, and I
integrates what is missing of it. Touching changes nothing at once. Losing contact cuts
r back to the approach's at once, since a tip that presses on nothing runs away; it is
given back where the contact returns within ``release_time``, as in a bounce.

The feed-forward r does most of the work and needs no force sensor; the slow integral
takes out what the model gets wrong. It needs no stiffness of the wall, and its
crossover, ``integral_gain`` [rad/s], lies so far below 1 / delay that a force that is
measured a control step or two late does it no harm. There is no proportional term: on a
stiff wall that would be a high gain around a delay.
"""

from dataclasses import dataclass

import numpy as np

from assets.errors import UsageError
from controllers.limits import RateLimiter


@dataclass(frozen=True, kw_only=True)
class ForceGains:
    """Numbers of the loop."""

    approach_speed: float = 0.2
    """Of the free tip [m/s]."""
    damping: float = 10.0
    """b [N s/m]; times the control step it must stay below twice the tip's inertia."""
    force_rate: float = 40.0
    """At which r rises [N/s]."""
    integral_gain: float = 5.0
    """[1/s]"""
    integral_limit: float = 10.0
    """Largest I [N]."""
    touch: float = 0.5
    """A force above this is contact [N]."""
    release_time: float = 0.05
    """Contact is lost after so long without force [s]."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"ForceGains.{name} must be above 0, got {value}")


class ForceLoop:
    """A batch of loops and their memory: r, I, and whether there is contact."""

    def __init__(self, gains: ForceGains, num_envs: int):
        self.gains = gains
        self.contact = np.zeros(num_envs, bool)
        """(num_envs,) whether something is touched."""
        self.integral = np.zeros(num_envs)
        """I (num_envs,) [N]"""
        self._reference = RateLimiter(num_envs, 1)
        self._unfelt = np.zeros(num_envs)

    def reset(self, where: np.ndarray | None = None) -> None:
        """Back to the approach, at rest, in these environments (num_envs,), or all."""
        where = np.ones(len(self.contact), bool) if where is None else where
        self.contact[where] = False
        self.integral[where] = 0.0
        self._unfelt[where] = 0.0
        self._reference.reset(where)

    def update(
        self, force: np.ndarray, target: np.ndarray, speed: np.ndarray, dt: float
    ) -> np.ndarray:
        """The force to press with, (num_envs,) [N].

        Args:
            force: measured, (num_envs,) [N].
            target: set force, (num_envs,) [N].
            speed: of the tip along the direction to press, (num_envs,) [m/s].
            dt: time since the last call [s].
        """
        g = self.gains
        felt = force > g.touch
        self._unfelt = np.where(felt, 0.0, self._unfelt + dt)
        self.contact = felt | (self.contact & (self._unfelt < g.release_time - 1e-9))
        guarded = g.damping * g.approach_speed
        goal = np.where(self.contact, target, guarded)
        reference = self._reference.move(goal[:, None], g.force_rate, dt)[:, 0]
        reference = np.where(felt, reference, np.minimum(reference, guarded))
        self._reference.reset(~self.contact, reference[:, None])
        missing = np.where(self.contact, reference - force, -self.integral)
        grown = self.integral + g.integral_gain * dt * missing
        self.integral = np.clip(grown, -g.integral_limit, g.integral_limit)
        return reference + self.integral - g.damping * speed
