"""What every engine does alike: state, fields, wrenches, sensors, saving, errors."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest

from assets import UsageError, load_model
from sims.engine import FIELDS, Engine, EngineError, default_field
from sims.engines import ENGINES

Make = Callable[..., Engine]
POSTURE = np.array([0.4, 0.9])
SPEED = np.array([0.3, -0.5])


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes engines of one kind, and closes them."""
    made: list[Engine] = []

    def factory(num_envs: int = 2, scene: str = "free") -> Engine:
        model = load_model("arm", scene)
        engine = ENGINES[request.param].make(model, num_envs, threads=1)
        made.append(engine)
        return engine

    yield factory
    for engine in made:
        engine.close()


def all_of(engine: Engine) -> np.ndarray:
    return np.ones(engine.num_envs, bool)


def within(engine: Engine, double: float) -> float:
    """The tolerance for numbers around one: ``warp`` computes in single precision."""
    return 1e-6 if engine.name == "warp" else double


def only(engine: Engine, *rows: int) -> np.ndarray:
    where = np.zeros(engine.num_envs, bool)
    where[list(rows)] = True
    return where


def turned(model: mujoco.MjModel) -> np.ndarray:
    """(nbody, 4): inertias' axes, turned by half a radian about z, but the world's."""
    axes = model.body_iquat.copy()
    for row, quat in zip(axes[1:], model.body_iquat[1:], strict=True):
        mujoco.mju_mulQuat(row, quat, np.array([np.cos(0.25), 0, 0, np.sin(0.25)]))
    return axes


def started(make: Make, num_envs: int = 2) -> Engine:
    engine = make(num_envs)
    engine.reset(all_of(engine), POSTURE, SPEED)
    return engine


def test_arrays_are_batched_and_live(make: Make) -> None:
    engine = started(make, 3)
    qpos, qvel, ctrl = engine.qpos, engine.qvel, engine.ctrl
    assert (qpos.shape, qvel.shape, ctrl.shape) == ((3, 2), (3, 2), (3, 2))
    before = qpos.copy()
    engine.step(5)
    assert engine.qpos is qpos and engine.qvel is qvel
    assert not np.array_equal(qpos, before)


def test_reset_leaves_the_others_alone(make: Make) -> None:
    engine = started(make)
    engine.step(10)
    other = engine.qpos[1].copy()
    engine.reset(only(engine, 0), np.zeros((2, 2)), np.zeros(2))
    assert np.array_equal(engine.qpos[0], [0, 0])
    assert np.array_equal(engine.qpos[1], other)
    assert engine.sensor("tip_position")[0] == pytest.approx([0.75, 0, 0.9])


def test_reset_forgets_torques_and_pushes(make: Make) -> None:
    engine = started(make)
    engine.apply_wrench("fore", np.array([30.0, 0, 0, 0, 0, 0]), all_of(engine))
    engine.ctrl[:] = 5.0
    engine.step(20)
    engine.reset(all_of(engine), POSTURE, SPEED)
    engine.step(20)
    fresh = started(make)
    fresh.step(20)
    assert np.array_equal(engine.qpos, fresh.qpos)
    assert np.array_equal(engine.qvel, fresh.qvel)


def test_torques_are_clipped(make: Make) -> None:
    engine = started(make)
    engine.ctrl[0] = [20.0, -8.0]
    engine.ctrl[1] = [500.0, -500.0]
    engine.step(20)
    assert np.array_equal(engine.qpos[0], engine.qpos[1])


def test_substeps_are_steps(make: Make) -> None:
    engine, other = started(make), started(make)
    engine.step(12)
    for _ in range(12):
        other.step()
    assert np.array_equal(engine.qpos, other.qpos)


@pytest.mark.parametrize("frame", ["tip", "fore", "upper", "shoulder"])
def test_velocity_is_jacobian_times_qvel(make: Make, frame: str) -> None:
    engine = started(make)
    engine.step(25)
    product = np.einsum("nij,nj->ni", engine.jacobian(frame), engine.qvel)
    close = within(engine, 1e-12)
    assert engine.velocity(frame) == pytest.approx(product, abs=close)


def test_velocity_is_the_rate_of_the_pose(make: Make) -> None:
    engine = started(make)
    for _ in range(4):
        before, velocity = engine.pose("tip")[0].copy(), engine.velocity("tip")
        engine.step(1)
        rate = (engine.pose("tip")[0] - before) / engine.dt
        assert rate == pytest.approx(velocity[:, :3], abs=0.05)


def test_poses_follow_the_state(make: Make) -> None:
    engine = started(make)
    engine.step(30)
    model, data = engine.snapshot(1)
    close = within(engine, 1e-12)
    for kind, frame in (("site", "tip"), ("body", "fore")):
        position, quaternion = engine.pose(frame)
        view = getattr(data, kind)(frame)
        assert position[1] == pytest.approx(view.xpos, abs=close)
        expected = np.empty(4)
        mujoco.mju_mat2Quat(expected, view.xmat)
        assert abs(quaternion[1] @ expected) == pytest.approx(1, abs=close)
    assert np.array_equal(data.qpos, engine.qpos[1])
    assert np.array_equal(model.qpos0, engine.model.qpos0)


def test_sensors_are_current(make: Make) -> None:
    engine = started(make)
    engine.step(30)
    assert engine.sensor("shoulder_angle")[:, 0] == pytest.approx(engine.qpos[:, 0])
    assert engine.sensor("elbow_velocity")[:, 0] == pytest.approx(engine.qvel[:, 1])
    assert engine.sensor("tip_position") == pytest.approx(engine.pose("tip")[0])


def test_wrench_acts_at_the_centre_of_mass(make: Make) -> None:
    """On a hanging link: a force through its moment, a torque as it is."""
    engine = make(2)
    start = np.array([-np.pi / 2, 0.0])
    wrench = np.array([[2.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, -1.0, 0]])
    model, data = engine.snapshot(0)
    data.qpos[:], data.qvel[:] = start, 0
    engine.reset(all_of(engine), start, np.zeros(2))
    engine.apply_wrench("fore", wrench, all_of(engine))
    engine.step(1)
    body = model.body("fore").id
    for row in range(2):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = start
        data.xfrc_applied[body] = wrench[row]
        mujoco.mj_step(model, data)
        close = within(engine, 1e-12)
        assert engine.qvel[row] == pytest.approx(data.qvel, abs=close)
        assert data.qvel.any()
    engine.apply_wrench("fore", np.zeros(6), only(engine, 1))
    before = engine.qvel.copy()
    engine.step(30)
    assert abs(engine.qvel[0, 0]) > 10 * abs(before[0, 0])  # still pushed
    assert abs(engine.qvel[1, 0]) < 2 * abs(before[1, 0])  # no longer


@pytest.mark.parametrize("field", [f for f in FIELDS if f != "geom_size"])
def test_fields_change_some_environments_only(make: Make, field: str) -> None:
    engine = started(make)
    changed = default_field(engine.model, field) * 1.3
    if field == "body_iquat":
        changed = turned(engine.model)
    engine.set_field(field, changed, only(engine, 1))
    values = engine.get_field(field)
    assert np.array_equal(values[0], default_field(engine.model, field))
    assert np.array_equal(values[1], changed)
    model, _ = engine.snapshot(1)
    assert np.array_equal(default_field(model, field), changed)
    engine.ctrl[:] = 1.0
    engine.step(50)
    model, _ = engine.snapshot(1)
    assert model.body_subtreemass[0] == pytest.approx(model.body_mass.sum())
    untouched = started(make)
    untouched.ctrl[:] = 1.0
    untouched.step(50)
    assert np.array_equal(engine.qpos[0], untouched.qpos[0])
    without_effect = ("geom_friction", "jnt_stiffness", "actuator_biasprm")
    without_effect += ("actuator_forcerange", "dof_frictionloss")
    same = np.array_equal(engine.qpos[1], untouched.qpos[1])
    assert same == (field in without_effect)


def test_fields_have_the_effect_of_physics(make: Make) -> None:
    """One step from rest: gravity scales the acceleration, inertia divides it."""
    engine = make(3)
    engine.set_field("opt.gravity", np.array([0, 0, -19.62]), only(engine, 1))
    for field in ("body_mass", "body_inertia", "dof_armature"):
        doubled = 2 * default_field(engine.model, field)
        engine.set_field(field, doubled, only(engine, 2))
    engine.set_field("dof_damping", np.zeros(2), all_of(engine))
    engine.reset(all_of(engine), POSTURE, np.zeros(2))
    engine.step(1)
    close = within(engine, 1e-9)
    assert engine.qvel[1] == pytest.approx(2 * engine.qvel[0], rel=close)
    assert engine.qvel[2] == pytest.approx(engine.qvel[0], rel=close)


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("mass", 1.0, "unknown model field 'mass'"),
        ("body_mass", -1.0, "negative"),
        ("body_mass", 0.0, "above 0 kg"),
        ("body_mass", np.nan, "finite"),
        ("body_mass", np.ones(17), "takes"),
        ("dof_damping", [-0.1, 0.1], "negative"),
        ("geom_friction", -0.5, "negative"),
        ("body_inertia", [1.0, 1.0, 2.1], "no body can have"),
        ("body_iquat", [1.0, 0.1, 0.0, 0.0], "unit quaternions"),
        ("actuator_forcerange", [-1.0, 1.0], "no limit of its force"),
    ],
)
def test_bad_fields_are_refused(
    make: Make, field: str, values: object, words: str
) -> None:
    engine = make(2)
    with pytest.raises(UsageError, match=words):
        engine.set_field(field, values, all_of(engine))


def test_unknown_names_are_refused(make: Make) -> None:
    engine = make(1)
    for call in (engine.pose, engine.velocity, engine.jacobian):
        with pytest.raises(UsageError, match="Did you mean 'tip'"):
            call("tipp")
    with pytest.raises(UsageError, match="unknown sensor 'tip_pos'"):
        engine.sensor("tip_pos")
    with pytest.raises(UsageError, match="unknown frame"):
        engine.apply_wrench("forearm", np.zeros(6), all_of(engine))
    with pytest.raises(UsageError, match="is a site"):
        engine.apply_wrench("tip", np.zeros(6), all_of(engine))
    with pytest.raises(UsageError, match="environment 1"):
        engine.snapshot(1)


def test_numbers_of_environments_are_checked(make: Make) -> None:
    with pytest.raises(UsageError, match="got 0"):
        make(0)


def test_save_and_load_are_exact(make: Make) -> None:
    engine = started(make)
    changed = default_field(engine.model, "body_mass") * np.array([[1.1], [0.9]])
    engine.set_field("body_mass", changed, all_of(engine))
    engine.apply_wrench("fore", np.ones(6), only(engine, 0))
    engine.ctrl[:] = [3.0, -1.0]
    engine.step(30)
    saved = engine.save()
    engine.step(200)
    expected = engine.qpos.copy(), engine.qvel.copy()
    engine.set_field("body_mass", 1.7, all_of(engine))
    engine.reset(all_of(engine), np.zeros(2), np.zeros(2))
    engine.step(7)
    engine.load(saved, all_of(engine))
    engine.step(200)
    assert np.array_equal(engine.qpos, expected[0])
    assert np.array_equal(engine.qvel, expected[1])


def test_load_of_some_leaves_the_others(make: Make) -> None:
    engine = started(make)
    saved = engine.save()
    engine.step(40)
    other = engine.qpos[1].copy()
    engine.load(saved, only(engine, 0))
    assert np.array_equal(engine.qpos[0], POSTURE.astype(engine.qpos.dtype))
    assert np.array_equal(engine.qpos[1], other)


def test_states_of_another_shape_are_refused(make: Make) -> None:
    saved = make(2).save()
    with pytest.raises(EngineError, match=r"the state holds \(2, .*load it into"):
        make(1).load(saved, np.ones(1, bool))


def test_states_of_another_engine_are_refused(make: Make) -> None:
    engine = make(1)
    state = engine.save()
    state.engine = "matter"
    with pytest.raises(EngineError, match="'matter'"):
        engine.load(state, all_of(engine))


def test_divergence_is_reported_until_reset(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo logs it into a file
    engine = make(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine.reset(all_of(engine), POSTURE, np.array([[0, 0], [1e14, -1e14]]))
        engine.step(20)
    assert engine.diverged().tolist() == [False, True]
    engine.reset(only(engine, 1), POSTURE, np.zeros(2))
    engine.step(5)
    assert not engine.diverged().any()


def test_wall_force_is_the_springs(make: Make) -> None:
    """Pressed against the wall at rest, the sensor reads what the spring carries."""
    engine = make(1, "wall")
    engine.reset(all_of(engine), np.array([-1.05, 2.1, 0.0]), np.zeros(3))
    model = engine.model
    data = mujoco.MjData(model)
    for _ in range(300):
        data.qpos[:] = engine.qpos[0]
        mujoco.mj_forward(model, data)
        jacobian = engine.jacobian("tip")[0, :3, :2]
        speed = engine.velocity("tip")[0, :3]
        height = 0.9 - engine.pose("tip")[0][0, 2]
        push = np.array([12 - 60 * speed[0], 0, 800 * height - 60 * speed[2]])
        engine.ctrl[0] = jacobian.T @ push + data.qfrc_gravcomp[:2]
        engine.ctrl[0] += _weight(model, data)[:2]
        engine.step(10)
    spring = -model.jnt_stiffness[2] * engine.qpos[0, 2]
    force = engine.sensor("wall_contact")[0]
    assert spring == pytest.approx(-12.0, rel=0.05)
    assert force[0] == pytest.approx(spring, rel=1e-3)


def _weight(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Torques that carry the robot's weight (nv,) [N m]."""
    data.qvel[:] = 0
    mujoco.mj_forward(model, data)
    return data.qfrc_bias.copy()


def test_pictures_are_drawn(make: Make) -> None:
    engine = started(make)
    pictures = engine.render(["side"], np.array([0, 1]))
    assert pictures["side"].shape[0] == 2 and pictures["side"].dtype == np.uint8
    assert pictures["side"].std() > 1


def test_close_twice(make: Make) -> None:
    engine = make(1)
    engine.close()
    engine.close()
