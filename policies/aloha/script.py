"""From a script of waypoints to commands for both arms.

A script says, once per episode and from what it sees at the start, where each hand is
at which time, how it is turned and how far it is open. Inverse kinematics (mink) makes
postures of the waypoints, a monotone cubic joins them, and what gravity takes from a
servo is added to its target, so that the hands are where the script wants them.

What a script draws (timing, heights, its strategy) is keyed by the episode's identity,
like everything random in an environment, so that an expert does the same whatever runs
beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from assets import load_model
from assets.errors import UsageError
from planners.waypoints import through
from sims.draws import Draws
from sims.tasks.aloha import CLOSED, JOINTS, OPEN, SIDES, START, START_FINGER

if TYPE_CHECKING:
    import mujoco

    from controllers.frame_ik import FrameIK
    from ml.spec import ArraySpec
    from sims.arrays import Array, Mask, Obs
    from sims.task import Task

GRIP = "grip"
"""Site between the fingers that the waypoints steer."""
START_OPENING = (START_FINGER - CLOSED) / (OPEN - CLOSED)


class Pose(NamedTuple):
    """Where a thing is."""

    position: np.ndarray
    """(3,) [m]"""
    rotation: np.ndarray
    """(3, 3)"""


@dataclass(frozen=True, kw_only=True)
class Waypoint:
    """Where a hand is at a time."""

    time: float
    """Since the episode's start [s]."""
    position: np.ndarray
    """(3,) of the grip, in the world [m]."""
    rotation: np.ndarray
    """(3, 3) of the gripper, x where it points, y across the fingers."""
    opening: float
    """0 closed, 1 open."""

    def moved(self, after: float, by: tuple[float, float, float] = (0, 0, 0), **change):
        """The same, so many seconds later, shifted, with other fields changed."""
        position = self.position + np.asarray(by, float)
        return replace(self, time=self.time + after, position=position, **change)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a script sees at the start of an episode."""

    values: dict[str, float]
    """Each element of ``environment_state``, by name."""

    def pose(self, thing: str) -> Pose:
        """Of an object that the task observes."""
        from controllers.so3 import from_quaternion

        x, y, z, *quat = (
            self.values[f"{thing}_{part}"]
            for part in ("x", "y", "z", "qw", "qx", "qy", "qz")
        )
        return Pose(np.array([x, y, z]), from_quaternion(np.array(quat)))


Hands = dict[str, list[Waypoint]]
"""By side, in the order of time."""
Starts = dict[str, tuple[np.ndarray, float]]
"""By side, where an arm is: its posture (6,) [rad], and how far its hand is open."""
Script = Callable[[Scene, np.random.Generator], Hands]
"""What it draws, it draws from the generator."""


def turned(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Orientation (3, 3) of a gripper that points along yaw, tilted down by pitch.

    Args:
        yaw: about the vertical; 0 points along x, from the left arm to the right [rad].
        pitch: how far it points downwards [rad].
        roll: about where it points; 0 has the fingers side by side [rad].
    """
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()


def straight(start: Waypoint, end: Waypoint, pieces: int = 5) -> list[Waypoint]:
    """Waypoints from one to another, on a straight line and without a jerk.

    Between two postures a joint's path bends the hand's; what it holds would swing.

    Args:
        start: where the hand is; not among the result.
        end: where it comes to; the last of the result.
        pieces: how many waypoints.
    """
    from scipy.spatial.transform import Rotation, Slerp

    u = np.arange(1, pieces + 1) / pieces
    way = u**3 * (10 - 15 * u + 6 * u**2)
    ends = Rotation.from_matrix(np.stack([start.rotation, end.rotation]))
    rotations = Slerp([0.0, 1.0], ends)(way).as_matrix()
    return [
        Waypoint(
            time=float(start.time + part * (end.time - start.time)),
            position=start.position + share * (end.position - start.position),
            rotation=rotation,
            opening=start.opening + share * (end.opening - start.opening),
        )
        for part, share, rotation in zip(u, way, rotations, strict=True)
    ]


class Arm:
    """One arm's kinematics and servos, nominal, in the world's frame."""

    def __init__(self, model: "mujoco.MjModel", scene: "mujoco.MjModel", side: str):
        """Take what it needs.

        Args:
            model: of one arm alone.
            scene: with both arms.
            side: "left" or "right".
        """
        import mujoco

        self._model, self._data = model, mujoco.MjData(model)
        base = scene.body(f"{side}/base")
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, base.quat)
        self._base = Pose(base.pos.copy(), rotation.reshape(3, 3))
        self._gains = model.actuator_gainprm[: len(JOINTS), 0].copy()

    @cached_property
    def _ik(self) -> "FrameIK":
        from controllers.frame_ik import FrameIK

        return FrameIK(self._model, GRIP)

    def posture(self, waypoint: Waypoint, near: np.ndarray) -> np.ndarray:
        """(6,) [rad] that brings the grip there; preferably near another posture."""
        position, rotation = self.in_base(waypoint.position, waypoint.rotation)
        aim = np.arctan2(position[1], position[0])
        starts = [near] + [np.array([aim, *start]) for start in _STARTS]
        fingers = np.array([START_FINGER, -START_FINGER])
        found = self._ik.solve(
            position, rotation, [np.concatenate([q, fingers]) for q in starts]
        )
        return min(self._twins(found[: len(JOINTS)]), key=lambda q: _apart(q, near))

    def in_base(self, position: np.ndarray, rotation: np.ndarray) -> Pose:
        """A pose of the world in the arm's base."""
        R_base = self._base.rotation
        return Pose(R_base.T @ (position - self._base.position), R_base.T @ rotation)

    def in_world(self, position: np.ndarray, rotation: np.ndarray) -> Pose:
        """A pose of the arm's base in the world."""
        R_base = self._base.rotation
        return Pose(self._base.position + R_base @ position, R_base @ rotation)

    def grip(self, posture: np.ndarray) -> Pose:
        """Where the grip is in the world in a posture (6,) [rad]."""
        import mujoco

        self._data.qpos[: len(JOINTS)] = posture
        mujoco.mj_kinematics(self._model, self._data)
        site = self._data.site(GRIP)
        return self.in_world(site.xpos, site.xmat.reshape(3, 3))

    def _twins(self, posture: np.ndarray) -> list[np.ndarray]:
        """The posture, and those with the wrist flipped that bring the hand there, too.

        The wrist's three axes meet: half a turn of the forearm, the bend reversed, and
        half a turn back are the same orientation.
        """
        twins = [posture]
        for turn in (np.pi, -np.pi):
            twin = posture + np.array([0, 0, 0, turn, 0, 0])
            twin[4] = -twin[4]
            back = np.array([0, 0, 0, 0, 0, np.pi])
            twins += [twin + back, twin - back]
        low, high = self._model.jnt_range[: len(JOINTS)].T
        return [q for q in twins if (q >= low).all() and (q <= high).all()]

    def sag(self, posture: np.ndarray) -> np.ndarray:
        """(6,) what gravity takes from the servos' targets at rest [rad]."""
        import mujoco

        self._data.qpos[: len(JOINTS)] = posture
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, self._data.qfrc_bias)
        return self._data.qfrc_bias[: len(JOINTS)] / self._gains


def make_arms(task: "Task") -> dict[str, Arm]:
    """Both arms of a task's robot, by side."""
    scene, alone = load_model(task.robot, task.scene), load_model("viperx")
    return {side: Arm(alone, scene, side) for side in SIDES}


AT_START = (np.array(START), START_OPENING)
"""Where an arm is when an episode begins."""


def _apart(posture: np.ndarray, other: np.ndarray) -> float:
    """The most that a joint has to turn between two postures [rad]."""
    return float(np.abs(posture - other).max())


_STARTS = (
    START[1:],
    (-1.5, 1.3, 0.0, 0.5, 0.0),
    (-0.3, 0.6, 0.0, 0.8, 0.0),
    (-1.8, 1.6, 0.0, 1.2, 0.0),
)
"""Postures behind the waist from which the search goes on [rad]."""


class ScriptPolicy:
    """Plays a script; see :class:`sims.policy.Policy`."""

    def __init__(self, task: "Task", num_envs: int, seed: int, script: Script) -> None:
        """Prepare to play.

        Args:
            task: of ALOHA; its ``environment_state`` is read at each start.
            num_envs: how many environments.
            seed: of what the script draws.
            script: of that task.

        Raises:
            UsageError: the task does not observe where things are.
        """
        needed = ("state", "environment_state")
        missing = [group for group in needed if group not in task.obs_spec]
        if missing:
            raise UsageError(
                f"a scripted expert reads {' and '.join(needed)}, and {task.name!r} "
                f"does not observe {', '.join(missing)}"
            )
        self.obs_spec: dict[str, ArraySpec] = {g: task.obs_spec[g] for g in needed}
        self.action_spec = task.action_spec
        self.control_dt = task.control_dt
        self.num_envs = num_envs
        self.ids = np.arange(num_envs)
        """(num_envs,) who each environment is, to the script's draws."""
        self._script = script
        self._seed = seed
        self._episode = np.full(num_envs, -1)
        self._step = np.zeros(num_envs, int)
        self._fresh = np.ones(num_envs, bool)
        self._low, self._high = (x.astype(float) for x in task.action_spec.limits())
        self._plans: list[np.ndarray] = [np.empty((0, 0))] * num_envs
        self._arms = make_arms(task)

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the past of these environments, or of all."""
        self._fresh |= True if where is None else where
        if where is None:
            self._episode[:] = -1

    def act(self, obs: "Obs") -> "Array":
        """Joint targets [rad] and openings, (num_envs, 14)."""
        for i in np.flatnonzero(self._fresh).tolist():
            self._episode[i] += 1
            self._step[i] = 0
            self._plans[i] = self.plan(obs, i)
        self._fresh[:] = False
        action = np.stack(
            [
                plan[min(step, len(plan) - 1)]
                for plan, step in zip(self._plans, self._step, strict=True)
            ]
        )
        self._step += 1
        return action

    def plan(self, obs: "Obs", index: int) -> np.ndarray:
        """(steps, 14): the commands of the episode that begins in an environment."""
        scene, rng = self.scene(obs, index), self.generator("script", index)
        return self.commands(self._script(scene, rng))

    def scene(self, obs: "Obs", index: int) -> Scene:
        """What is seen of one environment."""
        names = self.obs_spec["environment_state"].names
        values = np.asarray(obs["environment_state"][index], float).tolist()
        return Scene(values=dict(zip(names, values, strict=True)))

    def generator(self, what: str, index: int) -> np.random.Generator:
        """For what is drawn in an environment's present episode."""
        chosen = slice(index, index + 1)
        draws = Draws(self._seed, self.ids[chosen], self._episode[chosen])
        return np.random.default_rng(int(draws.bits(what)[0]))

    def commands(self, hands: Hands, starts: "Starts | None" = None) -> np.ndarray:
        """Both arms' commands (steps, 14), to the later end of the two hands.

        Args:
            hands: their waypoints, time counted from where the commands begin.
            starts: where arms are then, if not at the episode's start.
        """
        end = max(waypoints[-1].time for waypoints in hands.values())
        at = np.arange(1, round(end / self.control_dt) + 1) * self.control_dt
        columns = [
            self._hand(
                (starts or {}).get(side, AT_START), hands.get(side, []), at, side
            )
            for side in SIDES
        ]
        return np.clip(np.concatenate(columns, axis=1), self._low[:14], self._high[:14])

    def _hand(
        self,
        start: tuple[np.ndarray, float],
        waypoints: list[Waypoint],
        at: np.ndarray,
        side: str,
    ) -> np.ndarray:
        """(len(at), 7)"""
        arm = self._arms[side]
        postures = [start[0]]
        for waypoint in waypoints:
            postures.append(arm.posture(waypoint, postures[-1]))
        targets = [q + arm.sag(q) for q in postures]
        openings = [start[1], *(w.opening for w in waypoints)]
        rows = np.concatenate([targets, np.array(openings)[:, None]], axis=1)
        times = [0.0, *(w.time for w in waypoints)]
        if len(times) == 1:
            return np.repeat(rows, len(at), axis=0)
        return through(np.array(times), rows, at)
