"""What a viewer draws: a scene of its own, which follows an engine's snapshot.

A viewer keeps the model that it was opened with, and some write into the data that
they are given (a mouse drag, a reset). So it gets neither an engine's model nor its
data, but a :class:`Stage`. Bodies that a task moves from episode to episode, such as a
wall, are fixed in the world, and their position is a constant of the model; the stage
makes them mocap bodies, whose position is state, so that they move without a new model.
"""

import copy
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import SandbotError

if TYPE_CHECKING:
    import mujoco

_SAME = ("nq", "nv", "nu", "nbody", "ngeom", "nsite", "ncam")
_PLACED = ("body_pos", "body_quat")


class Stage:
    """A model and data to draw, apart from those that are simulated."""

    def __init__(self, model: "mujoco.MjModel", robot: str, scene: str | None) -> None:
        """Set the stage.

        Args:
            model: what the engine was built from; copied.
            robot: whose scene it is, for :func:`assets.load_spec`.
            scene: one of the robot's scenes.
        """
        import mujoco

        self.model = _movable(model, robot, scene)
        self.data = mujoco.MjData(self.model)
        self._mocap = np.flatnonzero(self.model.body_mocapid >= 0)
        self._rest = np.flatnonzero(self.model.body_mocapid < 0)

    def update(self, model: "mujoco.MjModel", data: "mujoco.MjData") -> bool:
        """Follow a snapshot of an engine, forwarded.

        Returns:
            Whether the stage's model changed too: the place of a body within the body
            that bears it, or the size of a shape. Viewers that copied the model have
            to be told.
        """
        import mujoco

        own = self.data
        own.time = data.time
        own.qpos[:] = data.qpos
        own.qvel[:] = data.qvel
        ids = self.model.body_mocapid[self._mocap]
        own.mocap_pos[ids] = data.xpos[self._mocap]
        own.mocap_quat[ids] = data.xquat[self._mocap]
        changed = False
        for field in _PLACED:
            mine, theirs = getattr(self.model, field), getattr(model, field)
            if not np.array_equal(mine[self._rest], theirs[self._rest]):
                mine[self._rest] = theirs[self._rest]
                changed = True
        if not np.array_equal(self.model.geom_size, model.geom_size):
            self.model.geom_size[:] = model.geom_size
            changed = True
        mujoco.mj_forward(self.model, own)
        return changed

    def pulls(self) -> dict[str, np.ndarray]:
        """The wrenches that a viewer's mouse wrote into our data, by body.

        Returns:
            (6,) each: force [N], then torque [N m], world axes.
        """
        rows = self.data.xfrc_applied
        return {
            self.model.body(i).name: rows[i].copy() for i in np.flatnonzero(rows.any(1))
        }

    def copy_model(self) -> "mujoco.MjModel":
        """The model as it is now, as a new object."""
        return copy.copy(self.model)


def _movable(
    model: "mujoco.MjModel", robot: str, scene: str | None
) -> "mujoco.MjModel":
    """The model with the bodies fixed in the world made mocap bodies, if it can be."""
    from assets import load_spec

    try:
        spec = load_spec(robot, scene)
        for body in spec.worldbody.bodies:
            if not body.joints:
                body.mocap = True
        movable = spec.compile()
    except (SandbotError, ValueError):
        return copy.copy(model)
    if any(getattr(movable, size) != getattr(model, size) for size in _SAME):
        return copy.copy(model)
    return movable
