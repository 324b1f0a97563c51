"""The controllers of the arm as policies, and the two that know nothing.

Each holds the nominal model. ``computed-torque`` is a function of the observation
alone, so that a network without memory can imitate it; the others remember.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from controllers.computed_torque import computed_torque, limited_acceleration
from controllers.force import ForceGains, ForceLoop
from controllers.impedance import TaskSpace, cartesian_impedance
from controllers.pd_gravity import pd_gravity
from controllers.pid import Pid, PidGains
from controllers.small import matvec
from policies.arm import FORCE, POSITION, ArmPolicy, SmoothReference
from sims.draws import Draws

if TYPE_CHECKING:
    from sims.arrays import Array, Mask, Obs
    from sims.task import Task


@dataclass(frozen=True, kw_only=True)
class ComputedTorqueGains:
    """Of :func:`controllers.computed_torque.limited_acceleration`, per joint."""

    position_gain: float = 8.0
    """[1/s]"""
    velocity_gain: float = 30.0
    """[1/s]"""
    max_speed: tuple[float, float] = (3.0, 4.0)
    """[rad/s]"""
    max_acceleration: tuple[float, float] = (15.0, 25.0)
    """[rad/s^2]"""


class ComputedTorque(ArmPolicy):
    """Inverse dynamics towards the nearer posture; no memory."""

    name = "computed-torque"

    def __init__(
        self, task: "Task", num_envs: int, gains: ComputedTorqueGains | None = None
    ):
        super().__init__(task, num_envs, POSITION)
        self.gains = ComputedTorqueGains() if gains is None else gains

    def torque(self, state: np.ndarray) -> np.ndarray:
        q, qd = self.joints(state)
        goal = self.reference(state, q)
        acceleration = limited_acceleration(
            self.arm.difference(goal.q, q),
            goal.qd - qd,
            goal.qdd,
            position_gain=self.gains.position_gain,
            velocity_gain=self.gains.velocity_gain,
            max_speed=np.array(self.gains.max_speed),
            max_acceleration=np.array(self.gains.max_acceleration),
        )
        return computed_torque(
            self.arm.mass_matrix(q),
            self.arm.bias(q, qd),
            acceleration,
            _friction(self, qd),
        )


@dataclass(frozen=True, kw_only=True)
class PdGains:
    """Per joint."""

    kp: tuple[float, float] = (60.0, 12.0)
    """[N m/rad]"""
    kd: tuple[float, float] = (6.0, 0.9)
    """[N m s/rad]"""


class PdGravity(ArmPolicy):
    """PD with gravity compensation along a smooth joint reference."""

    name = "pd-gravity"

    def __init__(self, task: "Task", num_envs: int, gains: PdGains | None = None):
        super().__init__(task, num_envs, POSITION)
        self.gains = PdGains() if gains is None else gains
        self._smooth = SmoothReference(self)

    def torque(self, state: np.ndarray) -> np.ndarray:
        q, qd = self.joints(state)
        goal = self._smooth.update(state, q, self._fresh)
        return pd_gravity(
            self.arm.difference(goal.q, q),
            goal.qd - qd,
            self.arm.gravity_torque(q),
            kp=np.array(self.gains.kp),
            kd=np.array(self.gains.kd),
        )


class PidJoints(ArmPolicy):
    """One PID per joint along a smooth joint reference; it knows no masses."""

    name = "pid"

    def __init__(self, task: "Task", num_envs: int, gains: PidGains | None = None):
        super().__init__(task, num_envs, POSITION)
        if gains is None:
            gains = PidGains(
                kp=np.array([80.0, 20.0]),
                ki=np.array([240.0, 60.0]),
                kd=np.array([8.0, 1.6]),
                filter_time=0.01,
                tracking_time=0.2,
                low=self._low,
                high=self._high,
            )
        self.pid = Pid(gains, num_envs, 2, angle=np.isinf(np.array(self.arm.low)))
        self._smooth = SmoothReference(self)

    def reset(self, where: "Mask | None" = None) -> None:
        super().reset(where)
        self.pid.reset(where)

    def torque(self, state: np.ndarray) -> np.ndarray:
        q, _ = self.joints(state)
        goal = self._smooth.update(state, q, self._fresh)
        # the derivative brakes the measured speed; the wanted speed is given back
        return self.pid.update(
            goal.q, q, self.control_dt, feedforward=self.pid.gains.kd * goal.qd
        )


@dataclass(frozen=True, kw_only=True)
class ImpedanceGains:
    """Of the tip."""

    stiffness: tuple[float, float] = (200.0, 200.0)
    """Along x and z [N/m]."""
    ratio: float = 1.0
    """Damping ratio."""
    joint_damping: float = 0.3
    """Against motion that the tip does not show, near singularities [N m s/rad]."""


class Impedance(ArmPolicy):
    """A spring and damper between the tip and a smooth reference."""

    name = "impedance"

    def __init__(
        self, task: "Task", num_envs: int, gains: ImpedanceGains | None = None
    ):
        super().__init__(task, num_envs, POSITION)
        self.gains = ImpedanceGains() if gains is None else gains
        self._smooth = SmoothReference(self)

    def torque(self, state: np.ndarray) -> np.ndarray:
        q, qd = self.joints(state)
        goal = self._smooth.update(state, q, self._fresh)
        arm, space = self.arm, task_space(self, q, qd)
        jacobian = arm.jacobian(goal.q)
        torque = cartesian_impedance(
            space,
            arm.forward(goal.q) - arm.forward(q),
            matvec(jacobian, goal.qd) - matvec(space.jacobian, qd),
            matvec(jacobian, goal.qdd)
            + matvec(arm.jacobian_rate(goal.q, goal.qd), goal.qd),
            stiffness=np.diag(self.gains.stiffness),
            ratio=self.gains.ratio,
        )
        inner = self.gains.joint_damping * (goal.qd - qd)
        return torque + inner - _friction(self, qd)


@dataclass(frozen=True, kw_only=True)
class PressGains:
    """Of the tip when it presses along +x."""

    force: ForceGains = field(default_factory=ForceGains)
    """Along x."""
    stiffness: float = 150.0
    """Along z, at the height where the episode began [N/m]."""
    ratio: float = 1.0
    """Damping ratio."""


class Press(ArmPolicy):
    """Approach along +x, touch, press: stiff along z, a force loop along x."""

    name = "impedance"

    def __init__(self, task: "Task", num_envs: int, gains: PressGains | None = None):
        super().__init__(task, num_envs, FORCE)
        self.gains = PressGains() if gains is None else gains
        self.loop = ForceLoop(self.gains.force, num_envs)
        self._height = np.zeros(num_envs)

    def reset(self, where: "Mask | None" = None) -> None:
        super().reset(where)
        self.loop.reset(where)

    def torque(self, state: np.ndarray) -> np.ndarray:
        q, qd = self.joints(state)
        tip = self.arm.forward(q)
        self._height = np.where(self._fresh, tip[:, 1], self._height)
        space = task_space(self, q, qd)
        velocity = matvec(space.jacobian, qd)
        force, target = self.read(state, FORCE).T
        push = self.loop.update(force, target, velocity[:, 0], self.control_dt)
        torque = cartesian_impedance(
            space,
            np.stack([np.zeros_like(push), self._height - tip[:, 1]], axis=1),
            -velocity,
            stiffness=np.diag([0.0, self.gains.stiffness]),
            ratio=self.gains.ratio,
            force=np.stack([push, np.zeros_like(push)], axis=1),
        )
        return torque - _friction(self, qd)


class Zero:
    """No torque at all."""

    def __init__(self, task: "Task", num_envs: int):
        self.obs_spec = dict(task.obs_spec)
        self.action_spec = task.action_spec
        self.control_dt = task.control_dt
        self.num_envs = num_envs

    def reset(self, where: "Mask | None" = None) -> None:
        """Nothing to forget."""

    def act(self, obs: "Obs") -> "Array":
        """Zeros (num_envs, action_dim)."""
        return np.zeros((self.num_envs, *self.action_spec.shape))


class Random(Zero):
    """Uniform within the limits, keyed by seed, environment, episode and step."""

    def __init__(self, task: "Task", num_envs: int, seed: int = 0):
        super().__init__(task, num_envs)
        self.seed = seed
        self._low, self._high = task.action_spec.limits()
        if not np.isfinite(self._high - self._low).all():
            raise UsageError(
                f"random actions lie within limits, and those of {task.name!r} have "
                f"none: take --policy zero or a checkpoint"
            )
        self.ids = np.arange(num_envs)

    @property
    def ids(self) -> np.ndarray:
        """(num_envs,) who each environment is; set it to the ids given to
        :meth:`sims.env.Env.reset` to draw the same actions in batches of any size.
        As there, each environment's next episode is then its first one."""
        return self._ids

    @ids.setter
    def ids(self, ids: np.ndarray) -> None:
        self._ids = np.asarray(ids)
        self._episode = np.zeros(self.num_envs, np.int64)
        self._steps = np.zeros(self.num_envs, np.int64)

    def reset(self, where: "Mask | None" = None) -> None:
        """The next episode of these environments; before the first step, nothing."""
        ended = self._steps > 0
        if where is not None:
            ended &= where
        self._episode += ended
        self._steps[ended] = 0

    def act(self, obs: "Obs") -> "Array":
        """(num_envs, action_dim) in the units of ``action_spec``."""
        draws = Draws(self.seed, self.ids, self._episode)
        action = draws.uniform(
            "random_policy",
            self._low,
            self._high,
            self.action_spec.shape,
            counter=self._steps,
        )
        self._steps += 1
        return action


def computed_torque_policy(task: "Task", num_envs: int, seed: int) -> ComputedTorque:
    """See :data:`policies.POLICIES`; so are the next ones."""
    return ComputedTorque(task, num_envs)


def impedance_policy(task: "Task", num_envs: int, seed: int) -> Impedance | Press:
    """With the force loop where the task observes a force and sets one."""
    names = task.obs_spec["state"].names if "state" in task.obs_spec else ()
    presses = all(name in names for name in FORCE)
    return Press(task, num_envs) if presses else Impedance(task, num_envs)


def pd_gravity_policy(task: "Task", num_envs: int, seed: int) -> PdGravity:
    return PdGravity(task, num_envs)


def pid_policy(task: "Task", num_envs: int, seed: int) -> PidJoints:
    return PidJoints(task, num_envs)


def zero_policy(task: "Task", num_envs: int, seed: int) -> Zero:
    return Zero(task, num_envs)


def random_policy(task: "Task", num_envs: int, seed: int) -> Random:
    return Random(task, num_envs, seed)


def task_space(policy: ArmPolicy, q: np.ndarray, qd: np.ndarray) -> TaskSpace:
    """The nominal arm as seen from its tip."""
    arm = policy.arm
    return TaskSpace(
        jacobian=arm.jacobian(q),
        mass=arm.mass_matrix(q),
        bias=arm.bias(q, qd),
        drift=matvec(arm.jacobian_rate(q, qd), qd),
    )


def _friction(policy: ArmPolicy, qd: np.ndarray) -> np.ndarray:
    """Passive torque (num_envs, 2) of the joints' damping [N m]."""
    return -np.array(policy.arm.damping) * qd
