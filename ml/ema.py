"""Exponential moving average of a network's weights, which is what gets evaluated.

    shadow <- d shadow + (1 - d) weights,   d(t) = min(1 - (1 + t)^-power, d_max)

with t the number of updates so far. The growing decay makes the early average forget
the initial weights; the values (power 0.75, d_max 0.9999) are those of Diffusion Policy
(Chi et al. 2023). Buffers, such as a normaliser's, are copied.
"""

import copy

import torch
from torch import Tensor, nn


class EMA:
    """A shadow of a module; :attr:`module` is ready to run."""

    def __init__(
        self, module: nn.Module, *, max_decay: float = 0.9999, power: float = 0.75
    ) -> None:
        """Start from a copy of the module.

        Args:
            module: whose weights are averaged.
            max_decay: the decay of a long training; 0 makes the shadow a copy.
            power: how fast the decay grows.
        """
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.max_decay = max_decay
        self.power = power
        self.updates = 0

    def decay(self) -> float:
        """Weight of the old average in the next update."""
        return min(1 - (1 + self.updates) ** -self.power, self.max_decay)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's present weights."""
        weight = 1 - self.decay()
        pairs = zip(self.module.parameters(), module.parameters(), strict=True)
        for mine, theirs in pairs:
            mine.lerp_(theirs, weight)
        for mine, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)
        self.updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights and the buffers."""
        return self.module.state_dict()
