"""A mixture of normals as a policy's output, for demonstrators of several minds.

Bishop (1994), "Mixture Density Networks", in the form of Mandlekar et al. (2021,
robomimic):

    p(a | o) = sum_k w_k(o) N(a; mean_k(o), diag(std_k(o)^2)),   loss = -log p(a | o)

A squared error would predict the mean of two ways around an obstacle, which is the
obstacle. At run time robomimic draws with hardly any spread; here that is
:meth:`Mixture.mode`, the mean of the likeliest component.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from assets.errors import UsageError, unknown

ACTIVATIONS = ("softplus", "exp")


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A batch of mixtures; leading dimensions are free."""

    logits: Tensor
    """(..., modes): weights before the softmax."""
    mean: Tensor
    """(..., modes, size)."""
    std: Tensor
    """(..., modes, size)."""

    def log_prob(self, x: Tensor) -> Tensor:
        """(..., size) -> (...): logarithm of the density [nat]."""
        error = (x[..., None, :] - self.mean) / self.std
        size = x.shape[-1]
        parts = (
            -0.5 * error.square().sum(-1)
            - self.std.log().sum(-1)
            - 0.5 * size * math.log(2 * math.pi)
        )
        return torch.logsumexp(self.logits.log_softmax(-1) + parts, dim=-1)

    def mode(self) -> Tensor:
        """(..., size): mean of the component of the largest weight."""
        return self._take(self.mean, self.logits.argmax(-1))

    def average(self) -> Tensor:
        """(..., size): mean of the whole, which may lie where nothing is likely."""
        return (self.logits.softmax(-1)[..., None] * self.mean).sum(-2)

    def sample(self, noise: Tensor, choice: Tensor) -> Tensor:
        """One draw of each.

        Args:
            noise: (..., size), standard normal.
            choice: (...), uniform in [0, 1): which component.

        Returns:
            (..., size).
        """
        reached = self.logits.softmax(-1).cumsum(-1)
        # Rounding may leave the last sum below 1.
        last = self.logits.shape[-1] - 1
        index = (choice[..., None] >= reached).sum(-1).clamp(max=last)
        return self._take(self.mean, index) + self._take(self.std, index) * noise

    @staticmethod
    def _take(values: Tensor, index: Tensor) -> Tensor:
        """(..., modes, size), (...) -> (..., size)."""
        wide = index[..., None, None].expand(*index.shape, 1, values.shape[-1])
        return values.gather(-2, wide).squeeze(-2)


class GMMHead(nn.Module):
    """The last layer of a policy: features to a mixture."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        modes: int = 5,
        min_std: float = 1e-4,
        activation: Literal["softplus", "exp"] = "softplus",
        squash: bool = True,
    ) -> None:
        """Build the layer.

        Args:
            inputs: size of the features.
            outputs: size of an action.
            modes: components.
            min_std: smallest standard deviation, in the unit of the output. Without
                one the density of an action met exactly is infinite.
            activation: what makes a standard deviation positive.
            squash: whether means go through tanh, for actions normalised to [-1, 1].

        Raises:
            UsageError: no mode, no positive min_std, or an unknown activation.
        """
        super().__init__()
        if modes < 1 or not min_std > 0:
            raise UsageError(
                f"a mixture has at least 1 mode and a min_std above 0, got {modes} and "
                f"{min_std}"
            )
        if activation not in ACTIVATIONS:
            raise unknown("activation of a standard deviation", activation, ACTIVATIONS)
        self.modes, self.min_std = modes, min_std
        self.activation, self.squash = activation, squash
        self.layer = nn.Linear(inputs, modes * (1 + 2 * outputs))

    def forward(self, features: Tensor) -> Mixture:
        """(..., inputs) -> a mixture for each."""
        flat = self.layer(features).unflatten(-1, (self.modes, -1))
        size = (flat.shape[-1] - 1) // 2
        logits, mean, scale = flat.split([1, size, size], dim=-1)
        std = softplus(scale) if self.activation == "softplus" else scale.exp()
        return Mixture(
            logits=logits.squeeze(-1),
            mean=mean.tanh() if self.squash else mean,
            std=std + self.min_std,
        )
