"""How good is a network on CartPole? Fresh episodes, all side by side."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

Act = Callable[[Tensor], Tensor]
"""(n, inputs) -> (n,) int: what to do."""
FIRST_SEED = 1_000_000
"""Of the episodes, apart from those that are learned from."""


@torch.no_grad()
def returns(env_id: str, act: Act, *, episodes: int, seed: int = 0) -> np.ndarray:
    """(episodes,) sums of rewards.

    Args:
        env_id: an environment whose actions are counted.
        act: the policy.
        episodes: how many.
        seed: of their first states.
    """
    envs = gym.make_vec(env_id, episodes)
    seen, _ = envs.reset(seed=FIRST_SEED + seed)
    earned, running = np.zeros(episodes), np.ones(episodes, bool)
    while running.any():
        action = act(torch.from_numpy(np.asarray(seen, np.float32))).numpy()
        seen, reward, terminated, truncated, _ = envs.step(action)
        earned += reward * running  # one that ended begins anew, and does not count
        running &= ~(terminated | truncated)
    envs.close()
    return earned


def greedy(net: Callable[[Tensor], Tensor]) -> Act:
    """The action whose value, or whose logit, is greatest."""
    return lambda seen: net(seen).argmax(-1)
