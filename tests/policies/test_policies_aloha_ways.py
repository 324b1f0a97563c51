"""Two strategies of the transfer: both succeed, and each is told by the roll-out."""

from typing import Any

import numpy as np
import pytest

import policies
import sims
from evaluation.episodes import start
from policies.aloha.transfer import WAYS
from sims.draws import Draws

make_env: Any = sims.make_env
"""Untyped: these tests reach into the task's own state."""
make_policy: Any = policies.make_policy
NAME = "aloha-transfer-cube"
EPISODES = 24
EARLY = 25
"""A control step in the first sixth of an episode."""


@pytest.fixture(scope="module")
def played() -> dict[str, np.ndarray]:
    """What 24 episodes did, each up to its own end."""
    env = make_env(NAME, num_envs=EPISODES, threads=1)
    policy = make_policy("aloha-script-two-ways", env.task, EPISODES)
    obs = start(env, policy, np.arange(EPISODES), seed=4)
    ended = np.zeros(EPISODES, bool)
    found = {
        name: np.zeros(EPISODES, bool) for name in ("success", "way_front", "way_back")
    }
    places, early = np.zeros(EPISODES), np.zeros((EPISODES, 14))
    for step in range(env.max_steps):
        action = policy.act(obs)
        early = action if step == EARLY else early
        obs, _, terminated, truncated, info = env.step(action)
        both = env.state.now[:, 2] & (places == 0)
        places[both] = obs["environment_state"][both, 1]
        ends = (terminated | truncated) & ~ended
        for name in found:
            given = info["success"] if name == "success" else info["outcomes"][name]
            found[name][ends] = given[ends]
        ended |= ends
        if ended.all():
            break
    assert ended.all()
    return found | {"places": places, "early": early}


def test_both_ways_are_drawn_and_solve_the_task(played: dict[str, np.ndarray]) -> None:
    front, back = played["way_front"], played["way_back"]
    assert (front ^ back).all(), "a solved episode goes one way, and one way only"
    assert 6 <= front.sum() <= EPISODES - 6
    assert played["success"].all()


def test_the_way_is_where_the_cube_was_handed_over(
    played: dict[str, np.ndarray],
) -> None:
    front = played["way_front"]
    gap = (WAYS["back"] - WAYS["front"]) / 2
    assert played["places"][front].max() < 0.5 - gap / 2
    assert played["places"][~front].min() > 0.5 + gap / 2


def test_the_mean_of_both_ways_is_neither_from_early_on(
    played: dict[str, np.ndarray],
) -> None:
    """At half a second the left waist's commands are two groups, far apart."""
    front = played["way_front"]
    waist = played["early"][:, 0]
    groups = waist[front], waist[~front]
    between = abs(groups[0].mean() - groups[1].mean())
    assert between > 0.3
    assert max(group.std() for group in groups) < between / 8
    assert (np.abs(waist - waist.mean()) > between / 4).all()


def test_one_strategy_goes_between_the_two_ways() -> None:
    """The plain script's handing over is around the middle, whatever it draws."""
    env = make_env(NAME, num_envs=8, threads=1)
    policy = make_policy("aloha-script", env.task, 8)
    obs = start(env, policy, np.arange(8), seed=4)
    places = np.zeros(8)
    for _ in range(env.max_steps):
        obs = env.step(policy.act(obs))[0]
        both = env.state.now[:, 2] & (places == 0)
        places[both] = obs["environment_state"][both, 1]
        if (places > 0).all():
            break
    assert np.abs(places - 0.5).max() < WAYS["back"] / 2


def test_a_way_is_no_stage_and_is_forgotten_at_reset() -> None:
    env = make_env(NAME, num_envs=2, threads=1)
    env.reset()
    assert not {"way_front", "way_back"} & set(env.task.stages)
    env.state.front[:] = True
    env.state.back[:] = True
    total = sum(env.task.reward(env.engine, env.state).values())
    np.testing.assert_array_equal(total, 0.0)
    draws = Draws(0, np.arange(2), np.zeros(2, int))
    env.task.reset(env.engine, env.state, np.array([True, False]), draws)
    outcomes = env.task.outcomes(env.engine, env.state)
    for way in ("way_front", "way_back"):
        np.testing.assert_array_equal(outcomes[way], [False, True])
