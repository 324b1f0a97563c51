"""What a humanoid's task looks at, measured once per control step and kept.

The robot's *heading* is where its pelvis's x axis points along the floor. Forces and
velocities here are along the heading, to the left of it, and up.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sims.arrays import Array, Mask, columns, namespace, zeros
from sims.engine import Engine
from sims.task import TaskState
from sims.tasks.humanoid_feet import TOUCHING

if TYPE_CHECKING:
    from sims.tasks.humanoid import HumanoidTask

SIZES: dict[str, tuple[int, ...]] = {
    "gravity": (3,),
    "place": (3,),
    "heading": (2,),
    "velocity": (3,),
    "turning": (),
    "height": (),
    "soles": (2,),
    "forces": (2, 3),
    "slips": (2,),
}


@dataclass
class Sight(TaskState):
    """Of each environment, at the end of a control step."""

    gravity: Array
    """(num_envs, 3) its direction in the pelvis's axes, a unit vector."""
    place: Array
    """(num_envs, 3) of the pelvis in the world [m]."""
    heading: Array
    """(num_envs, 2) a unit vector in the world."""
    velocity: Array
    """(num_envs, 3) of the pelvis, by its heading [m/s]."""
    turning: Array
    """(num_envs,) how fast the pelvis turns about the vertical [rad/s]."""
    height: Array
    """(num_envs,) of the pelvis above the ground [m]."""
    soles: Array
    """(num_envs, 2) heights of left and right sole above the ground [m]."""
    forces: Array
    """(num_envs, 2, 3) of the ground on each foot, by the heading [N]."""
    slips: Array
    """(num_envs, 2) how fast feet slip where they press [m/s]; 0 in the air."""

    @property
    def standing(self) -> Mask:
        """(num_envs, 2) which feet stand on the ground."""
        return self.forces[:, :, 2] > TOUCHING


def new_sight(engine: Engine) -> dict[str, Array]:
    """The fields of :class:`Sight`, nothing seen yet."""
    seen = {name: zeros(engine.qpos, *size) for name, size in SIZES.items()}
    return {"steps": zeros(engine.qpos, dtype=int), **seen}


def look(task: "HumanoidTask", engine: Engine, state: Sight) -> None:
    """Measure all of it, everywhere."""
    _look_at_pelvis(task, engine, state)
    cos, sin = state.heading[:, 0:1], state.heading[:, 1:2]
    feet = task.feet
    middles, lowest = feet.soles(engine)
    state.soles[:] = task.clearances(engine, middles, lowest)
    forces = feet.forces(engine)
    x, y = forces[:, :, 0], forces[:, :, 1]
    state.forces[:, :, 0] = cos * x + sin * y
    state.forces[:, :, 1] = cos * y - sin * x
    state.forces[:, :, 2] = forces[:, :, 2]
    state.slips[:] = feet.slips(engine, middles, state.standing)


def _look_at_pelvis(task: "HumanoidTask", engine: Engine, state: Sight) -> None:
    # elementwise all along, so that bits do not depend on the batch
    w, x, y, z = columns(engine.sensor("imu_orientation"))
    gx, gy, gz = 2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1
    gravity = state.gravity
    gravity[:, 0], gravity[:, 1], gravity[:, 2] = gx, gy, gz
    ahead, aside = 1 - 2 * (y * y + z * z), 2 * (w * z + x * y)
    # a pelvis that points straight up or down has no heading; any will do
    xp = namespace(ahead)
    length = xp.maximum(xp.sqrt(ahead * ahead + aside * aside), 1e-9)
    cos, sin = ahead / length, aside / length
    state.heading[:, 0], state.heading[:, 1] = cos, sin
    vx, vy, vz, wx, wy, wz = columns(engine.qvel[:, :6])
    velocity = state.velocity
    velocity[:, 0], velocity[:, 1] = cos * vx + sin * vy, cos * vy - sin * vx
    velocity[:, 2] = vz
    state.turning[:] = -(gx * wx + gy * wy + gz * wz)
    state.place[:] = engine.qpos[:, :3]
    x, y = state.place[:, 0], state.place[:, 1]
    state.height[:] = engine.qpos[:, 2] - task.ground(x, y)
