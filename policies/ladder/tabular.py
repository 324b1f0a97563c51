"""What learners of a table share: the table, how it steps, and what they report.

Each entry moves towards a goal by a step that may shrink with the number of visits,

    Q(s, a) <- Q(s, a) + alpha_n (goal - Q(s, a)),   alpha_n = alpha n^-power,

which converges for 1/2 < power <= 1 (Robbins and Monro 1951; Sutton and Barto 2018,
eq. 2.7) and follows what changes for power 0. What the goal is tells SARSA from
Q-learning, and stands in their own files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from assets.errors import UsageError
from policies.ladder.exploration import EpsilonGreedy, Rule, pick

Watch = Callable[[int, np.ndarray], object]
"""Told the number of episodes so far and the table as it is."""


@dataclass(frozen=True, kw_only=True)
class TabularConfig:
    """Of all that learn a table."""

    episodes: int = 500
    discount: float = 0.99
    """gamma"""
    step_size: float = 0.1
    """alpha"""
    power: float = 0.0
    """Of the visits, by which steps shrink."""
    initial: float = 0.0
    """What every entry begins with; above all that can be earned it is optimistic."""
    explore: Rule = field(default_factory=EpsilonGreedy)
    seed: int = 0
    """Of the environment and of exploration."""

    def __post_init__(self) -> None:
        """Refuse what does not learn.

        Raises:
            UsageError: a number outside of its range.
        """
        if self.episodes < 1 or not 0 <= self.discount <= 1:
            raise UsageError(
                f"episodes are at least 1 and discount is from 0 to 1, got "
                f"{self.episodes} and {self.discount:g}"
            )
        if not 0 < self.step_size <= 1 or not 0 <= self.power <= 1:
            raise UsageError(
                f"step_size is above 0 and at most 1, power from 0 to 1, got "
                f"{self.step_size:g} and {self.power:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A table of actions, and how the episodes went."""

    q: np.ndarray
    """(states, actions)"""
    tried: np.ndarray
    """(states, actions) int"""
    returns: np.ndarray
    """(episodes,) sum of rewards, not discounted."""
    steps: np.ndarray
    """(episodes,) int"""

    @property
    def actions(self) -> np.ndarray:
        """(states,) int: the best by the table."""
        return self.q.argmax(1)


class Table:
    """Values of actions while they are being learned."""

    def __init__(self, env: gym.Env, config: TabularConfig) -> None:
        """Fill it.

        Args:
            env: its states and actions are counted.
            config: how it is learned.

        Raises:
            UsageError: they are not.
        """
        self.env, self.config = env, config
        shape = sizes(env)
        self.q = np.full(shape, config.initial)
        self.tried = np.zeros(shape, int)
        self.rng = np.random.default_rng(config.seed)
        self.returns = np.zeros(config.episodes)
        self.steps = np.zeros(config.episodes, int)

    def begin(self, episode: int) -> int:
        """Start an episode; its first state."""
        return first_state(self.env, self.config.seed, episode)

    def likely(self, state: int, episode: int) -> np.ndarray:
        """(actions,) probabilities of what is done there."""
        q, tried = self.q[state], self.tried[state]
        return self.config.explore.probabilities(q, tried, episode)

    def choose(self, state: int, episode: int) -> int:
        """One of them."""
        return pick(self.likely(state, episode), self.rng)

    def act(self, action: int, episode: int) -> tuple[int, float, bool, bool]:
        """Take a step.

        Returns:
            The next state, the reward, whether the episode terminated (what follows is
            worth 0), and whether it is over (it may only have been cut).
        """
        state, reward, terminated, truncated, _ = self.env.step(action)
        self.returns[episode] += float(reward)
        self.steps[episode] += 1
        return int(state), float(reward), terminated, terminated or truncated

    def move(self, state: int, action: int, goal: float) -> None:
        """Bring an entry nearer to its goal."""
        self.tried[state, action] += 1
        step = self.config.step_size * self.tried[state, action] ** -self.config.power
        self.q[state, action] += step * (goal - self.q[state, action])

    def learned(self) -> Learned:
        """What there is."""
        return Learned(
            q=self.q, tried=self.tried, returns=self.returns, steps=self.steps
        )


def sizes(env: gym.Env) -> tuple[int, int]:
    """Number of states and of actions.

    Raises:
        UsageError: they are not counted.
    """
    states, actions = env.observation_space, env.action_space
    if not isinstance(states, Discrete) or not isinstance(actions, Discrete):
        raise UsageError(
            f"a table wants states and actions that are counted (Discrete), got "
            f"{states} and {actions}: take policies.ladder.dqn, or the arm in cells"
        )
    return int(states.n), int(actions.n)


def first_state(env: gym.Env, seed: int, episode: int) -> int:
    """Start an episode; the first one seeds the environment."""
    state, _ = env.reset(seed=seed if episode == 0 else None)
    return int(state)
