"""Randomisation does what its table says, never accumulates, and stays physical."""

from typing import Any

import mujoco
import numpy as np
import pytest

from assets import UsageError, load_model
from ml.spec import ArraySpec
from sims import TASKS, make_env, make_task
from sims.draws import Draws
from sims.engines.mujoco import MujocoEngine
from sims.field_randomizer import FieldRandomizer
from sims.randomization import (
    FieldTerm,
    Push,
    Randomization,
    friction,
    gravity,
    joint_damping,
    link_mass,
    motor_strength,
    position_gain,
    velocity_gain,
)
from sims.sensing import DelayLine, Pusher, Sensing

NUM = 256
ALL = np.ones(NUM, bool)
SERVO = """
<mujoco><worldbody><body name="link">
  <joint name="hinge" axis="0 1 0"/><geom name="rod" size="0.05 0.2" type="capsule"/>
</body></worldbody>
<actuator><position name="servo" joint="hinge" kp="50" kv="3"/></actuator></mujoco>
"""


def draws(episode: int = 0, num_envs: int = NUM) -> Draws:
    return Draws(0, np.arange(num_envs), np.full(num_envs, episode))


def randomized(model: mujoco.MjModel, *terms: FieldTerm) -> MujocoEngine:
    engine = MujocoEngine(model, NUM)
    FieldRandomizer(model, terms).reset(engine, ALL, draws())
    return engine


def covers(values: np.ndarray, low: float, high: float) -> bool:
    span = high - low
    inside = values.min() >= low and values.max() <= high
    return (
        inside
        and values.min() < low + 0.05 * span
        and values.max() > high - 0.05 * span
    )


def test_link_mass_scales_mass_and_inertia_together() -> None:
    model = load_model("arm")
    engine = randomized(model, link_mass(0.8, 1.2, "upper", "fore"))
    rows = [model.body("upper").id, model.body("fore").id]
    mass = engine.get_field("body_mass")[:, rows] / model.body_mass[rows]
    inertia = engine.get_field("body_inertia")[:, rows] / model.body_inertia[rows]
    assert covers(mass, 0.8, 1.2)
    np.testing.assert_allclose(inertia, np.repeat(mass[..., None], 3, 2), rtol=1e-12)
    assert abs(np.corrcoef(mass.T)[0, 1]) < 0.2, "each link has a draw of its own"


def test_derived_constants_follow() -> None:
    """mj_setConst's fields are those of a model compiled with the drawn masses."""
    model = load_model("arm")
    engine = randomized(model, link_mass(0.5, 0.6, "upper", "fore"))
    engine.step()
    drawn, _ = engine.snapshot(3)
    fresh = load_model("arm")
    fresh.body_mass[:] = engine.get_field("body_mass")[3]
    fresh.body_inertia[:] = engine.get_field("body_inertia")[3]
    mujoco.mj_setConst(fresh, mujoco.MjData(fresh))
    for name in ("body_subtreemass", "dof_invweight0", "body_invweight0", "dof_M0"):
        np.testing.assert_allclose(
            getattr(drawn, name), getattr(fresh, name), rtol=1e-12
        )
        assert not np.allclose(getattr(drawn, name), getattr(model, name))


def test_each_constructor_reaches_its_field() -> None:
    arm, servo = load_model("arm"), mujoco.MjModel.from_xml_string(SERVO)
    hinges = randomized(arm, joint_damping(0.5, 1.5)).get_field("dof_damping")
    assert covers(hinges / arm.dof_damping, 0.5, 1.5)
    tip = arm.geom("tip").id
    rough = randomized(arm, friction(0.5, 1.5, "tip")).get_field("geom_friction")
    assert covers(rough[:, tip, 0], 0.5, 1.5)
    np.testing.assert_array_equal(
        rough[:, tip, 1:], np.tile(arm.geom_friction[tip, 1:], (NUM, 1))
    )
    motor = randomized(arm, motor_strength(0.7, 0.9)).get_field("actuator_gainprm")
    assert covers(motor[:, :, 0], 0.7, 0.9)
    pull = randomized(arm, gravity(0.9, 1.1)).get_field("opt.gravity")
    assert covers(pull[:, 2] / -9.81, 0.9, 1.1)
    stiff = randomized(servo, position_gain(0.5, 2.0))
    kp = stiff.get_field("actuator_gainprm")[:, 0, 0]
    assert covers(kp / 50, 0.5, 2.0)
    np.testing.assert_array_equal(kp, -stiff.get_field("actuator_biasprm")[:, 0, 1])
    damped = randomized(servo, velocity_gain(0.5, 2.0)).get_field("actuator_biasprm")
    assert covers(damped[:, 0, 2] / -3, 0.5, 2.0)


def test_nothing_accumulates_over_a_thousand_resets() -> None:
    model = load_model("arm")
    terms = (link_mass(0.8, 1.2, "upper", "fore"), joint_damping(0.5, 1.5))
    engine = MujocoEngine(model, 8)
    randomizer = FieldRandomizer(model, terms)
    everywhere = np.ones(8, bool)
    for episode in range(1000):
        randomizer.reset(engine, everywhere, draws(episode, 8))
    fresh = MujocoEngine(model, 8)
    FieldRandomizer(model, terms).reset(fresh, everywhere, draws(999, 8))
    for field in ("body_mass", "body_inertia", "dof_damping"):
        np.testing.assert_array_equal(engine.get_field(field), fresh.get_field(field))


def test_only_the_environments_that_reset_change() -> None:
    model = load_model("arm")
    engine = randomized(model, link_mass(0.8, 1.2, "upper"))
    before = engine.get_field("body_mass")
    where = np.arange(NUM) % 3 == 0
    FieldRandomizer(model, (link_mass(0.8, 1.2, "upper"),)).reset(
        engine, where, draws(1)
    )
    after = engine.get_field("body_mass")
    changed = (before != after).any(axis=1)
    np.testing.assert_array_equal(changed, where)


def test_draws_survive_a_reset_of_the_state() -> None:
    model = load_model("arm")
    engine = randomized(model, link_mass(0.8, 1.2, "upper"))
    before = engine.get_field("body_mass")
    engine.reset(ALL, np.zeros(2), np.zeros(2))
    engine.step(3)
    np.testing.assert_array_equal(before, engine.get_field("body_mass"))


def test_a_heavier_arm_falls_the_same_but_needs_more_torque() -> None:
    """The physics itself runs on the drawn values, not only the table."""
    engine = MujocoEngine(load_model("arm"), 2)
    masses = np.tile(engine.model.body_mass, (2, 1))
    masses[1] *= 2
    engine.set_field("body_mass", masses, np.ones(2, bool))
    engine.reset(np.ones(2, bool), np.zeros(2), np.zeros(2))
    engine.ctrl[:] = [8.0, 2.0]
    engine.step(200)
    assert engine.qpos[0, 0] > engine.qpos[1, 0] + 0.1


@pytest.mark.parametrize("name", TASKS)
def test_profiles_of_each_task(name: str) -> None:
    """The arm's train has the guide's ranges; gap avoids train's in three terms."""
    task: Any = make_task(name)
    train, gap = task.randomizations["train"], task.randomizations["gap"]
    terms = {t.name: t for t in train.fields}
    assert (terms["link_mass"].low, terms["link_mass"].high) == (0.8, 1.2)
    if name.startswith("arm"):  # a centimetre of noise would hide what hands take
        assert (terms["friction"].low, terms["friction"].high) == (0.5, 1.5)
        assert train.observation_noise == 0.01
        assert train.action_delay == (0, 3)
    apart = [
        t.name
        for t in gap.fields
        if isinstance(t, FieldTerm)
        and t.name in terms
        and (t.low > terms[t.name].high or t.high < terms[t.name].low)
    ]
    assert len(apart) >= 3, apart
    assert gap.action_delay[0] > train.action_delay[1]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("profile", ["train", "gap"])
def test_profiles_run(name: str, profile: str) -> None:
    env = make_env(name, num_envs=16, randomize=profile)
    obs = env.reset()
    for _ in range(60):
        obs, *_ = env.step(np.zeros((16, env.action_spec.size)))
    assert np.isfinite(obs["state"]).all()
    terms = {t.name: t for t in env.task.randomizations[profile].fields}
    link = env.engine.model.body(terms["link_mass"].elements[0]).id
    assert len(np.unique(env.engine.get_field("body_mass")[:, link])) == 16


def spec() -> ArraySpec:
    return ArraySpec(shape=(3,), names=("joint_a", "tip_x", "target_x"))


def test_noise_has_its_size_and_spares_commands() -> None:
    random = Randomization(observation_noise=0.01)
    sensing = Sensing(random, {"state": spec()}, spec(), 4000)
    truth = {"state": np.ones((4000, 3))}
    seen = sensing.read(truth, np.zeros(4000, int), draws(0, 4000))["state"]
    np.testing.assert_array_equal(seen[:, 2], 1.0)
    assert np.std(seen[:, :2] - 1) == pytest.approx(0.01, rel=0.05)
    later = sensing.read(truth, np.ones(4000, int), draws(0, 4000))["state"]
    assert abs(np.corrcoef(seen[:, 0], later[:, 0])[0, 1]) < 0.05
    np.testing.assert_array_equal(truth["state"], 1.0)


def test_delay_line_reads_each_environment_its_own_age() -> None:
    line = DelayLine(3, 1, 2)
    line.delay[:] = [0, 1, 2]
    line.fill(np.zeros((3, 1)), np.ones(3, bool))
    seen = []
    for t in range(1, 6):
        line.push(np.full((3, 1), t))
        seen.append(line.read()[:, 0].tolist())
    assert seen == [[1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 3, 2], [5, 4, 3]]
    line.fill(np.full((3, 1), 9.0), np.array([False, False, True]))
    assert line.read()[:, 0].tolist() == [5, 4, 9]


def test_action_delay_holds_zero_until_the_first_action_arrives() -> None:
    random = Randomization(action_delay=(2, 2))
    sensing = Sensing(random, {"state": spec()}, spec(), 2)
    sensing.reset(np.ones(2, bool), draws(0, 2))
    sent = [np.full((2, 3), t) for t in (1.0, 2.0, 3.0)]
    assert [sensing.act(a)[0, 0] for a in sent] == [0.0, 0.0, 1.0]
    sensing.reset(np.array([True, False]), draws(1, 2))
    assert sensing.act(np.full((2, 3), 4.0))[:, 0].tolist() == [0.0, 2.0]


def test_observation_delay_shows_the_past_of_what_is_sensed() -> None:
    env = make_env(
        "arm-track", num_envs=2, randomize=Randomization(observation_delay=(3, 3))
    )
    true = make_env("arm-track", num_envs=2)
    late, now = [env.reset()["state"]], [true.reset()["state"]]
    for _ in range(10):
        action = np.full((2, 2), 3.0)
        late.append(env.step(action)[0]["state"])
        now.append(true.step(action)[0]["state"])
    np.testing.assert_array_equal(late[10][:, :8], now[7][:, :8])
    np.testing.assert_array_equal(late[10][:, 8:], now[10][:, 8:])
    np.testing.assert_array_equal(late[2][:, :8], now[0][:, :8])


def test_pushes_come_at_their_interval_and_end() -> None:
    engine = MujocoEngine(load_model("arm"), 32)
    pusher = Pusher(
        Push(body="fore", force=(2.0, 3.0), duration=0.05, interval=0.5), 0.01
    )
    body = engine.model.body("fore").id
    sizes = []
    for step in range(150):
        pusher.apply(engine, np.full(32, step), draws(0, 32))
        sizes.append(np.linalg.norm(engine.batch.xfrc_applied[:, body, :3], axis=1))
    sizes = np.array(sizes)
    active = sizes > 0
    assert sizes[active].min() >= 2.0
    assert sizes.max() <= 3.0
    np.testing.assert_array_equal(active[51:101].sum(axis=0), 5)
    assert len(np.unique(active.argmax(axis=0))) > 10, "phases differ"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: link_mass(1.2, 0.8), "from low to high"),
        (lambda: link_mass(-0.1, 0.8), "not negative"),
        (lambda: Randomization(observation_noise=-1.0), "not negative"),
        (lambda: Randomization(action_delay=(-1, 2)), "not negative"),
        (lambda: Randomization(action_delay=(3, 2)), "from low to high"),
        (
            lambda: FieldTerm(name="x", parts=(("body_mas", None),), low=1, high=2),
            "mean 'body_mass'",
        ),
        (
            lambda: FieldTerm(
                name="x",
                parts=(("jnt_stiffness", None),),
                low=0,
                high=2,
                operation="set",
                distribution="log_uniform",
            ),
            "above 0",
        ),
        (
            lambda: FieldRandomizer(load_model("arm"), (link_mass(1, 2, "for"),)),
            "'fore'",
        ),
        (lambda: Pusher(Push(body="fore", force=(1, 2), duration=2.0), 0.01), "fit"),
    ],
)
def test_impossible_tables_are_refused(make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_snapshot_shows_the_drawn_constants_at_once() -> None:
    engine = randomized(load_model("arm"), link_mass(0.5, 0.6, "upper", "fore"))
    model, _ = engine.snapshot(3)
    upper = engine.model.body("upper").id
    assert model.body_subtreemass[upper] < 0.7 * engine.model.body_subtreemass[upper]
