"""Everything but rigid bodies and contact, as one torque per step.

Bullet integrates rigid bodies: M a = u - h, with the mass matrix M and the bias h
(gravity, Coriolis and centrifugal terms). MuJoCo's robot has more: motor inertia A
(armature), damping, springs, servos, force limits, and an integrator that treats some
of it implicitly. Let a be the acceleration that MuJoCo's own step gives the robot
without contact, from the same state, for instance under ``implicitfast``

    a = (M + A + dt (D + K_v))^-1 (tau - h).

Then u = M a + h, applied to bare rigid bodies, gives them the acceleration a: off
contact both engines take the same step, whatever the actuators are. M, A and h are
those of this environment's own model.

In contact Bullet adds a constraint force f (contacts, joint limits) that its solver
finds for M, where MuJoCo's would see M' = M + A + dt (D + K_v). Left at that, a motor
pressing on a wall would lose the share A / (M + A) of its torque for ever, 30% in our
arm. So the law measures f, as what the last step did beyond its plan, and counts on it
again:

    a = M'^-1 (tau - h + f_last),    u = M a + h - f_last.

(where the links that Bullet sees are heavier than the model's, M and h in u are those
of what it sees, see :mod:`sims.engines.bullet_rotors`).

At rest, f = f_last and a = 0: the contact carries tau - h, exactly. After an impact the
next step brings the velocity to M'^-1 f dt. What remains is a delay of one step;
``benchmarks/engines.py`` measures it. The law is stable, since f_last comes back scaled
by (M' - M) M'^-1, whose eigenvalues are below one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

_DISABLED = int(
    mujoco.mjtDisableBit.mjDSBL_CONTACT
    | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    | mujoco.mjtDisableBit.mjDSBL_SENSOR
    | mujoco.mjtDisableBit.mjDSBL_AUTORESET
)

ROUNDING = 1e-9
"""A smaller constraint force is taken for rounding [N, N m]."""


class TorqueLaw:
    """The law of one environment.

    The last constraint force is kept in ``data.qfrc_applied``.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData):
        """Share a model and its data with the owner.

        Args:
            model: this environment's model.
            data: its activations, delay buffers, time and applied forces count.
        """
        self._model, self._data = model, data
        self._dt = float(model.opt.timestep)
        self._inertial = np.empty(model.nv)
        self._seen: tuple[mujoco.MjModel, mujoco.MjData] | None = None
        # Views, since asking for one costs as much as the arithmetic.
        self._qpos, self._qvel = data.qpos, data.qvel
        self._bias, self._constraint = data.qfrc_bias, data.qfrc_applied
        self._armature = model.dof_armature

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within this, MuJoCo's step knows neither constraints nor sensors."""
        options = self._model.opt
        flags = options.disableflags
        options.disableflags = flags | _DISABLED
        try:
            yield
        finally:
            options.disableflags = flags

    def torque(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """The generalised force (nv,) [N, N m] that makes Bullet's step MuJoCo's.

        Call it within :meth:`alone`. It advances activations, delays and time by one
        step, and leaves positions and velocities of ``data`` at the plan's.

        Args:
            qpos: (nq,) the present state.
            qvel: (nv,).
        """
        self._qpos[:] = qpos
        self._qvel[:] = qvel
        mujoco.mj_step(self._model, self._data)
        bias = self._bias if self._seen is None else self._look(qpos, qvel)
        planned = self._rigid((self._qvel - qvel) / self._dt)
        planned += bias
        planned -= self._constraint
        return planned

    def observe(self, qvel: np.ndarray) -> None:
        """Measure the constraint force of the step just taken.

        Args:
            qvel: (nv,) after it.
        """
        surprise = (qvel - self._qvel) / self._dt
        force = self._constraint
        force += self._rigid(surprise)
        if force @ force < ROUNDING**2:
            force[:] = 0.0

    def see(self, seen: mujoco.MjModel) -> None:
        """Take over the model of the bodies that Bullet moves, where it is another.

        Args:
            seen: without armature.
        """
        self._seen = seen, mujoco.MjData(seen)

    def _look(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Make the seen model's M that of a state; returns its bias (nv,)."""
        assert self._seen is not None
        seen, data = self._seen
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_kinematics(seen, data)
        mujoco.mj_comPos(seen, data)
        mujoco.mj_makeM(seen, data)
        mujoco.mj_comVel(seen, data)
        bias = np.empty(seen.nv)
        mujoco.mj_rne(seen, data, 0, bias)
        return bias

    def _rigid(self, acceleration: np.ndarray) -> np.ndarray:
        """M times an acceleration (nv,), armature left out."""
        if self._seen is not None:
            mujoco.mj_mulM(*self._seen, self._inertial, acceleration)
            return self._inertial.copy()
        mujoco.mj_mulM(self._model, self._data, self._inertial, acceleration)
        return self._inertial - self._armature * acceleration


def coasts(model: mujoco.MjModel, data: mujoco.MjData) -> bool:
    """Whether the torque is zero in every state, so that it need not be computed."""
    return not (
        model.nu
        or model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICIT
        or model.ngravcomp
        or model.opt.viscosity
        or model.opt.density
        or model.dof_armature.any()
        or model.dof_damping.any()
        or model.jnt_stiffness.any()
        or data.xfrc_applied.any()
    )
