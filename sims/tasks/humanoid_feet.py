"""Where the humanoid's soles are, what they press, and how they slip.

Heights are those of a sole's lowest corner above the ground below the sole's middle, so
that a foot that only tips is not lifted. A foot slips as fast as the part of it that
carries the load: the velocity of the foot at its centre of pressure, along the floor.
A heel that lifts off around the toes does not slip.
"""

from typing import TYPE_CHECKING, Any

from sims.arrays import Array, namespace
from sims.engine import Engine

if TYPE_CHECKING:
    import mujoco

SIDES = ("left", "right")
TOUCHING = 5.0
"""A foot stands on the floor if it presses it harder [N]."""


class Feet:
    """Both feet, from the sensors of the scene; arrays have a column for each."""

    def __init__(self, model: "mujoco.MjModel"):
        """Find the soles' size.

        Args:
            model: the nominal model; its soles are boxes.
        """
        self._half = [float(s) for s in model.geom(f"{SIDES[0]}_sole").size[:2]]

    def soles(self, engine: Engine) -> tuple[Array, Array]:
        """Middles (num_envs, 2, 3) of the soles, and the heights (num_envs, 2) of their
        lowest corners, in the world [m]."""
        middles = _both(engine, "sole_position")
        w, x, y, z = (_both(engine, "sole_orientation")[:, :, i] for i in range(4))
        # how far a sole's own x and y axes point up
        pitch, roll = 2 * (x * z - w * y), 2 * (y * z + w * x)
        length, width = self._half
        xp = namespace(middles)
        lowest = middles[:, :, 2] - length * xp.abs(pitch) - width * xp.abs(roll)
        return middles, lowest

    def corners(self, engine: Engine) -> Array:
        """(num_envs, 2, 4, 3): the soles' corners in the world [m]."""
        middles, length, width = _both(engine, "sole_position"), *self._half
        w, x, y, z = (_both(engine, "sole_orientation")[:, :, i] for i in range(4))
        along = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
        across = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
        xp = namespace(middles)
        ahead, aside = (xp.stack(axis, axis=2) for axis in (along, across))
        found = [
            middles + a * length * ahead + b * width * aside
            for a in (-1, 1)
            for b in (-1, 1)
        ]
        return xp.stack(found, axis=2)

    def forces(self, engine: Engine) -> Array:
        """(num_envs, 2, 3): what the floor does to each foot, world axes [N]."""
        return -_both(engine, "foot_contact")[:, :, 1:4]

    def slips(self, engine: Engine, middles: Array, standing: Array) -> Array:
        """How fast feet slip where they press [m/s].

        Args:
            engine: the world.
            middles: of the soles, see :meth:`soles`.
            standing: (num_envs, 2) bool: which feet stand.

        Returns:
            (num_envs, 2), 0 in the air.
        """
        arm = _both(engine, "foot_contact")[:, :, 4:7] - middles
        speed, spin = _both(engine, "sole_velocity"), _both(engine, "sole_spin")
        rx, ry, rz = arm[:, :, 0], arm[:, :, 1], arm[:, :, 2]
        wx, wy, wz = spin[:, :, 0], spin[:, :, 1], spin[:, :, 2]
        along = speed[:, :, 0] + wy * rz - wz * ry
        aside = speed[:, :, 1] + wz * rx - wx * rz
        return namespace(along).sqrt(along * along + aside * aside) * standing


def _both(engine: Engine, what: str) -> Any:
    """(num_envs, 2, n): a sensor of each foot."""
    both = [engine.sensor(f"{side}_{what}") for side in SIDES]
    return namespace(both[0]).stack(both, axis=1)
