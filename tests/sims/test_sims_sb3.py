"""A batch of ours as a VecEnv of Stable-Baselines3: its data are those of their own
DummyVecEnv around single environments, and its algorithms learn from it."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecMonitor,
    VecNormalize,
)

from assets.errors import UsageError
from sims import make_env
from sims.gym_env import SandbotEnv
from sims.sb3 import SB3VecEnv, make_sb3


def actions(env: Any, steps: int, seed: int = 0) -> np.ndarray:
    """(steps, num_envs, action), within the limits."""
    low, high = env.action_space.low, env.action_space.high
    draw = np.random.default_rng(seed)
    shape = (steps, env.num_envs, *low.shape)
    return draw.uniform(low, high, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("task", "engine", "steps"),
    [
        ("arm-reach", "mujoco", 410),  # one time limit
        ("arm-reach", "bullet", 30),
        ("humanoid-stand", "mujoco", 90),  # several falls, a Dict of observations
    ],
)
def test_data_are_those_of_their_dummy(task: str, engine: str, steps: int) -> None:
    """Of a single environment with the same seed, to the bit, over ends of episodes."""
    ours = make_sb3(task, engine=engine)
    theirs = DummyVecEnv([lambda: SandbotEnv(task, engine=engine)])
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    for env in (ours, theirs):
        env.seed(5)
    same(ours.reset(), theirs.reset())
    ended = 0
    for action in actions(ours, steps):
        obs, reward, done, infos = ours.step(action)
        expected, their_reward, their_done, their_infos = theirs.step(action)
        same(obs, expected)
        np.testing.assert_array_equal(reward, their_reward)
        np.testing.assert_array_equal(done, their_done)
        assert reward.dtype == their_reward.dtype == np.float32
        assert done.dtype == their_done.dtype
        given, wanted = infos[0], their_infos[0]
        wanted.pop("terms")  # theirs tells the reward's terms as well
        same(
            given.pop("terminal_observation", ()),
            wanted.pop("terminal_observation", ()),
        )
        assert given == wanted
        ended += int(done[0])
    assert ended or engine == "bullet"
    ours.close()
    theirs.close()


def same(one: Any, other: Any) -> None:
    """Two observations are the same, types included."""
    if isinstance(one, dict):
        assert set(one) == set(other)
        for key in one:
            same(one[key], other[key])
        return
    np.testing.assert_array_equal(one, other)
    assert np.asarray(one).dtype == np.asarray(other).dtype


def test_a_gymnasium_environment_passes_through() -> None:
    """Each row of a batch is what ``gym.make`` gives from the episode's own seed."""
    env: Any = make_sb3("Pendulum-v1", num_envs=3)
    env.seed(1)
    first = obs = env.reset()
    engine: Any = env.env.engine
    singles = [gym.make("Pendulum-v1") for _ in range(3)]
    for i, single in enumerate(singles):
        expected, _ = single.reset(seed=int(engine._seeds[i]))
        np.testing.assert_array_equal(first[i], expected)
    for step, action in enumerate(actions(env, 200)):
        obs, reward, done, infos = env.step(action)
        for i, single in enumerate(singles):
            expected, gained, terminated, truncated, _ = single.step(action[i])
            seen = infos[i]["terminal_observation"] if done[i] else obs[i]
            np.testing.assert_array_equal(seen, expected)
            assert reward[i] == np.float32(gained)
            assert done[i] == (terminated or truncated) == (step == 199)
            assert infos[i]["TimeLimit.truncated"] == truncated
    assert not np.array_equal(obs, [info["terminal_observation"] for info in infos])
    env.close()


def test_what_was_given_does_not_change() -> None:
    """An observation that a replay holds stays when the environments go on."""
    env = make_sb3("arm-reach", num_envs=2)
    first = env.reset()
    kept = first.copy()
    env.step(actions(env, 1)[0])
    np.testing.assert_array_equal(first, kept)
    env.close()


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        (PPO, {"n_steps": 16, "batch_size": 32, "n_epochs": 2}),
        (SAC, {"learning_starts": 32, "batch_size": 32}),
    ],
)
@pytest.mark.parametrize(
    ("task", "policy"),
    [("arm-reach", "MlpPolicy"), ("humanoid-walk", "MultiInputPolicy")],
)
def test_their_algorithms_learn_in_it(
    algorithm: Any, settings: dict, task: str, policy: str
) -> None:
    """Inside their own wrappers, which check and count."""
    env = VecMonitor(VecNormalize(VecCheckNan(make_sb3(task, num_envs=4))))
    agent = algorithm(policy, env, device="cpu", seed=0, **settings)
    before = {k: v.clone() for k, v in agent.policy.state_dict().items()}
    agent.learn(128)
    after = agent.policy.state_dict()
    assert any((after[k] != v).any() for k, v in before.items())
    assert agent.num_timesteps == 128
    env.close()


def test_their_evaluation_counts_episodes() -> None:
    env = VecMonitor(make_sb3("arm-reach", num_envs=4))
    agent = PPO("MlpPolicy", env, device="cpu", seed=0, n_steps=8, batch_size=8)
    returns, lengths = evaluate_policy(agent, env, 4, return_episode_rewards=True)
    assert len(returns) == 4  # pyright: ignore[reportArgumentType]
    assert lengths == [400] * 4
    env.close()


def test_seeds_repeat_and_unseeded_resets_differ() -> None:
    env = make_sb3("arm-reach", num_envs=3)
    env.seed(4)
    first = env.reset()
    assert len(np.unique(first, axis=0)) == 3
    second = env.reset()
    env.seed(4)
    np.testing.assert_array_equal(env.reset(), first)
    np.testing.assert_array_equal(env.reset(), second)
    fresh = [make_sb3("arm-reach").reset() for _ in range(2)]
    assert not np.array_equal(*fresh)
    env.close()


def test_attributes_and_methods() -> None:
    env = make_sb3("arm-reach", num_envs=3)
    assert env.get_attr("control_dt") == [env.env.control_dt] * 3
    assert env.get_attr("name", indices=[0, 2]) == ["arm-reach"] * 2
    assert env.has_attr("max_steps") and not env.has_attr("no_such")
    with pytest.raises(AttributeError, match=r"'arm-reach'.*attribute 'no_such'"):
        env.get_attr("no_such")
    env.reset()
    assert env.env_method("instructions", indices=1) == [env.env.instructions()]
    env.set_attr("max_steps", 2)
    assert env.env.max_steps == 2
    for action in actions(env, 2):
        _, _, done, _ = env.step(action)
    assert done.all()
    assert env.env_is_wrapped(gym.Wrapper) == [False] * 3
    with pytest.raises(UsageError, match=r"one object, so 'max_steps'.*indices \[0\]"):
        env.set_attr("max_steps", 3, indices=[0])
    env.close()


def test_pictures_are_tiled() -> None:
    env = make_sb3("arm-reach", num_envs=4, render_mode="rgb_array")
    env.reset()
    picture = env.render()
    assert picture is not None and picture.dtype == np.uint8
    one = env.get_images()[0]
    assert one is not None
    assert picture.shape == (2 * one.shape[0], 2 * one.shape[1], 3)
    assert picture.std() > 10
    env.close()
    blind = make_sb3("arm-reach")
    assert blind.get_images() == [None]
    blind.close()


def test_errors() -> None:
    with pytest.raises(UsageError, match=r"rgb_array.*sandbot play"):
        make_sb3("arm-reach", render_mode="human")
    env = make_env("arm-reach")
    with pytest.raises(UsageError, match=r"autoreset=True"):
        SB3VecEnv(env)
    env.close()
