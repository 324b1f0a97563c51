"""Every registered id passes the checkers, and Stable-Baselines3 runs on it."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from assets import UsageError
from sims import TASKS
from sims.gym_env import SandbotEnv, register_envs

register_envs()
IDS = sorted(gym_id for gym_id in gym.registry if gym_id.startswith("sandbot/"))


def make_vector(gym_id: str, num_envs: int) -> Any:
    mode = gym.VectorizeMode.VECTOR_ENTRY_POINT
    return gym.make_vec(gym_id, num_envs, vectorization_mode=mode)


def test_every_task_is_registered() -> None:
    assert sorted(make().gym_id for make in TASKS.values()) == IDS
    assert {"sandbot/ArmReach-v0", "sandbot/AlohaTransferCube-v0"} <= set(IDS)


@pytest.mark.parametrize("gym_id", IDS)
@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_checkers_pass(gym_id: str, engine: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*action space.*")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        check_env(gym.make(gym_id, engine=engine).unwrapped)
        sb3_check_env(gym.make(gym_id, engine=engine))


@pytest.mark.parametrize("gym_id", IDS)
@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_stable_baselines3_runs(gym_id: str, algorithm: Any) -> None:
    """Rounds of acting and of learning from it."""
    settings: dict[str, Any] = {"learning_starts": 24}
    if algorithm is PPO:
        settings = {"n_steps": 32}
    env = gym.make(gym_id)
    kind = "MlpPolicy" if gym_id.startswith("sandbot/Arm") else "MultiInputPolicy"
    agent = algorithm(kind, env, batch_size=32, device="cpu", seed=0, **settings)
    agent.learn(40)
    action, _ = agent.predict(agent.observation_space.sample())
    assert agent.action_space.contains(action)


@pytest.mark.parametrize("gym_id", IDS)
def test_a_batch_is_many_singles(gym_id: str) -> None:
    """Row 0 of a batch sees what a single environment of the same seed sees."""
    one, batch = gym.make(gym_id), make_vector(gym_id, 3)
    obs, _ = one.reset(seed=9)
    rows, _ = batch.reset(seed=9)
    assert_row(rows, obs)
    one.action_space.seed(0)
    for step in range(30):
        action = one.action_space.sample()
        obs, reward, terminated, *_ = one.step(action)
        rows, rewards, *_ = batch.step(np.tile(action, (3, 1)))
        assert rewards[0] == reward
        if terminated:  # it fell, and the batch has begun anew
            assert step > 5
            break
        assert_row(rows, obs)
    batch.close()


def assert_row(rows: Any, obs: Any) -> None:
    """Row 0 of a batch of observations is that one, group by group."""
    if not isinstance(obs, dict):
        rows, obs = {"state": rows}, {"state": obs}
    assert set(rows) == set(obs)
    for group, values in obs.items():
        np.testing.assert_array_equal(rows[group][0], values)


def test_a_batch_hands_over_the_last_observation() -> None:
    batch = make_vector("sandbot/ArmReach-v0", 2)
    batch.reset(seed=0)
    for _ in range(400):
        obs, _, _, truncated, info = batch.step(batch.action_space.sample())
    assert truncated.all()
    assert info["_final_obs"].tolist() == [True, True]
    assert info["final_obs"][0].shape == obs[0].shape
    assert not np.array_equal(info["final_obs"][0], obs[0])
    assert info["final_info"]["is_success"].shape == (2,)


def test_seeds_repeat_and_unseeded_resets_differ() -> None:
    env = SandbotEnv("arm-reach")
    first = env.reset(seed=1)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)
    np.testing.assert_array_equal(env.reset()[0], second)
    others = [SandbotEnv("arm-reach").reset()[0] for _ in range(2)]
    assert not np.array_equal(*others)


def test_errors_of_the_adapters() -> None:
    with pytest.raises(UsageError, match=r"rgb_array.*sandbot play"):
        SandbotEnv("arm-reach", render_mode="human")
    batch: Any = make_vector("sandbot/ArmReach-v0", 2)
    with pytest.raises(UsageError, match="one integer seeds all"):
        batch.reset(seed=[1, 2])


def test_render_draws_the_scene() -> None:
    env = gym.make("sandbot/ArmReach-v0", render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    for _ in range(30):
        env.step(np.array([15.0, 5.0], np.float32))
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert before.dtype == np.uint8
    assert before.std() > 10
    assert np.abs(before.astype(int) - np.asarray(after, int)).max() > 30
