"""Temporal ensembling: all predictions for a moment, averaged.

Zhao et al. 2023 (arXiv:2304.13705, section IV-A and algorithm 2): the network looks at
every step. For the present moment there are then up to ``chunk`` predictions, made now
and in the steps before. With ``i = 0`` the *oldest* of them, their weights are

    w_i = exp(-m i) / sum_j exp(-m j).

So old predictions weigh more, the less the smaller ``m``: new observations come in
gradually. A negative ``m`` would favour the new ones.
"""

import numpy as np


class TemporalEnsemble:
    """The same interface as :class:`policies.chunks.ChunkQueue`; a look is always due.

    Kept is, for each of the coming moments, the weighted sum of what was predicted for
    it so far, and how many predictions that were: one chunk in memory rather than all.
    """

    def __init__(self, num_envs: int, chunk: int, size: int, decay: float) -> None:
        """Begin empty.

        Args:
            num_envs: how many environments.
            chunk: actions that are predicted at once.
            size: of one action.
            decay: m.
        """
        self._sum = np.zeros((num_envs, chunk, size))
        self._weights = np.zeros((num_envs, chunk))
        self._count = np.zeros((num_envs, chunk), int)
        self._weight = np.exp(-decay * np.arange(chunk))
        self._due = np.ones(num_envs, bool)

    def reset(self, where: np.ndarray | None = None) -> None:
        """Forget the predictions of these environments (num_envs,) bool, or of all."""
        chosen = slice(None) if where is None else where
        for array in (self._sum, self._weights, self._count):
            array[chosen] = 0

    @property
    def due(self) -> np.ndarray:
        """(num_envs,) bool: all of them."""
        return self._due

    def put(self, where: np.ndarray, chunks: np.ndarray) -> None:
        """Add predictions.

        Args:
            where: (num_envs,) bool, n of them.
            chunks: (n, chunk, size), from now on.
        """
        weight = self._weight[self._count[where]]
        self._sum[where] += weight[..., None] * chunks
        self._weights[where] += weight
        self._count[where] += 1

    def take(self) -> np.ndarray:
        """(num_envs, size): the mean for now; the next moment comes up."""
        actions = self._sum[:, 0] / self._weights[:, :1]
        for array in (self._sum, self._weights, self._count):
            array[:, :-1] = array[:, 1:]
            array[:, -1] = 0
        return actions.astype(np.float32)
