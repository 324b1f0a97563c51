"""Transformer decoder: queries look at each other, then at a memory.

Vaswani et al. (2017), section 3.1. As in DETR (Carion et al. 2020, appendix A.4)
positions can be added to queries and keys in every layer: those of the queries (the
learned "object queries") in both attentions, those of the memory to its keys. DETR and
ACT start from zeros as ``x``, and let the positions tell one query from another.
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


class DecoderOptions(TypedDict, total=False):
    """What a decoder is told beside queries and memory; nothing is needed."""

    position: Tensor | None
    """Broadcast to (batch, queries, width); added to queries in both attentions, and
    to keys among them."""
    memory_position: Tensor | None
    """Broadcast to (batch, keys, width); added to the memory's keys."""
    padding: Tensor | None
    """(batch, queries) bool, True where a query is only filling. What comes out in its
    place means nothing."""
    memory_padding: Tensor | None
    """(batch, keys) bool, True where a token of the memory is only filling."""
    mask: Tensor | None
    """Bool, True where a query may look at another: (queries, queries), (batch,
    queries, queries) or (batch, heads or 1, queries, queries)."""
    causal: bool
    """Whether a query sees itself and earlier ones only."""


class DecoderLayer(nn.Module):
    """Self-attention, attention to the memory, then feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build the blocks."""
        super().__init__()
        self.self_attention = attention(config)
        self.memory_attention = attention(config)
        self.feedforward = FeedForward(config)
        self.around_self = Residual(config)
        self.around_memory = Residual(config)
        self.around_feedforward = Residual(config)

    def forward(
        self, x: Tensor, memory: Tensor, **options: Unpack[DecoderOptions]
    ) -> Tensor:
        """(batch, queries, width), in and out."""
        position = options.get("position")

        def look_around(x: Tensor) -> Tensor:
            return self.self_attention(
                x,
                position=position,
                padding=options.get("padding"),
                mask=options.get("mask"),
                causal=options.get("causal", False),
            )

        def look_up(x: Tensor) -> Tensor:
            return self.memory_attention(
                x,
                memory,
                position=position,
                memory_position=options.get("memory_position"),
                padding=options.get("memory_padding"),
            )

        x = self.around_self(x, look_around)
        x = self.around_memory(x, look_up)
        return self.around_feedforward(x, self.feedforward)


class TransformerDecoder(nn.Module):
    """A stack of decoder layers."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build with random weights.

        Args:
            config: how large.
        """
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = final_norm(config)

    def forward(
        self, x: Tensor, memory: Tensor, **options: Unpack[DecoderOptions]
    ) -> Tensor:
        """Decode queries.

        Args:
            x: (batch, queries, width).
            memory: (batch, keys, width), such as an encoder's output.
            options: see :class:`DecoderOptions`.

        Returns:
            (batch, queries, width).
        """
        return self.norm(self._run(x, memory, options)[-1])

    def outputs(
        self, x: Tensor, memory: Tensor, **options: Unpack[DecoderOptions]
    ) -> list[Tensor]:
        """As :meth:`forward`, but of each layer, all through the final norm."""
        return [self.norm(y) for y in self._run(x, memory, options)]

    def _run(self, x: Tensor, memory: Tensor, options: DecoderOptions) -> list[Tensor]:
        return run_layers(
            self.layers, x, memory, recompute=self.config.checkpoint, **options
        )
