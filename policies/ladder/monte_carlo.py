"""Monte Carlo: values are averages of what whole episodes earned.

Sutton and Barto (2018), sections 5.1 (first-visit prediction) and 5.4 (control with a
soft policy). From the first time an episode was in s, or did a in s,

    G_t = R_{t+1} + gamma G_{t+1},    V(s) <- average of G over the episodes.

Returns of different episodes are independent, so an average comes with its standard
error, which a test holds against a linear solve. It needs episodes that end: one that
was cut has no return, and is refused.
"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from assets.errors import SandbotError
from policies.ladder.exploration import pick
from policies.ladder.tabular import (
    Learned,
    Table,
    TabularConfig,
    Watch,
    first_state,
    sizes,
)


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Averages of first visits."""

    v: np.ndarray
    """(states,), 0 where no episode came."""
    error: np.ndarray
    """(states,) standard error of v; infinite below two visits."""
    visits: np.ndarray
    """(states,) int: episodes that came there."""


def predict(
    env: gym.Env,
    policy: np.ndarray,
    config: TabularConfig,
    watch: Watch | None = None,
) -> Estimated:
    """First-visit Monte Carlo prediction.

    Args:
        env: states and actions are counted, episodes end.
        policy: (states, actions) probabilities.
        config: its steps are not used: an average has its own.
        watch: told v after each episode.

    Raises:
        SandbotError: an episode was cut.
    """
    rng = np.random.default_rng(config.seed)
    visits = np.zeros(sizes(env)[0], int)
    v, square = np.zeros(len(visits)), np.zeros(len(visits))
    for episode in range(config.episodes):
        path = []
        state, over = first_state(env, config.seed, episode), False
        while not over:
            action = pick(policy[state], rng)
            following, reward, over, truncated, _ = env.step(action)
            path.append((state, float(reward)))
            _check(truncated and not over, len(path))
            state = int(following)
        for s, earned in first_visits(path, config.discount).items():
            visits[s] += 1
            off = earned - v[s]
            v[s] += off / visits[s]
            square[s] += off * (earned - v[s])  # Welford (1962)
        if watch is not None:
            watch(episode + 1, v)
    several = np.maximum(visits - 1, 1)
    error = np.where(visits > 1, np.sqrt(square / several / several), np.inf)
    return Estimated(v=v, error=error, visits=visits)


def control(env: gym.Env, config: TabularConfig, watch: Watch | None = None) -> Learned:
    """On-policy first-visit Monte Carlo control.

    Args:
        env: as in :func:`predict`.
        config: step_size 1 and power 1 give the average of all returns; a smaller
            power forgets those of the policies before.
        watch: told Q after each episode.

    Raises:
        SandbotError: an episode was cut.
    """
    table = Table(env, config)
    for episode in range(config.episodes):
        path = []
        state, terminated = table.begin(episode), False
        while not terminated:
            action = table.choose(state, episode)
            following, reward, terminated, over = table.act(action, episode)
            path.append(((state, action), reward))
            _check(over and not terminated, len(path))
            state = following
        for (s, a), earned in first_visits(path, config.discount).items():
            table.move(s, a, earned)
        if watch is not None:
            watch(episode + 1, table.q)
    return table.learned()


def first_visits(path: list, discount: float) -> dict:
    """The return from the first time on, by place.

    Args:
        path: of (place, reward that followed).
        discount: gamma.
    """
    earned, found = 0.0, {}
    for place, reward in reversed(path):
        earned = reward + discount * earned
        found[place] = earned  # an earlier visit comes later, and stays
    return found


def _check(cut: bool, steps: int) -> None:
    if cut:
        raise SandbotError(
            f"an episode was cut after {steps} steps, and Monte Carlo learns from what "
            f"whole ones earned: allow more steps, or take temporal differences"
        )
