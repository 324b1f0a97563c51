"""The scene that a viewer draws: like the engine's snapshot, and apart from it."""

import mujoco
import numpy as np
import pytest

from sims import make_env
from sims.viewers.stage import Stage


@pytest.mark.parametrize("task", ["arm-reach", "arm-track", "arm-press"])
def test_what_is_drawn_is_where_the_engine_has_it(task):
    env = make_env(task, num_envs=2, randomize="train")
    stage = Stage(env.engine.model, env.task.robot, env.task.scene)
    places = []
    for _ in range(3):
        env.reset()
        for _ in range(5):
            env.step(np.ones((2, 2)))
        model, data = env.engine.snapshot(1)
        changed = stage.update(model, data)
        assert not changed, "a viewer would have to load the model anew"
        for part in ("xpos", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "cam_xpos"):
            np.testing.assert_allclose(
                getattr(stage.data, part), getattr(data, part), atol=1e-12
            )
        assert stage.data.time == data.time
        places.append(data.xpos.copy())
    assert (places[0] != places[1]).any()
    env.close()


def test_a_viewer_cannot_disturb_the_engine():
    env = make_env("arm-press")
    env.reset()
    stage = Stage(env.engine.model, "arm", "wall")
    stage.update(*env.engine.snapshot())
    before = env.engine.qpos.copy()
    mujoco.mj_resetData(stage.model, stage.data)
    stage.data.xfrc_applied[:] = 1.0
    stage.model.opt.gravity[:] = 0.0
    assert (env.engine.qpos == before).all()
    assert env.engine.model.opt.gravity[2] == -9.81
    stage.update(*env.engine.snapshot())
    np.testing.assert_array_equal(stage.data.qpos, before[0])
    env.close()


def test_a_moved_inner_body_is_reported_once():
    env = make_env("arm-reach")
    env.reset()
    stage = Stage(env.engine.model, "arm", "free")
    elbow = env.engine.model.body("fore").id
    places = np.array(env.engine.model.body_pos)
    places[elbow, 0] += 0.1
    env.engine.set_field("body_pos", places[None], np.ones(1, bool))
    assert stage.update(*env.engine.snapshot())
    assert not stage.update(*env.engine.snapshot())
    assert stage.copy_model().body_pos[elbow, 0] == places[elbow, 0]
    env.close()


def test_a_scene_that_is_not_ours_is_drawn_as_it_is():
    spec = mujoco.MjSpec()
    spec.worldbody.add_body(name="post", pos=[1, 0, 0]).add_geom(size=[0.1, 0, 0])
    model = spec.compile()
    for robot in ("nobody", "arm"):
        stage = Stage(model, robot, None)
        assert stage.model.nbody == 2 and stage.model is not model
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        assert not stage.update(model, data)


def test_pulls_are_read_by_body():
    env = make_env("arm-reach")
    stage = Stage(env.engine.model, "arm", "free")
    stage.data.xfrc_applied[stage.model.body("fore").id, 2] = 5.0
    pulls = stage.pulls()
    assert list(pulls) == ["fore"] and pulls["fore"].tolist() == [0, 0, 5, 0, 0, 0]
    env.close()
