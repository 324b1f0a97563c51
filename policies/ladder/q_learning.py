"""Q-learning: about the best policy, whatever is done.

Watkins (1989); Sutton and Barto (2018), section 6.5, eq. 6.8:

    Q(S, A) <- Q(S, A) + alpha (R + gamma max_a Q(S', a) - Q(S, A)).
"""

import gymnasium as gym

from policies.ladder.tabular import Learned, Table, TabularConfig, Watch


def q_learning(
    env: gym.Env, config: TabularConfig, *, watch: Watch | None = None
) -> Learned:
    """Off-policy control.

    Args:
        env: states and actions are counted.
        config: how it learns and explores.
        watch: told Q after each episode.
    """
    table = Table(env, config)
    for episode in range(config.episodes):
        state, over = table.begin(episode), False
        while not over:
            action = table.choose(state, episode)
            following, reward, terminated, over = table.act(action, episode)
            best = table.q[following].max()
            goal = reward + config.discount * best * (not terminated)
            table.move(state, action, goal)
            state = following
        if watch is not None:
            watch(episode + 1, table.q)
    return table.learned()
