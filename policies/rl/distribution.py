"""Values as distributions over fixed atoms (C51).

A critic gives probabilities of ``count`` returns, evenly spaced from ``low`` to
``high``. The distribution one step on, shrunk by the discount and moved by the reward,
falls between atoms; each of its masses is shared by the two atoms beside it, by
distance. The loss is the cross-entropy with that. Bellemare, Dabney and Munos 2017
(arXiv:1707.06887), equation 7.
"""

import torch
from torch import Tensor, nn

from assets.errors import UsageError


class Atoms(nn.Module):
    """The returns that a critic gives probabilities of."""

    values: Tensor

    def __init__(self, low: float, high: float, count: int) -> None:
        """Space them evenly.

        Raises:
            UsageError: an empty range, or fewer than two atoms.
        """
        super().__init__()
        if not (low < high and count >= 2):
            raise UsageError(
                f"atoms lie between two different values, and are at least two, got "
                f"{count} from {low:g} to {high:g}"
            )
        self.low, self.high, self.count = low, high, count
        self.gap = (high - low) / (count - 1)
        self.register_buffer("values", torch.linspace(low, high, count))

    def mean(self, logits: Tensor) -> Tensor:
        """(..., count) -> (...): the expected return."""
        return logits.float().softmax(-1) @ self.values

    def project(self, probs: Tensor, reward: Tensor, discount: Tensor) -> Tensor:
        """The distribution of ``reward + discount * return``, on the atoms.

        Args:
            probs: (rows, count) of the return one step on.
            reward: (rows,)
            discount: (rows,), 0 where nothing follows.

        Returns:
            (rows, count)
        """
        moved = reward[:, None] + discount[:, None] * self.values
        place = (moved.clamp(self.low, self.high) - self.low) / self.gap
        below = place.floor().clamp(max=self.count - 2)
        upper = place - below  # share of the atom above, in 0 .. 1
        index = below.long()
        out = torch.zeros_like(probs)
        out.scatter_add_(1, index, probs * (1 - upper))
        return out.scatter_add_(1, index + 1, probs * upper)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """(..., rows, count) against (..., rows, count) -> (..., rows)"""
    return -(target * logits.float().log_softmax(-1)).sum(-1)
