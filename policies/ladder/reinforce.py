"""REINFORCE: climb the return itself, by the policy's own probabilities.

Williams (1992), "Simple statistical gradient-following algorithms for connectionist
reinforcement learning"; Sutton and Barto (2018), sections 13.3 and 13.4:

    grad J = E[sum_t grad log pi(a_t | s_t) (G_t - b(s_t))],
    G_t = sum_k gamma^k r_{t+k}.

A baseline b that knows nothing of a_t leaves the mean as it is, since grad log pi has
mean 0, and takes noise away where it is near to E[G_t | s_t]: here a second network,
which learns that by regression. As is usual the factor gamma^t of 13.3 is left out: it
would hardly listen to late steps.
"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from assets.errors import UsageError
from ml.networks import MLP
from policies.ladder.dqn import Trained


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig:
    """The whole of it; tuned on CartPole-v1."""

    updates: int = 80
    """Of the policy."""
    episodes: int = 8
    """Of each update, side by side."""
    baseline: bool = True
    """Whether a network of values is taken away from returns."""
    hidden: tuple[int, ...] = (64,)
    discount: float = 0.99
    """gamma"""
    scale: float = 0.1
    """Of the rewards that are learned from: values of size 1 to 10 are learned fast."""
    learning_rate: float = 1e-2
    """Of Adam, for both networks, at the beginning."""
    fits: int = 20
    """Steps of the baseline's regression after each update."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what never learns.

        Raises:
            UsageError: a number outside of its range.
        """
        for name in ("updates", "episodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Episodes:
    """Whole episodes side by side; rows after an episode's end do not count."""

    seen: Tensor
    """(steps, n, inputs)"""
    action: Tensor
    """(steps, n) int"""
    reward: Tensor
    """(steps, n), 0 after the end."""
    counts: Tensor
    """(steps, n) bool"""

    def returns(self, discount: float) -> Tensor:
        """(steps, n): G_t."""
        earned = torch.zeros_like(self.reward)
        after = torch.zeros_like(self.reward[0])
        for t in range(len(earned) - 1, -1, -1):
            after = self.reward[t] + discount * after
            earned[t] = after
        return earned


@torch.no_grad()
def play(envs: gym.vector.VectorEnv, policy: nn.Module, seed: int | None) -> Episodes:
    """One episode of each environment.

    Args:
        envs: side by side.
        policy: (n, inputs) -> (n, actions) logits.
        seed: of the environments; None: they go on with theirs.
    """
    seen, _ = envs.reset(seed=seed)
    counts = np.ones(envs.num_envs, bool)
    rows = []
    while counts.any():
        state = torch.from_numpy(np.array(seen, np.float32))
        action = Categorical(logits=policy(state)).sample()
        seen, reward, terminated, truncated, _ = envs.step(action.numpy())
        alive = torch.from_numpy(counts.copy())
        rows.append((state, action, torch.as_tensor(reward).float() * alive, alive))
        counts &= ~(terminated | truncated)
    return Episodes(*(torch.stack(part) for part in zip(*rows, strict=True)))


def policy_loss(logits: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """(...): what has grad log pi(a | s) times minus the weight as its gradient.

    Args:
        logits: (..., actions).
        action: (...) int.
        weight: (...): G, or G - b, or an advantage.
    """
    return -Categorical(logits=logits).log_prob(action) * weight.detach()


def train(env_id: str, config: ReinforceConfig) -> Trained:
    """Learn by acting.

    Args:
        env_id: an environment with vectors to see and counted actions.
        config: how.
    """
    torch.manual_seed(config.seed)
    envs = gym.make_vec(env_id, config.episodes)
    policy, value = networks(envs, config.hidden)
    optimizer = torch.optim.Adam(policy.parameters(), config.learning_rate, fused=True)
    critic = torch.optim.Adam(value.parameters(), config.learning_rate, fused=True)
    returns, ends, steps = [], [], 0

    for update in range(config.updates):
        happened = play(envs, policy, config.seed if update == 0 else None)
        counts, goal = happened.counts, config.scale * happened.returns(config.discount)
        weight = goal
        if config.baseline:
            with torch.no_grad():
                weight = goal - value(happened.seen)[..., 0]
        logits = policy(happened.seen)
        lost = policy_loss(logits, happened.action, weight) * counts
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * (1 - update / config.updates)
        optimizer.zero_grad()
        # summed over an episode, meant over episodes; Adam does not mind the scale
        (lost.sum() / config.episodes).backward()
        optimizer.step()

        for _ in range(config.fits * config.baseline):
            off = value(happened.seen)[..., 0] - goal
            critic.zero_grad()
            ((off.square() * counts).sum() / counts.sum()).backward()
            critic.step()

        steps += int(counts.sum())
        returns += happened.reward.sum(0).tolist()
        ends += [steps] * config.episodes
    envs.close()
    return Trained(
        net=policy, value=value, returns=np.array(returns), ends=np.array(ends)
    )


def networks(
    envs: gym.vector.VectorEnv, hidden: tuple[int, ...]
) -> tuple[nn.Module, nn.Module]:
    """A policy (logits) and a value, with random weights.

    Raises:
        UsageError: actions are not counted, or no vector is seen.
    """
    actions, seen = envs.single_action_space, envs.single_observation_space
    if not isinstance(actions, gym.spaces.Discrete) or len(seen.shape or ()) != 1:
        raise UsageError(
            f"a policy of logits wants a vector to see and actions that are counted "
            f"(Discrete), got {seen} and {actions}"
        )
    inputs = int((seen.shape or (0,))[0])
    return MLP(inputs, int(actions.n), hidden), MLP(inputs, 1, hidden)
