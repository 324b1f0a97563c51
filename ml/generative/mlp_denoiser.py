"""A residual perceptron as denoiser: for states on a CPU, where a step counts.

The action head of Octo (Ghosh et al. 2024, arXiv:2405.12213, section III-B) is one: the
whole chunk, the time and the condition as one vector, through blocks of

    x <- x + W2 gelu(W1 norm(x))

It knows nothing of time's order, which a U-Net or a transformer does, and costs a tenth
of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.transformer.positions import time_embedding


@dataclass(frozen=True, kw_only=True)
class MLPDenoiserConfig:
    """Shape of the network."""

    width: int = 512
    """Of the vector that the blocks add to."""
    blocks: int = 3
    """One after another."""
    time_width: int = 64
    """Elements of the embedding of time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: no width, or no block.
        """
        if self.width < 1 or self.blocks < 1:
            raise UsageError(
                f"a perceptron's width and blocks are at least 1, got {self.width} "
                f"and {self.blocks}"
            )


class MLPDenoiser(nn.Module):
    """(x, t, condition) -> something of x's shape; see
    :class:`ml.generative.denoiser.Denoiser`."""

    def __init__(
        self,
        actions: int,
        condition: int,
        horizon: int,
        config: MLPDenoiserConfig | None = None,
    ) -> None:
        """Build the network.

        Args:
            actions: A, elements of an action.
            condition: C, elements of the condition.
            horizon: T, actions of a chunk.
            config: its shape.
        """
        super().__init__()
        self.config = config = config or MLPDenoiserConfig()
        self.horizon, size = horizon, horizon * actions
        self.into = nn.Linear(size + condition + config.time_width, config.width)
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, size)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Denoise.

        Args:
            x: (B, T, A).
            t: (B,) in [0, 1], 1 is noise.
            condition: (B, C).

        Returns:
            (B, T, A).

        Raises:
            UsageError: chunks of another length.
        """
        if x.shape[1] != self.horizon:
            raise UsageError(
                f"this denoiser was built for chunks of {self.horizon} actions, got "
                f"{x.shape[1]}"
            )
        time = time_embedding(t, self.config.time_width).to(x.dtype)
        y = self.into(torch.cat((x.flatten(1), condition, time), 1))
        for block in self.blocks:
            y = y + block(y)
        return self.out(self.norm(y)).reshape(x.shape)


class _Block(nn.Sequential):
    """norm, widen, gelu, narrow."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(2 * width, width),
        )
