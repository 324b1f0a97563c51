"""What a walking robot's feet need: links that Bullet sees as heavy as their motors.

Bullet solves contact for the mass matrix M of the bare links, MuJoCo for
M' = M + A + dt (D + K_v), with armature, damping and servos' damping. A fixed arm gets
along with that: the contact force of the last step is counted on
(:mod:`sims.engines.bullet_torque`), and its error shrinks by G = (M' - M) M'^-1 with
each step. A foot is light and its motor's share is not: 0.003 kg m^2 of link under
0.06 kg m^2 of A + dt K_v make G = 0.95, the force lags by a tenth of a second, and a
standing robot sways, ever more, until it falls.

So for a tree that floats and has joints, Bullet's links get each joint's A + dt (D +
K_v) on top of their inertia about its axis. That is not M' (the rotor turns against its
parent, not against the world), but near it where children are lighter than parents, and
any mass matrix M_b will do, since the torque u = M_b a + h_b makes the same
acceleration a of it. G is then (M' - M_b) M'^-1, which is small.

What armature still costs a standing humanoid (``benchmarks/humanoid_model.py``): when
its servos' targets jump, the joints' answer differs from MuJoCo's by 26% after one step
and by 12 to 15% after 5 to 20, where bare links would make it 34% and 23 to 32%; off
contact by 1e-7.
"""

import mujoco
import numpy as np

from sims.engines.bullet_layout import Layout


def has_rotors(layout: Layout) -> bool:
    """Whether a scene has a tree that floats and has joints."""
    return any(tree.free >= 0 and tree.joints for tree in layout.trees)


def with_rotors(model: mujoco.MjModel, layout: Layout) -> mujoco.MjModel:
    """The model as Bullet sees it; M_b is its mass matrix.

    Args:
        model: one environment's, its fields as varied.
        layout: of the nominal model.

    Returns:
        A copy with heavier links and without armature.
    """
    seen = mujoco.MjModel.__copy__(model)
    added = model.dof_armature + model.opt.timestep * (
        model.dof_damping + servo_damping(model)
    )
    for tree in layout.trees:
        if tree.free < 0:
            continue
        for joint in tree.joints:
            body = int(model.jnt_bodyid[joint])
            axis, inverse = np.empty(3), np.empty(4)
            mujoco.mju_negQuat(inverse, model.body_iquat[body])
            mujoco.mju_rotVecQuat(axis, model.jnt_axis[joint], inverse)
            hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
            share = added[model.jnt_dofadr[joint]] if hinge else 0.0
            seen.body_inertia[body] += share * axis**2
    seen.dof_armature[:] = 0.0
    return seen


def servo_damping(model: mujoco.MjModel) -> np.ndarray:
    """(nv,) how servos brake each degree of freedom [N m s/rad | N s/m]."""
    damping = np.zeros(model.nv)
    for i in range(model.nu):
        kind = model.actuator_trntype[i]
        if kind != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        dof = model.jnt_dofadr[model.actuator_trnid[i, 0]]
        gear = model.actuator_gear[i, 0]
        damping[dof] += max(-model.actuator_biasprm[i, 2], 0.0) * gear**2
    return damping
