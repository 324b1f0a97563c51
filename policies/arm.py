"""What the arm's controllers share as policies: reading observations, references.

They find what they read by the *names* of the observation's elements, and know the arm
by its nominal model alone; so they run on any task that offers those elements.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets import ROBOTS, UsageError, load_model
from controllers.arm2 import Arm2
from controllers.small import matmul, matvec, rmatvec, solve_spd
from planners.trajectory import Trajectory, minimum_jerk
from policies import POLICIES

if TYPE_CHECKING:
    from sims.arrays import Array, Mask, Obs
    from sims.task import Task

JOINTS = ("shoulder", "elbow")
STATE = (
    *(f"joint_{what}_{joint}" for what in ("cos", "sin", "vel") for joint in JOINTS),
)
POSITION = ("target_x", "target_z")
VELOCITY = ("target_vel_x", "target_vel_z")
ACCELERATION = ("target_acc_x", "target_acc_z")
FORCE = ("force", "target_force")

_DAMPING = 1e-3
"""Of the Jacobian's inverse near singularities [m/rad]."""


@dataclass(frozen=True, kw_only=True)
class JointReference:
    """Where the joints should be now, each (num_envs, 2)."""

    q: np.ndarray
    """[rad]"""
    qd: np.ndarray
    """[rad/s]"""
    qdd: np.ndarray
    """[rad/s^2]"""


class ArmPolicy:
    """Base of the arm's controllers; see :class:`sims.policy.Policy`."""

    name: str
    """As in the registry, for messages."""
    group = "state"
    """Of the observation."""

    def __init__(self, task: "Task", num_envs: int, needs: tuple[str, ...]):
        """Look for what the controller reads.

        Args:
            task: its robot is the two-link arm, its actions are torques.
            num_envs: how many environments.
            needs: names of observed elements besides the joints' state.

        Raises:
            UsageError: the task does not observe them.
        """
        names = task.obs_spec[self.group].names if self.group in task.obs_spec else ()
        missing = [name for name in (*STATE, *needs) if name not in names]
        if missing:
            tasks = POLICIES[self.name].tasks or ("any task",)
            raise UsageError(
                f"policy {self.name!r} needs {', '.join(missing)} in the observation, "
                f"and task {task.name!r} has no such element; {self.name!r} is for "
                f"{', '.join(tasks)}; {_instead(task)}"
            )
        self.obs_spec = {self.group: task.obs_spec[self.group]}
        self.action_spec = task.action_spec
        model = load_model(task.robot, task.scene)
        self.arm = Arm2.from_model(model, joints=JOINTS, tip=ROBOTS[task.robot]().tip)
        self.control_dt = task.control_dt
        self.num_envs = num_envs
        self._index = {name: i for i, name in enumerate(names)}
        self._low, self._high = (
            limit.astype(float) for limit in task.action_spec.limits()
        )
        self._fresh = np.ones(num_envs, bool)

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the past of these environments, or of all."""
        self._fresh |= True if where is None else where

    def act(self, obs: "Obs") -> "Array":
        """Torques (num_envs, 2) [N m] within their limits."""
        state = np.asarray(obs[self.group], float)
        wanted = (self.num_envs, *self.obs_spec[self.group].shape)
        if state.shape != wanted:
            raise UsageError(
                f"policy {self.name!r} was made for observations {self.group!r} of "
                f"shape {wanted}, got {state.shape}"
            )
        torque = np.clip(self.torque(state), self._low, self._high)
        self._fresh[:] = False
        return torque

    def torque(self, state: np.ndarray) -> np.ndarray:
        """(num_envs, 2) [N m], limited by the caller; ``self._fresh`` marks episodes
        that begin."""
        raise NotImplementedError

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether the task observes these elements."""
        return all(name in self._index for name in names)

    def read(self, state: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Columns by name, (num_envs, len(names))."""
        return state[:, [self._index[name] for name in names]]

    def joints(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Angles [rad] and velocities [rad/s], (num_envs, 2) each."""
        columns = self.read(state, STATE)
        cosine, sine = columns[:, 0:2].copy(), columns[:, 2:4].copy()
        return np.arctan2(sine, cosine), columns[:, 4:6].copy()

    def reference(self, state: np.ndarray, q: np.ndarray) -> JointReference:
        """The target in joint space, with feed-forward where the task gives it.

        Of the two postures it is the one nearer to q: a function of the observation.
        """
        goal = self.arm.nearest(self.read(state, POSITION), q)
        still = np.zeros_like(goal)
        if not self.has(VELOCITY + ACCELERATION):
            return JointReference(q=goal, qd=still, qdd=still)
        jacobian = self.arm.jacobian(goal)
        qd = _solve(jacobian, self.read(state, VELOCITY))
        drift = matvec(self.arm.jacobian_rate(goal, qd), qd)
        qdd = _solve(jacobian, self.read(state, ACCELERATION) - drift)
        return JointReference(q=goal, qd=qd, qdd=qdd)


class SmoothReference:
    """Joint references without jumps: minimum-jerk movements to targets that rest.

    A target that moves by itself (its velocity is observed) is passed on as it is. A
    new target starts a new movement from where the arm is.
    """

    max_velocity = np.array([3.0, 4.0])
    """[rad/s]"""
    max_acceleration = np.array([12.0, 18.0])
    """[rad/s^2]"""

    def __init__(self, policy: ArmPolicy):
        self._policy = policy
        self._moves = not policy.has(VELOCITY + ACCELERATION)
        self._target = np.full((policy.num_envs, 2), np.nan)
        self._time = np.zeros(policy.num_envs)
        self._path: Trajectory | None = None

    def update(
        self, state: np.ndarray, q: np.ndarray, fresh: np.ndarray
    ) -> JointReference:
        """The reference now, one control step after the last call.

        Args:
            state: observations (num_envs, n).
            q: angles (num_envs, 2) [rad].
            fresh: (num_envs,) whose episode begins.
        """
        policy = self._policy
        if not self._moves:
            return policy.reference(state, q)
        target = policy.read(state, POSITION)
        new = fresh | (target != self._target).any(axis=1)
        self._target = target
        self._time = np.where(new, 0.0, self._time + policy.control_dt)
        if new.any():
            goal = policy.arm.nearest(target, q)
            path = minimum_jerk(
                q,
                q + policy.arm.difference(goal, q),
                max_velocity=self.max_velocity,
                max_acceleration=self.max_acceleration,
            )
            self._path = path if self._path is None else self._path.where(new, path)
        assert (
            self._path is not None
        )  # the first call has no target yet, so all are new
        return JointReference(
            **dict(zip(("q", "qd", "qdd"), self._path.at(self._time), strict=True))
        )


def _solve(jacobian: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Joint velocities (num_envs, 2) for a tip velocity; damped least squares."""
    square = matmul(jacobian, np.swapaxes(jacobian, -1, -2)) + _DAMPING**2 * np.eye(2)
    return rmatvec(jacobian, solve_spd(square, velocity[..., None])[..., 0])


def _instead(task: "Task") -> str:
    """What a task can be given in place of a controller that is not for it."""
    if task.expert:
        return f"the expert of {task.name!r} is {task.expert!r}"
    return f"for {task.name!r} there are random, zero and checkpoints"
