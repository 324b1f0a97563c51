"""A2C: REINFORCE that does not wait for the end, led by a critic.

Mnih et al. (2016), "Asynchronous methods for deep reinforcement learning", in its
synchronous form: environments side by side take a few steps, and then

    theta <- theta + alpha (grad log pi(a_t | s_t) A_t + beta grad H(pi(. | s_t))),
    w <- w - alpha grad (V(s_t) - (A_t + V(s_t)))^2 / 2,

with the advantages of :mod:`policies.ladder.gae` for A_t, of which the error of TD(0),
r + gamma V(s') - V(s), is the case lambda = 0. The entropy H keeps it trying.
"""

from dataclasses import dataclass
from functools import partial

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor, nn
from torch.distributions import Categorical

from assets.errors import UsageError
from policies.ladder.dqn import Trained
from policies.ladder.gae import advantages
from policies.ladder.reinforce import networks, policy_loss


@dataclass(frozen=True, kw_only=True)
class A2CConfig:
    """The whole of it; tuned on CartPole-v1."""

    steps: int = 120_000
    """Of all environments together."""
    envs: int = 8
    """Side by side."""
    horizon: int = 16
    """Steps of each environment between two updates."""
    trace: float = 0.95
    """lambda"""
    discount: float = 0.99
    """gamma"""
    learning_rate: float = 2e-3
    """Of the actor's Adam at the beginning."""
    critic_rate: float = 1e-2
    """Of the critic's Adam."""
    entropy: float = 0.0
    """beta"""
    hidden: tuple[int, ...] = (64, 64)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what never learns.

        Raises:
            UsageError: a number outside of its range.
        """
        for name in ("envs", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")
        if not 0 <= self.trace <= 1:
            raise UsageError(f"trace is from 0 to 1, got {self.trace:g}")
        if self.steps < self.envs * self.horizon:
            raise UsageError(
                f"one update takes {self.envs * self.horizon} steps, and there are to "
                f"be {self.steps}"
            )


@dataclass(frozen=True)
class Stretch:
    """A few steps of all environments, each (steps, envs, ...)."""

    seen: Tensor
    action: Tensor
    reward: Tensor
    following: Tensor
    """What came of it, the last observation where an episode was over."""
    terminated: Tensor
    over: Tensor


class Walker:
    """Environments that go on from stretch to stretch."""

    def __init__(self, env_id: str, envs: int, seed: int) -> None:
        """Start the first episodes."""
        self.envs = SyncVectorEnv(
            [partial(gym.make, env_id)] * envs, autoreset_mode=AutoresetMode.SAME_STEP
        )
        self.returns: list[float] = []
        self.ends: list[int] = []
        self._seen, _ = self.envs.reset(seed=seed)
        self._earned, self._steps = np.zeros(envs), 0

    @torch.no_grad()
    def walk(self, policy: nn.Module, steps: int) -> Stretch:
        """So many steps of each environment."""
        rows = []
        for _ in range(steps):
            seen = torch.from_numpy(np.array(self._seen, np.float32))
            action = Categorical(logits=policy(seen)).sample()
            self._seen, reward, terminated, truncated, info = self.envs.step(
                action.numpy()
            )
            over = terminated | truncated
            following = np.array(self._seen, np.float32)
            for row in np.flatnonzero(over):
                following[row] = info["final_obs"][row]
            self._count(np.asarray(reward), over)
            arrays = (np.asarray(reward, np.float32), following, terminated, over)
            rows.append((seen, action, *map(torch.from_numpy, arrays)))
        return Stretch(*(torch.stack(part) for part in zip(*rows, strict=True)))

    def _count(self, reward: np.ndarray, over: np.ndarray) -> None:
        self._steps += len(reward)
        self._earned += reward
        self.returns += self._earned[over].tolist()
        self.ends += [self._steps] * int(over.sum())
        self._earned[over] = 0.0


def train(env_id: str, config: A2CConfig) -> Trained:
    """Learn by acting.

    Args:
        env_id: an environment with vectors to see and counted actions.
        config: how.
    """
    torch.manual_seed(config.seed)
    walker = Walker(env_id, config.envs, config.seed)
    policy, value = networks(walker.envs, config.hidden)
    actor = torch.optim.Adam(policy.parameters(), config.learning_rate, fused=True)
    critic = torch.optim.Adam(value.parameters(), config.critic_rate, fused=True)

    updates = config.steps // (config.envs * config.horizon)
    for update in range(updates):
        lived = walker.walk(policy, config.horizon)
        values = value(lived.seen)[..., 0]
        with torch.no_grad():
            better = advantages(
                lived.reward,
                values,
                value(lived.following)[..., 0],
                lived.terminated,
                lived.over,
                discount=config.discount,
                trace=config.trace,
            )
        logits = policy(lived.seen)
        spread = Categorical(logits=logits).entropy().mean()
        climb = policy_loss(logits, lived.action, better).mean()
        off = (values - (better + values).detach()).square().mean() / 2
        actor.param_groups[0]["lr"] = config.learning_rate * (1 - update / updates)
        actor.zero_grad()
        critic.zero_grad()
        (climb - config.entropy * spread + off).backward()
        actor.step()
        critic.step()

    walker.envs.close()
    return Trained(
        net=policy,
        value=value,
        returns=np.array(walker.returns),
        ends=np.array(walker.ends),
    )
