"""Attention against torch's own, with the same weights; what it may look at."""

import pytest
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.transformer import MultiHeadAttention, attend, visible
from tests.ml.transformer_peer import copy_attention, padding_of

WIDTH, HEADS = 32, 4


def pair(dropout: float = 0.0) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Ours and torch's, with torch's weights."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, dropout, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    ours = MultiHeadAttention(WIDTH, HEADS, dropout)
    copy_attention(ours, theirs)
    return ours.eval(), theirs.eval()


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_torchs(padded: bool, causal: bool) -> None:
    ours, theirs = pair()
    x = torch.randn(3, 7, WIDTH)
    padding = padding_of([7, 4, 1], 7) if padded else None
    hidden = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected, weights = theirs(
        x, x, x, key_padding_mask=padding, attn_mask=hidden, average_attn_weights=False
    )
    close(ours(x, padding=padding, causal=causal), expected)
    written_out, our_weights = ours.explain(x, padding=padding, causal=causal)
    close(written_out, expected)
    close(our_weights, weights)


@pytest.mark.parametrize("padded", [False, True])
def test_cross_attention_is_torchs(padded: bool) -> None:
    ours, theirs = pair()
    x, memory = torch.randn(3, 5, WIDTH), torch.randn(3, 9, WIDTH)
    padding = padding_of([9, 4, 1], 9) if padded else None
    expected, weights = theirs(
        x, memory, memory, key_padding_mask=padding, average_attn_weights=False
    )
    close(ours(x, memory, padding=padding), expected)
    written_out, our_weights = ours.explain(x, memory, padding=padding)
    close(written_out, expected)
    close(our_weights, weights)


def test_positions_go_to_queries_and_keys_alone() -> None:
    ours, theirs = pair()
    x, memory = torch.randn(2, 5, WIDTH), torch.randn(2, 9, WIDTH)
    where, there = torch.randn(5, WIDTH), torch.randn(1, 9, WIDTH)
    looking, seen = x + where, memory + there
    close(ours(x, position=where), theirs(looking, looking, x)[0])
    close(
        ours(x, memory, position=where, memory_position=there),
        theirs(looking, seen, memory)[0],
    )


def test_gradients_are_torchs() -> None:
    ours, theirs = pair()
    x = torch.randn(3, 7, WIDTH)
    padding = padding_of([7, 4, 2], 7)
    ours(x, padding=padding).square().sum().backward()
    theirs(x, x, x, key_padding_mask=padding)[0].square().sum().backward()
    assert theirs.in_proj_weight.grad is not None
    grads = [p.weight.grad for p in (ours.query, ours.key, ours.value)]
    assert all(g is not None for g in grads)
    both = torch.cat([g for g in grads if g is not None]), theirs.in_proj_weight.grad
    torch.testing.assert_close(*both, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(6, 6), (2, 6, 6), (2, 1, 6, 6), (2, HEADS, 6, 6)])
def test_a_mask_of_each_shape_hides_what_it_says(shape: tuple[int, ...]) -> None:
    ours, _ = pair()
    x = torch.randn(2, 6, WIDTH)
    mask = torch.rand(shape) < 0.6
    y, weights = ours.explain(x, mask=mask)
    wide = mask[:, None] if mask.ndim == 3 else mask
    wide = wide.expand_as(weights)
    assert (weights[~wide] == 0).all() and (weights[wide] > 0).all()
    close(ours(x, mask=mask), y)


def test_all_conditions_hold_together() -> None:
    x = torch.zeros(2, 4, 1)
    padding = padding_of([4, 3], 4)
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[:, 0] = False
    seen = visible(x, padding=padding, mask=mask, causal=True)
    assert seen is not None and seen.shape == (2, 1, 4, 4)
    for b in range(2):
        for q in range(4):
            for k in range(4):
                allowed = k <= q and k != 0 and not padding[b, k]
                assert seen[b, 0, q, k] == allowed
    assert visible(x) is None


def test_who_may_look_at_nothing_gets_zeros_and_no_nan() -> None:
    q, k, v = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[False] * 3, [True] * 3, [True, False, False]])
    y, weights = attend(q, k, v, mask)
    assert (y[0, 0] == 0).all() and (weights[0, 0] == 0).all()
    y.sum().backward()
    assert q.grad is not None and q.grad.isfinite().all()
    ours, _ = pair()
    x = torch.randn(1, 3, WIDTH)
    close(ours(x, mask=mask), ours.explain(x, mask=mask)[0])
    close(ours(x, mask=mask)[0, 0], ours.output.bias)


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_acts_on_weights_in_training_only(causal: bool) -> None:
    ours, _ = pair(dropout=0.5)
    x, seen = torch.randn(1, 6, WIDTH), {"causal": causal}
    assert torch.equal(ours(x, **seen), ours(x, **seen))
    ours.train()
    many = torch.stack([ours(x, **seen) for _ in range(3000)])
    assert not torch.equal(many[0], many[1])
    # The output is linear in the weights, whose mean dropout keeps.
    error = (many.mean(0) - ours.eval()(x, **seen)).abs() / (many.std(0) / 3000**0.5)
    assert error.max() < 5


def test_initial_weights_are_glorots() -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(256, 4)
    for part in (ours.query, ours.key, ours.value, ours.output):
        assert (part.bias == 0).all()
        assert part.weight.abs().max() <= (6 / 512) ** 0.5
        assert part.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)


def test_attention_refuses() -> None:
    with pytest.raises(UsageError, match="30 is no multiple of 4 heads"):
        MultiHeadAttention(30, 4)
    ours, _ = pair()
    x = torch.zeros(1, 2, WIDTH)
    with pytest.raises(UsageError, match="give a mask"):
        ours(x, x, causal=True)
