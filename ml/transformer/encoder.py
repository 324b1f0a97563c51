"""Transformer encoder: tokens look at each other, layer by layer.

Vaswani et al. (2017), section 3.1. ``position`` is added to queries and keys in every
layer, as in DETR (Carion et al. 2020, appendix A.4); who wants it once, as Vaswani et
al., adds it to the tokens. With ``causal`` it is what is called a decoder-only
transformer (GPT): a token sees itself and those before.
"""

from typing import TypedDict, Unpack

from torch import Tensor, nn

from ml.transformer.config import TransformerConfig
from ml.transformer.layers import (
    FeedForward,
    Residual,
    attention,
    final_norm,
    run_layers,
)


class EncoderOptions(TypedDict, total=False):
    """What an encoder is told beside its tokens; nothing is needed."""

    position: Tensor | None
    """Broadcast to (batch, tokens, width); added to queries and keys in each layer."""
    padding: Tensor | None
    """(batch, tokens) bool, True where a token is only filling. What comes out in its
    place means nothing."""
    mask: Tensor | None
    """Bool, True where a query may look: (tokens, tokens), (batch, tokens, tokens) or
    (batch, heads or 1, tokens, tokens)."""
    causal: bool
    """Whether a token sees itself and earlier ones only."""


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build the blocks."""
        super().__init__()
        self.attention = attention(config)
        self.feedforward = FeedForward(config)
        self.around_attention = Residual(config)
        self.around_feedforward = Residual(config)

    def forward(self, x: Tensor, **options: Unpack[EncoderOptions]) -> Tensor:
        """(batch, tokens, width), in and out."""
        x = self.around_attention(x, lambda x: self.attention(x, **options))
        return self.around_feedforward(x, self.feedforward)


class TransformerEncoder(nn.Module):
    """A stack of encoder layers."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build with random weights.

        Args:
            config: how large.
        """
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = final_norm(config)

    def forward(self, x: Tensor, **options: Unpack[EncoderOptions]) -> Tensor:
        """Encode tokens.

        Args:
            x: (batch, tokens, width).
            options: see :class:`EncoderOptions`.

        Returns:
            (batch, tokens, width).
        """
        return self.norm(self._run(x, options)[-1])

    def outputs(self, x: Tensor, **options: Unpack[EncoderOptions]) -> list[Tensor]:
        """As :meth:`forward`, but of each layer, all through the final norm."""
        return [self.norm(y) for y in self._run(x, options)]

    def _run(self, x: Tensor, options: EncoderOptions) -> list[Tensor]:
        return run_layers(self.layers, x, recompute=self.config.checkpoint, **options)
