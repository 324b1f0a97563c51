"""``sandbot play --mjcf``: anyone's scene, driven and watched."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.gym_aloha import scene_path
from sandbot.main import main
from sims import make_env
from sims.mjcf_task import MjcfTask

SCENE = """<mujoco>
  <option timestep="0.004"/>
  <worldbody>
    <light pos="0 0 2"/>
    <body><joint name="hinge" axis="0 1 0" damping="0.1"/>
      <geom type="capsule" size="0.05" fromto="0 0 0 0 0 -0.5"/></body>
  </worldbody>
  <actuator>
    <motor name="push" joint="hinge" ctrlrange="-2 3"/>
    <motor name="free" joint="hinge"/>
  </actuator>
  <keyframe><key qpos="0.3" ctrl="1 0"/></keyframe>
</mujoco>"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "pendulum.xml"
    path.write_text(SCENE)
    return path


def test_actions_are_controls_and_observations_positions_and_velocities(
    scene: Path,
) -> None:
    task = MjcfTask(scene)
    assert task.substeps == 5
    assert task.action_spec.names == ("push", "free")
    np.testing.assert_array_equal(task.action_spec.limits()[0], [-2, -np.inf])
    env = make_env(task, num_envs=2)
    obs = env.reset()
    np.testing.assert_allclose(obs["state"], [[0.3, 0], [0.3, 0]], atol=1e-6)
    obs, _, terminated, truncated, _ = env.step(np.array([[9.0, 0], [0, 0]]))
    np.testing.assert_array_equal(env.engine.ctrl, [[3, 0], [0, 0]])
    assert obs["state"][0, 1] > obs["state"][1, 1]
    assert not np.any(terminated) and not np.any(truncated)
    env.close()


def test_video_of_a_file(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "seen.mp4"
    call = ["play", "--mjcf", str(scene), "--steps", "4", "--out", str(out)]
    assert main(call) == 0
    assert out.stat().st_size > 1000


def test_a_scene_in_which_nothing_moves_is_shown_and_pushed(tmp_path: Path) -> None:
    from policies import make_policy
    from sims.viewers.loop import Session

    path = tmp_path / "floor.xml"
    path.write_text('<mujoco><worldbody><geom type="plane"/></worldbody></mujoco>')
    env = make_env(MjcfTask(path))
    session = Session(env, make_policy("zero", env.task, 1), steps=3)
    session.push()
    while not session.finished:
        session.tick()
    assert session.failure is None and session.status().error is None
    assert session.views.names() == [None, "follow"]
    env.close()


def test_bodies_without_a_name_can_be_pushed(tmp_path: Path) -> None:
    from policies import make_policy
    from sims.viewers.loop import Session

    path = tmp_path / "box.xml"
    path.write_text(
        "<mujoco><worldbody><body><freejoint/><site/><geom size='.1'/></body>"
        "</worldbody></mujoco>"
    )
    env = make_env(MjcfTask(path))
    session = Session(env, make_policy("zero", env.task, 1))
    session.push(force=np.array([5.0, 0.0, 0.0]))
    for _ in range(3):
        session.tick()
    assert session.failure is None
    assert env.engine.qvel[0, 0] > 0.01
    env.close()


def test_gym_alohas_scene_runs(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["play", "--mjcf", str(scene_path()), "--viewer", "none", "--steps", "3"]
    assert main([*call, "--speed", "8"]) == 0
    assert "0 episodes; 0.1 s simulated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--mjcf", "nowhere.xml"], 2, "there is no such file"),
        (["--mjcf", __file__], 1, "is no scene that MuJoCo reads"),
        (["arm-reach", "--mjcf", __file__], 2, "two of them"),
        (["--mjcf", __file__, "--viewer", "none"], 2, "give --steps"),
    ],
)
def test_bad_calls(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", *words]) == code
    assert said in capsys.readouterr().err
