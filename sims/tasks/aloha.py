"""What the tasks of ALOHA share: its observation, its action, its start, its judging.

The robot senses 14 numbers, and is commanded by 14: for the left arm, then the right,
six joint angles [rad] and how far the gripper is open (0 closed, 1 open), in the order
and with the scale of gym-aloha, so that data can be exchanged. Unlike there, the limits
of the action are the joints' own.

Where objects are is a group of its own, ``environment_state``, that a real robot does
not have.

A task goes through *stages*, each a condition that holds now or not; the reward tells
the highest that does, as gym-aloha's. Solved, strictly, is a task whose last condition
held for half a second on end; then the episode ends.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from assets import load_model
from ml.spec import ArraySpec
from sims.arrays import (
    Array,
    Chosen,
    Mask,
    Obs,
    copied,
    like,
    namespace,
    sent,
    tiled,
    zeros,
)
from sims.draws import Draws
from sims.engine import Engine
from sims.image_randomization import GAP_IMAGES, TRAIN_IMAGES
from sims.randomization import (
    Randomization,
    friction,
    joint_damping,
    link_mass,
    position_gain,
)
from sims.task import Marker, TaskDefaults, TaskState

if TYPE_CHECKING:
    import mujoco

SIDES = ("left", "right")
JOINTS = (
    "waist",
    "shoulder",
    "elbow",
    "forearm_roll",
    "wrist_angle",
    "wrist_rotate",
)
FINGERS = ("left_finger", "right_finger")
START = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
"""Where each arm begins [rad]."""
START_FINGER = 0.02239
"""Where its left finger begins [m]; the right one mirrors it."""
CLOSED, OPEN = 0.01844, 0.058
"""A finger's command at opening 0 and 1 [m]; its range ends a little before."""
HELD = 0.5
"""How long the last condition has to hold [s]."""

_LINKS = tuple(
    f"{side}/{link}"
    for side in SIDES
    for link in ("upper_arm", "upper_forearm", "lower_forearm", "gripper")
)
_ARM_JOINTS = tuple(f"{side}/{joint}" for side in SIDES for joint in JOINTS)

TRAIN = Randomization(
    fields=(
        link_mass(0.8, 1.2, *_LINKS),
        friction(0.7, 1.3),
        joint_damping(0.5, 1.5, *_ARM_JOINTS),
        position_gain(0.9, 1.1, *_ARM_JOINTS),
    ),
    observation_noise=0.001,
    action_delay=(0, 1),
    observation_delay=(0, 1),
    images=TRAIN_IMAGES,
)
"""What a policy may be trained under. Friction is drawn for all surfaces at once, since
of two that touch the rougher one counts."""

GAP = Randomization(
    fields=(
        link_mass(1.21, 1.4, *_LINKS),
        friction(0.4, 0.6),
        joint_damping(2.0, 3.0, *_ARM_JOINTS),
        position_gain(0.8, 0.88, *_ARM_JOINTS),
    ),
    observation_noise=0.002,
    action_delay=(2, 3),
    observation_delay=(0, 1),
    images=GAP_IMAGES,
)
"""A reality that training never saw: friction, damping, gains and delay lie outside of
:data:`TRAIN`'s ranges."""


@dataclass
class AlohaState(TaskState):
    """Shared by ALOHA's tasks."""

    now: Array
    """(num_envs, stages) bool: which conditions hold."""
    reached: Array
    """(num_envs, stages) bool: which have held at some time."""
    held: Array
    """(num_envs,) control steps for which the last condition has held on end."""
    benchmark: Array
    """(num_envs,) bool: gym-aloha's criterion, met at some time."""


class AlohaTask(TaskDefaults):
    """Base of ALOHA's tasks; see :class:`sims.task.Task` for the methods."""

    robot = "aloha"
    scene: str
    expert: str
    substeps = 10
    max_steps = 400
    objects: tuple[str, ...] = ()
    """Bodies that move freely, each with a free joint of the same name."""
    stages: ClassVar[tuple[str, ...]]
    """Names of the conditions, from the easiest to the last, which solves the task."""
    variation = Randomization()
    """What varies in every episode, under each profile."""
    published = False
    """Whether gym-aloha has the task, and a criterion of its own."""

    @cached_property
    def model(self) -> "mujoco.MjModel":
        """The nominal model."""
        return load_model(self.robot, self.scene)

    @cached_property
    def control_dt(self) -> float:
        """[s]"""
        return self.substeps * float(self.model.opt.timestep)

    @cached_property
    def action_spec(self) -> ArraySpec:
        """Joint targets and grippers' openings."""
        names, units, low, high = [], [], [], []
        for side in SIDES:
            for joint in JOINTS:
                limits = self.model.joint(f"{side}/{joint}").range
                names.append(f"{side}/{joint}")
                units.append("rad")
                low.append(float(limits[0]))
                high.append(float(limits[1]))
            names.append(f"{side}/gripper")
            units.append("1")
            low.append(0.0)
            high.append(1.0)
        return ArraySpec(
            shape=(len(names),),
            low=tuple(low),
            high=tuple(high),
            names=tuple(names),
            units=tuple(units),
        )

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """``state`` and ``environment_state``."""
        names, units = self.environment_names()
        return {
            "state": ArraySpec(
                shape=self.action_spec.shape,
                names=self.action_spec.names,
                units=self.action_spec.units,
            ),
            "environment_state": ArraySpec(
                shape=(len(names),), names=names, units=units
            ),
        }

    def environment_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names and units of ``environment_state``; commands begin with target_."""
        parts = ("x", "y", "z", "qw", "qx", "qy", "qz")
        names = tuple(f"{name}_{part}" for name in self.objects for part in parts)
        return names, ("m", "m", "m", "1", "1", "1", "1") * len(self.objects)

    @cached_property
    def randomizations(self) -> dict[str, Randomization]:
        """By profile."""
        return {
            "none": self.variation,
            "train": TRAIN.over(self.variation),
            "gap": GAP.over(self.variation),
        }

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of qpos: the 14 sensed; of ctrl: the arms', the left and right fingers'."""
        model = self.model
        sensed, arms = [], []
        for side in SIDES:
            for joint in (*JOINTS, FINGERS[0]):
                sensed.append(int(model.joint(f"{side}/{joint}").qposadr[0]))
            arms += [int(model.actuator(f"{side}/{joint}").id) for joint in JOINTS]
        left, right = (
            np.array([int(model.actuator(f"{side}/{finger}").id) for side in SIDES])
            for finger in FINGERS
        )
        return np.array(sensed), np.array(arms), left, right

    @cached_property
    def _object_columns(self) -> np.ndarray:
        """Of qpos: the poses of all objects."""
        starts = [int(self.model.joint(name).qposadr[0]) for name in self.objects]
        return np.array([s + i for s in starts for i in range(7)], int)

    @cached_property
    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """(14,) each: lowest and highest command of the arms."""
        low, high = self.action_spec.limits()
        return low[:14].copy(), high[:14].copy()

    def new_state(self, engine: Engine) -> AlohaState:
        return AlohaState(**self.memory(engine))

    def memory(self, engine: Engine) -> dict[str, Array]:
        """The fields of :class:`AlohaState`, for a subclass's constructor."""
        beside, stages = engine.qpos, len(self.stages)
        return {
            "steps": zeros(beside, dtype=int),
            "now": zeros(beside, stages, dtype=bool),
            "reached": zeros(beside, stages, dtype=bool),
            "held": zeros(beside, dtype=int),
            "benchmark": zeros(beside, dtype=bool),
        }

    def reset(
        self, engine: Engine, state: AlohaState, where: Mask, draws: Draws
    ) -> None:
        """Arms at their start, objects where the task places them."""
        qpos = tiled(self._start, engine.qpos)
        if self.objects:
            places = sent(self.place(draws), qpos).reshape(len(qpos), -1)
            qpos[:, like(self._object_columns, qpos)] = places
        engine.reset(where, qpos, zeros(qpos, self.model.nv))
        for values in (state.now, state.reached, state.held, state.benchmark):
            Chosen(where).put(values, 0)

    @cached_property
    def _start(self) -> np.ndarray:
        return self.start()

    def start(self) -> np.ndarray:
        """(nq,) with the arms at their start."""
        qpos = self.model.qpos0.copy()
        for side in SIDES:
            for joint, angle in zip(JOINTS, START, strict=True):
                qpos[self.model.joint(f"{side}/{joint}").qposadr[0]] = angle
            for finger, sign in zip(FINGERS, (1, -1), strict=True):
                adr = self.model.joint(f"{side}/{finger}").qposadr[0]
                qpos[adr] = sign * START_FINGER
        return qpos

    def place(self, draws: Draws) -> Array:
        """(num_envs, objects, 7): where the objects begin, position and wxyz."""
        raise NotImplementedError

    def advance(self, engine: Engine, state: AlohaState, action: Array) -> None:
        """Command the servos for one control step, and judge."""
        self.command(engine, action)
        engine.step(self.substeps)
        state.steps += 1
        xp = namespace(state.now)
        state.now[:] = xp.stack(self.conditions(engine, state), axis=1)
        state.reached |= state.now
        state.held = xp.where(state.now[:, -1], state.held + 1, 0)
        state.benchmark |= self.benchmark(engine, state)

    def command(self, engine: Engine, action: Array) -> None:
        """Write the servos' targets."""
        _, arms, left, right = (like(each, engine.ctrl) for each in self._columns)
        low, high = (like(limit, action) for limit in self._limits)
        action = namespace(action).clip(action[:, :14], low, high).reshape(-1, 2, 7)
        finger = CLOSED + action[:, :, 6] * (OPEN - CLOSED)
        engine.ctrl[:, arms] = action[:, :, :6].reshape(-1, 12)
        engine.ctrl[:, left] = finger
        engine.ctrl[:, right] = -finger

    def conditions(self, engine: Engine, state: AlohaState) -> list[Mask]:
        """Which of :attr:`stages` hold now, (num_envs,) bool each."""
        raise NotImplementedError

    def benchmark(self, engine: Engine, state: AlohaState) -> Mask:
        """Whether gym-aloha's criterion holds now; False where it has none."""
        return zeros(engine.qpos, dtype=bool)

    def observe(self, engine: Engine, state: AlohaState) -> Obs:
        """Both groups."""
        return {
            "state": self.sensed(engine),
            "environment_state": self.surroundings(engine, state),
        }

    def sensed(self, engine: Engine) -> Array:
        """(num_envs, 14): angles, and the grippers' openings."""
        sensed = engine.qpos[:, like(self._columns[0], engine.qpos)]
        grippers = sensed[:, 6::7]
        grippers[:] = (grippers - CLOSED) / (OPEN - CLOSED)
        return sensed

    def surroundings(self, engine: Engine, state: AlohaState) -> Array:
        """``environment_state``: by default the objects' poses."""
        return engine.qpos[:, like(self._object_columns, engine.qpos)]

    def reward(self, engine: Engine, state: AlohaState) -> dict[str, Array]:
        """An equal share for each stage up to the highest whose condition holds."""
        share = 1 / len(self.stages)
        past = _passed(state)
        return {name: share * past[:, i] for i, name in enumerate(self.stages)}

    def success(self, engine: Engine, state: AlohaState) -> Mask:
        """Whether the last condition has held for half a second."""
        return state.held >= round(HELD / self.control_dt)

    def terminated(self, engine: Engine, state: AlohaState) -> Mask:
        """As soon as the task is solved."""
        return self.success(engine, state)

    def outcomes(self, engine: Engine, state: AlohaState) -> dict[str, Mask]:
        """gym-aloha's success, where it has the task, and the stages reached."""
        found = {"benchmark_success": state.benchmark} if self.published else {}
        stages = {name: state.reached[:, i] for i, name in enumerate(self.stages)}
        return found | stages

    def metrics(self, engine: Engine, state: AlohaState) -> dict[str, Array]:
        """The stage that the episode is in."""
        return {"stage": _passed(state).sum(axis=1) * 1.0}

    def markers(self, state: AlohaState, env: int) -> list[Marker]:
        """None: the objects say it all."""
        return []

    def touches(self, engine: Engine, thing: str, other: str) -> Mask:
        """Whether two bodies touch, by the contact sensor "thing:other"."""
        return engine.sensor(f"{thing}:{other}")[:, 0] > 0

    def pinched(self, engine: Engine, side: str, thing: str) -> tuple[Mask, Mask]:
        """Whether both of a hand's fingers touch a thing, and whether any does."""
        a, b = (self.touches(engine, f"{side}/{f}", thing) for f in FINGERS)
        return a & b, a | b


def _passed(state: AlohaState) -> Array:
    """(num_envs, stages) bool: those up to the highest whose condition holds."""
    passed = copied(state.now)
    for stage in reversed(range(passed.shape[1] - 1)):
        passed[:, stage] |= passed[:, stage + 1]
    return passed


def upright(positions: Array, yaw: Array | None = None) -> Array:
    """Poses (..., 7) of things that stand on the table.

    Args:
        positions: (..., 3) [m].
        yaw: (...) turned about the vertical [rad]; None: not turned.
    """
    xp, where = namespace(positions), positions.device
    size = (*positions.shape[:-1], 7)
    poses = xp.zeros(size, dtype=positions.dtype, device=where)
    poses[..., :3] = positions
    poses[..., 3] = 1.0 if yaw is None else xp.cos(yaw / 2)
    if yaw is not None:
        poses[..., 6] = xp.sin(yaw / 2)
    return poses
