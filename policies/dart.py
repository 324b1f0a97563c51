"""Disturbances that teach a clone to recover.

A clone that leaves the demonstrator's path finds nothing in the data that leads back,
and its errors grow with the square of the time (Ross and Bagnell 2010). DART (Laskey et
al. 2017, "Noise injection for robust imitation learning") lets the demonstrator itself
err: the executed action is disturbed, the recorded one is what the demonstrator wanted
there. So the data hold recoveries, at no cost but noise.

The disturbance has two parts of equal size. A drift, correlated over some steps, moves
the arm away from its path; it comes in bursts with calm between them, since an episode
in which something must be held still would never succeed otherwise. A jitter, new in
each step, is always there: it makes velocities differ from what the past suggests, so
that a network with memory has to measure them and cannot just continue its motion.
"""

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError

if TYPE_CHECKING:
    from sims.env import Env

CORRELATION = 0.9
"""Of the drift from one step to the next: white noise would average out in the arm's
inertia before it has moved anything far."""
BURST, PERIOD = 0.5, 1.5
"""Length of a burst, and time from one to the next [s]; the first begins anywhere."""


class Disturbance:
    """What to add to the actions of an environment; keyed like all of its draws."""

    def __init__(self, env: "Env", size: float) -> None:
        """Ready to :meth:`reset`.

        Args:
            env: whose episodes are disturbed.
            size: standard deviation of each part, as a fraction of the actions' limits.

        Raises:
            UsageError: the actions have no limits to take a fraction of.
        """
        low, high = env.action_spec.limits()
        if size and not np.isfinite(high - low).all():
            raise UsageError("noise is a fraction of the action's limits: it has none")
        self.env = env
        self._scale = size * (high - low) / 2 if size else np.zeros_like(low)
        self._drift = np.zeros((env.num_envs, len(low)))
        self._step = 0

    def reset(self) -> None:
        """Begin with the environment's present episodes."""
        self._drift = self._draw("dart_drift")  # from its final distribution
        self._step = 0

    def next(self) -> np.ndarray:
        """(num_envs, action_dim) for the step that begins."""
        if not self._scale.any():
            return self._drift
        offset = self.env.draws.uniform("dart_phase") * PERIOD
        phase = (self._step * self.env.control_dt + offset) % PERIOD
        burst = (phase < BURST)[:, None]
        disturbance = self._drift * burst + self._draw("dart_jitter")
        self._step += 1
        fresh = np.sqrt(1 - CORRELATION**2) * self._draw("dart_drift")
        self._drift = CORRELATION * self._drift + fresh
        return disturbance

    def _draw(self, term: str) -> np.ndarray:
        counter = np.full(self.env.num_envs, self._step)
        shape = self._scale.shape
        return self._scale * self.env.draws.normal(term, shape, counter)
