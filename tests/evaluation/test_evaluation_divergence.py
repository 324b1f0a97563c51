"""Planted causes are found, on the right body; without one nothing parts."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from assets import UsageError, load_model
from evaluation.causes import roughness
from evaluation.divergence import Comparison, diverge
from evaluation.episodes import start
from evaluation.instruments import Instruments, Reading
from evaluation.one_step import moments, one_step
from evaluation.partings import Tolerances, offset
from evaluation.side_by_side import Sides, both, run
from evaluation.verdicts import Part
from policies import make_policy
from sims import make_env, make_task
from sims.engine import Engine
from sims.engines import ENGINES

TWICE = ("mujoco", "mujoco")


def scaled(field: str, factor: float, *rows: int) -> Callable[[Engine], None]:
    """A change: some rows of a field, or all, by a factor."""

    def change(engine: Engine) -> None:
        values = engine.get_field(field)
        values[:, list(rows) if rows else slice(None)] *= factor
        engine.set_field(field, values, np.ones(engine.num_envs, bool))

    return change


def first(comparison: Comparison) -> Part:
    """The part that parts first in the only episode."""
    (verdict,) = comparison.episodes
    assert verdict.parts
    return verdict.parts[0]


def planted(
    task: str, change: Callable[[Engine], None], steps: int = 150
) -> Comparison:
    return diverge(
        task, "expert", TWICE, episodes=1, steps=steps, threads=1, change=change
    )


@pytest.mark.parametrize(
    ("task", "engine"),
    [
        ("arm-press", "mujoco"),
        ("aloha-transfer-cube", "mujoco"),
        ("arm-press", "bullet"),
    ],
)
def test_one_engine_twice_never_parts(task: str, engine: str) -> None:
    found = diverge(
        *(task, "expert", (engine, engine)),
        randomize="train",
        episodes=2,
        steps=150,
        threads=1,
    )
    assert found.parted == []
    assert found.labels == (f"first {engine}", f"second {engine}")
    for verdict in found.episodes:
        assert verdict.largest_distance == 0
        assert verdict.solved is not None and verdict.solved[0] == verdict.solved[1]
        for gap in verdict.terms.values():
            assert gap.apart == 0 and gap.total == 0 and gap.at_frame is None
    for figure, lines in found.curves.items():
        if not figure.startswith("reward"):
            assert all(np.nanmax(rows) == 0 for rows in lines.values()), figure


def test_the_instruments_leave_the_first_course_as_it_is() -> None:
    """The sensors, the tape and the second engine change no bit."""
    task = make_task("aloha-transfer-cube")
    env = make_env(task, num_envs=1, randomize="train", seed=5, threads=1)
    policy = make_policy("expert", task, 1)
    obs = start(env, policy, np.array([3]), 5)
    plain = []
    for _ in range(60):
        obs, *_ = env.step(policy.act(obs))
        plain.append(env.engine.qpos[0].copy())
    env.close()
    sides = _sides("aloha-transfer-cube", "train", np.array([3]), 5, 60)
    assert np.array_equal(sides.first.qpos[1:61, 0], np.array(plain))


def _sides(
    task: str,
    randomize: str,
    ids: np.ndarray,
    seed: int,
    steps: int,
    engine: str = "mujoco",
) -> Sides:
    the_task = make_task(task)
    instruments = Instruments(the_task.robot, the_task.scene)
    limits = np.full(len(ids), steps)
    engines = engine, engine
    with both(the_task, instruments, engines, randomize, len(ids), 1) as pair:
        actor = make_policy("expert", the_task, len(ids))
        return run(pair, actor, instruments, ids, seed, limits=limits)


@pytest.mark.parametrize(("engine", "bound"), [("mujoco", 1e-6), ("bullet", 0.05)])
def test_a_step_from_a_recorded_state_is_the_recorded_step(
    engine: str, bound: float
) -> None:
    """State, controls, pushes and model fields are all that a step depends on; in
    ``bullet`` up to what it remembers of contact."""
    sides = _sides("arm-press", "train", np.arange(2), 0, 200, engine)
    instruments, track = Instruments("arm", "wall"), sides.first
    where = [(t, n) for t in range(60, 200, 10) for n in (0, 1)]
    given = moments(track, where)
    assert any(w.any() for one in given.wrenches for w in one.values())
    assert track.reading.points[60:200].any()
    assert given.fields["body_mass"].std(axis=0).any()
    stepped = one_step(ENGINES[engine], instruments, given)
    steps, envs = np.array(where).T
    after = track.reading.at((steps + 1, envs))
    assert np.abs(offset(after, stepped.reading, Tolerances())).max() < bound


def test_friction_is_told_on_what_slips() -> None:
    part = first(planted("aloha-transfer-cube", scaled("geom_friction", 0.004)))
    assert part.group == "cube" and part.body == "cube"
    assert part.cause.kind == "friction"
    assert part.cause.where.startswith("cube on right/")
    assert part.cause.shares["friction"] > 0.8
    assert "under" in part.cause.measured


def test_what_both_forget_is_no_cause() -> None:
    """Two of ``bullet`` lack the same memory where they are put into a state."""
    found = diverge(
        *("arm-press", "expert", ("bullet", "bullet")),
        episodes=1,
        steps=170,
        threads=1,
        change=scaled("geom_friction", 0.2),
    )
    part = first(found)
    assert (part.cause.kind, part.cause.where) == ("friction", "wall on fore")


def test_a_servo_is_told_at_its_joint() -> None:
    model = load_model("aloha", "transfer")
    servo = model.actuator("left/elbow").id
    part = first(
        planted("aloha-transfer-cube", scaled("actuator_gainprm", 0.98, servo))
    )
    assert part.group == "left/base"
    assert part.joint == "left/elbow"
    assert (part.cause.kind, part.cause.where) == ("servo", "left/elbow")
    assert part.cause.shares["servo"] > 0.9
    assert "N m in first mujoco" in part.cause.measured


def test_contact_only_hands_on_what_a_servo_does() -> None:
    """A stronger knee pushes the foot into the floor, and all else away."""
    model = load_model("humanoid", "flat")
    change = scaled("actuator_gainprm", 0.97, model.actuator("left_knee").id)
    found = diverge(
        *("humanoid-stand", "zero", TWICE),
        episodes=1,
        steps=30,
        threads=1,
        change=change,
    )
    (verdict,) = found.episodes
    assert len(verdict.parts) > 1
    for part in verdict.parts:
        assert (part.cause.kind, part.cause.where) == ("servo", "left_knee")


def test_a_motor_is_told_at_its_joint() -> None:
    part = first(planted("arm-reach", scaled("actuator_gainprm", 1.05, 1)))
    assert (part.cause.kind, part.cause.where) == ("servo", "elbow")


def test_a_contact_in_one_alone() -> None:
    """The table of the second is 3 cm lower: the cube falls on."""
    model = load_model("aloha", "transfer")

    def change(engine: Engine) -> None:
        values = engine.get_field("body_pos")
        values[:, model.body("table").id, 2] -= 0.03
        engine.set_field("body_pos", values, np.ones(engine.num_envs, bool))

    part = first(planted("aloha-transfer-cube", change))
    assert part.body == "cube"
    assert (part.cause.kind, part.cause.where) == ("contact", "cube on table")
    assert part.cause.measured.startswith("they touch in first mujoco alone")
    assert part.cause.shares["contact"] > 0.9


def test_a_limit_of_a_joint() -> None:
    """Bullet's are hard where MuJoCo's are soft."""
    found = diverge(
        *("arm-reach", "random", ("mujoco", "bullet")),
        episodes=2,
        steps=250,
        threads=1,
    )
    kinds = {(v.parts[0].cause.kind, v.parts[0].cause.where) for v in found.parted}
    assert kinds == {("limit", "elbow")}


def test_a_mass_is_dynamics() -> None:
    model = load_model("arm")
    part = first(planted("arm-reach", scaled("body_mass", 1.1, model.body("fore").id)))
    assert part.cause.kind == "dynamics"
    assert part.cause.shares["dynamics"] > 0.9


def test_another_start() -> None:
    def change(engine: Engine) -> None:
        qpos = engine.qpos.copy()
        qpos[:, 0] += 0.1
        engine.reset(np.ones(engine.num_envs, bool), qpos, engine.qvel.copy())

    part = first(planted("arm-reach", change))
    assert (part.frame, part.time, part.cause.kind) == (0, 0.0, "start")
    assert part.joint == "shoulder" and part.joint_apart == pytest.approx(0.1)


def test_two_engines_and_what_it_does_to_the_reward() -> None:
    found = diverge(
        *("arm-press", "expert", ("mujoco", "bullet")),
        episodes=2,
        steps=200,
        threads=1,
    )
    assert len(found.parted) == 2
    for verdict in found.episodes:
        part, gap = verdict.parts[0], verdict.terms["force"]
        assert part.cause.kind == "contact" and part.cause.where == "wall on fore"
        assert part.distance > 1e-3 or part.angle > 1e-2
        assert 0 < verdict.largest_distance < 0.01
        rows = found.curves["reward: force"]
        one, two = (rows[name][:, verdict.episode] for name in found.labels)
        assert gap.first == pytest.approx(one.mean())
        assert gap.total == pytest.approx((two - one).sum())
        assert gap.apart == pytest.approx(np.abs(two - one).mean())
        assert gap.at_frame == pytest.approx((two - one)[part.frame - 1])
    assert len({v.parts[0].frame for v in found.episodes}) == 2


def test_what_sticks_has_no_friction_of_its_own() -> None:
    def press(normal: float, friction: float) -> Reading:
        none = np.zeros((1, 1, 3))
        return Reading(
            position=none,
            quaternion=none,
            points=np.ones((1, 1)),
            normal=np.array([[normal]], float),
            friction=np.array([[friction]], float),
        )

    def own(second: Reading, slips: bool = True) -> float:
        return roughness(press(10, 5), second, np.array([[slips]]), [0])

    assert own(press(10, 2)) == 1  # less friction under the same force
    assert own(press(10, 2), slips=False) == 0
    assert own(press(4, 2)) == 0  # the same friction under less force
    assert own(press(0, 0)) == 0  # no contact
    assert own(press(8, 2)) == pytest.approx(2.25 / 3.0)
    assert own(press(10, 5)) == 1  # no difference


def test_the_coefficient_of_a_pair_is_the_rougher_surface() -> None:
    instruments = Instruments("aloha", "transfer")
    model = instruments.model
    names = [instruments.pair_name(i) for i in range(len(instruments.pairs))]
    pair = names.index("cube on table")
    friction = model.geom_friction.copy()
    both = np.stack([friction, friction])
    both[1, model.geom("cube").id, 0] = 3.0
    found = instruments.coefficients(both)
    assert found.shape == (2, len(names))
    table = friction[model.geom_bodyid == model.body("table").id, 0].max()
    assert found[0, pair] == max(friction[model.geom("cube").id, 0], table)
    assert found[1, pair] == 3.0


def test_batches_do_not_matter() -> None:
    one, two = (
        diverge(
            *("arm-press", "expert", TWICE),
            episodes=2,
            steps=170,
            threads=1,
            num_envs=size,
            change=scaled("geom_friction", 0.2),
        )
        for size in (1, 2)
    )
    assert [dataclasses.asdict(v) for v in one.episodes] == [
        dataclasses.asdict(v) for v in two.episodes
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engines": ("mujoco",)}, "two engines are compared, got 1"),
        ({"engines": ("mujoco", "bulet")}, "Did you mean 'bullet'"),
        ({"task": "Reacher-v5"}, "brings its own engine, gymnasium"),
        ({"randomize": "trian"}, "Did you mean 'train'"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"tolerances": Tolerances(position=0.0)}, "tolerances must be above 0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_compared(options: dict, words: str) -> None:
    call = {"task": "arm-reach", "policy": "zero", "engines": TWICE} | options
    with pytest.raises(UsageError, match=words):
        diverge(**call)


def test_single_precision_is_dynamics() -> None:
    """MuJoCo Warp's arm is off by less than a micrometre, and not by contact."""
    found = diverge(
        *("arm-press", "expert", ("mujoco", "warp")),
        episodes=1,
        steps=40,
        threads=1,
        tolerances=Tolerances(position=1e-7, angle=1e-5),
    )
    (verdict,) = found.episodes
    assert 1e-7 < verdict.largest_distance < 5e-6
    assert verdict.parts[0].cause.kind == "dynamics"
    assert "single precision" in found.versions[1]
