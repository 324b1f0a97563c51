"""What the layers of encoder and decoder share.

A layer is a row of blocks, attention or feed-forward, each around a residual:

    post-norm  x <- norm(x + dropout(block(x)))      Vaswani et al. 2017
    pre-norm   x <- x + dropout(block(norm(x)))      Xiong et al. 2020
"""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.utils.checkpoint import checkpoint

from ml.transformer.attention import MultiHeadAttention
from ml.transformer.config import TransformerConfig
from ml.transformer.dropout import Dropout


class Residual(nn.Module):
    """Norm, dropout and sum around a block, in either order."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build the norm, as the identity with scale 1 and shift 0."""
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.dropout = Dropout(config.dropout)
        self.norm_first = config.norm_first

    def forward(self, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """(batch, tokens, width) through a block of the same shape."""
        if self.norm_first:
            return x + self.dropout(block(self.norm(x)))
        return self.norm(x + self.dropout(block(x)))


class FeedForward(nn.Module):
    """Two linear maps, each token by itself; weights Glorot uniform, biases 0."""

    def __init__(self, config: TransformerConfig) -> None:
        """Build the maps."""
        super().__init__()
        self.widen = nn.Linear(config.width, config.feedforward)
        self.activation = nn.ReLU() if config.activation == "relu" else nn.GELU()
        self.dropout = Dropout(config.dropout)
        self.narrow = nn.Linear(config.feedforward, config.width)
        for linear in (self.widen, self.narrow):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return self.narrow(self.dropout(self.activation(self.widen(x))))


def attention(config: TransformerConfig) -> MultiHeadAttention:
    """One attention of a layer."""
    return MultiHeadAttention(config.width, config.heads, config.weights_dropout)


def final_norm(config: TransformerConfig) -> nn.Module:
    """What the last layer's output goes through."""
    return nn.LayerNorm(config.width) if config.normalized else nn.Identity()


def run_layers(
    layers: Iterable[nn.Module],
    x: Tensor,
    *memory: Tensor,
    recompute: bool = False,
    **options: Any,
) -> list[Tensor]:
    """One layer after another.

    Args:
        layers: of an encoder or a decoder.
        x: (batch, tokens, width).
        memory: what a decoder's layers look at.
        recompute: whether a layer's inner results are computed again on the way back
            instead of kept; only where there is a way back.
        options: the rest that each layer takes.

    Returns:
        Each layer's output.
    """
    outputs = []
    for layer in layers:
        if recompute and layer.training and is_grad_enabled():
            x = checkpoint(layer, x, *memory, use_reentrant=False, **options)
        else:
            x = layer(x, *memory, **options)
        outputs.append(x)
    return outputs
