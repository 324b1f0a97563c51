"""How large a transformer is, and in which order its layers work."""

from dataclasses import dataclass
from typing import Literal

from assets.errors import UsageError, unknown

ACTIVATIONS = ("relu", "gelu")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Of an encoder or a decoder."""

    width: int = 128
    """Of a token."""
    heads: int = 4
    """Of each attention; they share the width."""
    layers: int = 4
    """One after another."""
    feedforward: int = 512
    """Width between the two linear maps that follow attention."""
    dropout: float = 0.1
    """Of what a block adds to a token, and between the two linear maps."""
    attention_dropout: float | None = None
    """Of attention weights; None: as ``dropout``."""
    activation: Literal["relu", "gelu"] = "relu"
    """Between the two linear maps."""
    norm_first: bool = False
    """Normalise what enters a block (pre-norm, Xiong et al. 2020: trains without
    warm-up) rather than what leaves it (post-norm, Vaswani et al. 2017)."""
    final_norm: bool | None = None
    """Normalise what leaves the last layer; None: with pre-norm, which leaves it of any
    size. DETR and ACT do so in the decoder with post-norm too."""
    checkpoint: bool = False
    """In training, keep no layer's inner results and compute them again on the way
    back (Chen et al. 2016): less memory for about a third more time."""

    def __post_init__(self) -> None:
        """Refuse what makes no transformer."""
        if min(self.width, self.heads, self.layers, self.feedforward) < 1:
            raise UsageError(
                f"a transformer's width, heads, layers and feedforward are at least 1, "
                f"got {self.width}, {self.heads}, {self.layers} and {self.feedforward}"
            )
        if self.width % self.heads:
            raise UsageError(
                f"a transformer's heads share its width: {self.width} is no multiple "
                f"of {self.heads} heads"
            )
        for name in ("dropout", "attention_dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UsageError(f"{name} lies in [0, 1), got {value}")
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    @property
    def normalized(self) -> bool:
        """Whether what leaves the last layer is normalised."""
        return self.norm_first if self.final_norm is None else self.final_norm

    @property
    def weights_dropout(self) -> float:
        """Dropout of attention weights."""
        value = self.attention_dropout
        return self.dropout if value is None else value
