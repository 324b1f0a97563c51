"""Each term of randomisation on each engine: no accumulation, nothing lost, constants
that follow, bodies that can exist, draws that depend on nothing but their keys. And
each check fails where the feature is broken on purpose."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import mujoco
import numpy as np
import pytest

from assets import UsageError, load_model
from assets.errors import SandbotError
from benchmarks import randomization_checks as checks
from sims import bound_terms
from sims.draws import Draws
from sims.engine import FIELDS, Engine, EngineError, default_field
from sims.engines import ENGINES
from sims.engines.bullet_env import BulletEnv
from sims.engines.mujoco import MujocoEngine
from sims.field_randomizer import FieldRandomizer
from sims.inertia import pseudo_inertia
from sims.randomization import centre_of_mass, link_mass, motor_strength
from sims.tasks.humanoid_profiles import TRAIN
from sims.terms import FieldTerm, InertiaTerm

Term = FieldTerm | InertiaTerm
ALL = np.ones(checks.NUM, bool)
FRICTIONLESS = checks.SCENE.replace(
    'integrator="implicitfast"/>',
    'integrator="implicitfast"><flag frictionloss="disable"/></option>',
)
INERT = ("friction", "slimness")
"""Felt in contact alone."""
FELT = [
    (name, which)
    for name in ENGINES
    for which in checks.TERMS
    if (name, which) != ("bullet", "joint_friction")
]


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Engine]]:
    """The engines that were needed so far, by name."""
    engines: dict[str, Engine] = {}
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, made: dict[str, Engine]) -> Engine:
    """Three environments, nominal."""
    return fresh(request.param, made)


def fresh(name: str, made: dict[str, Engine]) -> Engine:
    if name not in made:
        make = ENGINES[name].make
        made[name] = make(checks.scene(), checks.NUM, threads=1)
    engine = made[name]
    checks.restore(engine, FieldRandomizer(engine.model, tuple(checks.TERMS.values())))
    return engine


@pytest.fixture(params=checks.TERMS)
def term(request: pytest.FixtureRequest) -> Term:
    return checks.TERMS[request.param]


def test_the_terms_here_vary_every_field() -> None:
    terms = tuple(checks.TERMS.values())
    assert set(FieldRandomizer(checks.scene(), terms).fields) == set(FIELDS)


def test_nothing_accumulates_over_a_thousand_resets(engine: Engine, term: Term) -> None:
    checks.check_no_accumulation(engine, term)


def test_draws_survive_every_reset_but_their_own(engine: Engine, term: Term) -> None:
    checks.check_survives(engine, term)


def test_constants_follow(engine: Engine, term: Term) -> None:
    checks.check_constants(engine, term)


@pytest.mark.parametrize(
    "name", ["link_mass", "centre_of_mass", "inertia", "all_of_it"]
)
def test_inertia_is_that_of_one_body(engine: Engine, name: str) -> None:
    checks.check_follows(engine, checks.TERMS[name])


def test_draws_depend_on_keys_alone(engine: Engine, term: Term) -> None:
    checks.check_same_draws(engine, term)


@pytest.mark.parametrize(("name", "which"), FELT)
def test_physics_runs_on_the_draws(
    name: str, which: str, made: dict[str, Engine]
) -> None:
    """Five steps of each environment are plain MuJoCo's with its own values."""
    close = {"mujoco": 1e-12, "bullet": 1e-7, "warp": 3e-5}[name]
    engine, term = fresh(name, made), checks.TERMS[which]
    if name == "bullet":  # whose dry friction is approximate
        if "smooth" not in made:
            model = mujoco.MjModel.from_xml_string(FRICTIONLESS)
            made["smooth"] = ENGINES["bullet"].make(model, checks.NUM)
        engine = made["smooth"]
    qpos, qvel, ctrl = [0.3, -0.5], [0.9, -0.4], [0.9, -0.1, 0.2]
    randomizer = FieldRandomizer(engine.model, (term,))
    randomizer.reset(engine, ALL, checks.draws(7))
    engine.reset(ALL, np.array(qpos), np.array(qvel))
    engine.ctrl[:] = ctrl
    engine.step(5)
    moved = 0.0
    for env, who in enumerate(checks.IDS):
        drawn = checks.with_fields(engine.model, term, int(who), 7)
        after = [steps(model, qpos, qvel, ctrl) for model in (drawn, engine.model)]
        np.testing.assert_allclose(engine.qvel[env], after[0], atol=close, rtol=close)
        moved = max(moved, float(np.abs(after[0] - after[1]).max()))
    assert (moved > 10 * close) == (which not in INERT)
    checks.restore(engine, randomizer)


def test_bullets_joints_rub_the_more_the_more_is_drawn(made: dict[str, Engine]) -> None:
    engine = fresh("bullet", made)
    randomizer = FieldRandomizer(engine.model, (checks.TERMS["joint_friction"],))
    randomizer.reset(engine, ALL, checks.draws(7))
    order = np.argsort(engine.get_field("dof_frictionloss")[:, 1])
    engine.reset(ALL, np.zeros(2), np.array([0.0, 2.0]))
    engine.step(3)
    assert (np.diff(engine.qvel[order, 1]) < 0).all()


def steps(model: mujoco.MjModel, *state: list[float]) -> np.ndarray:
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = state
    mujoco.mj_step(model, data, 5)
    return data.qvel


def test_the_most_extreme_draws_are_bodies() -> None:
    """Stretched a hundredfold, sheared beyond 70 degrees, moved by a metre."""
    model = load_model("humanoid")
    wild = InertiaTerm(
        mass=(0.01, 100.0), shift=(1.0, 1.0, 1.0), stretch=(0.1, 10.0), shear=3.0
    )
    everywhere, num = np.ones(64, bool), 64
    recorder = checks.Recorder(model, num)
    keys = Draws(0, np.arange(num), np.zeros(num))
    FieldRandomizer(model, (wild,)).reset(recorder, everywhere, keys)  # pyright: ignore[reportArgumentType]
    names = ("body_mass", "body_ipos", "body_inertia", "body_iquat")
    mass, ipos, moments, axes = (recorder.fields[name][:, 1:] for name in names)
    checks.check_physical(mass, moments, axes)
    joint = pseudo_inertia(mass, ipos, moments, axes)
    scale = np.sqrt(np.einsum("...ii->...i", joint))
    unit = joint / scale[..., :, None] / scale[..., None, :]
    assert np.linalg.eigvalsh(unit).min() > 0, "positive definite"
    engine = MujocoEngine(model, 4, threads=1)
    FieldRandomizer(model, (wild,)).reset(
        engine, np.ones(4, bool), keys.at(np.arange(4))
    )
    engine.reset(np.ones(4, bool), model.key_qpos[0], np.zeros(model.nv))
    assert np.isfinite(engine.qpos).all()


@pytest.mark.parametrize("name", ["mujoco", "bullet"])
def test_the_humanoid_too(name: str) -> None:
    """All of its profile together, on a robot that floats."""
    model = load_model("humanoid")
    engine = ENGINES[name].make(model, checks.NUM, threads=1)
    randomizer = FieldRandomizer(model, TRAIN.fields)
    for episode in range(30):
        randomizer.reset(engine, ALL, checks.draws(episode))
    engine.reset(ALL, model.key_qpos[0], np.zeros(model.nv))
    engine.ctrl[:] = model.key_ctrl[0]
    engine.step(20)
    assert not engine.diverged().any()
    again = checks.Recorder(model, checks.NUM)
    randomizer.reset(again, ALL, checks.draws(29))  # pyright: ignore[reportArgumentType]
    for field, values in again.fields.items():
        np.testing.assert_array_equal(engine.get_field(field), values, field)
    engine.close()


def accumulating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each draw acts on what the last one left."""
    write = FieldRandomizer._write

    def wrong(self: Any, engine: Engine, group: Any, *args: Any, **kwargs: Any) -> None:
        write(self, engine, group, *args, **kwargs)
        if not isinstance(engine, checks.Recorder):
            group.nominal = {f: engine.get_field(f)[0] for f in group.touched}

    monkeypatch.setattr(FieldRandomizer, "_write", wrong)


def touching_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset of one environment draws for all."""
    reset = FieldRandomizer.reset

    def wrong(self: Any, engine: Engine, where: np.ndarray, keys: Draws) -> None:
        everybody = Draws(checks.SEED, checks.IDS + 1, np.zeros(checks.NUM))
        reset(self, engine, where, keys)
        if not where.all():
            reset(self, engine, ~where, everybody)

    monkeypatch.setattr(FieldRandomizer, "reset", wrong)


def lost_at_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's reset makes the model nominal again."""
    reset = MujocoEngine.reset

    def wrong(self: MujocoEngine, where: Any, *args: Any) -> None:
        for field in list(self._fields):
            self.set_field(field, default_field(self.model, field), where)
        reset(self, where, *args)

    monkeypatch.setattr(MujocoEngine, "reset", wrong)


def keyed_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first environments of a reset get the first draws."""

    def wrong(self: Draws, rows: np.ndarray) -> Draws:
        some = copy(self)
        some.keys, some._who = self.keys[: len(rows)], self._who[: len(rows)]
        return some

    monkeypatch.setattr(Draws, "at", wrong)


def crooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments are stretched one by one, as numbers."""
    monkeypatch.setattr(
        bound_terms, "sheared", lambda moments, axes, by, lean: (moments * by, axes)
    )


accumulates = partial(checks.check_no_accumulation, resets=20)
BROKEN = {
    "accumulating": (accumulating, accumulates, "link_mass"),
    "accumulating inertia": (accumulating, accumulates, "all_of_it"),
    "touching others": (touching_others, checks.check_survives, "armature"),
    "lost at reset": (lost_at_reset, checks.check_survives, "joint_damping"),
    "keyed by row": (keyed_by_row, checks.check_same_draws, "motor_strength"),
    "crooked": (crooked, checks.check_follows, "inertia"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_checks_fail_where_it_is_broken(
    name: str, made: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage, check, which = BROKEN[name]
    engine = fresh("mujoco", made)
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, UsageError)):
        check(engine, checks.TERMS[which])


@pytest.mark.parametrize("name", ENGINES)
def test_stale_constants_are_found(
    name: str, made: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fresh(name, made)
    checks.check_constants(engine, checks.TERMS["link_mass"])
    checks.restore(engine, FieldRandomizer(engine.model, (link_mass(1, 2),)))
    engine.forward()
    with monkeypatch.context() as patch:
        if name == "mujoco":
            patch.setattr(MujocoEngine, "_derive", lambda self: None)
        elif name == "bullet":
            patch.setattr(BulletEnv, "derive", lambda self: None)
        else:
            nobody = np.zeros(checks.NUM, bool)
            patch.setattr(type(engine.worlds), "take_stale", lambda self: nobody)  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(AssertionError, match="body_subtreemass"):
            checks.check_constants(engine, checks.TERMS["link_mass"])


def test_inertia_that_does_not_follow_mass_is_found(made: dict[str, Engine]) -> None:
    half = replace(link_mass(0.5, 2.0), parts=(("body_mass", None),))
    with pytest.raises(AssertionError):
        checks.check_follows(fresh("mujoco", made), half)


def test_servos_hold_their_place_when_they_weaken() -> None:
    """Gain, bias and limit follow one draw, so a servo without load stays put."""
    model = checks.scene()
    engine = MujocoEngine(model, checks.NUM, threads=1)
    randomizer = FieldRandomizer(model, (motor_strength(0.3, 0.5),))
    randomizer.reset(engine, ALL, checks.draws(0))
    gain, bias = (engine.get_field(f"actuator_{n}prm") for n in ("gain", "bias"))
    np.testing.assert_array_equal(gain[:, :2, 0], -bias[:, :2, 1])
    share = gain[..., 0] / model.actuator_gainprm[:, 0]
    np.testing.assert_allclose(bias[:, :2, 2], share[:, :2] * [-4.0, -2.0])
    limits = engine.get_field("actuator_forcerange")
    np.testing.assert_allclose(limits[:, :2, 1], share[:, :2] * [9.0, 30.0])
    assert (limits[:, 2] == 0).all()


def test_what_an_engine_cannot_vary_is_said_at_once() -> None:
    model = checks.scene()
    engine = MujocoEngine(model, checks.NUM, threads=1)
    engine.fields = ("body_mass",)
    randomizer = FieldRandomizer(model, (link_mass(1, 2),))
    with pytest.raises(EngineError, match=r"'mujoco' cannot vary body_inertia.*can: b"):
        randomizer.check(engine)
    with pytest.raises(EngineError, match="cannot vary dof_damping"):
        engine.set_field("dof_damping", 1.0, ALL)


def test_warp_has_no_room_for_new_friction() -> None:
    model = load_model("arm")
    engine = ENGINES["warp"].make(model, 1)
    with pytest.raises(EngineError, match="dof_frictionloss to the joint 'shoulder'"):
        engine.set_field("dof_frictionloss", 0.1, np.ones(1, bool))
    engine.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InertiaTerm(mass=(0.0, 1.0)), "factor of mass lies above 0"),
        (lambda: InertiaTerm(shift=(-0.1, 0, 0)), "not negative"),
        (lambda: bind(InertiaTerm()), "give a range of mass"),
        (lambda: bind(centre_of_mass(0.1, 0, 0, "han")), "Did you mean 'hand'"),
        (lambda: bind(centre_of_mass(0.1, 0, 0, "world")), "that move and have mass"),
        (lambda: FieldTerm(name="x", parts=(), low=0, high=1), "at least one"),
        (
            lambda: bind(
                FieldTerm(
                    name="spring", parts=(("jnt_stiffness", None),), low=0, high=1
                ),
                load_model("arm"),
            ),
            "is 0 in this scene for all that it scales",
        ),
        (
            lambda: bind(
                centre_of_mass(0.01, 0, 0, "cube"), load_model("aloha", "transfer")
            ),
            "'cube' is compiled as simple",
        ),
    ],
)
def test_terms_that_make_no_sense_are_refused(make: Any, words: str) -> None:
    with pytest.raises(SandbotError, match=words):
        make()


def bind(term: Term, model: mujoco.MjModel | None = None) -> None:
    FieldRandomizer(model or checks.scene(), (term,))
