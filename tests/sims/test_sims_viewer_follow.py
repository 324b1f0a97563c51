"""The camera that goes where a robot goes, and which robots travel."""

import contextlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assets import UsageError
from sims import make_env
from sims.viewers import native
from sims.viewers.loop import Session
from sims.viewers.pushes import floating_body
from sims.viewers.stage import Stage
from sims.viewers.views import FOLLOW, Views
from tests.sims.viewer_fakes import FakePolicy

mujoco = pytest.importorskip("mujoco")


def session_of(task: str) -> Session:
    env = make_env(task, num_envs=1)
    policy: Any = FakePolicy()
    return Session(env, policy)


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("humanoid-walk", "pelvis"),
        ("HalfCheetah-v5", "torso"),
        ("arm-reach", None),
        ("aloha-transfer-cube", None),  # its cube is free, and nobody drives it
        ("mobile-aloha-fetch", None),  # motors move its base, within a room
        ("InvertedPendulum-v5", None),
    ],
)
def test_what_follows_is_for_robots_that_travel(task, body):
    session = session_of(task)
    assert session.views.follows == body
    views = session.views.names()
    first = [] if body is None else [FOLLOW]
    assert views == [*first, None, *session.views.cameras]
    assert session.views.chosen == views[0]
    if body is None:
        with pytest.raises(UsageError, match="unknown camera 'follow'"):
            session.views.choose(FOLLOW)
    session.env.close()


def test_a_passive_root_with_no_way_to_travel_does_not_float():
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><body name="swing"><joint name="root"/>
        <geom size="0.1"/><body name="arm"><joint name="j"/><geom size="0.1"/></body>
        </body></worldbody><actuator><motor joint="j"/></actuator></mujoco>"""
    )
    assert floating_body(model) is None


def test_the_window_follows_and_can_still_be_turned():
    session = session_of("humanoid-stand")
    stage = Stage(session.env.engine.model, "humanoid", session.env.task.scene)
    stage.update(*session.snapshot())
    viewer = SimpleNamespace(cam=mujoco.MjvCamera(), lock=contextlib.nullcontext)
    native._look(viewer, stage, session.views)
    assert viewer.cam.type == mujoco.mjtCamera.mjCAMERA_TRACKING
    turned = viewer.cam.azimuth = viewer.cam.azimuth + 30
    scene = mujoco.MjvScene(stage.model, maxgeom=100)
    for x in (0.0, 5.0):
        stage.data.qpos[0] = x
        mujoco.mj_forward(stage.model, stage.data)
        mujoco.mjv_updateCamera(stage.model, stage.data, viewer.cam, scene)
        middle = stage.data.subtree_com[stage.model.body("pelvis").id]
        assert np.allclose(viewer.cam.lookat, middle, atol=0.02)
    assert viewer.cam.azimuth == turned
    session.views.choose(None)
    native._look(viewer, stage, session.views)
    assert viewer.cam.type == mujoco.mjtCamera.mjCAMERA_FREE
    session.views.choose("side")
    native._look(viewer, stage, session.views)
    assert viewer.cam.type == mujoco.mjtCamera.mjCAMERA_FIXED
    session.env.close()


def test_the_page_follows():
    from sims.viewers.panel import Panel

    session = session_of("humanoid-stand")
    panel = Panel(session)
    model = session.env.engine.model
    viewer: Any = SimpleNamespace(
        model=model, camera=mujoco.MjvCamera(), camera_index=None
    )
    panel.viewer = viewer
    kinds = mujoco.mjtCamera
    for camera, kind in (
        (FOLLOW, kinds.mjCAMERA_TRACKING),
        ("side", kinds.mjCAMERA_FIXED),
        (None, kinds.mjCAMERA_FREE),
        (FOLLOW, kinds.mjCAMERA_TRACKING),
    ):
        panel._look(camera)
        assert viewer.camera.type == kind
    assert viewer.camera.trackbodyid == model.body("pelvis").id
    session.env.close()


def test_a_scenes_own_camera_of_that_name_stands_back_for_a_robot_that_travels():
    walker = """<mujoco><worldbody><camera name="follow"/><camera name="top"/>
    <body name="trunk"><{root}/><geom size="0.1"/><body><joint name="j"/>
    <geom size="0.1"/></body></body></worldbody>
    <actuator><motor joint="j"/></actuator></mujoco>"""
    fixed, free = "joint type='hinge'", "freejoint"
    views = {
        root: Views(mujoco.MjModel.from_xml_string(walker.format(root=root)))
        for root in (fixed, free)
    }
    assert views[free].names() == [FOLLOW, None, "top"]
    assert views[free].followed(FOLLOW) == "trunk"
    assert views[free].followed("top") is None
    assert views[fixed].names() == [None, "follow", "top"]
    assert views[fixed].followed("follow") is None
