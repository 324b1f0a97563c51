"""A transformer as denoiser: every action, the time and the condition are tokens.

The transformer of Diffusion Policy (Chi et al. 2023, arXiv:2303.04137, section 4.2)
lets the actions look at time and condition through cross-attention; here all tokens
look at each other in one encoder, as in Octo's and pi0's action heads, which is less to
build and lets the condition's tokens exchange what they know. Pre-norm, and positions
are learned. Nothing is causal: a chunk is denoised as a whole.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.transformer.config import TransformerConfig
from ml.transformer.encoder import TransformerEncoder
from ml.transformer.positions import LearnedPositions, time_embedding


@dataclass(frozen=True, kw_only=True)
class DiffusionTransformerConfig:
    """Shape of the network."""

    horizon: int = 64
    """Actions of the longest chunk."""
    condition_tokens: int = 1
    """In how many equal parts the condition becomes tokens, such as one for each of the
    stacked observations."""
    transformer: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(
            width=128, dropout=0.0, activation="gelu", norm_first=True
        )
    )
    """Its layers."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: no action, or no token.
        """
        if self.horizon < 1 or self.condition_tokens < 1:
            raise UsageError(
                f"horizon and condition_tokens are at least 1, got {self.horizon} and "
                f"{self.condition_tokens}"
            )


class DiffusionTransformer(nn.Module):
    """(x, t, condition) -> something of x's shape; see
    :class:`ml.generative.denoiser.Denoiser`."""

    def __init__(
        self,
        actions: int,
        condition: int,
        config: DiffusionTransformerConfig | None = None,
    ) -> None:
        """Build the network.

        Args:
            actions: A, elements of an action.
            condition: C, elements of the condition.
            config: its shape.

        Raises:
            UsageError: the condition has no such number of equal parts.
        """
        super().__init__()
        self.config = config = config or DiffusionTransformerConfig()
        parts, width = config.condition_tokens, config.transformer.width
        if condition % parts:
            raise UsageError(
                f"a condition of {condition} elements does not make {parts} equal "
                f"tokens"
            )
        self.action = nn.Linear(actions, width)
        self.condition = nn.Linear(condition // parts, width)
        self.time = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.positions = LearnedPositions(1 + parts + config.horizon, width)
        self.encoder = TransformerEncoder(config.transformer)
        self.out = nn.Linear(width, actions)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Denoise.

        Args:
            x: (B, T, A), T at most the horizon.
            t: (B,) in [0, 1], 1 is noise.
            condition: (B, C).

        Returns:
            (B, T, A).

        Raises:
            UsageError: a longer chunk.
        """
        length, parts = x.shape[1], self.config.condition_tokens
        if length > self.config.horizon:
            raise UsageError(
                f"this denoiser was built for chunks of up to {self.config.horizon} "
                f"actions, got {length}: build it with a longer horizon"
            )
        time = self.time(time_embedding(t, self.config.transformer.width).to(x.dtype))
        known = self.condition(condition.unflatten(1, (parts, -1)))
        # (B, 1 + parts + T, width): the time, what is known, the actions
        tokens = torch.cat((time[:, None], known, self.action(x)), 1)
        y = self.encoder(tokens + self.positions(tokens.shape[1]))
        return self.out(y[:, 1 + parts :])
