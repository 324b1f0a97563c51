"""Build the multibodies of one Bullet world from a compiled ``MjModel``.

Frames: ``T_a_b`` maps coordinates of b into a. The frame of a link stands at its
joint's anchor with the axes of the MuJoCo body; that of a floating base *is* the body's
inertial frame, so that Bullet's base pose is that of the centre of mass. Joint
positions count from the model's reference posture ``qpos0``, at which Bullet's are
zero.

Two traps of PyBullet: damping factors start at 0.04, and ``changeDynamics`` with
``localInertiaDiagonal`` beside a damping sets the inertia to zero. So each is written
in a call of its own, and :func:`_set_inertia` reads back what was written.
"""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sims.engine import EngineError
from sims.engines.bullet_layout import Layout, Link, Tree
from sims.engines.bullet_shapes import (
    CONTACT_PARAMETERS,
    IDENTITY,
    Pose,
    field_frame,
    make_field,
    make_shape,
    set_contacts,
)

_HUGE = 1e9
_LIMITS_OFF = int(
    mujoco.mjtDisableBit.mjDSBL_LIMIT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
)
_FRICTIONLOSS_OFF = int(
    mujoco.mjtDisableBit.mjDSBL_FRICTIONLOSS | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
)


@dataclass(frozen=True, kw_only=True)
class Built:
    """Where the parts of a scene are in one client."""

    bodies: tuple[int, ...]
    """Bullet's id of each tree."""
    geoms: dict[tuple[int, int], int]
    """MuJoCo's geom id, by Bullet's body id and link."""


def build(p: Any, client: int, model: mujoco.MjModel, layout: Layout) -> Built:
    """Empty a client's world and build the scene in it, at its reference posture.

    Args:
        p: the module ``pybullet``.
        client: id of the client.
        model: one environment's model, its fields as varied.
        layout: of the nominal model.

    Raises:
        EngineError: PyBullet refused a part, or took a number that is not ours.
    """
    p.resetSimulation(physicsClientId=client)
    p.setPhysicsEngineParameter(
        fixedTimeStep=model.opt.timestep,
        numSubSteps=0,
        deterministicOverlappingPairs=1,
        physicsClientId=client,
        **CONTACT_PARAMETERS,
    )
    gravity_off = model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_GRAVITY
    gravity = np.zeros(3) if gravity_off else model.opt.gravity
    p.setGravity(*gravity.tolist(), physicsClientId=client)
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    geoms: dict[tuple[int, int], int] = {}
    for geom in layout.static_geoms:
        geoms[_static_geom(p, client, model, data, geom), -1] = geom
    bodies = tuple(_tree(p, client, model, data, tree) for tree in layout.trees)
    for body, tree in zip(bodies, layout.trees, strict=True):
        _set_dynamics(p, client, model, body, tree)
        geoms |= {(body, i): k.geom for i, k in enumerate(tree.links) if k.geom >= 0}
        if tree.geom >= 0:
            geoms[body, -1] = tree.geom
    set_contacts(p, client, model, layout, geoms)
    return Built(bodies=bodies, geoms=geoms)


def base_frame(model: mujoco.MjModel, tree: Tree) -> Pose:
    """``T_body_base`` of a floating tree's root."""
    return Pose(model.body_ipos[tree.root], model.body_iquat[tree.root])


def _link_frame(model: mujoco.MjModel, link: Link | None, tree: Tree) -> Pose:
    """``T_body_link`` for a link, or for the base where ``link`` is None."""
    if link is None:
        return base_frame(model, tree) if tree.free >= 0 else IDENTITY
    if link.massless:
        owner = [k for k in tree.links if k.body == link.body and not k.massless]
        return _link_frame(model, owner[0] if owner else None, tree)
    if link.joint >= 0:
        return Pose(model.jnt_pos[link.joint], IDENTITY.quat)
    return IDENTITY


def _placed(model: mujoco.MjModel, data: mujoco.MjData, tree: Tree, link: Link) -> Pose:
    """``T_parent_link``, at the reference posture."""
    if link.massless:
        return IDENTITY
    T_body_link = _link_frame(model, link, tree)
    T_up_body = Pose(model.body_pos[link.body], model.body_quat[link.body])
    if link.parent < 0 and tree.free < 0:
        up = model.body_parentid[link.body]
        return Pose(data.xpos[up], data.xquat[up]) @ T_up_body @ T_body_link
    parent = tree.links[link.parent] if link.parent >= 0 else None
    return _link_frame(model, parent, tree).inverse() @ T_up_body @ T_body_link


def _inertial(model: mujoco.MjModel, tree: Tree, link: Link) -> Pose:
    """``T_link_inertia``."""
    if link.massless:
        return IDENTITY
    T_body_inertia = Pose(model.body_ipos[link.body], model.body_iquat[link.body])
    return _link_frame(model, link, tree).inverse() @ T_body_inertia


def _tree(
    p: Any, client: int, model: mujoco.MjModel, data: mujoco.MjData, tree: Tree
) -> int:
    """Make one multibody; returns its id."""
    kinds = {
        int(mujoco.mjtJoint.mjJNT_HINGE): p.JOINT_REVOLUTE,
        int(mujoco.mjtJoint.mjJNT_SLIDE): p.JOINT_PRISMATIC,
    }
    places = [_placed(model, data, tree, link) for link in tree.links]
    inertials = [_inertial(model, tree, link) for link in tree.links]
    shapes = [
        make_shape(
            p, client, model, link.geom, _link_frame(model, link, tree).inverse()
        )
        for link in tree.links
    ]
    base, base_mass, base_shape = IDENTITY, 0.0, -1
    if tree.free >= 0:
        T_body_base = base_frame(model, tree)
        base = Pose(data.xpos[tree.root], data.xquat[tree.root]) @ T_body_base
        base_mass = float(model.body_mass[tree.root])
        base_shape = make_shape(p, client, model, tree.geom, T_body_base.inverse())
    body = p.createMultiBody(
        baseMass=base_mass,
        baseCollisionShapeIndex=base_shape,
        basePosition=base.pos.tolist(),
        baseOrientation=base.xyzw,
        linkMasses=[
            0.0 if k.massless else float(model.body_mass[k.body]) for k in tree.links
        ],
        linkCollisionShapeIndices=shapes,
        linkVisualShapeIndices=[-1] * len(tree.links),
        linkPositions=[T.pos.tolist() for T in places],
        linkOrientations=[T.xyzw for T in places],
        linkInertialFramePositions=[T.pos.tolist() for T in inertials],
        linkInertialFrameOrientations=[T.xyzw for T in inertials],
        linkParentIndices=[link.parent + 1 for link in tree.links],
        linkJointTypes=[
            p.JOINT_FIXED if k.joint < 0 else kinds[int(model.jnt_type[k.joint])]
            for k in tree.links
        ],
        linkJointAxis=[
            [0, 0, 1] if k.joint < 0 else model.jnt_axis[k.joint].tolist()
            for k in tree.links
        ],
        useMaximalCoordinates=0,
        flags=p.URDF_USE_SELF_COLLISION,
        physicsClientId=client,
    )
    if body < 0:
        raise EngineError(
            f"PyBullet refused to build the tree of {model.body(tree.root).name!r}"
        )
    return body


def _set_dynamics(
    p: Any, client: int, model: mujoco.MjModel, body: int, tree: Tree
) -> None:
    """Inertias, limits, no damping, no sleep, motors off."""
    bases = [(-1, tree.root)] if tree.free >= 0 else []
    links = [(i, k.body) for i, k in enumerate(tree.links) if not k.massless]
    for index in range(-1, len(tree.links)):
        p.changeDynamics(
            body,
            index,
            linearDamping=0.0,
            angularDamping=0.0,
            jointDamping=0.0,
            maxJointVelocity=_HUGE,
            activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=client,
        )
    for index, owner in bases + links:
        _set_inertia(p, client, body, index, model.body_inertia[owner])
    for index, joint in zip(tree.moving, tree.joints, strict=True):
        if model.jnt_limited[joint] and not model.opt.disableflags & _LIMITS_OFF:
            reference = model.qpos0[model.jnt_qposadr[joint]]
            low, high = (model.jnt_range[joint] - reference).tolist()
            p.changeDynamics(
                body,
                index,
                jointLowerLimit=low,
                jointUpperLimit=high,
                physicsClientId=client,
            )
        still = float(model.dof_frictionloss[model.jnt_dofadr[joint]])
        p.setJointMotorControl2(
            body,
            index,
            p.VELOCITY_CONTROL,
            targetVelocity=0.0,
            force=0.0 if model.opt.disableflags & _FRICTIONLOSS_OFF else still,
            physicsClientId=client,
        )


def _set_inertia(p: Any, client: int, body: int, index: int, inertia: Any) -> None:
    """Set a link's principal moments (3,) [kg m^2], and see that they arrived."""
    wanted = inertia.tolist()
    p.changeDynamics(body, index, localInertiaDiagonal=wanted, physicsClientId=client)
    got = p.getDynamicsInfo(body, index, physicsClientId=client)[2]
    if list(got) != wanted:
        raise EngineError(
            f"PyBullet holds the inertia {got} in link {index}, not {wanted}: this "
            "version of PyBullet is not one that this engine was made for (3.2.7)"
        )


def _static_geom(
    p: Any, client: int, model: mujoco.MjModel, data: mujoco.MjData, geom: int
) -> int:
    """Make a geom of the world; returns Bullet's body id."""
    T_body_geom = Pose(model.geom_pos[geom], model.geom_quat[geom])
    owner = model.geom_bodyid[geom]
    T_world_geom = Pose(data.xpos[owner], data.xquat[owner]) @ T_body_geom
    picture = -1
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_HFIELD:
        shape = make_field(p, client, model, geom)
        T_world_geom = T_world_geom @ field_frame(model, geom)
        # else Bullet draws the field's triangles, which takes longer than all the rest
        picture = p.createVisualShape(p.GEOM_SPHERE, physicsClientId=client)
    else:
        shape = make_shape(p, client, model, geom, T_body_geom.inverse())
    return p.createMultiBody(
        baseMass=0.0,
        baseCollisionShapeIndex=shape,
        baseVisualShapeIndex=picture,
        basePosition=T_world_geom.pos.tolist(),
        baseOrientation=T_world_geom.xyzw,
        physicsClientId=client,
    )
