"""Contact forces of every engine: where, which way, and how hard."""

import mujoco
import numpy as np
import pytest

from assets import load_model
from policies import make_policy
from sims import make_env
from sims.contacts import mujoco_contacts
from sims.engines import ENGINES
from sims.viewers.forces import UNIT, ContactArrows, round_force

BOX = """
<mujoco><option timestep="0.002" jacobian="dense"/><worldbody>
  <geom name="floor" type="plane" size="2 2 .1"/>
  <body name="box" pos="0.3 0.2 0.1"><freejoint/>
    <geom name="box" type="box" size=".1 .1 .1" mass="2"/>
  </body>
</worldbody></mujoco>
"""


def test_forces_of_a_resting_box_bear_its_weight_at_its_corners():
    model = mujoco.MjModel.from_xml_string(BOX)
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    mujoco.mj_forward(model, data)
    contacts = [c for c in mujoco_contacts(model, data) if 0 in c.geoms]
    assert len(contacts) == 4
    for contact in contacts:
        floor_first = contact if contact.geoms[0] == 0 else contact.flipped()
        assert floor_first.normal[2] == pytest.approx(1.0, abs=1e-3)
        assert floor_first.force[2] > 0 and contact.dist < 0
    total = sum(c.force if c.geoms[0] == 0 else -c.force for c in contacts)
    assert np.allclose(total, [0, 0, 2 * 9.81], atol=0.01)
    spread = np.ptp([c.pos for c in contacts], axis=0)
    assert np.allclose(spread, [0.2, 0.2, 0.0], atol=1e-3)


@pytest.fixture(scope="module")
def pressing():
    """(qpos, qvel, ctrl) of an arm that presses the wall of the nominal model."""
    env = make_env("arm-press", seed=1)
    policy, obs = make_policy("expert", env.task, 1), env.reset()
    for field in ("body_pos", "jnt_stiffness", "geom_friction"):
        nominal = getattr(env.engine.model, field)
        env.engine.set_field(field, nominal, np.ones(1, bool))
    for _ in range(250):
        obs, *_ = env.step(policy.act(obs))
    state = [array.copy() for array in (env.engine.qpos, env.engine.qvel)]
    yield *state, env.engine.ctrl.copy()
    env.close()


@pytest.mark.parametrize("name", ENGINES)
def test_contacts_say_what_the_engine_own_sensor_says(name, pressing):
    engine = ENGINES[name].make(load_model("arm", "wall"), 2)
    qpos, qvel, ctrl = (np.repeat(array, 2, axis=0) for array in pressing)
    everywhere = np.ones(2, bool)
    engine.reset(everywhere, qpos, qvel)
    engine.ctrl[0] = ctrl[0]  # the other one lets go
    engine.step(20)
    model = engine.model
    force = np.zeros((2, 3))
    for row in range(2):
        for contact in engine.contacts(row):
            names = [model.geom(geom).name for geom in contact.geoms]
            assert sorted(names) == ["tip", "wall"]
            force[row] += contact.force if names[1] == "tip" else -contact.force
    # Bullet's are of its last step; the others' of the next, which moves on
    sensed = engine.sensor("wall_contact")
    assert sensed[0, 0] < -5 and np.allclose(force, sensed, rtol=0.05, atol=0.1)
    assert not np.allclose(force[1], force[0], rtol=0.2)
    engine.reset(everywhere, model.qpos0, np.zeros(model.nv))
    assert engine.contacts(0) == [], "of before the reset"
    engine.close()


def test_arrows_start_at_the_contact_and_are_to_scale(pressing):
    engine = ENGINES["mujoco"].make(load_model("arm", "wall"), 1)
    arrows = ContactArrows(engine)
    arrows.toggle()
    assert arrows.markers(0) == [], "nothing touches yet"
    engine.reset(np.ones(1, bool), *pressing[:2])
    engine.ctrl[:] = pressing[2]
    engine.step(1)
    (contact,), (arrow,) = engine.contacts(0), arrows.markers(0)
    assert arrow.kind == "arrow" and np.allclose(arrow.points[0], contact.pos)
    length = np.linalg.norm(arrow.points[1] - arrow.points[0])
    size = np.linalg.norm(contact.force)
    assert length / size == pytest.approx(UNIT / arrows.unit_force)
    arrows.toggle()
    assert arrows.markers(0) == []
    engine.close()


def test_the_scale_is_a_round_number_that_suits_the_robot():
    for force, nearest in ((1.0, 1), (1.3, 1), (1.6, 2), (3.5, 5), (7.2, 10), (68, 50)):
        assert round_force(force) == nearest
        assert round_force(force / 100) == pytest.approx(nearest / 100)
    units = {}
    for task in ("arm-reach", "aloha-transfer-cube"):
        env = make_env(task)
        units[task] = ContactArrows(env.engine).unit_force
        env.close()
    assert units == {"arm-reach": 5.0, "aloha-transfer-cube": 10.0}
