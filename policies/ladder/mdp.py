"""A finite Markov decision process as arrays, and as an environment to act in.

Sutton and Barto (2018), "Reinforcement Learning: An Introduction", 2nd edition, section
3.1: p(s', r | s, a). Each action has K outcomes at most, which are listed, since a
table (states, actions, states) would be zeros nearly everywhere:

    q(s, a) = sum_k p_k (r_k + gamma v(s'_k)),   without v where outcome k ends it all.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from assets.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class FiniteMDP:
    """Outcomes of each action in each state; of outcomes that are none, p is 0."""

    successors: np.ndarray
    """(states, actions, K) int"""
    probabilities: np.ndarray
    """(states, actions, K), their sum over K is 1."""
    rewards: np.ndarray
    """(states, actions, K)"""
    ends: np.ndarray
    """(states, actions, K) bool: whether the episode is over then."""
    start: np.ndarray
    """(states,) probabilities of the first state."""

    def __post_init__(self) -> None:
        """Refuse what is no such process.

        Raises:
            UsageError: arrays that do not fit, states that do not exist, or
                probabilities that are none.
        """
        shape: tuple[int, ...] = self.successors.shape
        parts = (self.probabilities, self.rewards, self.ends)
        if len(shape) != 3 or any(part.shape != shape for part in parts):
            raise UsageError(
                f"outcomes are (states, actions, K) four times, got {shape} and "
                f"{', '.join(str(part.shape) for part in parts)}"
            )
        if self.start.shape != shape[:1]:
            raise UsageError(
                f"start has a probability for each of {shape[0]} states, got shape "
                f"{self.start.shape}"
            )
        if self.successors.min() < 0 or self.successors.max() >= shape[0]:
            raise UsageError(f"successors are states from 0 to {shape[0] - 1}")
        sums = np.append(self.probabilities.sum(-1), self.start.sum())
        if self.probabilities.min() < 0 or not np.allclose(sums, 1):
            raise UsageError(
                "probabilities of an action's outcomes, and of the start, are not "
                "negative and sum to 1"
            )

    @property
    def states(self) -> int:
        """How many."""
        return self.successors.shape[0]

    @property
    def actions(self) -> int:
        """How many."""
        return self.successors.shape[1]

    def q_values(self, v: np.ndarray, discount: float) -> np.ndarray:
        """(states, actions): what an action is worth, where states are worth v."""
        worth = self.rewards + discount * np.where(self.ends, 0.0, v[self.successors])
        return (self.probabilities * worth).sum(-1)

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """P (states, actions, states), whose rows lack what ends the episode, and the
        expected reward (states, actions)."""
        table = np.zeros((self.states, self.actions, self.states))
        rows = np.arange(self.states)[:, None, None]
        columns = np.arange(self.actions)[:, None]
        going = np.where(self.ends, 0.0, self.probabilities)
        np.add.at(table, (rows, columns, self.successors), going)
        return table, (self.probabilities * self.rewards).sum(-1)

    @staticmethod
    def of(env: gym.Env) -> "FiniteMDP":
        """The process behind one of Gymnasium's toy texts, which tell it.

        Raises:
            UsageError: the environment does not tell it.
        """
        inner: Any = env.unwrapped
        if not hasattr(inner, "P") or not hasattr(inner, "initial_state_distrib"):
            raise UsageError(
                f"{env} has no table of transitions (P, initial_state_distrib), as "
                f"FrozenLake, CliffWalking and Taxi have"
            )
        table = inner.P
        states, actions = len(table), len(table[0])
        width = max(len(table[s][a]) for s in table for a in table[s])
        to = np.zeros((states, actions, width), int)
        p, reward = np.zeros(to.shape), np.zeros(to.shape)
        ends = np.zeros(to.shape, bool)
        for s, a in np.ndindex(states, actions):
            for k, outcome in enumerate(table[s][a]):
                p[s, a, k], to[s, a, k], reward[s, a, k], ends[s, a, k] = outcome
        return FiniteMDP(
            successors=to,
            probabilities=p,
            rewards=reward,
            ends=ends,
            start=np.asarray(inner.initial_state_distrib, float),
        )


class MDPEnv(gym.Env):
    """A process to act in, which does not tell its table."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, mdp: FiniteMDP, max_steps: int | None = None) -> None:
        """Ready for the first episode.

        Args:
            mdp: the process.
            max_steps: after so many an episode is cut (truncated); None: never.
        """
        self.mdp, self.max_steps = mdp, max_steps
        self.observation_space = Discrete(mdp.states)
        self.action_space = Discrete(mdp.actions)
        self._sums = mdp.probabilities.cumsum(-1)
        self._first = mdp.start.cumsum()
        self._state, self._steps = 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Draw the first state."""
        super().reset(seed=seed)
        self._state, self._steps = _draw(self._first, self.np_random), 0
        return self._state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Draw what comes of an action."""
        place = (self._state, action)
        place = (*place, _draw(self._sums[place], self.np_random))
        self._state, self._steps = int(self.mdp.successors[place]), self._steps + 1
        cut = self.max_steps is not None and self._steps >= self.max_steps
        ended = bool(self.mdp.ends[place])
        return self._state, float(self.mdp.rewards[place]), ended, cut, {}


def _draw(sums: np.ndarray, rng: np.random.Generator) -> int:
    """An index, by the running sums of the probabilities."""
    return int(sums.searchsorted(rng.random() * sums[-1], side="right"))
