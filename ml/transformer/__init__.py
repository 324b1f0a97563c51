"""Transformers for policies: attention, encoder, decoder, positions.

Vaswani et al. (2017), "Attention Is All You Need"; positions may be added to queries
and keys in each layer, as DETR does (Carion et al. 2020). ``attention`` is the one
place that attends, ``config`` says how large and in which order, ``layers`` has what
the encoder's and the decoder's layers share, ``positions`` are the embeddings of a
place in a sequence, of a place in a picture and of a time.

Everywhere: tensors are (batch, tokens, width); ``padding`` is (batch, tokens) bool,
True where a token is only filling; a ``mask`` is bool, True where a query may look.
"""

from ml.transformer.attention import MultiHeadAttention, attend, visible
from ml.transformer.config import TransformerConfig
from ml.transformer.decoder import DecoderLayer, TransformerDecoder
from ml.transformer.encoder import EncoderLayer, TransformerEncoder
from ml.transformer.positions import (
    LearnedPositions,
    sinusoidal_1d,
    sinusoidal_2d,
    time_embedding,
)

__all__ = [
    "DecoderLayer",
    "EncoderLayer",
    "LearnedPositions",
    "MultiHeadAttention",
    "TransformerConfig",
    "TransformerDecoder",
    "TransformerEncoder",
    "attend",
    "sinusoidal_1d",
    "sinusoidal_2d",
    "time_embedding",
    "visible",
]
