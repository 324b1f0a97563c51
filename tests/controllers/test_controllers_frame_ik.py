"""Inverse kinematics through mink, held against MuJoCo's and Pinocchio's kinematics."""

import mujoco
import numpy as np
import pytest

from assets import load_model
from controllers.frame_ik import FrameIK, UnreachableError

HOME = np.array([0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.022, -0.022])


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load_model("viperx")


def grip(model: mujoco.MjModel, qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    site = data.site("grip")
    return site.xpos.copy(), site.xmat.reshape(3, 3).copy()


def test_a_pose_that_some_posture_has_is_found(model: mujoco.MjModel) -> None:
    ik, rng = FrameIK(model, "grip"), np.random.default_rng(0)
    low, high = model.jnt_range.T
    for _ in range(40):
        wanted = HOME + rng.uniform(-0.6, 0.6, 8) * (np.arange(8) < 6)
        wanted = np.clip(wanted, low, high)
        position, rotation = grip(model, wanted)
        near = np.clip(wanted + rng.uniform(-0.2, 0.2, 8), low, high)
        found = ik.solve(position, rotation, [HOME, near])
        assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()
        at, turned = grip(model, found)
        assert np.linalg.norm(at - position) < 2e-4
        assert np.arccos(min(1, (np.trace(turned.T @ rotation) - 1) / 2)) < 2e-3


def test_kinematics_are_pinocchios(model: mujoco.MjModel) -> None:
    """The chain built joint by joint from published offsets."""
    import pinocchio as pin  # pyright: ignore[reportMissingImports]

    chain = pin.Model()
    parent, rng = 0, np.random.default_rng(1)
    links = (
        ("RZ", (0, 0, 0.079)),
        ("RY", (0, 0, 0.04805)),
        ("RY", (0.05955, 0, 0.3)),
        ("RX", (0.2, 0, 0)),
        ("RY", (0.1, 0, 0)),
        ("RX", (0.069744, 0, 0)),
    )
    for kind, offset in links:
        placement = pin.SE3(np.eye(3), np.array(offset, float))
        joint = getattr(pin, f"JointModel{kind}")()
        parent = chain.addJoint(parent, joint, placement, f"j{parent}")
    tip = pin.SE3(np.eye(3), np.array([0.135, 0, 0]))
    data = chain.createData()
    low, high = model.jnt_range[:6].T
    for _ in range(50):
        q = rng.uniform(low, high)
        pin.forwardKinematics(chain, data, q)
        pose = data.oMi[6] * tip
        position, rotation = grip(model, np.concatenate([q, HOME[6:]]))
        np.testing.assert_allclose(position, pose.translation, atol=1e-12)
        np.testing.assert_allclose(rotation, pose.rotation, atol=1e-12)


def test_the_first_start_that_leads_there_counts(model: mujoco.MjModel) -> None:
    ik = FrameIK(model, "grip")
    position, rotation = grip(model, HOME)
    astray = np.array([3.0, 1.2, -1.7, 3.0, 2.2, 3.0, 0.022, -0.022])
    assert np.allclose(ik.solve(position, rotation, [HOME, astray]), HOME)
    found = ik.solve(position, rotation, [astray, HOME])
    assert np.linalg.norm(grip(model, found)[0] - position) < 2e-4


def test_what_cannot_be_reached_says_how_far_it_is(model: mujoco.MjModel) -> None:
    with pytest.raises(UnreachableError, match=r"\(2.000, 0.000, 0.300\) m.* mm off"):
        FrameIK(model, "grip").solve(np.array([2.0, 0, 0.3]), np.eye(3), [HOME])
