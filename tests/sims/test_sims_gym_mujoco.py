"""Gymnasium's MuJoCo environments on our engine: the same numbers."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import sims
from assets.errors import UsageError
from policies import make_policy
from sims import make_task
from sims.gym_env import SandbotVectorEnv
from sims.gym_mujoco import GYM_TASKS

make_env: Any = sims.make_env
"""Untyped: these tests reach into the engine."""
EVERYWHERE = np.ones(3, bool)
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gym-humanoid": ("Humanoid-v5", {}),
    "gym-humanoid-no-forces": (
        "Humanoid-v5",
        {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0},
    ),
    "gym-half-cheetah": ("HalfCheetah-v5", {}),
}
TERMS = ("forward", "ctrl", "survive", "contact")


def peers(name: str, seeds: range) -> list[Any]:
    """Gymnasium's own, one for each seed, at the start of an episode."""
    gym_id, options = PEERS[name]
    found = [gym.make(gym_id, **options) for _ in seeds]
    for peer, seed in zip(found, seeds, strict=True):
        peer.reset(seed=seed)
    return found


def copy_states(env: Any, theirs: list[Any]) -> None:
    """Put ours where theirs are."""
    bare = [peer.unwrapped.data for peer in theirs]
    qpos, qvel = (np.array([getattr(d, n) for d in bare]) for n in ("qpos", "qvel"))
    env.engine.reset(EVERYWHERE, qpos, qvel)
    env.task.note(env.engine, env.state)


@pytest.mark.parametrize("name", PEERS)
def test_the_same_numbers_step_by_step(name: str) -> None:
    """Through falls and far beyond them: theirs does not stop by itself, and no more
    does ours."""
    env, theirs = make_env(name, num_envs=3), peers(name, range(3))
    env.reset()
    copy_states(env, theirs)
    rng = np.random.default_rng(0)
    low, high = env.action_spec.limits()
    mine, their = [], []
    for step in range(150):
        wide = 1.2 if step % 50 == 0 else 1.0  # now and then, more than motors can
        actions = wide * rng.uniform(low, high, (3, len(low)))
        obs, reward, terminated, _, info = env.step(actions)
        terms = [info["terms"].get(term, np.zeros(3)) for term in TERMS]
        told = np.stack([reward, terminated, *terms], axis=1)
        mine.append(np.concatenate([obs["state"], told], axis=1))
        for peer, action in zip(theirs, actions, strict=True):
            obs, reward, ended, _, info = peer.unwrapped.step(action)
            terms = [info.get(f"reward_{term}", 0.0) for term in TERMS]
            their.append([*obs, reward, ended, *terms])
    same = np.array(their).reshape(np.shape(mine))
    np.testing.assert_allclose(mine, same, rtol=0, atol=1e-6)
    if "humanoid" in name:
        assert 0 < same[:, :, -5].sum() < 450  # some fell
        assert (same[:, :, -1].min() < -0.01) == (name == "gym-humanoid")
    env.close()


@pytest.mark.parametrize("name", PEERS)
def test_specs_are_gymnasiums(name: str) -> None:
    """So that a policy may be trained here and act there."""
    task, theirs = make_task(name), gym.make(PEERS[name][0], **PEERS[name][1])
    assert theirs.spec is not None
    space, action = theirs.observation_space, theirs.action_space
    assert isinstance(space, gym.spaces.Box) and isinstance(action, gym.spaces.Box)
    assert task.obs_spec["state"].shape == space.shape
    assert task.max_steps == theirs.spec.max_episode_steps
    if not PEERS[name][1]:
        foreign = make_task(PEERS[name][0])
        assert task.obs_spec == foreign.obs_spec
        assert task.action_spec == foreign.action_spec
        assert task.control_dt == foreign.control_dt


@pytest.mark.parametrize("name", ["gym-humanoid", "gym-half-cheetah"])
def test_starts_have_gymnasiums_distribution(name: str) -> None:
    from scipy.stats import ks_2samp

    env = make_env(name, num_envs=250)
    mine = env.reset()["state"]
    peer = gym.make(PEERS[name][0])
    theirs = np.array([peer.reset(seed=seed)[0] for seed in range(250)])
    count = env.engine.qpos.shape[1] + env.engine.qvel.shape[1] - env.task.what.hidden
    for column in range(count):
        found: Any = ks_2samp(mine[:, column], theirs[:, column])
        assert found.pvalue > 1e-4
    again = env.reset()["state"]
    assert not np.array_equal(again, mine)
    np.testing.assert_array_equal(env.reset(seed=0)["state"], mine)
    env.close()


def test_numbers_do_not_depend_on_how_many_there_are() -> None:
    rng = np.random.default_rng(1)
    actions = rng.uniform(-0.4, 0.4, (60, 9, 17))
    found = []
    for num in (9, 2):
        env = make_env("gym-humanoid", num_envs=num, autoreset=True, seed=3, threads=2)
        rows = [env.reset()["state"][:2]]
        for action in actions:
            obs, reward, *_ = env.step(action[:num])
            rows += [obs["state"][:2], reward[:2, None]]
        found.append(np.concatenate(rows, axis=1))
        env.close()
    np.testing.assert_array_equal(*found)


def test_an_episode_that_ends_says_what_was_last_seen() -> None:
    env = make_env("gym-humanoid", num_envs=4, autoreset=True)
    env.reset()
    for _ in range(200):
        obs, _, terminated, _, info = env.step(np.full((4, 17), 0.4))
        if terminated.any():
            break
    assert terminated.any() and info["success"] is None
    last, first = info["final_obs"]["state"][terminated], obs["state"][terminated]
    height = last[:, 0]
    assert ((height <= 1.0) | (height >= 2.0)).all()
    assert np.abs(first[:, 0] - 1.4).max() <= 0.01
    assert not first[:, -78:].any()  # no contact forces at a start, as Gymnasium's
    assert env.state.speed[terminated].tolist() == [0.0] * int(terminated.sum())
    env.close()


def test_a_batch_wears_gymnasiums_clothes() -> None:
    env, peer = SandbotVectorEnv("gym-humanoid", 3), gym.make("Humanoid-v5")
    assert env.single_observation_space == peer.observation_space
    assert env.single_action_space == peer.action_space
    first, _ = env.reset(seed=4)
    again, _ = env.reset(seed=4)
    np.testing.assert_array_equal(first, again)
    obs, reward, *_ = env.step(np.zeros((3, 17), np.float32))
    assert obs.shape == (3, 348) and obs.dtype == np.float64
    assert (reward > 3).all() and (reward < 7).all()
    env.close()


def test_a_push_is_a_force_even_where_nothing_touches() -> None:
    env = make_env("gym-humanoid", num_envs=2)
    env.reset()
    peer: Any = gym.make("Humanoid-v5").unwrapped
    peer.reset(seed=0)
    start = peer.data.qpos.copy()
    start[2] += 1.0
    peer.set_state(start, np.zeros(23))
    env.engine.reset(np.ones(2, bool), start, np.zeros(23))
    wrench = np.array([[0.0] * 6, [30.0, -20.0, 10.0, 1.0, 2.0, 3.0]])
    env.engine.apply_wrench("torso", wrench, np.ones(2, bool))
    peer.data.xfrc_applied[peer.model.body("torso").id] = wrench[1]
    obs, *_ = env.step(np.zeros((2, 17)))
    their, *_ = peer.step(np.zeros(17))
    np.testing.assert_allclose(obs["state"][1], their, rtol=0, atol=1e-6)
    assert np.abs(their[-78:]).max() > 10 and not obs["state"][0, -78:].any()
    env.close()


def test_a_saved_moment_is_loaded_to_the_bit() -> None:
    env = make_env("gym-humanoid", num_envs=2, seed=5)
    env.reset()
    rng = np.random.default_rng(2)
    actions = rng.uniform(-0.4, 0.4, (40, 2, 17))
    for action in actions[:20]:
        seen, *_ = env.step(action)
    saved = env.save()
    then = [env.step(action) for action in actions[20:]]
    np.testing.assert_array_equal(env.load(saved)["state"], seen["state"])
    for action, (obs, reward, *_) in zip(actions[20:], then, strict=True):
        again, paid, *_ = env.step(action)
        np.testing.assert_array_equal(again["state"], obs["state"])
        np.testing.assert_array_equal(paid, reward)
    env.close()


def test_what_is_not_there_says_so() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'gym-humanoid'\?"):
        make_task("gym-humanod")
    with pytest.raises(UsageError, match=r"its own engine, mujoco, and runs in no"):
        make_env("gym-humanoid", engine="bullet")
    env = make_env("gym-humanoid-no-forces")
    with pytest.raises(UsageError, match="forces=True"):
        env.engine.derived("cfrc_ext")
    env.close()
    assert set(PEERS) == set(GYM_TASKS)
    for name in GYM_TASKS:
        task = make_task(name)
        assert make_policy("random", task, 2).act({}).shape == (
            2,
            task.action_spec.size,
        )
