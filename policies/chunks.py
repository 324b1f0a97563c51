"""Several actions from one look: execute part of a predicted chunk, then look again.

Zhao et al. 2023 (arXiv:2304.13705, section IV) for chunks of actions, Chi et al. 2023
(arXiv:2303.04137) for the receding horizon: of the predicted actions only the first few
are executed. Between two looks nothing is computed, which is where the speed of chunked
policies comes from.
"""

import numpy as np

from assets.errors import UsageError


class ChunkQueue:
    """What is left of each environment's chunk."""

    def __init__(self, num_envs: int, chunk: int, execute: int, size: int) -> None:
        """Begin empty.

        Args:
            num_envs: how many environments.
            chunk: actions that are predicted at once.
            execute: of these, how many are executed before the next look.
            size: of one action.

        Raises:
            UsageError: more to execute than there is, or nothing.
        """
        if not 1 <= execute <= chunk:
            raise UsageError(
                f"a chunk of {chunk} actions has 1 to {chunk} to execute, got {execute}"
            )
        self._actions = np.zeros((num_envs, execute, size), np.float32)
        self._next = np.full(num_envs, execute)
        self._execute = execute
        self._rows = np.arange(num_envs)

    def reset(self, where: np.ndarray | None = None) -> None:
        """Forget what is left in these environments (num_envs,) bool, or in all."""
        self._next[slice(None) if where is None else where] = self._execute

    @property
    def due(self) -> np.ndarray:
        """(num_envs,) bool: which environments have no action left."""
        return self._next >= self._execute

    def put(self, where: np.ndarray, chunks: np.ndarray) -> None:
        """Give some environments new actions.

        Args:
            where: (num_envs,) bool, n of them.
            chunks: (n, chunk, size).
        """
        self._actions[where] = chunks[:, : self._execute]
        self._next[where] = 0

    def take(self) -> np.ndarray:
        """(num_envs, size): the next action of each."""
        actions = self._actions[self._rows, self._next]
        self._next += 1
        return actions
