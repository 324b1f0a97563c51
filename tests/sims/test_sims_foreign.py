"""Any Gymnasium environment as a task: spaces, seeds, success, states, errors."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from assets.errors import SandbotError, UsageError
from policies import make_policy
from sims import make_env, make_task
from sims.engine import EngineError
from sims.foreign import GymnasiumTask, is_gym_id
from sims.pictures import fit, open_pictures
from sims.tasks.arm_reach import ArmReach
from sims.viewers.choose import play
from sims.viewers.loop import Session


class Odd(gym.Env):
    """A drifting point with a Dict of observations; ends early, by its state."""

    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
            "goal": spaces.Box(-1, 1, (1,), np.float32),
        }
    )
    action_space = spaces.Box(-1, 1, (1, 2), np.float32)
    told = "is_success"

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place = self.np_random.normal(size=(2, 2))
        self.count = 0
        self.stop = int(self.np_random.integers(3, 9))
        return self._see(), {}

    def step(self, action: np.ndarray) -> Any:
        assert self.action_space.contains(action)
        self.place[0] += action[0]
        self.count += 1
        ended = self.count >= self.stop
        info = {self.told: ended and self.stop % 2 == 0} if self.told else {}
        return self._see(), 1.0, ended and self.stop > 5, ended, info

    def _see(self) -> dict[str, np.ndarray]:
        return {
            "place": self.place.copy(),
            "goal": np.array([self.stop / 10], np.float32),
        }


class Mute(Odd):
    """Reports no success."""

    told = ""


class Unsure(Mute):
    """Draws what no seed decides."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        _, info = super().reset(seed=seed)
        self.place += np.random.default_rng().normal(size=(2, 2))
        return self._see(), info


class Broken(Mute):
    """Breaks down."""

    def step(self, action: np.ndarray) -> Any:
        raise RuntimeError("out of order")


class Lost(Mute):
    """Leaves the numbers."""

    def step(self, action: np.ndarray) -> Any:
        obs, *rest = super().step(action)
        obs["place"][0, 0] = np.nan
        return (obs, *rest)


class Worded(Mute):
    """Observes words."""

    observation_space = spaces.Dict({"word": spaces.Discrete(3)})  # type: ignore[assignment]


KINDS = (Odd, Mute, Unsure, Broken, Lost, Worded)


@pytest.fixture(autouse=True, scope="module")
def registered() -> Any:
    for kind in KINDS:
        maker: Any = kind
        gym.register(f"test-foreign/{kind.__name__}-v0", maker, max_episode_steps=20)
    yield
    for kind in KINDS:
        del gym.registry[f"test-foreign/{kind.__name__}-v0"]


def name(kind: type) -> str:
    return f"test-foreign/{kind.__name__}-v0"


def test_facts_come_from_the_environment() -> None:
    task = make_task("Pendulum-v1")
    assert (task.name, task.gym_id) == ("Pendulum-v1", "Pendulum-v1")
    assert task.max_steps == 200
    assert task.obs_spec["state"].low == (-1.0, -1.0, -8.0)
    assert task.action_spec.names == ("action_0",)
    env = make_env(task, num_envs=2)
    assert env.control_dt == 0.05
    assert make_policy("zero", task, 2).control_dt == 0.05
    env.close()


def test_our_own_ids_are_our_own_tasks() -> None:
    assert isinstance(make_task("sandbot/ArmReach-v0"), ArmReach)


def test_an_id_without_a_version_gets_its_newest() -> None:
    assert is_gym_id("Odd-v3") and is_gym_id("a.b:c/Odd-v3")
    assert not is_gym_id("arm-reach")
    with pytest.raises(UsageError, match="unknown task"):
        make_task("Reacher")
    assert GymnasiumTask("Reacher").name == "Reacher-v5"


def test_it_runs_as_gymnasium_runs_it() -> None:
    env = make_env("Pendulum-v1", num_envs=2, seed=4)
    obs = env.reset()
    action = np.array([[0.5], [9.0]])
    peer = gym.make("Pendulum-v1")
    seed = int((env.draws.bits("gymnasium") >> np.uint64(33))[1])
    theirs, _ = peer.reset(seed=seed)
    for _ in range(200):
        assert np.array_equal(obs["state"][1], theirs)
        obs, reward, terminated, truncated, info = env.step(action)
        theirs, their_reward, *_ = peer.step(np.array([2.0], np.float32))
        assert reward[1] == pytest.approx(float(their_reward))
    assert truncated.all() and not terminated.any() and info["success"] is None
    env.close()


def test_a_dict_becomes_groups_and_flat_arrays() -> None:
    env = make_env(name(Odd), num_envs=3)
    obs = env.reset()
    assert obs["place"].shape == (3, 4) and obs["goal"].shape == (3, 1)
    assert env.obs_spec["place"].low == () and env.obs_spec["goal"].high == (1.0,)
    assert env.action_spec.shape == (2,)
    obs, *_ = env.step(np.full((3, 2), 0.25))
    env.close()


def test_episodes_end_by_themselves_and_stand_still_after() -> None:
    env = make_env(name(Odd), num_envs=8, seed=1)
    obs = env.reset()
    stops = np.round(obs["goal"][:, 0] * 10).astype(int)
    ended, ends = np.zeros(8, bool), np.zeros(8, int)
    total = np.zeros(8)
    success = np.zeros(8, bool)
    for step in range(1, 20):
        _, reward, terminated, truncated, info = env.step(np.zeros((8, 2)))
        total += reward
        ends[(terminated | truncated) & ~ended] = step
        ended |= terminated | truncated
        success = info["success"]
    assert np.array_equal(ends, stops) and np.array_equal(total, stops)
    assert len(set(stops)) > 2
    assert np.array_equal(success, stops % 2 == 0)
    env.close()


def test_an_ended_episode_starts_anew_by_itself() -> None:
    env = make_env(name(Odd), num_envs=2, autoreset=True)
    first = env.reset()
    finals = []
    for _ in range(30):
        obs, _, terminated, truncated, info = env.step(np.zeros((2, 2)))
        if "final_obs" in info and (terminated | truncated)[0]:
            finals.append(info["final_obs"]["place"][0].copy())
            assert not np.array_equal(obs["place"][0], finals[-1])
    assert len(finals) >= 3
    assert np.array_equal(finals[0], first["place"][0])
    assert not np.array_equal(finals[0], finals[1])
    env.close()


@pytest.mark.parametrize("kind", ["Pendulum-v1", "Reacher-v5"])
def test_a_saved_moment_is_loaded_to_the_bit(kind: str) -> None:
    env = make_env(kind, num_envs=2, seed=3)
    env.reset()
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (30, 2, env.action_spec.size))
    for action in actions[:10]:
        env.step(action)
    saved = env.save()
    then = [env.step(action) for action in actions[10:]]
    env.load(saved)
    assert env.state.steps.tolist() == [10, 10]
    again = [env.step(action) for action in actions[10:]]
    for a, b in zip(then, again, strict=True):
        assert np.array_equal(a[0]["state"], b[0]["state"])
        assert np.array_equal(a[1], b[1])
    env.close()


def test_what_does_not_repeat_itself_is_not_loaded() -> None:
    env = make_env(name(Unsure))
    env.reset()
    saved = env.save()
    with pytest.raises(EngineError, match="does not repeat itself"):
        env.load(saved)
    arm = make_env("arm-reach")
    arm.reset()
    with pytest.raises(EngineError, match="saved by the engine 'mujoco'"):
        env.engine.load(arm.engine.save(), np.ones(1, bool))
    arm.close()
    env.close()


def test_numbers_that_are_none_end_the_episode() -> None:
    env = make_env(name(Lost))
    env.reset()
    _, reward, terminated, _, info = env.step(np.zeros((1, 2)))
    assert terminated.all() and info["diverged"].all() and reward[0] == 0
    env.close()


def test_a_failure_of_the_environment_is_told_as_its_own() -> None:
    env = make_env(name(Broken))
    env.reset()
    with pytest.raises(EngineError, match=r"Broken-v0 failed in its step.*out of ord"):
        env.step(np.zeros((1, 2)))
    env.close()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Pendulm-v1", r"Did you mean 'Pendulum-v1'\?"),
        ("Pendulum-v7", r"Did you mean 'Pendulum-v1'\?"),
        ("Nowhere/Foo-v0", "No package that is loaded registers the namespace 'Nowh"),
        ("no_such_module:Foo-v0", "needs a package that is not installed"),
        ("a:b:Foo-v0", "module:Name-v0"),
        (":Foo-v0", "module:Name-v0"),
        ("Ant-v2", "needs a package that is not installed"),
        ("CartPole-v1", r"takes actions from Discrete\(2\)"),
        ("test-foreign/Worded-v0", "observes Dict.*only a Box"),
    ],
)
def test_what_cannot_be_a_task_says_why(call: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        GymnasiumTask(call)
    assert "\n" not in str(error.value)


def test_it_brings_its_own_engine_and_no_randomisation() -> None:
    task = make_task("Pendulum-v1")
    with pytest.raises(UsageError, match=r"its own engine.*leave --engine out"):
        make_env(task, engine="bullet")
    with pytest.raises(UsageError, match=r"unknown engine .gymnasum.\. Did you mean"):
        make_env(task, engine="gymnasum")
    with pytest.raises(UsageError, match="Known: none"):
        make_env(task, randomize="train")
    with pytest.raises(UsageError, match="num_envs must be at least 1"):
        make_env(task, num_envs=0)
    with pytest.raises(UsageError, match="no expert: give --policy random"):
        make_policy("expert", task, 1)
    with pytest.raises(UsageError, match="there are random, zero and checkpoints"):
        make_policy("computed-torque", task, 1)


def test_random_actions_need_limits() -> None:
    task = make_task("Pendulum-v1")
    task.action_spec = type(task.action_spec)(shape=(1,))
    with pytest.raises(UsageError, match="lie within limits"):
        make_policy("random", task, 1)


def test_a_scene_of_mujoco_is_shown_and_pushed() -> None:
    env = make_env("Reacher-v5", num_envs=2)
    env.reset()
    model, data = env.engine.snapshot(1)
    assert model is not env.engine.snapshot(0)[0] and data.qpos.shape == (4,)
    position, _ = env.engine.pose("fingertip")
    np.testing.assert_array_equal(position[1], data.body("fingertip").xpos)
    wrench = np.array([[0.0] * 6, [0.0, 20.0, 0, 0, 0, 0]])
    env.engine.apply_wrench("fingertip", wrench, np.ones(2, bool))
    env.step(np.zeros((2, 2)))
    speeds = [np.abs(env.engine.snapshot(i)[1].qvel[:2]).max() for i in range(2)]
    assert speeds[1] > speeds[0] + 0.01
    with open_pictures(env.engine, 64, 48) as pictures:
        assert np.ptp(pictures.render(1)) > 50
    env.close()


def test_an_environment_without_a_scene_draws_itself() -> None:
    env = make_env("Pendulum-v1", num_envs=2)
    env.reset()
    with open_pictures(env.engine, 64, 48) as pictures:
        first, second = pictures.render(0), pictures.render(1)
    assert first.shape == (48, 64, 3) and (first != second).any()
    session = Session(env, make_policy("zero", env.task, 2))
    assert session.views.names() == [None] and session.status().success is None
    with pytest.raises(EngineError, match="not simulated by MuJoCo"):
        env.engine.snapshot()
    with pytest.raises(UsageError, match="--viewer video"):
        play(env, make_policy("zero", env.task, 2), viewer="web")
    env.close()


def test_an_environment_that_cannot_draw_says_so() -> None:
    env = make_env(name(Mute))
    env.reset()
    with (
        pytest.raises(SandbotError, match="draws no pictures"),
        open_pictures(env.engine, 64, 48) as pictures,
    ):
        pictures.render(0)
    env.close()


def test_a_picture_keeps_its_shape_in_the_frame() -> None:
    square = np.full((10, 10, 3), 7, np.uint8)
    square[3:7, 3:7] = 250
    framed = fit(square, 64, 32)
    assert framed.shape == (32, 64, 3)
    rows, columns = np.nonzero(framed[..., 0] > 200)
    assert np.ptp(rows) == np.ptp(columns)
    assert (framed[:, :8] == 7).all()
