"""Inverse kinematics of a frame through mink: a whole pose, within the joints' limits.

mink (Zakka 2024) solves differential inverse kinematics as a quadratic programme; here
full steps of it are taken until the frame arrives, from one starting posture after the
other. An arm with six joints has few solutions, and which one is found depends on where
the search begins, so that the postures to begin at are the caller's choice.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import SandbotError

if TYPE_CHECKING:
    import mujoco

POSITION_TOLERANCE = 1e-4
"""[m]"""
ROTATION_TOLERANCE = 1e-3
"""[rad]"""
MAX_STEPS = 60
_ROTATION_COST = 0.2
"""Of 1 rad, in metres."""


class UnreachableError(SandbotError):
    """No posture within the limits puts the frame there."""


class FrameIK:
    """Postures of a nominal model that put one of its sites at a pose."""

    def __init__(self, model: "mujoco.MjModel", site: str) -> None:
        """Get ready.

        Args:
            model: of the arm alone, base at its origin, all joints limited.
            site: to be put somewhere.
        """
        import mink

        self.nq = model.nq
        self._configuration = mink.Configuration(model)
        self._task = mink.FrameTask(
            site, "site", position_cost=1.0, orientation_cost=_ROTATION_COST
        )
        self._limits = [mink.ConfigurationLimit(model)]
        self._range = model.jnt_range.T.copy()
        self._site = site

    def solve(
        self, position: np.ndarray, rotation: np.ndarray, starts: Sequence[np.ndarray]
    ) -> np.ndarray:
        """A posture that puts the site at a pose in the base's frame.

        Args:
            position: (3,) [m].
            rotation: (3, 3).
            starts: postures (nq,) to begin at, the preferred one first.

        Returns:
            (nq,) the posture found from the first start that leads to one.

        Raises:
            UnreachableError: none does, to 0.1 mm and 1 mrad.
        """
        from mink import SE3, SO3

        target = SE3.from_rotation_and_translation(SO3.from_matrix(rotation), position)
        self._task.set_target(target)
        nearest = np.inf
        for start in starts:
            found, error = self._descend(start)
            if error is None:
                return found
            nearest = min(nearest, error)
        place = ", ".join(f"{x:.3f}" for x in position)
        raise UnreachableError(
            f"{self._site!r} cannot be brought to ({place}) m with that orientation: "
            f"the nearest posture found is {1000 * nearest:.1f} mm off; choose a place "
            "nearer to the base, or another orientation"
        )

    def _descend(self, start: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Steps from a posture: where they end, and how far off [m]; None: there."""
        import mink

        configuration, task = self._configuration, self._task
        configuration.update(np.array(start, float))
        error = task.compute_error(configuration)
        for _ in range(MAX_STEPS):
            velocity = mink.solve_ik(
                configuration, [task], 1.0, "daqp", damping=1e-8, limits=self._limits
            )
            configuration.integrate_inplace(velocity, 1.0)
            error = task.compute_error(configuration)
            if (
                np.linalg.norm(error[:3]) < POSITION_TOLERANCE
                and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE
            ):
                return np.clip(configuration.q, *self._range), None
        return configuration.q.copy(), float(np.linalg.norm(error[:3]))
