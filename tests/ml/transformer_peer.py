"""Torch's own transformer modules, and their weights brought into ours."""

import torch
from torch import Tensor, nn

from ml.transformer import MultiHeadAttention
from ml.transformer.layers import FeedForward, Residual


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    weights = theirs.in_proj_weight.chunk(3)
    biases = theirs.in_proj_bias.chunk(3)
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        part.weight.data.copy_(weight)
        part.bias.data.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


def copy_rest(ours: FeedForward, residuals: list[Residual], theirs: nn.Module) -> None:
    """Linear maps and norms, which torch numbers."""
    ours.widen.load_state_dict(theirs.get_submodule("linear1").state_dict())
    ours.narrow.load_state_dict(theirs.get_submodule("linear2").state_dict())
    for number, residual in enumerate(residuals, 1):
        norm = theirs.get_submodule(f"norm{number}")
        residual.norm.load_state_dict(norm.state_dict())


def scatter(module: nn.Module) -> None:
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(0.3 * torch.randn_like(parameter))


def padding_of(lengths: list[int], tokens: int) -> Tensor:
    return torch.arange(tokens) >= torch.tensor(lengths)[:, None]
