"""SARSA: temporal differences for actions, about the policy that acts.

Sutton and Barto (2018), section 6.4, eq. 6.7, and 6.6, eq. 6.9:

    SARSA            Q(S, A) -> R + gamma Q(S', A'),   A' what is done next
    expected SARSA   Q(S, A) -> R + gamma sum_a pi(a | S') Q(S', a)

It learns what an action is worth with the exploring that follows: beside a cliff that
is less than its worth to one who never slips.
"""

import gymnasium as gym

from policies.ladder.tabular import Learned, Table, TabularConfig, Watch


def sarsa(
    env: gym.Env,
    config: TabularConfig,
    *,
    expected: bool = False,
    watch: Watch | None = None,
) -> Learned:
    """On-policy control.

    Args:
        env: states and actions are counted.
        config: how it learns and explores.
        expected: whether the goal is the mean over the next action.
        watch: told Q after each episode.
    """
    table = Table(env, config)
    for episode in range(config.episodes):
        state, over = table.begin(episode), False
        action = table.choose(state, episode)
        while not over:
            following, reward, terminated, over = table.act(action, episode)
            then = table.choose(following, episode)
            if expected:
                worth = table.likely(following, episode) @ table.q[following]
            else:
                worth = table.q[following, then]
            goal = reward + config.discount * worth * (not terminated)
            table.move(state, action, goal)
            state, action = following, then
        if watch is not None:
            watch(episode + 1, table.q)
    return table.learned()
