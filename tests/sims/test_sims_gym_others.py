"""Gymnasium's names of tasks that another package brings."""

import gymnasium as gym
import pytest

from assets import ROBOTS, Robot, UsageError, load_spec
from assets.plugins import tell
from sims import TASKS
from sims.gym_env import SandbotEnv, register_envs
from sims.tasks.arm_reach import ArmReach


class Other(ArmReach):
    """A task whose gym_id is somebody else's."""

    name = "other-reach"


class Malformed(ArmReach):
    """A task whose gym_id is none."""

    name = "malformed-reach"
    gym_id = "no id at all"


class Bare(ArmReach):
    """A task in a scene without cameras, given as text."""

    name = "bare-reach"
    gym_id = "other/BareReach-v0"
    robot = "bare"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Other, "'sandbot/ArmReach-v0' is another environment's: give it one of its"),
        (Malformed, "'no id at all' is not like 'package/Name-v0'"),
    ],
)
def test_a_bad_id_is_told_and_left_out(
    task: type[ArmReach],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tell.cache_clear()
    monkeypatch.setitem(TASKS, task.name, task)
    known = dict(gym.registry)
    register_envs()
    register_envs()
    assert gym.registry == known
    (line,) = caplog.messages
    assert line.startswith(f"the task '{task.name}' is not registered with Gymnasium")
    assert said in line


def test_a_scene_without_cameras_plays_and_cannot_be_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = load_spec("arm", "free")
    for camera in list(spec.cameras):
        spec.delete(camera)
    spec.compile()
    bare = Robot(name="bare", description="", scenes={"free": spec.to_xml()}, tip="tip")
    monkeypatch.setitem(ROBOTS, "bare", lambda: bare)
    monkeypatch.setitem(TASKS, "bare-reach", Bare)
    env = SandbotEnv("bare-reach")
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[1] > 0
    assert env.render() is None
    env.close()
    with pytest.raises(UsageError, match="the scene of 'bare-reach' has no camera"):
        SandbotEnv("bare-reach", render_mode="rgb_array")
