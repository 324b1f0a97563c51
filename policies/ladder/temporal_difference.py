"""TD(0): values learned from the values next to them, step by step.

Sutton and Barto (2018), section 6.1, eq. 6.2: with a policy that is given,

    V(S_t) <- V(S_t) + alpha (R_{t+1} + gamma V(S_{t+1}) - V(S_t)).

Nothing waits for the end of the episode, and an episode that was cut is worth what the
state is worth in which it was cut. The goal leans on V itself: less noise than a
return, and biased as long as V is wrong.
"""

import gymnasium as gym
import numpy as np

from policies.ladder.exploration import pick
from policies.ladder.tabular import TabularConfig, Watch, first_state, sizes


def predict(
    env: gym.Env,
    policy: np.ndarray,
    config: TabularConfig,
    watch: Watch | None = None,
) -> np.ndarray:
    """The policy's values, (states,).

    Args:
        env: states and actions are counted.
        policy: (states, actions) probabilities.
        config: episodes, discount and steps.
        watch: told v after each episode.
    """
    rng = np.random.default_rng(config.seed)
    v = np.full(sizes(env)[0], config.initial)
    visits = np.zeros(len(v), int)
    for episode in range(config.episodes):
        state, over = first_state(env, config.seed, episode), False
        while not over:
            action = pick(policy[state], rng)
            following, reward, terminated, truncated, _ = env.step(action)
            goal = float(reward) + config.discount * v[following] * (not terminated)
            visits[state] += 1
            step = config.step_size * visits[state] ** -config.power
            v[state] += step * (goal - v[state])
            state, over = int(following), terminated or truncated
        if watch is not None:
            watch(episode + 1, v)
    return v
