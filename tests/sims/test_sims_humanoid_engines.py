"""The humanoid is one robot in every engine, and stands in each."""

import mujoco
import numpy as np
import pytest

from assets import load_model
from benchmarks.humanoid_armature import errors as answer_errors
from benchmarks.humanoid_model import (
    ANSWER,
    DROP,
    QUANTITIES,
    STANDING,
    agreement,
    limit,
    stand,
)
from sims.engines import ENGINES
from sims.engines.bullet import BulletEngine
from sims.engines.bullet_layout import make_layout
from sims.engines.bullet_rotors import has_rotors, servo_damping, with_rotors

BOTH = ("mujoco", "bullet")
HERE = np.ones(1, bool)


@pytest.fixture(scope="module")
def errors() -> dict[str, dict[str, float]]:
    return agreement(40, seed=1)


@pytest.mark.parametrize("source", ["bullet", "pinocchio"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_rigid_body_quantities_agree(
    errors: dict[str, dict[str, float]], source: str, quantity: str
) -> None:
    assert errors[source][quantity] < limit(source, quantity)


@pytest.mark.parametrize(
    ("engine", "height", "seconds"),
    [
        ("mujoco", 0.0, 10.0),
        ("mujoco", DROP, 10.0),
        ("bullet", 0.0, 5.0),
        ("bullet", DROP, 5.0),
        ("warp", DROP, 2.0),  # slow on a CPU; the benchmark has the rest
    ],
)
def test_it_stands_under_its_servos_alone(
    engine: str, height: float, seconds: float
) -> None:
    figures = stand(engine, height, seconds)
    for what, most in STANDING.items():
        assert figures[what] < most, what
    weight = 35 * 9.81
    assert weight < figures["peak force [N]"] < 20 * weight


def test_flight_is_the_same() -> None:
    """Off the floor both take the same steps, servos, armature and all; the base's own
    place differs by the square of the step (see the engine's top)."""
    model = load_model("humanoid")
    rng = np.random.default_rng(2)
    start = model.key_qpos[0].copy()
    start[2] += 3.0
    speed = rng.normal(size=model.nv)
    engines = [ENGINES[name].make(model, 1, threads=1) for name in BOTH]
    for engine in engines:
        engine.reset(HERE, start, speed)
        engine.ctrl[:] = model.key_ctrl[0]
        engine.step(20)
    first, other = engines
    np.testing.assert_allclose(other.qpos, first.qpos, atol=5e-5)
    np.testing.assert_allclose(other.qpos[:, 7:], first.qpos[:, 7:], atol=1e-6)
    np.testing.assert_allclose(other.qvel, first.qvel, atol=1e-3)
    for engine in engines:
        engine.close()


def test_armature_costs_nothing_off_contact_and_a_stated_share_in_contact() -> None:
    found = answer_errors(2)
    assert max(found["off contact"]) < ANSWER["off contact"]
    assert 0.01 < max(found["in contact"]) < ANSWER["in contact"]
    assert found["in contact"][-2] < found["in contact, bare links"][-2]


def test_links_carry_their_motors_where_the_base_floats() -> None:
    model = load_model("humanoid")
    layout = make_layout(model)
    assert has_rotors(layout)
    seen = with_rotors(model, layout)
    added = seen.body_inertia - model.body_inertia
    foot, pelvis = model.body("left_foot").id, model.body("pelvis").id
    servo, joint = model.actuator("left_ankle_roll"), model.joint("left_ankle_roll")
    dof = joint.dofadr[0]
    share = model.dof_armature[dof] + 0.005 * (
        model.dof_damping[dof] - servo.biasprm[2]
    )
    np.testing.assert_allclose(added[foot], [share, 0, 0], rtol=1e-12)
    np.testing.assert_array_equal(added[pelvis], 0)
    assert not seen.dof_armature.any() and model.dof_armature.any()
    assert servo_damping(model)[dof] == -servo.biasprm[2]


def test_fixed_arms_are_seen_as_they_are() -> None:
    for robot, scene in (("arm", "wall"), ("aloha", "transfer")):
        assert not has_rotors(make_layout(load_model(robot, scene)))


def test_without_them_bullets_robot_sways_until_it_falls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the heavier links are for."""
    monkeypatch.setattr("sims.engines.bullet_env.has_rotors", lambda layout: False)
    model = load_model("humanoid")
    engine = BulletEngine(model, 1)
    engine.reset(HERE, model.key_qpos[0], np.zeros(model.nv))
    engine.ctrl[:] = model.key_ctrl[0]
    engine.step(2000)
    tilt = 1 - 2 * (engine.qpos[0, 4] ** 2 + engine.qpos[0, 5] ** 2)
    engine.close()
    assert tilt < 0.9


def test_varied_masses_reach_what_bullet_sees() -> None:
    """A heavier robot presses the floor harder, and still stands."""
    model = load_model("humanoid")
    engine = BulletEngine(model, 1)
    mass = model.body_mass.copy()
    mass[model.body("torso").id] += 3.0
    engine.set_field("body_mass", mass, HERE)
    engine.reset(HERE, model.key_qpos[0], np.zeros(model.nv))
    engine.ctrl[:] = model.key_ctrl[0]
    engine.step(600)
    feet = [engine.sensor(f"{s}_foot_contact")[0, 3] for s in ("left", "right")]
    assert -sum(feet) == pytest.approx(38 * 9.81, rel=0.01)
    _, data = engine.snapshot()
    assert isinstance(data, mujoco.MjData)
    assert data.qpos[2] > 0.68
    engine.close()
