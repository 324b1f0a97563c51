"""Experience replay: what was lived through, to learn from in another order.

Lin (1992); Mnih et al. (2015). Consecutive transitions resemble each other, and a
network that learns from them in that order forgets the rest; drawn at random from a
long memory they are nearly independent, and each is learned from many times.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """Rows of a memory."""

    seen: Tensor
    """(n, inputs)"""
    action: Tensor
    """(n,) int"""
    reward: Tensor
    """(n,)"""
    following: Tensor
    """(n, inputs): what was seen next."""
    terminated: Tensor
    """(n,) bool: whether nothing comes after that."""


class Replay:
    """A ring of transitions."""

    def __init__(self, capacity: int, inputs: int) -> None:
        """Empty.

        Raises:
            UsageError: it holds nothing.
        """
        if capacity < 1:
            raise UsageError(f"a memory holds 1 transition or more, got {capacity}")
        self.capacity, self.added = capacity, 0
        self._seen = np.zeros((capacity, inputs), np.float32)
        self._following = np.zeros((capacity, inputs), np.float32)
        self._action = np.zeros(capacity, np.int64)
        self._reward = np.zeros(capacity, np.float32)
        self._terminated = np.zeros(capacity, bool)

    def __len__(self) -> int:
        """How many it holds."""
        return min(self.added, self.capacity)

    def add(
        self,
        seen: np.ndarray,
        action: int,
        reward: float,
        following: np.ndarray,
        terminated: bool,
    ) -> None:
        """Remember one; the oldest makes way."""
        row = self.added % self.capacity
        self._seen[row], self._following[row] = seen, following
        self._action[row], self._reward[row] = action, reward
        self._terminated[row] = terminated
        self.added += 1

    def draw(self, count: int, rng: np.random.Generator) -> Transitions:
        """Any, with replacement."""
        return self._rows(rng.integers(len(self), size=count))

    def newest(self, count: int) -> Transitions:
        """The last ones, in their order."""
        count = min(count, len(self))
        return self._rows((self.added - count + np.arange(count)) % self.capacity)

    def _rows(self, rows: np.ndarray) -> Transitions:
        return Transitions(
            seen=torch.from_numpy(self._seen[rows]),
            action=torch.from_numpy(self._action[rows]),
            reward=torch.from_numpy(self._reward[rows]),
            following=torch.from_numpy(self._following[rows]),
            terminated=torch.from_numpy(self._terminated[rows]),
        )
