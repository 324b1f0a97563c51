"""The humanoid is what its documentation says: joints, size, servos, sensors, looks."""

import mujoco
import numpy as np
import pytest

from assets import load_model

LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
ARM = (
    "shoulder_pitch",
    "shoulder_roll",
    "shoulder_yaw",
    "elbow",
    "wrist_roll",
    "wrist_pitch",
    "wrist_yaw",
)
WAIST = ("waist_yaw", "waist_roll", "waist_pitch")
SIDES = ("left", "right")
JOINTS = (
    *(f"{side}_{joint}" for side in SIDES for joint in LEG),
    *WAIST,
    *(f"{side}_{joint}" for side in SIDES for joint in ARM),
)
MIRROR = np.array([1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load_model("humanoid")


@pytest.fixture(scope="module")
def standing(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("stand").id)
    mujoco.mj_forward(model, data)
    return data


def test_29_joints_each_on_a_body_of_its_own(model: mujoco.MjModel) -> None:
    assert (model.nv, model.nu, model.njnt) == (35, 29, 30)
    assert model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    assert (model.jnt_type[1:] == mujoco.mjtJoint.mjJNT_HINGE).all()
    assert (model.body_jntnum[1:] == 1).all()
    assert model.jnt_limited[1:].all()


def test_servos_follow_the_joints_in_one_order(model: mujoco.MjModel) -> None:
    assert sorted(JOINTS) == sorted(model.joint(i + 1).name for i in range(29))
    for i, name in enumerate(JOINTS):
        assert model.actuator(i).name == name
        assert model.actuator_trnid[i, 0] == model.joint(name).id
        limits = model.joint(name).range
        np.testing.assert_allclose(model.actuator_ctrlrange[i], limits, rtol=1e-12)
    assert (model.actuator_forcerange[:, 1] == -model.actuator_forcerange[:, 0]).all()
    assert (model.actuator_forcerange[:, 1] >= 5).all()
    assert model.actuator_user.shape == (29, 1)
    assert ((model.actuator_user > 10) & (model.actuator_user < 40)).all()


def test_size_and_mass(model: mujoco.MjModel, standing: mujoco.MjData) -> None:
    assert model.body_mass.sum() == pytest.approx(35.0, abs=1e-6)
    top = standing.geom("head").xpos[2] + model.geom("head").size[0]
    assert 1.25 < top < 1.35
    legs = sum(
        model.body(b).mass[0]
        for b in range(1, model.nbody)
        if any(model.body(b).name.endswith(p) for p in ("thigh", "shank", "foot"))
    )
    assert 0.2 < legs / 35 < 0.4


def test_inertias_are_those_of_solid_bodies(model: mujoco.MjModel) -> None:
    inertia = np.sort(model.body_inertia[1:], axis=1)
    assert (inertia[:, 0] > 0).all()
    assert (inertia[:, 0] + inertia[:, 1] > inertia[:, 2]).all()
    radius = np.sqrt(inertia[:, 2] / model.body_mass[1:])
    assert (radius < 0.2).all(), "of gyration [m]"


def test_the_sides_mirror_each_other(model: mujoco.MjModel) -> None:
    for i in range(1, model.nbody):
        left = model.body(i)
        if not left.name.startswith("left"):
            continue
        right = model.body(left.name.replace("left", "right"))
        for field in ("pos", "ipos"):
            np.testing.assert_array_equal(
                getattr(left, field), getattr(right, field) * MIRROR
            )
        np.testing.assert_array_equal(left.inertia, right.inertia)
        np.testing.assert_array_equal(left.mass, right.mass)
        joint, other = (model.joint(int(b.jntadr[0])) for b in (left, right))
        np.testing.assert_array_equal(joint.axis, other.axis)
        turned = joint.axis[1] == 0  # roll and yaw change sign
        expected = -joint.range[::-1] if turned else joint.range
        np.testing.assert_array_equal(other.range, expected)


def test_it_stands_on_its_feet(model: mujoco.MjModel, standing: mujoco.MjData) -> None:
    """Soles flat on the floor, nothing else touches, its weight above them."""
    for side in SIDES:
        sole = standing.geom(f"{side}_sole")
        np.testing.assert_allclose(standing.site(f"{side}_sole").xpos[2], 0, atol=1e-4)
        np.testing.assert_allclose(sole.xmat.reshape(3, 3), np.eye(3), atol=1e-9)
    touching = {model.geom(int(g)).name for c in standing.contact for g in c.geom}
    assert touching <= {"floor", "left_sole", "right_sole"}
    forwards = standing.subtree_com[0, 0] - standing.body("left_foot").xpos[0]
    assert 0.0 < forwards < 0.06
    assert standing.subtree_com[0, 1] == pytest.approx(0, abs=1e-9)


def test_knees_bend_backwards_and_elbows_forwards(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    for joint, end, sign in (("knee", "foot", -1), ("elbow", "hand", 1)):
        mujoco.mj_resetData(model, data)
        low, high = model.joint(f"left_{joint}").range
        bent = max(low, high, key=abs) / 2
        data.joint(f"left_{joint}").qpos[:] = bent
        mujoco.mj_forward(model, data)
        anchor = data.joint(f"left_{joint}").xanchor
        assert sign * (data.body(f"left_{end}").xpos[0] - anchor[0]) > 0.1


def test_ankles_are_stiffer_than_gravity(
    model: mujoco.MjModel, standing: mujoco.MjData
) -> None:
    """What tips the robot about its ankles, against what both servos hold."""
    above = standing.subtree_com[0, 2] - standing.body("left_foot").xpos[2]
    tipping = 35.0 * 9.81 * above
    assert 205 < tipping < 225, "as the file says"
    kp = model.actuator("left_ankle_pitch").gainprm[0]
    assert 2 * kp > 2 * tipping


def test_what_is_drawn_weighs_nothing_and_touches_nothing(
    model: mujoco.MjModel,
) -> None:
    drawn = model.geom_group == 2
    assert drawn.sum() > 100
    assert not (model.geom_contype | model.geom_conaffinity)[drawn].any()
    assert not (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH).any()
    solid = {model.geom(int(g)).name for g in np.flatnonzero(model.geom_group == 3)}
    assert {"left_sole", "right_sole", "pelvis", "chest", "head"} <= solid
    for side in SIDES:
        sole = model.geom(f"{side}_sole")
        assert sole.type == mujoco.mjtGeom.mjGEOM_BOX
        on_foot = model.geom_bodyid == sole.bodyid
        assert (on_foot & (model.geom_group == 3)).sum() == 1


def test_sensors(model: mujoco.MjModel, standing: mujoco.MjData) -> None:
    """Resting on the floor: the IMU's, encoders', and the feet's."""
    assert standing.sensor("imu_gyro").data == pytest.approx([0, 0, 0], abs=1e-12)
    np.testing.assert_allclose(standing.sensor("imu_orientation").data, [1, 0, 0, 0])
    assert standing.sensor("imu_acceleration").data.shape == (3,)
    for name in JOINTS:
        angle = standing.joint(name).qpos
        np.testing.assert_array_equal(standing.sensor(f"{name}_angle").data, angle)
        assert standing.sensor(f"{name}_velocity").data == [0.0]
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    for _ in range(1000):
        mujoco.mj_step(model, data)
    pressed = -np.array([data.sensor(f"{s}_foot_contact").data[1:4] for s in SIDES])
    np.testing.assert_allclose(pressed[:, 2].sum(), 35 * 9.81, rtol=1e-3)
    np.testing.assert_allclose(pressed.sum(axis=0)[:2], 0, atol=0.1)
    # at rest an accelerometer reads what holds it up
    felt = np.linalg.norm(data.sensor("imu_acceleration").data)
    assert felt == pytest.approx(9.81, rel=1e-2)
