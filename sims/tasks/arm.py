"""What the tasks of the two-link arm share: its observation, its action, its start.

Positions are in the arm's plane, x to the right and z up, relative to the shoulder [m].
Angles reach the policy as cosine and sine, since the shoulder turns without limit.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from assets import load_model
from controllers.arm2 import Arm2
from ml.spec import ArraySpec
from sims.arrays import (
    Array,
    Mask,
    empty,
    host,
    namespace,
    sent,
    tiled,
    zeros,
)
from sims.draws import Draws
from sims.engine import Engine
from sims.image_randomization import GAP_IMAGES, TRAIN_IMAGES
from sims.randomization import (
    Push,
    Randomization,
    friction,
    gravity,
    joint_damping,
    link_mass,
    motor_strength,
)
from sims.task import TaskDefaults, TaskState

if TYPE_CHECKING:
    import mujoco

JOINTS = ("shoulder", "elbow")
LINKS = ("upper", "fore")
LENGTHS = (0.40, 0.35)
"""Of the links [m]; a test holds them against the scene."""
ELBOW_LIMIT = 2.7
"""[rad]"""
SHOULDER_HEIGHT = 0.90
"""Above the floor [m]."""
TORQUE_LIMITS = (20.0, 8.0)
"""[N m]"""

_SPAN = np.array([np.pi, ELBOW_LIMIT - 0.1])
"""Starts lie within, either way [rad]."""
_JOINT_NAMES = tuple(
    f"joint_{what}_{joint}" for what in ("cos", "sin", "vel") for joint in JOINTS
)
SENSED_NAMES = (*_JOINT_NAMES, "tip_x", "tip_z")
SENSED_UNITS = ("1", "1", "1", "1", "rad/s", "rad/s", "m", "m")

TRAIN = Randomization(
    fields=(
        link_mass(0.8, 1.2, *LINKS),
        joint_damping(0.5, 1.5, *JOINTS),
        friction(0.5, 1.5, "tip"),
        motor_strength(0.9, 1.1),
        gravity(0.97, 1.03),
    ),
    observation_noise=0.01,
    action_delay=(0, 3),
    observation_delay=(0, 1),
    push=Push(body="fore", force=(0.0, 5.0)),
    images=TRAIN_IMAGES,
)
"""The guide's ranges of friction, mass, noise and action delay, and more."""

GAP = Randomization(
    fields=(
        link_mass(1.21, 1.4, *LINKS),
        joint_damping(2.0, 3.0, *JOINTS),
        friction(1.6, 2.0, "tip"),
        motor_strength(1.12, 1.25),
        gravity(0.97, 1.03),
    ),
    observation_noise=0.015,
    action_delay=(4, 5),
    observation_delay=(0, 2),
    push=Push(body="fore", force=(5.0, 8.0)),
    images=GAP_IMAGES,
)
"""A reality that training never saw: masses, damping, friction, motors, delay and
pushes lie outside of :data:`TRAIN`'s ranges."""


@dataclass
class ArmState(TaskState):
    """Shared by the arm's tasks."""

    solved: Array
    """(num_envs,) bool: success so far."""


class ArmTask(TaskDefaults):
    """Base of the arm's tasks; see :class:`sims.task.Task` for the methods."""

    robot = "arm"
    scene = "free"
    substeps = 10
    commands: tuple[str, ...] = ()
    """Names of the elements that follow the sensed ones."""
    command_units: tuple[str, ...] = ()
    variation = Randomization()
    """What varies in every episode, under each profile."""

    @cached_property
    def model(self) -> "mujoco.MjModel":
        """The nominal model."""
        return load_model(self.robot, self.scene)

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """One group, "state"."""
        names = SENSED_NAMES + self.commands
        return {
            "state": ArraySpec(
                shape=(len(names),),
                names=names,
                units=SENSED_UNITS + self.command_units,
            )
        }

    @cached_property
    def action_spec(self) -> ArraySpec:
        """Joint torques."""
        return ArraySpec(
            shape=(2,),
            low=tuple(-limit for limit in TORQUE_LIMITS),
            high=TORQUE_LIMITS,
            names=tuple(f"torque_{joint}" for joint in JOINTS),
            units=("N m", "N m"),
        )

    @cached_property
    def randomizations(self) -> dict[str, Randomization]:
        """By profile."""
        return {
            "none": self.variation,
            "train": TRAIN.over(self.variation),
            "gap": GAP.over(self.variation),
        }

    @cached_property
    def control_dt(self) -> float:
        """[s]"""
        return self.substeps * float(self.model.opt.timestep)

    def act(self, engine: Engine, state: TaskState, action: Array) -> None:
        """Apply torques for one control step."""
        engine.ctrl[:] = action
        engine.step(self.substeps)
        state.steps += 1

    def memory(self, engine: Engine) -> dict[str, Array]:
        """The fields of :class:`ArmState`, for a subclass's constructor."""
        return {
            "steps": zeros(engine.qpos, dtype=int),
            "solved": zeros(engine.qpos, dtype=bool),
        }

    def tip(self, engine: Engine) -> tuple[Array, Array]:
        """x and z of the tip relative to the shoulder, (num_envs,) each [m]."""
        position = engine.sensor("tip_position")
        return position[:, 0], position[:, 2] - SHOULDER_HEIGHT

    def sensed(self, engine: Engine) -> Array:
        """(num_envs, n): what every arm task observes, and room for the commands."""
        obs = empty(engine.qpos, self.obs_spec["state"].size)
        angles, xp = engine.qpos[:, :2], namespace(engine.qpos)
        obs[:, 0:2] = xp.cos(angles)
        obs[:, 2:4] = xp.sin(angles)
        obs[:, 4:6] = engine.qvel[:, :2]
        obs[:, 6], obs[:, 7] = self.tip(engine)
        return obs

    def terminated(self, engine: Engine, state: ArmState) -> Mask:
        """Never: an episode runs to its time limit."""
        return zeros(engine.qpos, dtype=bool)

    def success(self, engine: Engine, state: ArmState) -> Mask:
        """Whether the task's criterion is met."""
        return state.solved

    def place(
        self,
        engine: Engine,
        where: Mask,
        angles: Array,
        velocities: Array | float = 0.0,
    ) -> None:
        """Put the arm into a posture (num_envs, 2) [rad], all else at rest."""
        qpos = tiled(self.model.qpos0, engine.qpos)
        qvel = zeros(engine.qpos, self.model.nv)
        qpos[:, :2] = angles
        qvel[:, :2] = velocities
        engine.reset(where, qpos, qvel)


def random_posture(draws: Draws) -> tuple[Array, Array]:
    """Angles [rad] and slow velocities [rad/s], (num_envs, 2) each."""
    angles = draws.uniform("start_angles", -_SPAN, _SPAN, (2,))
    return angles, draws.uniform("start_velocities", -0.5, 0.5, (2,))


def reachable_radii() -> tuple[float, float]:
    """Inner and outer radius of the annulus that the tip reaches [m]."""
    l1, l2 = LENGTHS
    inner = np.sqrt(l1**2 + l2**2 + 2 * l1 * l2 * np.cos(ELBOW_LIMIT))
    return float(inner), l1 + l2


@cache
def _kinematics() -> Arm2:
    return Arm2.from_model(load_model("arm"))


def elbow_posture(x: Array, z: Array, side: Array) -> Array:
    """Angles (num_envs, 2) that put the tip at (x, z), to place an arm at a start.

    Args:
        x: (num_envs,) [m], within reach.
        z: (num_envs,) [m].
        side: (num_envs,) sign of the elbow's angle.
    """
    tip, left = np.stack([host(x), host(z)], axis=1), host(side)[:, None] < 0
    postures, _ = _kinematics().inverse(tip)
    return sent(np.where(left, postures[:, 1], postures[:, 0]), x)


def point(x: float, z: float) -> np.ndarray:
    """A point of the arm's plane in the world, (3,) [m]."""
    return np.array([x, 0.0, z + SHOULDER_HEIGHT])
