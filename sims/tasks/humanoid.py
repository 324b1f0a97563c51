"""What the tasks of the humanoid share: observation, action, start, falling, reward.

An action has a number in [-1, 1] for each joint: how far its servo's target lies from
the posture "stand", in units of the farther of the joint's two limits, so that 0 stands
and every angle can be reached (Seo et al. 2025, arXiv:2512.01996, bound the policies of
FastSAC so). Targets stay within the joints' limits, and move at most at the speed that
the scene gives each servo.

The group ``state`` is what the robot senses and is told: gyroscope, the direction of
gravity, encoders, its servos' targets, the task's command. ``privileged`` is what only
a simulation knows, for a critic: it comes without noise and delay, and a policy that is
to leave the simulation must do without.

A reward is a table of weights, which sum to 1, over named terms in [0, 1]; all are 0
from a fall on. The robot has fallen once it leans by more than 60 degrees or its pelvis
is below 0.4 m, and that ends the episode.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from assets import load_model
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs, assign
from sims.draws import Draws
from sims.engine import Engine
from sims.observation import PRIVILEGED
from sims.randomization import Randomization
from sims.task import Marker, TaskDefaults, TaskState
from sims.tasks.humanoid_feet import SIDES, Feet, gravity_in
from sims.tasks.humanoid_profiles import GAP, TRAIN
from sims.tasks.rewards import tolerance

if TYPE_CHECKING:
    import mujoco

LEANING = np.cos(np.radians(60))
"""Cosine of the largest lean [1]."""
LOWEST = 0.4
"""Of the pelvis [m]."""


@dataclass
class HumanoidState(TaskState):
    """Shared by the humanoid's tasks."""

    action: Array
    """(num_envs, 29) the last."""
    previous: Array
    """(num_envs, 29) the one before."""
    target: Array
    """(num_envs, 29) of the servos [rad]."""
    fallen: Array
    """(num_envs,) bool: at some time."""


class HumanoidTask(TaskDefaults):
    """Base of the humanoid's tasks; see :class:`sims.task.Task` for the methods."""

    robot = "humanoid"
    scene = "flat"
    expert = ""
    substeps = 4
    weights: ClassVar[dict[str, float]]
    """Of :meth:`terms`."""
    commands: tuple[tuple[str, str], ...] = ()
    """Names and units of what the task tells, at the end of ``state``; the names start
    with target_."""
    secrets: tuple[tuple[str, str], ...] = ()
    """Names and units of what the task adds to ``privileged``."""
    pushed = True
    """Whether the profiles' pushes come, too."""

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
    def reach(self) -> np.ndarray:
        """(29,) what an action of 1 moves a target by [rad]."""
        low, high = self.model.actuator_ctrlrange.T
        return np.maximum(self.posture - low, high - self.posture)

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
        known = [(f"base_velocity_{axis}", "m/s") for axis in "xyz"]
        known += [("base_height", "m")]
        known += [(f"{side}_sole_height", "m") for side in SIDES]
        known += [(f"{side}_force_{axis}", "N") for side in SIDES for axis in "xyz"]
        return {
            "state": _spec((*sensed, *self.commands)),
            PRIVILEGED: _spec((*known, *self.secrets)),
        }

    @cached_property
    def randomizations(self) -> dict[str, Randomization]:
        """By profile."""
        profiles = {"none": Randomization(), "train": TRAIN, "gap": GAP}
        if self.pushed:
            return profiles
        return {name: replace(p, push=None) for name, p in profiles.items()}

    def memory(self, num_envs: int) -> dict[str, Array]:
        """The fields of :class:`HumanoidState`, for a subclass's constructor."""
        size = (num_envs, len(self.joints))
        return {
            "steps": np.zeros(num_envs, np.int64),
            "action": np.zeros(size),
            "previous": np.zeros(size),
            "target": np.tile(self.posture, (num_envs, 1)),
            "fallen": np.zeros(num_envs, bool),
        }

    def place(
        self, engine: Engine, state: HumanoidState, where: Mask, draws: Draws
    ) -> None:
        """Put the robot near its posture, feet on the floor, nearly at rest.

        Legs keep the posture, so that the soles lie flat; the rest is drawn around it.
        """
        num, nu = engine.num_envs, len(self.joints)
        spread = np.where(self._leg, 0.0, 0.1)
        qpos = np.repeat(self.model.key("stand").qpos[None], num, axis=0)
        qpos[:, 7:] += draws.uniform("start_angles", -spread, spread, (nu,))
        yaw = draws.uniform("start_yaw", -np.pi, np.pi)
        qpos[:, 3], qpos[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        qvel = np.zeros((num, self.model.nv))
        qvel[:, :2] = draws.uniform("start_velocity", -0.05, 0.05, (2,))
        engine.reset(where, qpos, qvel)
        assign(engine.ctrl, self.posture, where)
        assign(state.target, self.posture, where)
        for name in ("action", "previous", "fallen"):
            assign(getattr(state, name), np.zeros_like(getattr(state, name)), where)

    def command(self, engine: Engine, state: HumanoidState, action: Array) -> None:
        """Move the servos' targets."""
        state.previous[:] = state.action
        state.action[:] = np.clip(action, -1.0, 1.0)
        wanted = self.posture + self.reach * state.action
        move = np.clip(wanted - state.target, -self.largest_move, self.largest_move)
        low, high = self.model.actuator_ctrlrange.T
        state.target[:] = np.clip(state.target + move, low, high)
        engine.ctrl[:] = state.target

    def advance(self, engine: Engine, state: HumanoidState, action: Array) -> None:
        """Command the servos for one control step, and see who has fallen."""
        self.command(engine, state, action)
        self.move(engine, state)
        state.steps += 1
        leans = -self.gravity(engine)[:, 2] < LEANING
        state.fallen |= leans | (engine.qpos[:, 2] < LOWEST)

    def move(self, engine: Engine, state: HumanoidState) -> None:
        """Let time pass: one control step."""
        engine.step(self.substeps)

    def gravity(self, engine: Engine) -> Array:
        """(num_envs, 3): the direction of gravity in the pelvis's axes."""
        return gravity_in(engine.sensor("imu_orientation"))

    def turning(self, engine: Engine) -> Array:
        """(num_envs,) how fast the pelvis turns about the vertical [rad/s]."""
        return -(self.gravity(engine) * engine.qvel[:, 3:6]).sum(axis=1)

    def walking(self, engine: Engine) -> Array:
        """(num_envs, 2) the pelvis's velocity along its heading and to its left
        [m/s]."""
        w, x, y, z = engine.qpos[:, 3:7].T
        yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        vx, vy = engine.qvel[:, 0], engine.qvel[:, 1]
        cos, sin = np.cos(yaw), np.sin(yaw)
        return np.stack([cos * vx + sin * vy, cos * vy - sin * vx], axis=1)

    def observe(self, engine: Engine, state: HumanoidState) -> Obs:
        """Both groups."""
        sensed = (
            engine.sensor("imu_gyro"),
            self.gravity(engine),
            engine.qpos[:, 7:],
            engine.qvel[:, 6:],
            state.target,
            self.told(state),
        )
        known = (
            engine.sensor("imu_velocity"),
            engine.qpos[:, 2:3],
            self.feet.heights(engine),
            self.feet.forces(engine).reshape(engine.num_envs, -1),
            self.hidden(state),
        )
        return {
            "state": np.concatenate(sensed, axis=1),
            PRIVILEGED: np.concatenate(known, axis=1),
        }

    def told(self, state: HumanoidState) -> Array:
        """(num_envs, n): the values of :attr:`commands`."""
        return np.zeros((len(state.steps), 0))

    def hidden(self, state: HumanoidState) -> Array:
        """(num_envs, n): the values of :attr:`secrets`."""
        return np.zeros((len(state.steps), 0))

    def reward(self, engine: Engine, state: HumanoidState) -> dict[str, Array]:
        """The weighted terms."""
        up = ~state.fallen
        terms = self.terms(engine, state)
        return {name: share * terms[name] * up for name, share in self.weights.items()}

    def terms(self, engine: Engine, state: HumanoidState) -> dict[str, Array]:
        """What any task may weigh, (num_envs,) in [0, 1] each; a subclass adds."""
        lean = np.arccos(np.clip(-self.gravity(engine)[:, 2], -1.0, 1.0))
        away = engine.qpos[:, 7:] - self.posture
        change = state.action - state.previous
        height = np.abs(engine.qpos[:, 2] - self.stature)
        return {
            "alive": np.ones(engine.num_envs),
            "upright": tolerance(lean, upper=0.05, margin=0.5),
            "height": tolerance(height, upper=0.03, margin=0.15),
            "posture": tolerance(_rms(away[:, ~self._leg]), upper=0.1, margin=0.6),
            "legs": tolerance(_rms(away[:, self._leg]), upper=0.1, margin=0.6),
            "smooth": tolerance(_rms(change), upper=0.01, margin=0.2),
            "effort": tolerance(_rms(self.load(engine)), upper=0.1, margin=0.5),
        }

    def load(self, engine: Engine) -> Array:
        """(num_envs, 29): the servos' torques, in units of their limits, nominally."""
        model = self.model
        kp, kv = model.actuator_gainprm[:, 0], -model.actuator_biasprm[:, 2]
        torque = kp * (engine.ctrl - engine.qpos[:, 7:]) - kv * engine.qvel[:, 6:]
        return np.clip(torque / model.actuator_forcerange[:, 1], -1.0, 1.0)

    def terminated(self, engine: Engine, state: HumanoidState) -> Mask:
        """After a fall."""
        return state.fallen

    def outcomes(self, engine: Engine, state: HumanoidState) -> dict[str, Mask]:
        """Whether it has not fallen."""
        return {"upright": ~state.fallen}

    def markers(self, state: HumanoidState, env: int) -> list[Marker]:
        """None."""
        return []

    @cached_property
    def _leg(self) -> np.ndarray:
        """(29,) bool: which joints are a leg's."""
        parts = ("hip", "knee", "ankle")
        return np.array([any(part in name for part in parts) for name in self.joints])


def _spec(elements: tuple[tuple[str, str], ...]) -> ArraySpec:
    names, units = zip(*elements, strict=True)
    return ArraySpec(shape=(len(names),), names=names, units=units)


def _rms(values: Array) -> Array:
    """(num_envs,) root mean square of each row."""
    return np.sqrt(np.mean(values * values, axis=1))
