"""A camera, light and a sky for scenes that have none; the physics stays as it is.

Many scenes of others are made to be computed, not to be looked at: black in black, and
a robot without a floor falls out of the picture. The camera :data:`CAMERA` is placed so
that all that moves fills the picture at the start, and goes along with the robot.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

CAMERA = "follow"
ELEVATION = np.radians(30.0)
"""How steeply it looks down, along +y [rad]."""
FOV = 45.0
"""Vertical angle of view [degrees]."""
AROUND = 1.5
"""Space left around what moves, as a factor."""


def dress(spec: "mujoco.MjSpec", model: "mujoco.MjModel") -> None:
    """Add what a scene lacks to be seen.

    Args:
        spec: changed in place.
        model: what it compiles to; every body has a name.
    """
    import mujoco

    if not model.nlight:
        spec.visual.headlight.ambient[:] = 0.35
        spec.visual.headlight.diffuse[:] = 0.6
    if not (model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).any():
        spec.add_texture(
            name=_free("sky", {texture.name for texture in spec.textures}),
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            rgb1=[0.55, 0.65, 0.75],
            rgb2=[0.15, 0.2, 0.25],
            width=64,
            height=384,
        )
    if not model.ncam:
        _follow(spec, model)


def _follow(spec: "mujoco.MjSpec", model: "mujoco.MjModel") -> None:
    """Add a camera that goes along with the robot that most degrees of freedom move:
    with its centre of mass where it travels, else with its base."""
    import mujoco

    dofs = np.bincount(model.body_rootid, weights=model.body_dofnum)
    root = int(dofs.argmax())
    body = spec.body(model.body(root).name) if root else None
    if body is None:
        body, root = spec.worldbody, 0
    joints = model.jnt_type[model.jnt_bodyid == root]
    travels = bool((joints != mujoco.mjtJoint.mjJNT_HINGE).any())
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    seen = _anchor(model, data, root, travels)
    middle, radius = _extent(model, data)
    distance = AROUND * radius / np.sin(np.radians(FOV) / 2)
    back = np.array([0.0, -np.cos(ELEVATION), np.sin(ELEVATION)])
    # columns: the picture's right, its up, and away from what is seen
    axes = np.array([[1.0, 0.0, 0.0], np.cross(back, [1.0, 0.0, 0.0]), back]).T
    offset = middle + distance * back - seen
    mujoco.mj_resetData(model, data)  # a camera is placed in the posture qpos0
    place = _anchor(model, data, root, travels) + offset - data.xpos[root]
    turn = data.xmat[root].reshape(3, 3).T
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, (turn @ axes).ravel())
    modes = mujoco.mjtCamLight
    body.add_camera(
        name=CAMERA,
        mode=modes.mjCAMLIGHT_TRACKCOM if travels else modes.mjCAMLIGHT_TRACK,
        pos=turn @ place,
        quat=quaternion,
        fovy=FOV,
    )


def _anchor(
    model: "mujoco.MjModel", data: "mujoco.MjData", root: int, travels: bool
) -> np.ndarray:
    """What the camera goes along with, (3,) [m]."""
    import mujoco

    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    return (data.subtree_com if travels else data.xpos)[root].copy()


def _extent(model: "mujoco.MjModel", data: "mujoco.MjData") -> tuple[np.ndarray, float]:
    """Middle (3,) and radius [m] of a ball around all shapes that move, or else around
    the scene."""
    moves = model.body_weldid[model.geom_bodyid] > 0
    if not moves.any():
        return model.stat.center.copy(), float(model.stat.extent)
    reach = model.geom_rbound[moves, None]
    low = (data.geom_xpos[moves] - reach).min(axis=0)
    high = (data.geom_xpos[moves] + reach).max(axis=0)
    middle = (low + high) / 2
    far = np.linalg.norm(data.geom_xpos[moves] - middle, axis=1) + reach[:, 0]
    return middle, float(max(far.max(), 1e-3))


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken."""
    while name in taken:
        name += "_"
    return name
