"""The engine ``bullet``: what it builds, contact, saving in contact, and its limits."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from assets import UsageError, load_model
from sims.engine import EngineError
from sims.engines.bullet import BulletEngine
from sims.engines.bullet_build import _set_inertia
from sims.engines.bullet_layout import colliding_pairs, make_layout
from sims.engines.bullet_shapes import friction_factors
from sims.engines.bullet_world import import_pybullet
from sims.engines.mujoco import MujocoEngine
from sims.tasks.arm import elbow_posture
from tests.sims.bullet_scenes import BOX, pendulum, random_tree

ONE = np.ones(1, bool)


def pressing(num_envs: int) -> BulletEngine:
    """The arm just before the wall, torques that press it."""
    engine = BulletEngine(load_model("arm", "wall"), num_envs)
    press_again(engine)
    return engine


def press_again(engine: BulletEngine) -> None:
    start = elbow_posture(np.array([0.49]), np.array([0.05]), np.array([1.0]))[0]
    everywhere = np.ones(engine.num_envs, bool)
    engine.reset(everywhere, np.append(start, 0.0), np.zeros(3))


def trace(engine: BulletEngine, steps: int) -> np.ndarray:
    """(steps, num_envs, ...) states and forces; a point in the wall draws the arm."""
    goal = elbow_posture(np.array([0.57]), np.array([0.05]), np.array([1.0]))[0]
    rows = []
    for _ in range(steps):
        engine.ctrl[:] = 150 * (goal - engine.qpos[:, :2]) - 8 * engine.qvel[:, :2]
        engine.step(7)
        sensor = engine.sensor("wall_contact")
        rows.append(np.concatenate([engine.qpos, engine.qvel, sensor], axis=1))
    return np.array(rows)


def test_bits_do_not_depend_on_the_number_of_environments() -> None:
    alone, together = trace(pressing(1), 60), trace(pressing(3), 60)
    assert np.any(alone[..., 6] < -1)  # it did press
    for row in range(3):
        assert np.array_equal(alone[:, 0], together[:, row])


def test_an_episode_after_a_reset_is_that_of_a_fresh_engine() -> None:
    engine = pressing(1)
    first = trace(engine, 60)
    press_again(engine)
    assert np.array_equal(trace(engine, 60), first)


def test_save_and_load_are_exact_in_contact() -> None:
    engine = pressing(1)
    assert trace(engine, 40)[-1, 0, 6] < -1
    saved = engine.save()
    expected = trace(engine, 40)
    engine.load(saved, ONE)
    assert engine.sensor("wall_contact")[0, 0] < -1
    assert np.array_equal(trace(engine, 40), expected)
    fresh = BulletEngine(engine.model, 1)
    fresh.load(saved, ONE)
    assert np.array_equal(trace(fresh, 40), expected)


def test_save_and_load_are_exact_with_several_contact_points() -> None:
    """A tumbling box: here Bullet's own memory of contact points counts."""
    model = mujoco.MjModel.from_xml_string(BOX)
    start = np.array([0, 0, 0.16, 0.9, 0.3, 0.25, 0.1])
    engine = BulletEngine(model, 1)
    engine.reset(ONE, start, np.array([0.6, 0.2, 0, 1.0, 3.0, -2.0]))
    engine.apply_wrench("box", np.array([1.0, 0.5, 0, 0, 0, 0]), ONE)
    for steps in (60, 90, 150, 300):
        engine.step(steps)
        saved = engine.save()
        engine.step(200)
        expected = engine.qpos.copy(), engine.qvel.copy(), engine.sensor("all").copy()
        engine.load(saved, ONE)
        engine.step(200)
        assert np.array_equal(engine.qpos, expected[0])
        assert np.array_equal(engine.qvel, expected[1])
        assert np.array_equal(engine.sensor("all"), expected[2])


def test_saving_changes_nothing() -> None:
    engine, other = pressing(1), pressing(1)
    trace(engine, 40)
    trace(other, 40)
    engine.save()
    assert np.array_equal(trace(engine, 40), trace(other, 40))


@pytest.mark.parametrize("floating", [False, True])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("integrator", ["Euler", "implicitfast", "implicit"])
def test_any_tree_moves_as_in_mujoco(
    integrator: str, extras: bool, floating: bool
) -> None:
    """Off contact: hinges, slides, welds, armature, springs, servos, pushes."""
    for seed in range(4):
        model = random_tree(
            seed, integrator=integrator, extras=extras, floating=floating
        )
        rng = np.random.default_rng(seed)
        qpos, qvel = model.qpos0.copy(), rng.normal(size=model.nv)
        mujoco.mj_integratePos(model, qpos, rng.normal(size=model.nv), 1.0)
        engines = [MujocoEngine(model, 1), BulletEngine(model, 1)]
        ctrl, wrench = rng.uniform(-2, 2, model.nu), rng.normal(size=6)
        for engine in engines:
            engine.reset(ONE, qpos, qvel)
            engine.ctrl[:] = ctrl
            if extras:
                engine.apply_wrench("b4", wrench, ONE)
                engine.apply_wrench("b0", wrench, ONE)
            engine.step(100)
        assert engines[1].qpos == pytest.approx(engines[0].qpos, abs=1e-11)
        assert engines[1].qvel == pytest.approx(engines[0].qvel, abs=1e-10)
        engines[1].close()


def test_mass_matrix_and_bias_are_pybullets_own() -> None:
    p = import_pybullet()
    for seed in range(4):
        model = random_tree(seed, integrator="Euler", extras=True, floating=False)
        engine = BulletEngine(model, 1)
        rng = np.random.default_rng(seed)
        engine.reset(ONE, rng.normal(size=model.nq), rng.normal(size=model.nv))
        engine.step(1)
        world = engine.envs[0].world
        q = (engine.qpos[0] - model.qpos0).tolist()
        body, client = world.built.bodies[0], world.client
        matrix = np.array(p.calculateMassMatrix(body, q, physicsClientId=client))
        bias = p.calculateInverseDynamics(
            body, q, engine.qvel[0].tolist(), [0.0] * model.nv, physicsClientId=client
        )
        mine, data = engine.snapshot()
        expected = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(mine, data, expected)
        expected -= np.diag(model.dof_armature)
        assert matrix == pytest.approx(expected, abs=1e-12)
        assert np.array(bias) == pytest.approx(data.qfrc_bias, abs=1e-11)
        engine.close()


@pytest.mark.parametrize("joint", ["", 'armature="0.1" damping="0.2"'])
def test_a_rod_without_motors_moves_as_in_mujoco(joint: str) -> None:
    """Without anything but rigid bodies the torque is skipped; with, it is not."""
    model = pendulum(joint)
    engine, reference = BulletEngine(model, 1), mujoco.MjData(model)
    reference.qpos[:] = 2.0
    engine.reset(ONE, np.array([2.0]), np.zeros(1))
    engine.step(1000)
    mujoco.mj_step(model, reference, 1000)
    assert engine.qpos[0] == pytest.approx(reference.qpos, abs=1e-11)
    assert engine.snapshot()[1].time == pytest.approx(1.0)


def test_activations_and_delays_of_actuators_are_kept() -> None:
    """A filtered motor: its activation is saved, loaded and reset."""
    rest = (
        '<actuator><general joint="rod" dyntype="filter" dynprm="0.1" gainprm="3"/>'
        "</actuator>"
    )
    model = pendulum(rest=rest)
    engine, reference = BulletEngine(model, 1), mujoco.MjData(model)
    engine.ctrl[:] = reference.ctrl[:] = 1.0
    engine.step(50)
    saved = engine.save()
    engine.step(50)
    mujoco.mj_step(model, reference, 100)
    assert engine.qpos[0] == pytest.approx(reference.qpos, abs=1e-12)
    assert engine.snapshot()[1].act == pytest.approx(reference.act)
    after = engine.qpos.copy()
    engine.load(saved, ONE)
    engine.step(50)
    assert np.array_equal(engine.qpos, after)


def test_joint_limits_hold() -> None:
    model = pendulum('range="-40 40" limited="true" ref="10"')
    engine = BulletEngine(model, 1)
    engine.reset(ONE, np.array([0.3]), np.array([8.0]))
    for _ in range(100):
        engine.step(10)
        assert -0.71 < engine.qpos[0, 0] < 0.71  # 40 degrees and a little
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_LIMIT)
    engine = BulletEngine(model, 1)
    engine.reset(ONE, np.array([0.3]), np.array([8.0]))
    engine.step(150)
    assert engine.qpos[0, 0] > 0.75


def test_frictionloss_stops_the_rod() -> None:
    free = BulletEngine(pendulum(rest='<option gravity="0 0 0"/>'), 1)
    dry = BulletEngine(pendulum('frictionloss="0.5"', '<option gravity="0 0 0"/>'), 1)
    for engine in (free, dry):
        engine.reset(ONE, np.zeros(1), np.array([1.0]))
        engine.step(500)
    assert free.qvel[0, 0] == pytest.approx(1.0)
    assert dry.qvel[0, 0] == pytest.approx(0.0, abs=1e-6)


@pytest.fixture(scope="module")
def boxes() -> dict[str, MujocoEngine | BulletEngine]:
    """A box at rest on the floor, pushed sideways, in both engines."""
    model = mujoco.MjModel.from_xml_string(BOX)
    engines = {e.name: e for e in (MujocoEngine(model, 1), BulletEngine(model, 1))}
    for engine in engines.values():
        engine.step(300)
        engine.apply_wrench("box", np.array([2.0, -1.0, 0, 0, 0, 0]), ONE)
        engine.step(500)
    return engines


def test_contact_sensors_read_what_mujocos_do(
    boxes: dict[str, MujocoEngine | BulletEngine],
) -> None:
    weight = 1.1 * 9.81
    for engine in boxes.values():
        assert engine.sensor("on_box")[0] == pytest.approx([-2, 1, weight], abs=0.02)
        assert engine.sensor("on_floor")[0] == pytest.approx([2, -1, -weight], abs=0.02)
    net = {name: engine.sensor("all")[0] for name, engine in boxes.items()}
    for values in net.values():
        assert values[0] in (3, 4)  # corners
        assert values[1:4] == pytest.approx([2, -1, -weight], abs=0.02)
    assert net["bullet"][7] == net["mujoco"][7]  # no distance of a merged contact
    assert net["bullet"][11:17].tolist() == net["mujoco"][11:17].tolist()
    assert net["bullet"][8:11] == pytest.approx(net["mujoco"][8:11], abs=0.02)


def test_slots_are_sorted_and_filled(
    boxes: dict[str, MujocoEngine | BulletEngine],
) -> None:
    for engine in boxes.values():
        two = engine.sensor("two")[0].reshape(2, 13)
        count = two[0, 0]
        assert count in (3, 4) and two[1, 0] == count  # corners
        sizes = np.linalg.norm(two[:, 1:4], axis=1)
        assert sizes[0] >= sizes[1] > 0
        assert two[:, 7:10] == pytest.approx(np.tile([0, 0, 1.0], (2, 1)), abs=1e-3)
        six = engine.sensor("six")[0].reshape(6, 7)
        assert six[:, 0].tolist() == [count] * int(count) + [0] * int(6 - count)
        assert not six[int(count) :].any()
        frame = two[0, 7:10], two[0, 10:13]
        rows = np.stack([*frame, np.cross(*frame)])
        world = rows.T @ two[0, 1:4]
        assert world[2] > 0 and world[0] <= 1e-6  # carries, and holds against the push


def test_friction_is_mujocos_larger_one() -> None:
    """A push below 0.9 m g sticks, one above slides, though the box alone has 0.4."""
    model = mujoco.MjModel.from_xml_string(BOX)
    engine = BulletEngine(model, 2)
    both = np.ones(2, bool)
    engine.step(300)
    weight = 1.1 * 9.81
    push = np.zeros((2, 6))
    push[:, 0] = [0.85 * weight, 0.95 * weight]
    engine.apply_wrench("box", push, both)
    before = engine.qpos[:, 0].copy()
    engine.step(500)
    moved = engine.qpos[:, 0] - before
    assert moved[0] < 1e-3 and moved[1] == pytest.approx(0.5 * 0.05 * 9.81 / 4, rel=0.1)


def test_friction_factors_multiply_to_mujocos_values() -> None:
    model = load_model("arm", "obstacles")
    pairs = colliding_pairs(model)
    tip = model.geom("tip").id
    model.geom_friction[tip, 0] = 0.5
    for i in range(4):
        model.geom_friction[model.geom(f"obstacle_{i}").id, 0] = 0.3 + 0.2 * i
    factors = friction_factors(model, pairs)
    for i in range(4):
        other = model.geom(f"obstacle_{i}").id
        assert factors[tip] * factors[other] == pytest.approx(max(0.5, 0.3 + 0.2 * i))


def test_impossible_friction_is_said() -> None:
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody>"
        + "".join(
            f'<body pos="{i} 0 0"><freejoint/><geom size=".1" friction="{mu}"/></body>'
            for i, mu in enumerate((0.2, 0.4, 0.8, 1.6))
        )
        + "</worldbody></mujoco>"
    )
    with pytest.warns(UserWarning, match="off by up to"):
        friction_factors(model, colliding_pairs(model))


def test_pairs_are_mujocos() -> None:
    """Parents and children, welds, exclusions and masks: as MuJoCo finds them."""
    xml = """
    <mujoco><worldbody>
      <geom name="floor" type="plane" size="1 1 1"/>
      <body name="a"><freejoint/><geom name="a" size=".1"/>
        <body name="weld"><geom name="weld" size=".1"/>
          <body name="b"><joint/><geom name="b" size=".1"/>
            <body name="c"><joint/><geom name="c" size=".1"/></body></body></body>
        <body name="d"><joint/><geom name="d" size=".1" contype="2" conaffinity="4"/>
        </body></body>
      <body name="e"><joint/><geom name="e" size=".1" contype="4"/></body>
    </worldbody>
    <contact><exclude body1="e" body2="c"/></contact></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    data.qpos[3] = 1
    mujoco.mj_forward(model, data)
    found = {tuple(sorted(c.geom.tolist())) for c in data.contact}
    assert set(colliding_pairs(model)) == found
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    assert colliding_pairs(model) == ()


def test_what_must_not_touch_passes_through() -> None:
    """Two balls of one robot: kept apart by contact, or not, as the masks say."""
    xml = """
    <mujoco><option gravity="0 0 0" timestep="0.001"/><worldbody>
      <body><joint type="slide" axis="1 0 0"/><inertial pos="0 0 0" mass="1"
        diaginertia=".1 .1 .1"/>
        <body pos="-.3 0 0"><joint type="slide" axis="1 0 0"/><geom size=".1"/></body>
        <body pos=".3 0 0"><joint type="slide" axis="1 0 0"/>
          <geom size=".1" {mask}/></body>
      </body></worldbody></mujoco>"""
    gaps = []
    for mask in ("", 'contype="2" conaffinity="2"'):
        engine = BulletEngine(mujoco.MjModel.from_xml_string(xml.format(mask=mask)), 1)
        engine.reset(ONE, np.zeros(3), np.array([0, 1.0, -1.0]))
        engine.step(500)
        gaps.append(0.6 + engine.qpos[0, 2] - engine.qpos[0, 1])
    assert gaps[0] > 0.19
    assert gaps[1] == pytest.approx(-0.4, abs=1e-6)


def test_several_geoms_of_a_body_are_told_apart() -> None:
    layout = make_layout(mujoco.MjModel.from_xml_string(BOX))
    (tree,) = layout.trees
    assert [link.massless for link in tree.links] == [True]
    engine = BulletEngine(mujoco.MjModel.from_xml_string(BOX), 1)
    engine.reset(ONE, np.array([0, 0, 0.129, 0, 1, 0, 0]), np.zeros(6))  # upside down
    engine.step(20)
    names = {
        engine.model.geom(g).name
        for a, b, _ in engine.envs[0].world.contacts()
        for g in (a, b)
    }
    assert names == {"floor", "bump"}


def test_a_moved_body_is_moved() -> None:
    engine = pressing(2)
    places = engine.get_field("body_pos")
    places[1, engine.model.body("wall_mount").id, 0] += 0.05
    engine.set_field("body_pos", places, np.ones(2, bool))
    press_again(engine)
    trace(engine, 60)
    wall = engine.pose("wall")[0][:, 0] - engine.qpos[:, 2]
    assert wall == pytest.approx([0.52, 0.57])
    tip = engine.pose("tip")[0][:, 0]
    assert tip - engine.qpos[:, 2] == pytest.approx(wall - 0.018, abs=1e-3)


def test_too_many_environments_are_refused() -> None:
    with pytest.raises(UsageError, match=r"1 to 64 environments.*got 65"):
        BulletEngine(pendulum(), 65)
    with pytest.raises(UsageError, match="1 to 2 environments"):
        BulletEngine(pendulum(), 3, max_envs=2)


@pytest.mark.parametrize(
    ("joint", "rest", "words"),
    [
        ('type="ball"', "", "1 ball joints"),
        ("", '<option integrator="RK4"/>', "integrator rk4"),
        ('/><joint axis="1 0 0"', "", r"several joints on one body \(rod\)"),
        (
            "",
            '<equality><joint joint1="rod"/></equality>',
            "1 equality constraints",
        ),
        (
            "",
            '<tendon><fixed><joint joint="rod" coef="1"/></fixed></tendon>',
            "1 tendons",
        ),
    ],
)
def test_unsupported_scenes_are_refused(joint: str, rest: str, words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        BulletEngine(pendulum(joint, rest), 1)
    assert "Use the engine 'mujoco'" in str(caught.value)


def test_unsupported_shapes_are_refused() -> None:
    xml = BOX.replace('type="sphere" size=".03"', 'type="ellipsoid" size=".03 .02 .01"')
    with pytest.raises(EngineError, match="of type ellipsoid"):
        BulletEngine(mujoco.MjModel.from_xml_string(xml), 1)


def test_unsupported_sensors_are_refused_when_read() -> None:
    rest = '<sensor><jointactuatorfrc name="load" joint="rod"/></sensor>'
    engine = BulletEngine(pendulum(rest=rest), 1)
    with pytest.raises(EngineError, match="'load'"):
        engine.sensor("load")


def test_states_that_are_no_numbers_are_refused() -> None:
    engine = BulletEngine(pendulum(), 1)
    with pytest.raises(UsageError, match="finite"):
        engine.reset(ONE, np.array([np.nan]), np.zeros(1))


def test_a_torque_that_is_no_number_stops_its_environment_alone() -> None:
    model = load_model("arm")
    engine = BulletEngine(model, 2)
    engine.ctrl[0] = np.nan
    engine.step(5)
    assert engine.diverged().tolist() == [True, False]
    assert np.isfinite(engine.qpos).all()
    assert engine.qpos[1].any() and not engine.qpos[0].any()


def test_inertias_are_read_back() -> None:
    """The trap of ``changeDynamics`` would end in an error, not in a wrong robot."""

    class Forgetful:
        def changeDynamics(self, *args: object, **options: object) -> None: ...

        def getDynamicsInfo(self, *args: object, **options: object) -> tuple:
            return 1.0, 0.5, (0.0, 0.0, 0.0)

    with pytest.raises(EngineError, match="holds the inertia"):
        _set_inertia(Forgetful(), 0, 0, 0, np.ones(3))


def test_without_pybullet_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(EngineError, match=r"up to Python 3\.11") as caught:
        BulletEngine(pendulum(), 1)
    assert "pip install" in str(caught.value)


def test_pybullet_does_not_greet_and_is_imported_late() -> None:
    code = (
        "import sys; from sims.engines.bullet import BulletEngine; "
        "assert 'pybullet' not in sys.modules; "
        "from sims.engines.bullet_world import import_pybullet; import_pybullet()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""


def test_clients_end_with_the_engine() -> None:
    p = import_pybullet()
    engine = BulletEngine(pendulum(), 3)
    clients = [env.world.client for env in engine.envs]
    assert all(p.isConnected(c) for c in clients)
    engine.close()
    assert not any(p.isConnected(c) for c in clients)
