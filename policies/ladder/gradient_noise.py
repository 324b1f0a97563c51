"""How noisy is a policy's gradient, and what does a baseline take away?

Each episode alone gives an estimate g_i of the gradient of the return; the trace of
their covariance, E|g - E g|^2, is the variance that Greensmith, Bartlett and Baxter
(2004), "Variance reduction techniques for gradient estimates in reinforcement
learning", are about. Both kinds of estimate are of the same episodes.
"""

from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn

from policies.ladder.reinforce import play, policy_loss


@dataclass(frozen=True, kw_only=True)
class GradientNoise:
    """One estimate per episode."""

    plain: Tensor
    """(episodes, weights): with returns."""
    led: Tensor
    """(episodes, weights): with returns minus the baseline."""

    @property
    def ratio(self) -> float:
        """Variance with the baseline over variance without."""
        return float(_variance(self.led) / _variance(self.plain))


def measure(
    env_id: str,
    policy: nn.Module,
    value: nn.Module,
    *,
    episodes: int,
    discount: float,
    scale: float,
    seed: int,
) -> GradientNoise:
    """Gradients of fresh episodes.

    Args:
        env_id: to act in.
        policy: logits.
        value: the baseline.
        episodes: how many.
        discount: gamma.
        scale: of the rewards that the baseline was learned from.
        seed: of the episodes.
    """
    torch.manual_seed(seed)
    envs = gym.make_vec(env_id, episodes)
    happened = play(envs, policy, seed)
    envs.close()
    earned = scale * happened.returns(discount)
    with torch.no_grad():
        expected = value(happened.seen)[..., 0]
    both = []
    for weight in (earned, earned - expected):
        lost = policy_loss(policy(happened.seen), happened.action, weight)
        per_episode = (lost * happened.counts).sum(0)
        both.append(torch.stack([_gradient(one, policy) for one in per_episode]))
    return GradientNoise(plain=both[0], led=both[1])


def _gradient(loss: Tensor, net: nn.Module) -> Tensor:
    parts = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def _variance(estimates: Tensor) -> Tensor:
    return estimates.var(0).sum()
