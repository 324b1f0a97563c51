"""When terms are drawn, what senses do to the truth, how pushes are given, and what a
task asks for; the humanoid's profiles; the examples of the documentation."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets import UsageError, load_model
from ml.spec import ArraySpec
from sims import make_env
from sims.draws import Draws
from sims.engine import EngineError
from sims.engines import ENGINES
from sims.engines.mujoco import MujocoEngine
from sims.env import Env
from sims.field_randomizer import FieldRandomizer
from sims.randomization import (
    Randomization,
    encoder_bias,
    friction,
    joint_damping,
    link_mass,
    motor_strength,
    roughness,
    sensor_noise,
)
from sims.sensing import Pusher, Sensing
from sims.tasks.humanoid_profiles import GAP, TRAIN
from sims.tasks.humanoid_stand import HumanoidStand
from sims.terms import FieldTerm, InertiaTerm, Push, SensorTerm

DOCS = Path(__file__).parents[2] / "docs" / "randomization.md"
STILL = np.zeros((8, 2))


def arm(*terms: FieldTerm, num_envs: int = 8, **more: Any) -> Env:
    table = Randomization(fields=terms)
    return make_env("arm-reach", num_envs=num_envs, randomize=table, threads=1, **more)


def strength(env: Env) -> np.ndarray:
    """(num_envs,) of the first motor."""
    return env.engine.get_field("actuator_gainprm")[:, 0, 0]


def test_start_is_once_per_environment() -> None:
    env = arm(replace(motor_strength(0.5, 1.5), when="start"), autoreset=True)
    env.reset(seed=3)
    first = strength(env)
    assert len(np.unique(first)) == 8
    env.state.steps[:4] = env.max_steps - 1
    env.step(STILL)
    np.testing.assert_array_equal(strength(env), first)
    env.reset()
    np.testing.assert_array_equal(strength(env), first)
    env.reset(ids=np.arange(8)[::-1])
    np.testing.assert_array_equal(strength(env), first[::-1])
    saved = env.save()
    env.reset(seed=4)
    assert not np.isin(strength(env), first).any()
    env.load(saved)
    env.reset(seed=4)
    assert not np.isin(strength(env), first).any(), "a load does not mislead it"


def test_what_is_drawn_once_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    env = arm(
        replace(motor_strength(0.5, 1.5), when="start"),
        joint_damping(0.5, 1.5),
        autoreset=True,
    )
    env.reset()
    written: list[tuple[str, int]] = []
    plain = MujocoEngine.set_field

    def noted(self: MujocoEngine, field: str, values: Any, where: Any) -> None:
        written.append((field, int(where.sum())))
        assert len(values) == where.sum(), "rows of those that begin, and no others"
        plain(self, field, values, where)

    monkeypatch.setattr(MujocoEngine, "set_field", noted)
    env.step(STILL)
    assert not written
    env.state.steps[2] = env.max_steps - 1
    env.step(STILL)
    assert written == [("dof_damping", 1)]


def test_step_is_each_control_step() -> None:
    env = arm(replace(motor_strength(0.5, 1.5), when="step"))
    env.reset(seed=1)
    seen = []
    for _ in range(50):
        env.step(STILL)
        seen.append(strength(env))
    seen = np.array(seen)
    assert (np.diff(seen, axis=0) != 0).all()
    assert seen.min() < 0.55
    assert seen.max() > 1.45
    own = Draws(1, np.array([6]), np.array([0]))
    size = len(env.engine.model.actuator_gainprm)
    drawn = own.uniform("motor_strength", 0.5, 1.5, (size,), np.array([49]))
    assert seen[49, 6] == drawn[0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_interval_is_again_and_again_from_a_time_that_is_drawn(engine: str) -> None:
    term = replace(motor_strength(0.5, 1.5), when="interval", interval=0.25)
    envs = arm(term, num_envs=8), arm(term, num_envs=2, engine=engine)
    ids = np.array([7, 3])
    envs[0].reset(seed=2)
    envs[1].reset(seed=2, ids=ids)
    period = round(0.25 / envs[0].control_dt)
    seen = [strength(envs[0])]
    for _ in range(4 * period):
        envs[0].step(STILL)
        envs[1].step(STILL[:2])
        seen.append(strength(envs[0]))
        np.testing.assert_array_equal(seen[-1][ids], strength(envs[1]))
    changed = np.diff(np.array(seen), axis=0) != 0
    begins = changed.argmax(axis=0)
    assert len(np.unique(begins)) > 3, "phases differ"
    assert (begins <= period).all()
    for env, begin in enumerate(begins):
        at = np.flatnonzero(changed[:, env])
        np.testing.assert_array_equal(np.diff(at), period)
        assert at[0] == begin
        assert len(at) >= 3
    for env in envs:
        env.close()


def test_within_episodes_the_task_keeps_what_it_set() -> None:
    """As a task may do at its reset, after the draws; other elements stay its own."""
    env = arm(replace(link_mass(0.5, 1.5, "upper"), when="step"))
    env.reset()
    model = env.engine.model
    fore, upper = model.body("fore").id, model.body("upper").id
    masses = env.engine.get_field("body_mass")
    masses[:, fore] = 0.123
    env.engine.set_field("body_mass", masses, np.ones(8, bool))
    env.step(STILL)
    env.step(STILL)
    after = env.engine.get_field("body_mass")
    assert (after[:, fore] == 0.123).all()
    assert (after[:, upper] != masses[:, upper]).all()


def test_observations_of_the_others_go_on_when_some_begin() -> None:
    """A reset of some leaves the noisy, late, biased view of the others to the bit."""
    noisy = replace(
        TRAIN, fields=(), push=None, task=(), action_delay=(0, 0), sensors=TRAIN.sensors
    )
    env = make_env("humanoid-stand", num_envs=3, randomize=noisy, autoreset=True)
    env.reset(seed=5)
    env.step(np.zeros((3, 29)))
    env.state.steps[1] = env.max_steps - 1
    obs, *_, info = env.step(np.zeros((3, 29)))
    fresh = obs["state"]
    np.testing.assert_array_equal(fresh[[0, 2]], info["final_obs"]["state"][[0, 2]])
    assert (fresh[1] != info["final_obs"]["state"][1]).any()
    whole = env._sense(env.task.observe(env.engine, env.state))
    for group, values in whole.items():
        np.testing.assert_array_equal(obs[group], values, group)


def senses(num_envs: int, *terms: SensorTerm, everywhere: float = 0.0) -> Sensing:
    names = ("gyro_x", "knee_angle", "ankle_angle", "target_knee")
    spec = {"state": ArraySpec(shape=(4,), names=names)}
    table = Randomization(sensors=terms, observation_noise=everywhere)
    return Sensing(table, spec, ArraySpec(shape=(1,)), num_envs)


def seen(sensing: Sensing, num: int, episode: int = 0, step: int = 0) -> np.ndarray:
    keys = Draws(0, np.arange(num), np.full(num, episode))
    sensing.reset(np.ones(num, bool), keys)
    truth = {"state": np.zeros((num, 4))}
    return sensing.read(truth, np.full(num, step), keys)["state"]


def test_noise_has_a_scale_for_each_element() -> None:
    gyro = sensor_noise("gyro_noise", 0.2, "gyro_*")
    ankle = sensor_noise("ankle_noise", 0.0, "ankle_angle")
    values = seen(senses(4000, gyro, ankle, everywhere=0.01), 4000)
    np.testing.assert_allclose(values.std(axis=0)[:2], [0.2, 0.01], rtol=0.05)
    assert (values[:, 2:] == 0).all(), "without noise, and a command"
    same = seen(senses(4000, everywhere=0.01), 4000)
    np.testing.assert_array_equal(same[:, 1], values[:, 1])


def test_encoders_are_off_by_the_same_for_an_episode() -> None:
    sensing = senses(500, encoder_bias(0.03, "*_angle"))
    first = seen(sensing, 500)
    assert (first[:, [0, 3]] == 0).all()
    assert 0.029 < np.abs(first[:, 1:3]).max() <= 0.03
    assert abs(np.corrcoef(first[:, 1], first[:, 2])[0, 1]) < 0.15
    np.testing.assert_array_equal(first, seen(sensing, 500, step=9))
    assert (seen(sensing, 500, episode=1)[:, 1] != first[:, 1]).all()
    np.testing.assert_array_equal(
        seen(senses(3, encoder_bias(0.03, "*_angle")), 3), first[:3]
    )
    once = senses(500, replace(encoder_bias(0.03, "*_angle"), when="start"))
    np.testing.assert_array_equal(seen(once, 500), first)
    np.testing.assert_array_equal(seen(once, 500, episode=1), first)


def test_an_impulse_is_force_times_its_time() -> None:
    engine = MujocoEngine(load_model("arm"), 16)
    push = Push(body="fore", impulse=(2.0, 3.0), duration=0.047, interval=0.5)
    pusher = Pusher(push, 0.01)
    body = engine.model.body("fore").id
    given = np.zeros(16)
    for step in range(50, 100):
        keys = Draws(0, np.arange(16), np.zeros(16))
        pusher.apply(engine, np.full(16, step), keys)
        given += np.linalg.norm(engine.batch.xfrc_applied[:, body, :3], axis=1) * 0.01
    assert ((given >= 2.0) & (given <= 3.0)).all()


def test_a_task_is_told_the_range_that_it_asks_for() -> None:
    plain = Draws(0, np.arange(100), np.zeros(100))
    told = Draws(0, np.arange(100), np.zeros(100), {"roughness": (0.0, 0.1)})
    assert (plain.within("roughness", 0.0, 0.0) == 0).all()
    drawn = told.within("roughness", 0.0, 0.0)
    assert 0.09 < drawn.max() < 0.1
    np.testing.assert_array_equal(drawn, plain.uniform("roughness", 0.0, 0.1))
    np.testing.assert_array_equal(
        told.at(np.array([7])).within("roughness", 0, 0), drawn[7]
    )

    class Rough(HumanoidStand):
        parameters = ("roughness",)

    profile = Rough().randomizations["train"]
    assert [term.name for term in profile.task] == ["roughness"]
    task: Any = Rough()
    env = make_env(task, randomize=profile)
    env.reset()
    assert env.draws.within("roughness", 0.0, 0.0)[0] > 0
    assert not HumanoidStand().randomizations["train"].task


def test_the_humanoids_profile_has_the_guides_ranges() -> None:
    terms = {term.name: term for term in TRAIN.fields}
    for name, low, high in (
        ("friction", 0.5, 2.0),
        ("link_mass", 0.8, 1.2),
        ("motor_strength", 0.8, 1.2),
    ):
        term = terms[name]
        assert isinstance(term, FieldTerm)
        assert (term.low, term.high) == (low, high)
    assert TRAIN.push is not None
    assert TRAIN.push.force == (0.0, 200.0)
    assert TRAIN.task == (roughness(0.0, 0.1),)


def test_the_humanoids_gap_is_apart_from_its_training() -> None:
    train = {term.name: term for term in TRAIN.fields}
    apart = []
    for term in GAP.fields:
        old = train[term.name]
        if isinstance(term, InertiaTerm) or isinstance(old, InertiaTerm):
            continue
        if term.low > old.high or term.high < old.low:
            apart.append(term.name)
    assert apart == [
        *("link_mass", "friction", "joint_damping", "armature", "motor_strength"),
        "velocity_gain",
    ]
    assert GAP.action_delay[0] > TRAIN.action_delay[1]
    assert GAP.push is not None
    assert GAP.push.force is not None
    assert GAP.push.force[0] > 200.0


def test_one_term_can_be_left_out() -> None:
    assert {"friction", "encoder_bias", "action_delay", "push"} < set(TRAIN.names)
    assert "observation_noise" not in TRAIN.names, "there is none"
    for name in TRAIN.names:
        left = TRAIN.without(name)
        assert set(left.names) == set(TRAIN.names) - {name}
    with pytest.raises(UsageError, match="Did you mean 'friction'"):
        TRAIN.without("frictions")


def test_distributions_keep_to_their_range() -> None:
    model = load_model("arm")
    keys = Draws(0, np.arange(4000), np.zeros(4000))
    engine = MujocoEngine(model, 4000, threads=1)
    bell = replace(joint_damping(0.5, 1.5), distribution="gaussian")
    FieldRandomizer(model, (bell,)).reset(engine, np.ones(4000, bool), keys)
    factors = engine.get_field("dof_damping") / model.dof_damping
    assert 0.5 <= factors.min() < 0.52
    assert 1.48 < factors.max() <= 1.5
    assert factors.mean() == pytest.approx(1.0, abs=0.01)
    assert factors.std() == pytest.approx(0.25 * 0.88, rel=0.03)  # cut off at 2 sigma


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: replace(friction(0, 1), when="interval"), "interval= is for when="),
        (lambda: replace(friction(0, 1), interval=1.0), "interval= is for when="),
        (lambda: replace(friction(0, 1), when="sometimes"), "unknown when of the term"),
        (lambda: replace(friction(0, 1), operation="divide"), "unknown operation"),
        (lambda: replace(friction(0, 1), distribution="beta"), "unknown distribution"),
        (lambda: InertiaTerm(when="interval"), "interval= is for when="),
        (
            lambda: arm(replace(friction(0, 1), when="interval", interval=0.001)),
            "shorter than a control step",
        ),
        (
            lambda: Randomization(fields=(friction(0, 1), friction(1, 2))),
            "two of the fields terms are called 'friction'",
        ),
        (lambda: senses(1, encoder_bias(0.1, "*_angel")), "Known: ankle_angle"),
        (lambda: sensor_noise("x", -1.0, "a"), "noise is not negative"),
        (lambda: Push(body="fore"), "either a force or an impulse"),
        (lambda: Push(body="fore", force=(0, 1), impulse=(0, 1)), "either a force"),
        (lambda: Push(body="fore", force=(2, 1)), "from low to high"),
        (
            lambda: make_env(
                "arm-reach", randomize=Randomization(task=(roughness(0, 1),))
            ),
            "unknown number of the task arm-reach 'roughness'",
        ),
    ],
)
def test_tables_that_make_no_sense_are_refused(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def test_an_engine_that_cannot_says_so_before_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MujocoEngine, "fields", ("geom_friction",))
    with pytest.raises(EngineError, match="cannot vary dof_damping"):
        arm(joint_damping(0.5, 1.5))


def test_the_documents_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(block, {})


def test_the_document_lists_each_term_that_there_is() -> None:
    import sims.randomization as made

    text = DOCS.read_text()
    functions = [
        name
        for name, value in vars(made).items()
        if callable(value) and getattr(value, "__module__", "") == made.__name__
    ]
    public = [name for name in functions if name[0] != "_" and name != "Randomization"]
    assert "encoder_bias" in public
    assert not [name for name in public if f"`{name}" not in text]
    for term in (*TRAIN.fields, *TRAIN.sensors, *TRAIN.task):
        assert f"`{term.name}`" in text
