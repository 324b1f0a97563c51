"""Multi-head attention: each query takes a weighted mean of values.

Vaswani et al. (2017), equation 1 and section 3.2.2:

    attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V,   d: width of a head

It goes through torch's fused kernel, which never holds the weights. :func:`attend` is
the same written out: to look at the weights, and to drop some of them on a CPU, where
torch has no fused kernel for that and its own way out takes 1.6 times as long.

Positions can be added to queries and keys but not to values (DETR, Carion et al. 2020):
where a token is decides who looks at it, and is not mixed into what it says.

A query that may look at nothing gets zeros, from both.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from assets.errors import UsageError
from ml.transformer.dropout import Dropout


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention written out.

    Args:
        query: (..., queries, d).
        key: (..., keys, d).
        value: (..., keys, values).
        mask: bool, broadcast to (..., queries, keys): True where a query may look.
        dropout: what the weights go through before they weigh.

    Returns:
        What each query takes, (..., queries, values), and the weights,
        (..., queries, keys), which sum to 1, or to 0 where it may look at nothing.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        weights = scores.softmax(-1)
    else:
        # The softmax of a row without a finite score is NaN; there it is 0 instead.
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        weights = weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return (dropout(weights) if dropout else weights) @ value, weights


def visible(
    x: Tensor,
    *,
    padding: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool = False,
) -> Tensor | None:
    """What each query may look at, all conditions together.

    Args:
        x: (batch, queries, width), who looks.
        padding: (batch, keys) bool, True where a key is only filling.
        mask: bool, True where a query may look: (queries, keys),
            (batch, queries, keys) or (batch, heads or 1, queries, keys).
        causal: whether a query sees itself and earlier keys only.

    Returns:
        Bool, broadcast to (batch, heads, queries, keys); None: everything.
    """
    if mask is not None and mask.ndim == 3:
        mask = mask[:, None]
    if causal:
        place = torch.arange(x.shape[1], device=x.device)
        past = place[:, None] >= place
        mask = past if mask is None else mask & past
    if padding is not None:
        real = ~padding[:, None, None, :]  # (batch, 1, 1, keys)
        mask = real if mask is None else mask & real
    return mask


class MultiHeadAttention(nn.Module):
    """Attention in several heads, with its four projections.

    Weights start as Glorot and Bengio's (2010) uniform ones, each (width, width) matrix
    by itself; biases start at 0.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        """Build the projections.

        Args:
            width: of a token, in and out.
            heads: they share the width.
            dropout: of the attention weights, in training.

        Raises:
            UsageError: the heads do not divide the width.
        """
        super().__init__()
        if width < 1 or heads < 1 or width % heads:
            raise UsageError(
                f"attention shares its width among its heads: width {width} is no "
                f"multiple of {heads} heads"
            )
        self.heads, self.dropout = heads, Dropout(dropout)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        for projection in (self.query, self.key, self.value, self.output):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        position: Tensor | None = None,
        memory_position: Tensor | None = None,
        padding: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Let tokens look at themselves, or at a memory.

        Args:
            x: (batch, queries, width), who looks.
            memory: (batch, keys, width), what is looked at; None: ``x`` (self).
            position: added to ``x`` for queries (and keys of self-attention).
            memory_position: added to ``memory`` for keys.
            padding: (batch, keys) bool, True where a key is only filling.
            mask: bool, True where a query may look, see :func:`visible`.
            causal: whether a query sees itself and earlier keys only; self only.

        Returns:
            (batch, queries, width).

        Raises:
            UsageError: causal over a memory, which has no common order of time.
        """
        q, k, v = self._project(x, memory, position, memory_position, causal)
        alone = causal and padding is None and mask is None
        dropped = self.dropout.p if self.training else 0.0
        written_out = dropped > 0 and x.device.type == "cpu"
        if written_out or not alone:  # the kernel takes causality or a mask, not both
            mask = visible(x, padding=padding, mask=mask, causal=causal)
        if written_out:
            y, _ = attend(q, k, v, mask, self.dropout)
        else:
            y = scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropped, is_causal=alone
            )
        # (batch, heads, queries, d) -> (batch, queries, width)
        return self.output(y.transpose(1, 2).flatten(2))

    def explain(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        position: Tensor | None = None,
        memory_position: Tensor | None = None,
        padding: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`forward` without dropout, and who looked at what.

        Returns:
            (batch, queries, width) and the weights (batch, heads, queries, keys).
        """
        q, k, v = self._project(x, memory, position, memory_position, causal)
        mask = visible(x, padding=padding, mask=mask, causal=causal)
        y, weights = attend(q, k, v, mask)
        return self.output(y.transpose(1, 2).flatten(2)), weights

    def _project(
        self,
        x: Tensor,
        memory: Tensor | None,
        position: Tensor | None,
        memory_position: Tensor | None,
        causal: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, d)."""
        if causal and memory is not None:
            raise UsageError(
                "causal attention is of a sequence to itself, got a memory: give a "
                "mask (queries, keys) that says which keys a query may look at"
            )
        looking = x if position is None else x + position
        if memory is None:
            seen, said = looking, x
        else:
            said = memory
            seen = memory if memory_position is None else memory + memory_position
        return (
            self._split(self.query(looking)),
            self._split(self.key(seen)),
            self._split(self.value(said)),
        )

    def _split(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> (batch, heads, tokens, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
