"""The closed form against Pinocchio, MuJoCo and itself."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets import UsageError, load_model
from controllers.arm2 import Arm2
from controllers.dynamics import Dynamics
from controllers.kinematics import Kinematics

SKEWED = """
<mujoco><compiler angle="radian"/>
  <option gravity="1 -2 -9"/>
  <worldbody><body pos="0.3 0.1 0.2" quat="0.7 0.1 0.5 0.2">
    <body name="a" quat="0.8 0.3 0.1 0.4">
      <joint name="first" axis="0 0 1" armature="0.03"/>
      <inertial pos="0.1 0.05 0.02" quat="0.5 0.5 0.1 0.7" mass="1.3"
                diaginertia="0.01 0.02 0.015"/>
      <body name="b" pos="0.3 0 0.05">
        <joint name="second" axis="0 0 1" range="-2 1" limited="true"/>
        <inertial pos="0.12 -0.04 0.03" quat="0.9 0.2 0.1 0.3" mass="0.8"
                  diaginertia="0.004 0.006 0.005"/>
        <body pos="0.05 0.06 0"><inertial pos="0.02 0 0" mass="0.3"
              diaginertia="0.001 0.001 0.002"/></body>
        <site name="end" pos="0.25 0 -0.02"/>
      </body>
    </body>
  </body></worldbody>
</mujoco>
"""
ARM = Arm2.from_model(load_model("arm"))
angle = st.floats(-np.pi, np.pi)


@pytest.fixture(scope="module")
def states() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    q = random.uniform([-7.0, -2.7], [7.0, 2.7], (1000, 2))
    return q, random.normal(0.0, 4.0, (1000, 2))


def test_agrees_with_pinocchio(states, rebuild) -> None:
    q, qd = states
    peer = rebuild(load_model("arm"), "tip")
    pin, model, data = peer.pin, peer.model, peer.data
    shoulder = np.array([0.0, 0.0, 0.9])
    tip, jacobian = ARM.forward(q), ARM.jacobian(q)
    rate, mass, bias = ARM.jacobian_rate(q, qd), ARM.mass_matrix(q), ARM.bias(q, qd)
    gravity = ARM.gravity_torque(q)
    plane = [0, 2]
    for i in range(len(q)):
        pin.computeJointJacobiansTimeVariation(model, data, q[i], qd[i])
        pin.updateFramePlacements(model, data)
        world = pin.LOCAL_WORLD_ALIGNED
        position = data.oMf[peer.frame].translation - shoulder
        np.testing.assert_allclose(tip[i], position[plane], atol=1e-9)
        j = pin.getFrameJacobian(model, data, peer.frame, world)
        np.testing.assert_allclose(jacobian[i], j[plane], atol=1e-9)
        dj = pin.getFrameJacobianTimeVariation(model, data, peer.frame, world)
        np.testing.assert_allclose(rate[i] @ qd[i], dj[plane] @ qd[i], atol=1e-9)
        m = pin.crba(model, data, q[i])
        m = np.triu(m) + np.triu(m, 1).T
        np.testing.assert_allclose(mass[i], m, rtol=1e-9, atol=1e-12)
        h = pin.nonLinearEffects(model, data, q[i], qd[i])
        np.testing.assert_allclose(bias[i], h, rtol=1e-9, atol=1e-9)
        g = pin.computeGeneralizedGravity(model, data, q[i])
        np.testing.assert_allclose(gravity[i], g, rtol=1e-9, atol=1e-9)


def test_skewed_arm_agrees_with_mujoco(states) -> None:
    model = mujoco.MjModel.from_xml_string(SKEWED)
    arm = Arm2.from_model(model, joints=("first", "second"), tip="end")
    q, qd = states
    dynamics, kinematics = Dynamics(model), Kinematics(model, "end")
    np.testing.assert_allclose(arm.mass_matrix(q), dynamics.mass_matrix(q), atol=1e-12)
    np.testing.assert_allclose(arm.bias(q, qd), dynamics.bias(q, qd), atol=1e-11)
    distances = np.linalg.norm(np.diff(kinematics.forward(q)[0], axis=0), axis=1)
    own = np.linalg.norm(np.diff(arm.forward(q), axis=0), axis=1)
    np.testing.assert_allclose(own, distances, atol=1e-12)
    assert (arm.low[1], arm.high[1]) == (-2.0, 1.0)


def test_wall_scene_gives_the_same_arm() -> None:
    assert Arm2.from_model(load_model("arm", "wall")) == ARM


@given(angle, st.floats(-2.7, 2.7))
def test_inverse_undoes_forward(shoulder: float, elbow: float) -> None:
    tip = ARM.forward(np.array([[shoulder, elbow]]))
    postures, valid = ARM.inverse(tip)
    nearest = ARM.nearest(tip, np.array([[shoulder, elbow]]))
    for k in range(2):
        if valid[0, k]:
            np.testing.assert_allclose(ARM.forward(postures[:, k]), tip, atol=1e-9)
            assert abs(postures[0, k, 1]) <= 2.7
    # at the ends of the elbow's range rounding may put the tip just out of reach
    assert valid.any() or min(abs(elbow), 2.7 - abs(elbow)) < 1e-6
    np.testing.assert_allclose(ARM.forward(nearest), tip, atol=1e-7)
    assert np.abs(ARM.difference(nearest, np.array([[shoulder, elbow]]))).max() < 1e-3


@pytest.mark.parametrize(("radius", "elbow"), [(0.9, 0.0), (0.1, 2.7), (0.0, 2.7)])
def test_out_of_reach_is_said_and_answered_with_the_nearest(radius, elbow) -> None:
    position = radius * np.array([[np.cos(2.0), np.sin(2.0)]])
    postures, valid = ARM.inverse(position)
    assert not valid.any()
    np.testing.assert_allclose(np.abs(postures[0, :, 1]), elbow, atol=1e-12)
    tips = ARM.forward(postures[0])
    if radius:
        np.testing.assert_allclose(np.arctan2(tips[:, 1], tips[:, 0]), 2.0, atol=1e-9)


def test_nearest_takes_the_short_way_round() -> None:
    q = np.array([[3.0, 0.5], [3.0, -0.5], [-3.1, 1.0]])
    moved = q + np.array([[0.3, 0.1]])
    found = ARM.nearest(ARM.forward(moved), q)
    np.testing.assert_allclose(ARM.difference(found, q), [[0.3, 0.1]] * 3, atol=1e-9)


def test_same_bits_in_any_batch(states) -> None:
    q, qd = states[0][:512], states[1][:512]
    tip = ARM.forward(q)
    calls = {
        "forward": lambda s: ARM.forward(q[s]),
        "jacobian": lambda s: ARM.jacobian(q[s]),
        "jacobian_rate": lambda s: ARM.jacobian_rate(q[s], qd[s]),
        "mass_matrix": lambda s: ARM.mass_matrix(q[s]),
        "bias": lambda s: ARM.bias(q[s], qd[s]),
        "inverse": lambda s: ARM.inverse(tip[s])[0],
        "nearest": lambda s: ARM.nearest(tip[s], q[s]),
    }
    for name, call in calls.items():
        whole = call(slice(None))
        single = np.concatenate([call(slice(i, i + 1)) for i in range(512)])
        assert np.array_equal(whole, single), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"joints": ("shoulder", "elbo")}, "Did you mean 'elbow'"),
        ({"tip": "tipp"}, "Did you mean 'tip'"),
        ({"tip": "shoulder"}, "the tip is fixed to the second link"),
        ({"joints": ("shoulder", "wall")}, "both joints are hinges"),
    ],
)
def test_what_is_no_planar_arm_is_refused(arguments, message) -> None:
    with pytest.raises(UsageError, match=message):
        Arm2.from_model(load_model("arm", "wall"), **arguments)
