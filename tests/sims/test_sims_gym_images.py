"""Gymnasium's and Stable-Baselines3's checkers on environments with cameras."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from assets import UsageError
from sims.gym_env import register_envs

register_envs()
SEEN: dict[str, Any] = {"image_size": (48, 40), "cameras": ("side",)}


def make_vector(num_envs: int, **given: Any) -> Any:
    mode = gym.VectorizeMode.VECTOR_ENTRY_POINT
    return gym.make_vec(
        "sandbot/ArmReach-v0", num_envs, vectorization_mode=mode, **given
    )


@pytest.mark.parametrize("observe", ["images", "images+proprio"])
def test_checkers_pass(observe: str) -> None:
    env = gym.make("sandbot/ArmReach-v0", observe=observe, **SEEN)
    space = env.observation_space
    assert isinstance(space, spaces.Dict)
    assert space["images_side"] == spaces.Box(0, 255, (40, 48, 3), np.uint8)
    assert ("state" in space.spaces) == (observe == "images+proprio")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*action space.*")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        check_env(env.unwrapped)
        sb3_check_env(gym.make("sandbot/ArmReach-v0", observe=observe, **SEEN))
    env.close()


def test_proprio_alone_stays_a_box() -> None:
    env = gym.make("sandbot/ArmReach-v0", observe="proprio")
    assert isinstance(env.observation_space, spaces.Box)
    assert env.reset(seed=0)[0].dtype == np.float32


def test_stable_baselines3_sees() -> None:
    env = gym.make("sandbot/ArmReach-v0", observe="images+proprio", **SEEN)
    agent = PPO("MultiInputPolicy", env, n_steps=16, batch_size=16, device="cpu")
    agent.learn(16)
    action, _ = agent.predict(env.reset(seed=1)[0])
    assert env.action_space.contains(action)
    env.close()


def test_a_batch_hands_over_the_last_pictures() -> None:
    batch = make_vector(2, observe="both", **SEEN)
    obs, _ = batch.reset(seed=0)
    assert batch.observation_space.contains(obs)
    batch.env.state.steps[1] = 399
    obs, _, _, truncated, info = batch.step(batch.action_space.sample())
    assert truncated.tolist() == info["_final_obs"].tolist() == [False, True]
    assert info["final_obs"][0] is None
    final = info["final_obs"][1]
    assert batch.single_observation_space.contains(final)
    assert (final["images_side"] != obs["images_side"][1]).any()
    batch.close()


def test_wrong_choices_reach_the_user() -> None:
    with pytest.raises(UsageError, match=r"unknown camera 'sied'"):
        gym.make("sandbot/ArmReach-v0", observe="images", cameras=["sied"])
    with pytest.raises(TypeError, match="observes"):
        make_vector(2, observes="images")
