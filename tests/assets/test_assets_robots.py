"""The arm is what its documentation says, in each of its scenes."""

import warnings

import mujoco
import numpy as np
import pytest

from assets import ROBOTS, SandbotError, UsageError, load_model, load_spec
from assets.jacobian import DENSE_LIMIT, choose_jacobian
from sims.tasks import arm

SCENES = [(r, s) for r, make in ROBOTS.items() for s in make().scenes]


@pytest.mark.parametrize(("robot", "scene"), SCENES)
def test_scene_compiles_and_stays_finite(robot: str, scene: str) -> None:
    model = load_model(robot, scene)
    data = mujoco.MjData(model)
    for _ in range(500):
        mujoco.mj_step(model, data)
    assert np.isfinite(data.qpos).all()
    assert not any(data.warning[i].number for i in range(len(data.warning)))


@pytest.mark.parametrize(("robot", "scene"), SCENES)
def test_at_most_one_joint_per_body(robot: str, scene: str) -> None:
    assert (load_model(robot, scene).body_jntnum <= 1).all()


@pytest.mark.parametrize(("robot", "scene"), SCENES)
def test_jacobian_is_dense(robot: str, scene: str) -> None:
    """The solver of MuJoCo 4.0.0 is wrong with a sparse one."""
    spec = load_spec(robot, scene)
    assert spec.option.jacobian == mujoco.mjtJacobian.mjJAC_DENSE
    assert mujoco.mj_isSparse(spec.compile()) == 0


def test_larger_scenes_keep_their_jacobian_and_warn() -> None:
    spec = mujoco.MjSpec()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        choose_jacobian(spec, DENSE_LIMIT + 1)
    assert spec.option.jacobian == mujoco.mjtJacobian.mjJAC_AUTO
    assert len(seen) == (mujoco.__version__ == "4.0.0")


def test_documented_geometry() -> None:
    model = load_model("arm")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    reach = data.site("tip").xpos - data.site("shoulder").xpos
    np.testing.assert_allclose(reach, [sum(arm.LENGTHS), 0, 0], atol=1e-12)
    assert model.body("fore").pos[0] == arm.LENGTHS[0]
    assert data.site("shoulder").xpos[2] == arm.SHOULDER_HEIGHT
    assert model.body("upper").mass[0] == 1.6
    assert model.body("fore").mass[0] == 0.9
    np.testing.assert_array_equal(model.actuator_ctrlrange[:, 1], arm.TORQUE_LIMITS)
    np.testing.assert_array_equal(model.joint("elbow").range[1], arm.ELBOW_LIMIT)
    assert not model.jnt_limited[model.joint("shoulder").id]


def test_positive_angles_lift_the_arm() -> None:
    model = load_model("arm")
    data = mujoco.MjData(model)
    data.qpos[:] = [np.pi / 2, 0]
    mujoco.mj_forward(model, data)
    top = arm.SHOULDER_HEIGHT + sum(arm.LENGTHS)
    np.testing.assert_allclose(data.site("tip").xpos, [0, 0, top], atol=1e-12)


def test_motors_hold_the_stretched_arm() -> None:
    """About twice what gravity asks of them."""
    model = load_model("arm")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    margin = np.array(arm.TORQUE_LIMITS) / np.abs(data.qfrc_bias)
    assert (margin > 1.8).all()


def test_reachable_radii_are_those_of_the_scene() -> None:
    model = load_model("arm")
    data = mujoco.MjData(model)
    inner, outer = arm.reachable_radii()
    for elbow, radius in ((arm.ELBOW_LIMIT, inner), (0.0, outer)):
        data.qpos[:] = [0.3, elbow]
        mujoco.mj_forward(model, data)
        offset = data.site("tip").xpos - data.site("shoulder").xpos
        assert np.linalg.norm(offset) == pytest.approx(radius, abs=1e-12)


def test_unknown_robot_and_scene_name_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown robot 'amr'.*mean 'arm'"):
        load_spec("amr")
    with pytest.raises(UsageError, match=r"scene of 'arm' 'walls'.*mean 'wall'.*free"):
        load_spec("arm", "walls")


def test_broken_scene_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from dataclasses import replace

    broken = tmp_path / "broken.xml"
    broken.write_text("<mujoco><worldbody><body></mujoco>")
    robot = replace(ROBOTS["arm"](), scenes={"free": broken})
    monkeypatch.setitem(ROBOTS, "arm", lambda: robot)
    with pytest.raises(
        SandbotError, match=r"cannot load scene 'free' of 'arm'.*broken"
    ):
        load_spec("arm")
