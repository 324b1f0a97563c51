"""Kinematics and dynamics of any arm against Pinocchio; rotations against SciPy."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from assets import UsageError, load_model
from controllers import so3
from controllers.arm2 import Arm2
from controllers.dynamics import Dynamics
from controllers.kinematics import IkOptions, Kinematics


@pytest.fixture(scope="module")
def kinematics(chain) -> Kinematics:
    return Kinematics(chain, "tool")


def postures(kinematics: Kinematics, num: int, seed: int = 0) -> np.ndarray:
    low = np.where(kinematics.turns, -np.pi, kinematics.low)
    high = np.where(kinematics.turns, np.pi, kinematics.high)
    return np.random.default_rng(seed).uniform(low, high, (num, len(low)))


def test_agrees_with_pinocchio(chain, kinematics, rebuild) -> None:
    peer = rebuild(chain, "tool")
    pin, model, data = peer.pin, peer.model, peer.data
    q = postures(kinematics, 200)
    qd = np.random.default_rng(1).normal(0.0, 2.0, q.shape)
    positions, rotations = kinematics.forward(q)
    jacobians = kinematics.jacobian(q)
    dynamics = Dynamics(chain)
    mass, bias, gravity = (
        dynamics.mass_matrix(q),
        dynamics.bias(q, qd),
        dynamics.gravity(q),
    )
    for i in range(len(q)):
        pin.computeJointJacobians(model, data, q[i])
        pin.updateFramePlacements(model, data)
        place = data.oMf[peer.frame]
        np.testing.assert_allclose(positions[i], place.translation, atol=1e-9)
        np.testing.assert_allclose(rotations[i], place.rotation, atol=1e-9)
        j = pin.getFrameJacobian(model, data, peer.frame, pin.LOCAL_WORLD_ALIGNED)
        np.testing.assert_allclose(jacobians[i], j, atol=1e-9)
        m = pin.crba(model, data, q[i])
        m = np.triu(m) + np.triu(m, 1).T
        np.testing.assert_allclose(mass[i], m, rtol=1e-9, atol=1e-11)
        h = pin.nonLinearEffects(model, data, q[i], qd[i])
        np.testing.assert_allclose(bias[i], h, rtol=1e-9, atol=1e-9)
        g = pin.computeGeneralizedGravity(model, data, q[i])
        np.testing.assert_allclose(gravity[i], g, rtol=1e-9, atol=1e-9)


def test_dynamics_of_some_joints_in_the_order_asked_for(chain) -> None:
    q = postures(Kinematics(chain, "tool"), 3)
    q[:, [0, 2, 4, 5, 6]] = chain.qpos0[[0, 2, 4, 5, 6]]
    part = Dynamics(chain, ("j4", "j2")).mass_matrix(q[:, [3, 1]])
    whole = Dynamics(chain).mass_matrix(q)
    assert np.array_equal(part, whole[:, [[3], [1]], [3, 1]])


def test_dynamics_leave_out_passive_forces() -> None:
    q, qd = np.zeros((1, 2)), np.array([[3.0, -2.0]])
    model = load_model("arm")
    before = Dynamics(model).bias(q, qd)
    model.dof_damping[:] = 50.0
    assert np.array_equal(Dynamics(model).bias(q, qd), before)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_inverse_undoes_forward_within_limits(kinematics, seed: int) -> None:
    q = postures(kinematics, 1, seed)
    position, rotation = kinematics.forward(q)
    found = kinematics.inverse(position, rotation)
    assert found.converged.all()
    again, turned = kinematics.forward(found.q)
    assert np.linalg.norm(again - position) < 1e-6
    assert np.linalg.norm(so3.error(rotation, turned)) < 1e-6
    assert (found.q >= kinematics.low).all() and (found.q <= kinematics.high).all()


def test_inverse_from_nearby_takes_few_steps(kinematics) -> None:
    """As Newton's method does where a solution is near."""
    q = postures(kinematics, 50)
    near = np.clip(q + 0.3, kinematics.low, kinematics.high)
    found = kinematics.inverse(*kinematics.forward(q), seed=near)
    assert found.converged.all()
    assert np.median(found.iterations) <= 6


def test_errors_fall_as_their_jacobian_says(kinematics) -> None:
    """By differences, far from the target, where the logarithm bends."""
    q, goal = postures(kinematics, 2, seed=5)
    position, rotation = (array[0] for array in kinematics.forward(goal[None]))
    options, h = IkOptions(), 1e-6
    start, jacobian = kinematics._residual(position, rotation, q, options)
    assert np.linalg.norm(start[3:]) > 1.0 * options.rotation_weight
    for column, unit in zip(jacobian.T, np.eye(7), strict=True):
        ahead, _ = kinematics._residual(position, rotation, q + h * unit, options)
        behind, _ = kinematics._residual(position, rotation, q - h * unit, options)
        np.testing.assert_allclose((behind - ahead) / (2 * h), column, atol=1e-7)


def test_inverse_of_the_planar_arm_is_the_closed_form() -> None:
    model = load_model("arm")
    arm, general = Arm2.from_model(model), Kinematics(model, "tip")
    q = np.random.default_rng(0).uniform([-3, 0.2], [3, 2.5], (20, 2))
    exact = IkOptions(position_tolerance=1e-10)
    found = general.inverse(general.forward(q)[0], seed=q + 0.2, options=exact)
    assert found.converged.all()
    np.testing.assert_allclose(found.q, arm.nearest(arm.forward(q), q), atol=1e-8)


def test_inverse_says_when_it_fails(kinematics) -> None:
    far = np.array([[5.0, 0.0, 0.0]])
    found = kinematics.inverse(far, options=IkOptions(attempts=2, iterations=30))
    assert not found.converged.any() and found.position_error[0] > 3.0
    assert (found.q >= kinematics.low).all() and (found.q <= kinematics.high).all()


def test_bad_input_is_refused(chain, kinematics) -> None:
    with pytest.raises(UsageError, match="Did you mean 'tool'"):
        Kinematics(chain, "tools")
    with pytest.raises(UsageError, match="unknown joint 'j9'"):
        Kinematics(chain, "tool", ("j1", "j9"))
    with pytest.raises(UsageError, match=r"position of shape \(2, 3\), got \(2, 2\)"):
        kinematics.inverse(np.zeros((2, 2)))
    free = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint name='f'/><geom size='0.1'/>"
        "<site name='s'/></body></worldbody></mujoco>"
    )
    with pytest.raises(UsageError, match="'f' is a ball or free joint"):
        Kinematics(free, "s")


@pytest.mark.parametrize("degrees", [0, 1e-9, 1e-4, 30, 90, 150, 179, 179.9999, 180])
def test_logarithm_against_scipy(degrees: float) -> None:
    axes = np.random.default_rng(0).normal(size=(50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    vectors = np.radians(degrees) * axes
    matrices = Rotation.from_rotvec(vectors).as_matrix()
    found = so3.log(matrices)
    if degrees == 180:  # both directions are right
        found *= np.sign((found * vectors).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, vectors, atol=2e-8)
    quats = so3.to_quaternion(matrices)
    np.testing.assert_allclose(so3.from_quaternion(3.0 * quats), matrices, atol=1e-12)
    assert (quats[:, 0] >= 0).all()


def test_orientation_error_points_from_here_to_there() -> None:
    here = Rotation.from_rotvec([0.3, -0.5, 0.8])
    turn = np.array([0.1, 0.9, -1.2])
    there = Rotation.from_rotvec(turn) * here
    np.testing.assert_allclose(
        so3.error(there.as_matrix(), here.as_matrix()), turn, atol=1e-12
    )


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 3.0])
def test_jacobian_of_the_logarithm_by_differences(scale: float) -> None:
    vector = scale * np.array([0.6, -0.64, 0.48])
    base, h = Rotation.from_rotvec(vector), 1e-6
    columns = []
    for axis in np.eye(3):
        ahead = (Rotation.from_rotvec(h * axis) * base).as_rotvec()
        behind = (Rotation.from_rotvec(-h * axis) * base).as_rotvec()
        columns.append((ahead - behind) / (2 * h))
    np.testing.assert_allclose(
        so3.inverse_left_jacobian(vector), np.stack(columns, axis=1), atol=1e-8
    )
