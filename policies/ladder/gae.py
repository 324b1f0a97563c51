"""Advantages: how much better an action was than what its state is worth.

Schulman, Moritz, Levine, Jordan, Abbeel (2016), "High-dimensional continuous control
using generalized advantage estimation", eq. 16, as a recursion backwards in time:

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t),
    A_t = delta_t + gamma lambda A_{t+1}.

lambda = 0 is the error of TD(0), all bias; lambda = 1 the return minus V, all noise. A
state that terminated is worth nothing, one in which an episode was cut what V says;
across the end of an episode nothing is passed on either way.
"""

import torch
from torch import Tensor


def advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    over: Tensor,
    *,
    discount: float,
    trace: float,
) -> Tensor:
    """(steps, envs) advantages of the actions taken.

    Args:
        rewards: (steps, envs).
        values: (steps, envs) of the states acted in.
        next_values: (steps, envs) of the states that came of it, the last ones of their
            episodes included.
        terminated: (steps, envs) bool: whether nothing comes after them.
        over: (steps, envs) bool: whether the episode was terminated or cut.
        discount: gamma.
        trace: lambda.
    """
    delta = rewards + discount * next_values * ~terminated - values
    found = torch.zeros_like(delta)
    after = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        after = delta[t] + discount * trace * after * ~over[t]
        found[t] = after
    return found
