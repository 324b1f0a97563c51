"""Which of the many environments is shown, and how each of them is doing.

How well one does is its reward averaged over the last second or so: that tells who is
doing well now, wherever in an episode each of them is.
"""

import numpy as np

from sims.arrays import Array, Mask

_MEMORY = 1.0
"""Time constant of the average [s]."""


class Fleet:
    """``num_envs`` environments, one of them shown."""

    def __init__(self, num_envs: int, dt: float) -> None:
        """The first is shown.

        Args:
            num_envs: how many.
            dt: control step [s].
        """
        self.num_envs = num_envs
        self.shown = 0
        """Index of the environment that is shown."""
        self.ended: int | None = None
        """The one whose episode was terminated last, since this one began."""
        self._reward = np.zeros(num_envs)
        self._share = min(1.0, dt / _MEMORY)

    def show(self, env: int) -> None:
        """Show this environment; counts around, so that -1 is the last one."""
        self.shown = env % self.num_envs

    def show_best(self) -> None:
        """Show the one that is doing best."""
        self.show(int(np.argmax(self._reward)))

    def show_worst(self) -> None:
        """Show the one that is doing worst."""
        self.show(int(np.argmin(self._reward)))

    def show_ended(self) -> None:
        """Show the one that was terminated last, if any was."""
        if self.ended is not None:
            self.show(self.ended)

    def begin(self) -> None:
        """Episodes start everywhere."""
        self.ended = None
        self._reward[:] = 0.0

    def record(self, reward: Array, fallen: Mask) -> None:
        """A step is over.

        Args:
            reward: (num_envs,) of the step.
            fallen: (num_envs,) whose episodes were terminated in it.
        """
        if self.num_envs == 1:
            return
        self._reward += self._share * (np.asarray(reward) - self._reward)
        if fallen.any():
            others = np.flatnonzero(fallen)
            unseen = others[others != self.shown]
            self.ended = int(unseen[0] if len(unseen) else others[0])
