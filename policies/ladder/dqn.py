"""DQN: Q-learning with a network in the table's place.

Mnih et al. (2015), "Human-level control through deep reinforcement learning":

    L(theta) = E[(r + gamma max_a' Q(s', a'; theta^-) - Q(s, a; theta))^2]

with (s, a, r, s') drawn from a memory (:mod:`policies.ladder.replay`) and theta^- a
copy of theta that lags behind. A network, goals that lean on itself, and learning about
another policy than the one that acts may diverge together (Sutton and Barto 2018,
section 11.3, "the deadly triad"); ``replay=False`` and ``target=False`` take the two
remedies away.

Double DQN (van Hasselt, Guez, Silver 2016) chooses a' with theta and values it with
theta^-: the maximum of noisy values is too high, and this one less so.

Steps of the optimiser shrink to nothing towards the end, so that what is judged is not
whichever network the last steps happened to leave.
"""

from copy import deepcopy
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from assets.errors import UsageError
from ml.networks import MLP
from policies.ladder.exploration import Decay
from policies.ladder.replay import Replay, Transitions


@dataclass(frozen=True, kw_only=True)
class DQNConfig:
    """The whole of it; tuned on CartPole-v1."""

    steps: int = 60_000
    """Of the environment."""
    replay: bool = True
    """Whether to draw from memory; else from what has just happened, once."""
    target: bool = True
    """Whether goals come from a copy that lags behind; else from the network itself."""
    double: bool = False
    """Whether the network chooses what the copy values."""
    hidden: tuple[int, ...] = (64, 64)
    discount: float = 0.99
    """gamma"""
    scale: float = 0.1
    """Of the rewards that are learned from: values of size 1 to 10 are learned fast."""
    learning_rate: float = 2e-3
    """Of Adam at the beginning."""
    batch_size: int = 128
    capacity: int = 60_000
    """Of the memory."""
    warm_up: int = 1000
    """Steps before the first update."""
    update_every: int = 4
    """Steps between two updates."""
    refresh_every: int = 100
    """Steps between two copies of the network."""
    epsilon: Decay = field(
        default_factory=lambda: Decay(start=1.0, end=0.02, rate=0.9995)
    )
    """Of the epsilon-greedy policy, by step."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what never learns.

        Raises:
            UsageError: a number outside of its range.
        """
        counts = ("steps", "batch_size", "update_every", "refresh_every")
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.double and not self.target:
            raise UsageError(
                "double DQN values by the copy what the network chooses: it needs "
                "target=True"
            )


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network, and how the episodes went on the way."""

    net: nn.Module
    """(n, inputs) -> (n, actions): values, or logits."""
    value: nn.Module | None = None
    """(n, inputs) -> (n, 1): the baseline, or the critic, of those that have one."""
    returns: np.ndarray = field(repr=False)
    """(episodes,)"""
    ends: np.ndarray = field(repr=False)
    """(episodes,) int: the environment's step at which each ended."""


def goals(
    net: nn.Module, lagging: nn.Module, rows: Transitions, discount: float, double: bool
) -> Tensor:
    """(n,): r + gamma max_a' Q(s', a'), without what follows a terminal state."""
    with torch.no_grad():
        values = lagging(rows.following)
        chosen = (net(rows.following) if double else values).argmax(-1, keepdim=True)
        worth = values.gather(-1, chosen)[:, 0]
    return rows.reward + discount * worth * ~rows.terminated


def train(env_id: str, config: DQNConfig) -> Trained:
    """Learn by acting.

    Args:
        env_id: an environment with vectors to see and counted actions.
        config: how.

    Raises:
        UsageError: it is not such an environment.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    env = gym.make(env_id, disable_env_checker=True)  # it costs as much as a step
    inputs, actions = shape_of(env)
    net = MLP(inputs, actions, config.hidden)
    lagging = deepcopy(net) if config.target else net
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, fused=True)
    memory = Replay(config.capacity, inputs)
    returns, ends, earned = [], [], 0.0
    seen, _ = env.reset(seed=config.seed)

    for step in range(1, config.steps + 1):
        if rng.random() < config.epsilon.at(step):
            action = int(rng.integers(actions))
        else:
            with torch.no_grad():
                action = int(net(torch.as_tensor(seen)).argmax())
        following, reward, terminated, truncated, _ = env.step(action)
        memory.add(seen, action, config.scale * float(reward), following, terminated)
        seen, earned = following, earned + float(reward)
        if terminated or truncated:
            returns.append(earned)
            ends.append(step)
            (seen, _), earned = env.reset(), 0.0

        if step > config.warm_up and step % config.update_every == 0:
            if config.replay:
                rows = memory.draw(config.batch_size, rng)
            else:
                rows = memory.newest(config.update_every)
            goal = goals(net, lagging, rows, config.discount, config.double)
            q = net(rows.seen).gather(-1, rows.action[:, None])[:, 0]
            left = 1 - step / config.steps
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * left
            optimizer.zero_grad()
            mse_loss(q, goal).backward()
            optimizer.step()
        if config.target and step % config.refresh_every == 0:
            lagging.load_state_dict(net.state_dict())

    env.close()
    return Trained(net=net, returns=np.array(returns), ends=np.array(ends))


def shape_of(env: gym.Env) -> tuple[int, int]:
    """Elements of what is seen, and number of actions.

    Raises:
        UsageError: actions are not counted, or no vector is seen.
    """
    actions, seen = env.action_space, env.observation_space
    if not isinstance(actions, gym.spaces.Discrete) or len(seen.shape or ()) != 1:
        raise UsageError(
            f"a network of values wants a vector to see and actions that are counted "
            f"(Discrete), got {seen} and {actions}"
        )
    return int((seen.shape or (0,))[0]), int(actions.n)
