"""Where the humanoid's soles are, what they press, and how they slip.

Heights are those of a sole's lowest corner, so that a foot that only tips is not lifted.
A foot slips as fast as the part of it that carries the load: the velocity of the foot at
its centre of pressure, along the floor.
"""

from typing import TYPE_CHECKING

import numpy as np

from sims.arrays import Array
from sims.engine import Engine

if TYPE_CHECKING:
    import mujoco

SIDES = ("left", "right")
TOUCHING = 5.0
"""A foot stands on the floor if it presses it harder [N]."""


class Feet:
    """Both feet of the nominal model."""

    def __init__(self, model: "mujoco.MjModel"):
        """Find the soles' corners.

        Args:
            model: the nominal model; its soles are boxes.
        """
        corners = np.array([(x, y, -1.0) for x in (-1, 1) for y in (-1, 1)])
        self._corners = [
            model.geom(f"{side}_sole").pos + corners * model.geom(f"{side}_sole").size
            for side in SIDES
        ]

    def heights(self, engine: Engine) -> Array:
        """(num_envs, 2) of the soles' lowest corners above the floor [m]."""
        found = []
        for side, corners in zip(SIDES, self._corners, strict=True):
            position, quat = engine.pose(f"{side}_foot")
            # the z of a corner: the vertical in the foot's axes, elementwise so that
            # bits do not depend on the batch
            up = -gravity_in(quat)
            lowest = [sum(up[:, i] * corner[i] for i in range(3)) for corner in corners]
            found.append(position[:, 2] + np.min(lowest, axis=0))
        return np.stack(found, axis=1)

    def forces(self, engine: Engine) -> Array:
        """(num_envs, 2, 3): what the floor does to each foot, world axes [N]."""
        sensors = [engine.sensor(f"{side}_foot_contact")[:, 1:4] for side in SIDES]
        return -np.stack(sensors, axis=1)

    def standing(self, engine: Engine) -> Array:
        """(num_envs, 2) bool: which feet stand on the floor."""
        return self.forces(engine)[:, :, 2] > TOUCHING

    def slips(self, engine: Engine) -> Array:
        """(num_envs, 2): how fast feet slip where they press [m/s]; 0 in the air."""
        found = []
        for side in SIDES:
            sensor = engine.sensor(f"{side}_foot_contact")
            velocity = engine.velocity(f"{side}_foot")
            arm = sensor[:, 4:7] - engine.pose(f"{side}_foot")[0]
            along = velocity[:, :3] + np.cross(velocity[:, 3:], arm)
            found.append(np.hypot(along[:, 0], along[:, 1]))
        return np.stack(found, axis=1) * self.standing(engine)


def gravity_in(quat: Array) -> Array:
    """(num_envs, 3): the direction of gravity in a frame of that orientation.

    Args:
        quat: (num_envs, 4) wxyz, the frame's in the world.
    """
    w, x, y, z = quat.T
    down = (2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1)
    return np.stack(down, axis=1)
