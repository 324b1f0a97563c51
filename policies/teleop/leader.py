"""Leader arms: passive copies of the robot's arms, which a hand moves.

As in ALOHA (Zhao et al. 2023, arXiv:2304.13705, section III) the followers' targets are
the leaders' joint angles. A leader has no motors; its weight is balanced, and its
joints have the friction of their gears (damping). A hand holds it by the grip,
compliantly: a spring and a damper, six-dimensional, between where the hand wants to be
and where the grip is, so that the leader's inertia and limits are felt in what is
recorded.
"""

from functools import cache

import numpy as np

from assets import load_spec
from sims.tasks.aloha import CLOSED, JOINTS, OPEN, START, START_FINGER

STIFFNESS, DAMPING = 1500.0, 110.0
"""Of the hand's hold along [N/m, N s/m]: about critical with the arm's 2 kg."""
TURN_STIFFNESS, TURN_DAMPING = 15.0, 1.4
"""About [N m/rad, N m s/rad]."""
SQUEEZE, SQUEEZE_DAMPING = 300.0, 15.0
"""Of the fingers on the trigger [N/m, N s/m]."""
SUBSTEPS = 10
"""Physics steps per control step."""


@cache
def leader_model():
    """One arm without motors or contacts, its weight balanced; compiled once."""
    import mujoco

    spec = load_spec("viperx")
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for body in spec.bodies:
        body.gravcomp = 1.0
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    return spec.compile()


class LeaderArm:
    """One leader, at the robot's start posture, in its base's frame."""

    def __init__(self) -> None:
        """Stand at the start."""
        import mujoco

        self.model = leader_model()
        self.data = mujoco.MjData(self.model)
        self._grip = self.model.site("grip").id
        self._gripper = self.model.body("gripper").id
        self._jacobian = np.zeros((6, self.model.nv))
        self.data.qpos[: len(JOINTS)] = START
        self.data.qpos[len(JOINTS) :] = START_FINGER, -START_FINGER
        mujoco.mj_forward(self.model, self.data)

    @property
    def grip(self) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) [m] and rotation (3, 3) of the grip."""
        data = self.data
        return data.site_xpos[self._grip], data.site_xmat[self._grip].reshape(3, 3)

    @property
    def reading(self) -> np.ndarray:
        """(7,) joint angles [rad] and how far the trigger is open, 0 to 1."""
        finger = self.data.qpos[len(JOINTS)]
        opening = np.clip((finger - CLOSED) / (OPEN - CLOSED), 0.0, 1.0)
        return np.append(self.data.qpos[: len(JOINTS)], opening)

    def pull(self, position: np.ndarray, rotation: np.ndarray, opening: float) -> None:
        """Let a hand hold it for one control step.

        Args:
            position: (3,) where the hand wants the grip [m].
            rotation: (3, 3) how it wants it turned.
            opening: of the trigger, 0 to 1.
        """
        import mujoco

        finger = CLOSED + opening * (OPEN - CLOSED)
        wanted = np.array([finger, -finger])
        for _ in range(SUBSTEPS):
            self.data.qfrc_applied[:] = self._hold(position, rotation)
            fingers, speed = self.data.qpos[6:], self.data.qvel[6:]
            squeeze = SQUEEZE * (wanted - fingers) - SQUEEZE_DAMPING * speed
            self.data.qfrc_applied[6:] = squeeze
            mujoco.mj_step(self.model, self.data)

    def _hold(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """(nv,) generalised force of the spring and damper at the grip."""
        import mujoco

        at, turned = self.grip
        jacobian = self._jacobian
        mujoco.mj_jac(
            self.model, self.data, jacobian[:3], jacobian[3:], at, self._gripper
        )
        velocity = jacobian @ self.data.qvel
        force = STIFFNESS * (position - at) - DAMPING * velocity[:3]
        torque = TURN_STIFFNESS * turn_to_go(rotation, turned)
        torque -= TURN_DAMPING * velocity[3:]
        return jacobian.T @ np.concatenate([force, torque])


def turn_to_go(target: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """:func:`controllers.so3.error` of one hand (3,) [rad], at a fraction of the time.

    Args:
        target: (3, 3)
        rotation: (3, 3)
    """
    import mujoco

    quaternion, turn = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, (target @ rotation.T).ravel())
    mujoco.mju_quat2Vel(turn, quaternion, 1.0)
    return turn
