"""Cameras in environments: which groups there are, and that pictures are right."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from assets import SandbotError, UsageError
from ml.spec import ArraySpec
from sims import TASKS, make_env, make_task
from sims.cameras import CameraRig, find_cameras, group_name
from sims.observation import PRESETS
from sims.randomization import Randomization
from sims.render import Renderer

SMALL = (48, 36)
SHAPE = (36, 48)
TORQUE = np.array([6.0, -2.0])
ONE_OF_EACH = ("arm-reach", "aloha-pick", "mobile-aloha-fetch")
SEEN = [
    (task, preset)
    for preset in PRESETS
    for task in (ONE_OF_EACH if preset.startswith("images") else TASKS)
]
"""Every task with all that it has, "both"; without its vectors one of each robot."""


def watch(task: str = "arm-reach", **given: Any) -> Any:
    """An environment that is observed through one camera, or as told."""
    given = {"observe": "both", "cameras": ("side",), "image_size": SMALL} | given
    return make_env(task, **given)


def action(env: Any) -> np.ndarray:
    low, high = env.action_spec.limits()
    return np.tile((low + high) / 2 + 0.2 * (high - low), (env.num_envs, 1))


@pytest.mark.parametrize(("task", "observe"), SEEN)
def test_each_preset_gives_what_it_says(task: str, observe: str) -> None:
    env = make_env(task, num_envs=2, observe=observe, image_size=SMALL)
    vectors = {
        "state": list(env.task.obs_spec),
        "proprio": ["state"],
        "images": [],
        "images+proprio": ["state"],
        "both": list(env.task.obs_spec),
    }[observe]
    for obs in (env.reset(), env.step(action(env))[0]):
        assert list(obs) == list(env.obs_spec)
        assert [group for group in obs if not group.startswith("images.")] == vectors
        assert (len(obs) > len(vectors)) == (observe not in ("state", "proprio"))
        for group, values in obs.items():
            spec = env.obs_spec[group]
            assert values.shape == (2, *spec.shape)
            if group.startswith("images."):
                assert values.dtype == spec.dtype == "uint8" and values.std() > 5
    env.close()


def test_a_state_only_user_meets_no_opengl() -> None:
    """OpenGL is switched off, and nothing that draws is imported."""
    script = (
        "import sys\n"
        "import numpy as np\n"
        "import mujoco\n"
        "before = set(sys.modules)\n"
        "from sims import make_env\n"
        "for engine in ('mujoco', 'bullet'):\n"
        "    env = make_env('arm-reach', engine=engine, num_envs=2, autoreset=True,\n"
        "                   randomize='train')\n"
        "    env.reset()\n"
        "    env.state.steps[0] = env.max_steps - 1\n"
        "    assert 'final_obs' in env.step(np.zeros((2, 2)))[4]\n"
        "    env.load(env.save())\n"
        "    env.close()\n"
        "drawing = ('sims.render', 'sims.opengl', 'sims.cameras', 'sims.studio',\n"
        "           'OpenGL', 'mujoco.egl', 'mujoco.osmesa', 'mujoco.glfw',\n"
        "           'mujoco.rendering', 'glfw', 'av', 'imageio', 'PIL')\n"
        "print([m for m in set(sys.modules) - before if m.startswith(drawing)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"MUJOCO_GL": "disable"},
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_images_without_opengl_are_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(SandbotError, match="MUJOCO_GL=off switches OpenGL off"):
        watch()


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
@pytest.mark.parametrize("task", ["arm-press", "aloha-handover", "mobile-aloha-fetch"])
def test_pictures_are_those_of_the_engines_snapshots(task: str, engine: str) -> None:
    """Against a renderer of the whole snapshot, varied physics included."""
    camera = {"arm-press": "side", "aloha-handover": "top"}.get(task, "left/wrist")
    randomize = Randomization(fields=make_task(task).randomizations["train"].fields)
    env = watch(task, engine=engine, num_envs=3, randomize=randomize, cameras=(camera,))
    env.reset(seed=3)
    for _ in range(10):
        obs = env.step(action(env))[0]
    high = env.engine.render([camera], np.array([1]))[camera]
    for i in range(3):
        model, data = env.engine.snapshot(i)
        with Renderer(model, *SMALL, quality="fast") as renderer:
            expected = renderer.render(data, camera)
        np.testing.assert_array_equal(obs[group_name("images", camera)][i], expected)
    model, data = env.engine.snapshot(1)
    with Renderer(model, 320, 240) as renderer:
        np.testing.assert_array_equal(high[0], renderer.render(data, camera))
    env.close()


def test_a_picture_depends_on_its_environment_alone() -> None:
    """Not on how many there are, on the engine, or on what was drawn before."""
    given: dict[str, Any] = {"depth": True, "segmentation": True, "randomize": "train"}
    given |= {"cameras": ("side", "corner")}
    many, alone = watch(num_envs=5, **given), watch(num_envs=1, **given)
    other = watch(num_envs=2, engine="bullet", **given)
    many_obs = many.reset(seed=4)
    alone_obs = alone.reset(seed=4, ids=np.array([3]))
    other_obs = other.reset(seed=4, ids=np.array([1, 3]))
    assert len(alone_obs) == 7
    for group in alone_obs:
        np.testing.assert_array_equal(alone_obs[group][0], many_obs[group][3])
        if group != "state":
            np.testing.assert_array_equal(other_obs[group][1], many_obs[group][3])
    rig = CameraRig(many.engine.model, ["side", "corner"], image_size=SMALL)
    whole = rig.render(many.engine, [0, 3])["images.side"][1]
    part = rig.render(many.engine, [3], cameras=["side"])
    assert list(part) == ["images.side"]
    np.testing.assert_array_equal(part["images.side"][0], whole)
    with pytest.raises(UsageError, match="unknown camera 'top'"):
        rig.render(many.engine, [0], cameras=["top"])
    for opened in (many, alone, other, rig):
        opened.close()


def test_each_observation_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    capture = Renderer.capture

    def counted(self: Renderer, *args: Any, **kwargs: Any) -> Any:
        drawn.append(1)
        return capture(self, *args, **kwargs)

    monkeypatch.setattr(Renderer, "capture", counted)
    env = watch(num_envs=3, cameras=("side", "corner"), autoreset=True)
    env.reset()
    assert len(drawn) == 6
    env.step(np.zeros((3, 2)))
    assert len(drawn) == 12
    env.state.steps[1] = env.max_steps - 1
    env.step(np.zeros((3, 2)))
    assert len(drawn) == 12 + 6 + 2, "all, and the one that began anew"
    env.close()


def test_final_obs_holds_the_last_pictures_of_an_episode() -> None:
    env = watch(num_envs=3, autoreset=True, randomize="train")
    plain = watch(num_envs=3, randomize="train")
    for one in (env, plain):
        one.reset(seed=1)
        one.state.steps[1] = one.max_steps - 1
    actions = np.tile(TORQUE, (3, 1))
    obs, *_, info = env.step(actions)
    last = plain.step(actions)[0]
    images = "images.side"
    np.testing.assert_array_equal(info["final_obs"][images], last[images])
    np.testing.assert_array_equal(obs[images][[0, 2]], last[images][[0, 2]])
    assert (obs[images][1] != last[images][1]).any()
    plain._begin(np.array([False, True, False]), last)
    shown = plain.cameras.render(
        plain.engine, [1], plain.state.steps, sights=plain.sights
    )
    np.testing.assert_array_equal(obs[images][1], shown[images][0])
    env.close()
    plain.close()


def test_noise_and_delay_of_vectors_leave_pictures_alone() -> None:
    sensing = Randomization(observation_noise=0.1, observation_delay=(2, 2))
    env, plain = watch(num_envs=2, randomize=sensing), watch(num_envs=2)
    env.reset(seed=2)
    plain.reset(seed=2)
    for _ in range(4):
        obs = env.step(np.tile(TORQUE, (2, 1)))[0]
        truth = plain.step(np.tile(TORQUE, (2, 1)))[0]
    assert np.abs(obs["state"] - truth["state"]).max() > 0.05
    np.testing.assert_array_equal(obs["images.side"], truth["images.side"])
    env.close()
    plain.close()


def test_load_shows_what_was_saved() -> None:
    env = watch(num_envs=2, randomize="train", depth=True)
    env.reset(seed=5)
    for _ in range(5):
        env.step(np.tile(TORQUE, (2, 1)))
    saved = env.save()
    then = env.step(np.tile(TORQUE, (2, 1)))[0]
    env.reset()  # another episode, of other looks
    env.load(saved)
    again = env.step(np.tile(TORQUE, (2, 1)))[0]
    for group in then:
        np.testing.assert_array_equal(again[group], then[group])
    env.close()


def test_a_robot_sees_through_its_own_cameras() -> None:
    env = make_env("aloha-transfer-cube", observe="images", image_size=SMALL)
    assert env.cameras is not None
    assert env.cameras.cameras == ("top", "left/wrist", "right/wrist")
    assert list(env.obs_spec)[1] == "images.left_wrist"
    assert "OpenGL" not in env.cameras.backend and ", " in env.cameras.backend
    env.close()
    env = make_env("arm-reach", observe="images", image_size=SMALL)
    scene = ["images.side", "images.corner", "images.plane"]
    assert list(env.obs_spec) == scene
    env.close()
    assert find_cameras(["left_wrist"], ["top", "left/wrist"]) == ("left/wrist",)


def test_a_segmentation_names_the_shapes() -> None:
    env = watch(segmentation=True, image_size=(160, 120))
    seen = env.reset(seed=0)["segmentation.side"][0]
    assert env.cameras is not None
    names = {env.cameras.legend[i] for i in np.unique(seen) if i >= 0}
    assert {"floor", "base", "upper", "fore"} <= names
    assert (seen[0] == -1).all(), "the sky"
    assert env.cameras.legend[int(seen[-1, 0])] == "floor"
    env.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"observe": "image"}, "unknown choice of observations 'image'.*'images'"),
        ({"cameras": ["sied"]}, "unknown camera 'sied'. Did you mean 'side'"),
        ({"cameras": "side"}, "a list of names, got 'side'"),
        ({"cameras": ["side", "side"]}, "'side' is named twice"),
        ({"cameras": []}, "at least one camera; the scene has side, corner"),
        ({"observe": "state"}, r"cameras \(side\) are given, and observe='state'"),
        (
            {"observe": "state", "cameras": None, "depth": True},
            "depth and segmentation are of cameras, and observe='state' has none",
        ),
        ({"image_size": (0, 5)}, r"such as \(320, 240\), got \(0, 5\)"),
        ({"image_size": 84}, r"such as \(320, 240\), got 84"),
        ({"image_size": (8.5, 5)}, r"got \(8.5, 5\)"),
        ({"quality": "best"}, "unknown picture quality 'best'"),
    ],
)
def test_what_cannot_be_observed_is_said(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        watch(**given)


def test_foreign_environments_have_no_cameras_of_ours() -> None:
    with pytest.raises(UsageError, match=r"is an environment of Gymnasium.*our own"):
        make_env("Pendulum-v1", observe="images")
    env = make_env("Pendulum-v1", observe="proprio")
    assert list(env.reset()) == ["state"]
    env.close()


def test_limits_of_pictures_take_no_room() -> None:
    spec = ArraySpec(shape=(480, 640, 3), low=(0,), high=(255,), dtype="uint8")
    low, high = spec.limits()
    assert low.shape == high.shape == spec.shape and low.dtype == np.uint8
    assert (low == 0).all() and (high == 255).all()
    assert ArraySpec.from_dict(spec.to_dict()) == spec
    free = ArraySpec(shape=(2,), dtype="int32").limits()
    assert free[0].tolist() == [-(2**31)] * 2 and free[1].tolist() == [2**31 - 1] * 2
    one = ArraySpec(shape=(3,), low=(-1,), names=("a", "b", "c")).without(["b"])
    assert one.low == (-1,) and one.names == ("a", "c")
    with pytest.raises(UsageError, match="has 2 elements, its shape"):
        ArraySpec(shape=(3,), low=(0, 1))
    with pytest.raises(UsageError, match="names has 1 elements"):
        ArraySpec(shape=(3,), names=("a",))


def test_cameras_see_what_the_task_is_about() -> None:
    """ArmReach's target is a ball in pictures, where it is, and in no state's way."""
    env = watch(num_envs=3, cameras=("plane",), image_size=(64, 64))
    obs = env.reset(seed=3)
    pinhole = env.cameras.pinhole(env.engine, "plane")
    for i in range(3):
        picture = obs["images.plane"][i].astype(int)
        red, green, blue = np.moveaxis(picture, -1, 0)
        rows, columns = np.nonzero((green > red + 40) & (green > blue + 30))
        assert len(rows) >= 4, "a ball of 5 cm is some pixels wide"
        x, z = obs["state"][i, 8:10]
        # 29 degrees over 64 pixels, 3.2 m away
        scale = 32 / (3.2 * np.tan(np.radians(14.5)))
        assert columns.mean() == pytest.approx(31.5 + scale * x, abs=1.0)
        assert rows.mean() == pytest.approx(31.5 - scale * z, abs=1.0)
    assert pinhole.position == pytest.approx([0, -3.2, 0.9])
    before = env.engine.qpos.copy()
    env.cameras.render(env.engine, range(3), sights=lambda _: [])
    np.testing.assert_array_equal(env.engine.qpos, before)
    env.close()
