"""What the humanoid's tasks know of the robot: joints, servos, feet, and their names.

Observations and actions are described here, and how they look in a mirror.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from assets import load_model
from ml.spec import ArraySpec
from sims.arrays import Array, like, namespace
from sims.engine import Engine
from sims.observation import PRIVILEGED
from sims.task import TaskDefaults
from sims.tasks.humanoid_feet import SIDES, Feet
from sims.tasks.humanoid_mirror import Mirror, mirror_by_name

if TYPE_CHECKING:
    import mujoco

LEGS = 12
"""Joints of the legs, which come first."""
PITCHING = 0.8
"""How far an action of 1 moves the target of a joint that pitches, at most [rad]."""
OTHERS = 0.4
"""Likewise of a joint that rolls or yaws [rad]."""


class HumanoidBody(TaskDefaults):
    """Facts about the nominal model, in the shapes that tasks need."""

    robot = "humanoid"
    scene = "flat"
    expert = ""
    substeps = 4
    max_steps = 1000
    commands: tuple[tuple[str, str], ...] = ()
    """Names and units of what the task tells, at the end of ``state``; the names start
    with target_."""
    secrets: tuple[tuple[str, str], ...] = ()
    """Names and units of what the task adds to ``privileged``."""
    flipped: tuple[str, ...] = ()
    """Those of both that change sign in a mirror, left and right aside."""

    @cached_property
    def model(self) -> "mujoco.MjModel":
        """The nominal model."""
        return load_model(self.robot, self.scene)

    @cached_property
    def feet(self) -> Feet:
        """Where the soles are, and what they press."""
        return Feet(self.model)

    @cached_property
    def control_dt(self) -> float:
        """[s]"""
        return self.substeps * float(self.model.opt.timestep)

    @cached_property
    def joints(self) -> tuple[str, ...]:
        """Names, in the order of the servos."""
        return tuple(self.model.actuator(i).name for i in range(self.model.nu))

    @cached_property
    def posture(self) -> np.ndarray:
        """(29,) the joints' angles in the posture "stand" [rad]."""
        return self.model.key("stand").ctrl.copy()

    @cached_property
    def stature(self) -> float:
        """Height of the pelvis in that posture [m]."""
        return float(self.model.key("stand").qpos[2])

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """(29,) each: lowest and highest target of the servos [rad]."""
        low, high = self.model.actuator_ctrlrange.T.copy()
        return low, high

    @cached_property
    def farthest(self) -> np.ndarray:
        """(29,) from the posture to the farther of a target's two limits [rad]."""
        low, high = self.limits
        return np.maximum(self.posture - low, high - self.posture)

    @cached_property
    def reach(self) -> np.ndarray:
        """(29,) what an action of 1 moves a target by [rad]."""
        pitches = self.model.jnt_axis[1:, 1] != 0
        return np.minimum(self.farthest, np.where(pitches, PITCHING, OTHERS))

    @cached_property
    def largest_move(self) -> np.ndarray:
        """(29,) of a target in a control step [rad]."""
        return self.model.actuator_user[:, 0] * self.control_dt

    @cached_property
    def action_spec(self) -> ArraySpec:
        """Offsets of the servos' targets from the posture."""
        return ArraySpec(
            shape=(len(self.joints),),
            low=(-1.0,),
            high=(1.0,),
            names=tuple(f"offset_{joint}" for joint in self.joints),
            units=("1",) * len(self.joints),
        )

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """``state`` and ``privileged``."""
        sensed = [(f"gyro_{axis}", "rad/s") for axis in "xyz"]
        sensed += [(f"gravity_{axis}", "1") for axis in "xyz"]
        for what, unit in (("angle", "rad"), ("velocity", "rad/s")):
            sensed += [(f"{joint}_{what}", unit) for joint in self.joints]
        sensed += [(f"target_{joint}", "rad") for joint in self.joints]
        known = [(f"pelvis_velocity_{axis}", "m/s") for axis in "xyz"]
        known += [("pelvis_height", "m")]
        known += [(f"{side}_sole_height", "m") for side in SIDES]
        known += [(f"{side}_slip", "m/s") for side in SIDES]
        known += [(f"{side}_force_{axis}", "N") for side in SIDES for axis in "xyz"]
        return {
            "state": _spec((*sensed, *self.commands)),
            PRIVILEGED: _spec((*known, *self.secrets)),
        }

    @cached_property
    def mirror(self) -> dict[str, Mirror]:
        """How each group of observations, and "action", look in a mirror."""
        axes = self.model.jnt_axis[1:]
        turned = [j for j, axis in zip(self.joints, axes, strict=True) if not axis[1]]
        flipped = {"gyro_x", "gyro_z", "gravity_y", "pelvis_velocity_y"}
        flipped |= {f"{side}_force_y" for side in SIDES} | set(self.flipped)
        for pattern in ("{}_angle", "{}_velocity", "target_{}", "offset_{}"):
            flipped |= {pattern.format(joint) for joint in turned}
        specs = {**self.obs_spec, "action": self.action_spec}
        return {name: mirror_by_name(s.names, flipped) for name, s in specs.items()}

    def load(self, engine: Engine) -> Array:
        """(num_envs, 29): the servos' torques, in units of their limits, nominally."""
        stiffness, damping = (like(each, engine.ctrl) for each in self._servos)
        load = stiffness * (engine.ctrl - engine.qpos[:, 7:])
        load -= damping * engine.qvel[:, 6:]
        return namespace(load).clip(load, -1.0, 1.0)

    @cached_property
    def _servos(self) -> tuple[np.ndarray, np.ndarray]:
        """(29,) each: stiffness [1/rad] and damping [s/rad] over the largest torque."""
        model = self.model
        most = model.actuator_forcerange[:, 1]
        return model.actuator_gainprm[:, 0] / most, -model.actuator_biasprm[:, 2] / most


def _spec(elements: tuple[tuple[str, str], ...]) -> ArraySpec:
    names, units = zip(*elements, strict=True)
    return ArraySpec(shape=(len(names),), names=names, units=units)
