"""Several actions from one look: execute part of a predicted chunk, then look again.

Zhao et al. 2023 (arXiv:2304.13705, section IV) for chunks of actions, Chi et al. 2023
(arXiv:2303.04137) for the receding horizon: of the predicted actions only the first few
are executed. Between two looks nothing is computed, which is where the speed of chunked
policies comes from.

With a delay of ``d`` steps a chunk arrives ``d`` steps after the look that it was
predicted from: by then its first ``d`` actions are past, and the previous chunk's were
executed in their place. Only the first chunk of an episode is waited for.
"""

import numpy as np

from assets.errors import UsageError


class ChunkQueue:
    """What is left of each environment's chunk."""

    def __init__(
        self, num_envs: int, chunk: int, execute: int, size: int, delay: int = 0
    ) -> None:
        """Begin empty.

        Args:
            num_envs: how many environments.
            chunk: actions that are predicted at once.
            execute: of these, how many are executed before the next look.
            size: of one action.
            delay: steps from a look until its chunk is there.

        Raises:
            UsageError: more to execute than there is, or nothing.
        """
        if not 1 <= execute <= chunk:
            raise UsageError(
                f"a chunk of {chunk} actions has 1 to {chunk} to execute, got {execute}"
            )
        if execute + delay > chunk:
            raise UsageError(
                f"with a delay of {delay} steps and {execute} executed between looks a "
                f"chunk has to reach {execute + delay} steps ahead, and has {chunk} "
                f"actions: execute fewer"
            )
        self._actions = np.zeros((num_envs, chunk, size), np.float32)
        self._next = np.full(num_envs, chunk)
        self._chunk, self._execute, self._delay = chunk, execute, delay
        self._rows = np.arange(num_envs)

    def reset(self, where: np.ndarray | None = None) -> None:
        """Forget what is left in these environments (num_envs,) bool, or in all."""
        self._next[slice(None) if where is None else where] = self._chunk

    @property
    def due(self) -> np.ndarray:
        """(num_envs,) bool: which environments look now."""
        return self._next >= self._execute

    def ahead(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is planned from now on.

        Args:
            where: (num_envs,) bool, n of them.

        Returns:
            Actions (n, chunk, size), the last one repeated where the plan ends, and how
            many of them are planned (n,); 0: nothing, the episode begins.
        """
        first = self._next[where, None]
        index = np.minimum(first + np.arange(self._chunk), self._chunk - 1)
        return self._actions[where][
            np.arange(len(index))[:, None], index
        ], self._chunk - first[:, 0]

    def put(self, where: np.ndarray, chunks: np.ndarray) -> None:
        """Give some environments new actions.

        Args:
            where: (num_envs,) bool, n of them.
            chunks: (n, chunk, size).
        """
        if self._delay:
            chunks = chunks.copy()
            planned, left = self.ahead(where)
            late = left >= self._delay  # else it begins, and waits
            chunks[late, : self._delay] = planned[late, : self._delay]
        self._actions[where] = chunks
        self._next[where] = 0

    def take(self) -> np.ndarray:
        """(num_envs, size): the next action of each."""
        actions = self._actions[self._rows, self._next]
        self._next += 1
        return actions
