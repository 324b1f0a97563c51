"""One environment breaks down among thousands: it is ended, counted and reset, and all
others go on to the same bits as without it."""

from typing import Any

import numpy as np
import pytest

from sims import make_env
from sims.engines.mujoco import MujocoEngine
from sims.env import Env

SIZES = {"mujoco": 2048, "bullet": 8, "warp": 8}
"""Environments by engine: as many as are quick."""
STEPS, BREAK = 8, 3
"""Control steps, and the one before which one of them is broken."""


def actions(env: Env) -> np.ndarray:
    """(STEPS, num_envs, action_dim) random ones."""
    rng = np.random.default_rng(5)
    low, high = env.action_spec.limits()
    return rng.uniform(low, high, (STEPS, env.num_envs, *env.action_spec.shape))


def run(env: Env, broken: int | None) -> list[tuple[Any, ...]]:
    """Play; everything that :meth:`Env.step` returned, and the state after it.

    Args:
        env: starts anew.
        broken: which environment is given an absurd speed; None: none is.
    """
    env.reset(seed=0)
    seen = []
    for step, action in enumerate(actions(env)):
        if step == BREAK and broken is not None:
            where = np.arange(env.num_envs) == broken
            speed = np.full(env.engine.model.nv, 1e12)
            env.engine.reset(where, env.engine.qpos.copy(), speed)
        obs, reward, terminated, truncated, info = env.step(action)
        state = np.array(env.engine.qpos), np.array(env.engine.qvel)
        said = np.array(terminated | truncated), np.array(info["diverged"])
        seen.append((dict(obs), np.array(reward), *state, *said, info["success"]))
    return seen


@pytest.mark.parametrize("engine", SIZES)
def test_a_breakdown_touches_no_other(engine: str) -> None:
    size = SIZES[engine]
    broken = size // 2 + 1
    env = make_env(
        "arm-press",
        engine=engine,
        num_envs=size,
        randomize="train" if engine != "warp" else "none",
        autoreset=True,
        threads=2,
    )
    runs = [run(env, None)]
    assert env.diverged_count == 0
    runs.append(run(env, broken))
    assert env.diverged_count == 1
    steps = env.state.steps.copy()
    env.close()
    others = np.arange(size) != broken
    for step, (plain, with_one) in enumerate(zip(*runs, strict=True)):
        for group in plain[0]:
            np.testing.assert_array_equal(
                plain[0][group][others], with_one[0][group][others]
            )
            assert np.isfinite(with_one[0][group]).all()
        for a, b in zip(plain[1:], with_one[1:], strict=True):
            np.testing.assert_array_equal(a[others], b[others])
            assert np.isfinite(b).all()
        reward, (ended, diverged) = with_one[1], with_one[4:6]
        assert diverged.sum() == ended.sum() == (step == BREAK)
        assert diverged[broken] == (step == BREAK) and not plain[5].any()
        assert reward[broken] == 0 or step != BREAK
    assert steps[broken] == STEPS - BREAK - 1 and (steps[others] == STEPS).all()


def test_its_next_episode_is_the_one_that_it_would_have_had() -> None:
    env = make_env("arm-press", num_envs=64, randomize="train", autoreset=True)
    started = run(env, 40)[BREAK][0]["state"][40]
    env.close()
    alone = make_env("arm-press", num_envs=1, randomize="train")
    alone.reset(ids=np.array([40]))
    np.testing.assert_array_equal(alone.reset()["state"][0], started)
    alone.close()


@pytest.mark.parametrize("name", ["aloha-pick", "humanoid-stand"])
def test_robots_that_stand_in_contact(name: str) -> None:
    env = make_env(name, num_envs=24, randomize="train", autoreset=True)
    assert isinstance(env.engine, MujocoEngine)
    runs = [run(env, None)]
    assert env.diverged_count == 0 and env.engine.warnings == {}
    runs.append(run(env, 5))
    assert env.diverged_count == 1 and env.engine.warnings == {"BADQVEL": 1}
    env.close()
    others = np.arange(24) != 5
    for plain, with_one in zip(*runs, strict=True):
        for a, b in zip(plain[1:4], with_one[1:4], strict=True):
            np.testing.assert_array_equal(a[others], b[others])
            assert np.isfinite(b).all()
