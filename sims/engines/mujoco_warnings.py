"""MuJoCo's warnings, counted over all environments and all their episodes.

MuJoCo counts per environment, since its last reset; so a count that falls has begun
anew. When an environment breaks down, MuJoCo resets it within the step, and other
warnings of that same step go with it: what is counted then is the breakdown.
"""

import mujoco
import numpy as np

KINDS = tuple(
    mujoco.mjtWarning(kind).name.removeprefix("mjWARN_")
    for kind in range(int(mujoco.mjtWarning.mjNWARNING))
)
"""Names in MuJoCo's order, such as "CONTACTFULL"."""


class WarningCount:
    """How often MuJoCo warned since this object was made."""

    def __init__(self, warning: np.ndarray):
        """Count from now on.

        Args:
            warning: (num_envs, kinds, 2) live: last info and number, by environment.
        """
        self._live = warning[:, :, 1]
        self._seen = self._live.copy()
        self._total = np.zeros(len(KINDS), np.int64)

    def note(self) -> None:
        """Count what came since the last call; after each call of the batch."""
        if np.array_equal(self._live, self._seen):
            return
        grown = self._live - self._seen
        self._total += np.where(grown < 0, self._live, grown).sum(axis=0)
        self._seen[:] = self._live

    def accept(self) -> None:
        """The numbers were written by us, such as a saved state's: they are not new."""
        self._seen[:] = self._live

    def by_kind(self) -> dict[str, int]:
        """Of each kind that came at all, how often."""
        counted = zip(KINDS, self._total.tolist(), strict=True)
        return {kind: count for kind, count in counted if count}
