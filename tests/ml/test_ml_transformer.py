"""Encoder and decoder against torch's own layers, with the same weights."""

import time
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from assets.errors import UsageError
from ml.tiles import run_tiled
from ml.transformer import (
    TransformerConfig,
    TransformerDecoder,
    TransformerEncoder,
)
from tests.ml.transformer_peer import copy_attention, copy_rest, padding_of, scatter

SMALL = TransformerConfig(width=32, heads=4, layers=3, feedforward=48, dropout=0.0)


def layers_of(*stacks: nn.Module) -> list[tuple[Any, ...]]:
    """The first layers of all, the second ..."""
    lists: list[Any] = [stack.get_submodule("layers") for stack in stacks]
    return list(zip(*lists, strict=True))


def encoders(
    config: TransformerConfig,
) -> tuple[TransformerEncoder, nn.TransformerEncoder]:
    """Ours and torch's, with torch's weights."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        config.feedforward,
        config.dropout,
        config.activation,
        batch_first=True,
        norm_first=config.norm_first,
    )
    norm = nn.LayerNorm(config.width) if config.normalized else None
    theirs = nn.TransformerEncoder(
        layer, config.layers, norm, enable_nested_tensor=False
    )
    for layer in theirs.layers:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
    scatter(theirs)
    ours = TransformerEncoder(config)
    for mine, other in layers_of(ours, theirs):
        copy_attention(mine.attention, other.self_attn)
        around = [mine.around_attention, mine.around_feedforward]
        copy_rest(mine.feedforward, around, other)
    if norm is not None:
        ours.norm.load_state_dict(norm.state_dict())
    return ours.eval(), theirs.eval()


def decoders(
    config: TransformerConfig,
) -> tuple[TransformerDecoder, nn.TransformerDecoder]:
    """Ours and torch's, with torch's weights."""
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(
        config.width,
        config.heads,
        config.feedforward,
        config.dropout,
        config.activation,
        batch_first=True,
        norm_first=config.norm_first,
    )
    norm = nn.LayerNorm(config.width) if config.normalized else None
    theirs = nn.TransformerDecoder(layer, config.layers, norm)
    for layer in theirs.layers:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
    scatter(theirs)
    ours = TransformerDecoder(config)
    for mine, other in layers_of(ours, theirs):
        copy_attention(mine.self_attention, other.self_attn)
        copy_attention(mine.memory_attention, other.multihead_attn)
        around = [mine.around_self, mine.around_memory, mine.around_feedforward]
        copy_rest(mine.feedforward, around, other)
    if norm is not None:
        ours.norm.load_state_dict(norm.state_dict())
    return ours.eval(), theirs.eval()


def hidden(tokens: int) -> Tensor:
    """Torch's causal mask: True where a query may not look."""
    return torch.ones(tokens, tokens, dtype=torch.bool).triu(1)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("causal", [False, True])
def test_encoder_is_torchs(
    norm_first: bool, activation: Literal["relu", "gelu"], causal: bool
) -> None:
    config = replace(SMALL, norm_first=norm_first, activation=activation)
    ours, theirs = encoders(config)
    x = torch.randn(3, 9, config.width)
    padding = padding_of([9, 5, 2], 9)
    expected = theirs(
        x, mask=hidden(9) if causal else None, src_key_padding_mask=padding
    )
    got = ours(x, padding=padding, causal=causal)
    close(got[~padding], expected[~padding])
    close(ours(x), theirs(x))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("causal", [False, True])
def test_decoder_is_torchs(
    norm_first: bool, activation: Literal["relu", "gelu"], causal: bool
) -> None:
    config = replace(SMALL, norm_first=norm_first, activation=activation)
    ours, theirs = decoders(config)
    x, memory = torch.randn(3, 6, config.width), torch.randn(3, 9, config.width)
    padding, memory_padding = padding_of([6, 3, 1], 6), padding_of([9, 5, 2], 9)
    expected = theirs(
        x,
        memory,
        tgt_mask=hidden(6) if causal else None,
        tgt_key_padding_mask=padding,
        memory_key_padding_mask=memory_padding,
    )
    got = ours(x, memory, padding=padding, memory_padding=memory_padding, causal=causal)
    close(got[~padding], expected[~padding])
    close(ours(x, memory), theirs(x, memory))


def test_post_norm_decoder_with_final_norm_as_detr() -> None:
    ours, theirs = decoders(replace(SMALL, final_norm=True))
    x, memory = torch.randn(2, 6, 32), torch.randn(2, 9, 32)
    assert isinstance(ours.norm, nn.LayerNorm)
    close(ours(x, memory), theirs(x, memory))


@pytest.mark.parametrize("norm_first", [False, True])
def test_gradients_are_torchs(norm_first: bool) -> None:
    ours, theirs = decoders(replace(SMALL, norm_first=norm_first))
    x = torch.randn(2, 6, 32, requires_grad=True)
    memory = torch.randn(2, 9, 32, requires_grad=True)
    weight = torch.randn(2, 6, 32)
    mine = torch.autograd.grad((ours(x, memory) * weight).sum(), (x, memory))
    other = torch.autograd.grad((theirs(x, memory) * weight).sum(), (x, memory))
    for a, b in zip(mine, other, strict=True):
        close(a, b)


def test_positions_enter_each_layer_at_queries_and_keys() -> None:
    """Against DETR's layers written with torch's modules."""
    ours, theirs = decoders(SMALL)
    x, memory = torch.zeros(2, 6, 32), torch.randn(2, 9, 32)
    where, there = torch.randn(6, 32), torch.randn(9, 32)
    y = x
    for (layer,) in layers_of(theirs):
        q = y + where
        y = layer.norm1(y + layer.self_attn(q, q, y)[0])
        seen = layer.multihead_attn(y + where, memory + there, memory)[0]
        y = layer.norm2(y + seen)
        y = layer.norm3(y + layer.linear2(F.relu(layer.linear1(y))))
    close(ours(x, memory, position=where, memory_position=there), y)

    encoder, theirs = encoders(SMALL)
    y = memory
    for (layer,) in layers_of(theirs):
        q = y + there
        y = layer.norm1(y + layer.self_attn(q, q, y)[0])
        y = layer.norm2(y + layer.linear2(F.relu(layer.linear1(y))))
    close(encoder(memory, position=there), y)


@pytest.mark.parametrize("norm_first", [False, True])
def test_outputs_of_each_layer_are_those_of_shorter_stacks(norm_first: bool) -> None:
    config = replace(SMALL, norm_first=norm_first)
    encoder, decoder = encoders(config)[0], decoders(config)[0]
    x, memory = torch.randn(2, 6, 32), torch.randn(2, 9, 32)
    each = encoder.outputs(x), decoder.outputs(x, memory)
    assert [len(outputs) for outputs in each] == [3, 3]
    for depth in (1, 2, 3):
        short = replace(config, layers=depth)
        shorter = TransformerEncoder(short).eval(), TransformerDecoder(short).eval()
        for mine, whole in zip(shorter, (encoder, decoder), strict=True):
            kept = mine.state_dict().keys()
            state = {k: v for k, v in whole.state_dict().items() if k in kept}
            mine.load_state_dict(state)
        assert torch.equal(each[0][depth - 1], shorter[0](x))
        assert torch.equal(each[1][depth - 1], shorter[1](x, memory))
    assert torch.equal(each[0][-1], encoder(x))
    assert torch.equal(each[1][-1], decoder(x, memory))


def test_fillings_change_nothing() -> None:
    ours, _ = encoders(SMALL)
    x = torch.randn(2, 9, 32)
    padding = padding_of([9, 4], 9)
    other = torch.where(padding[..., None], 1e3 * torch.randn_like(x), x)
    one, two = ours(x, padding=padding), ours(other, padding=padding)
    close(one[~padding], two[~padding])
    close(one[1:, :4], ours(x[1:, :4]))  # as if it were alone


def test_causal_sees_no_future() -> None:
    ours, _ = encoders(SMALL)
    x = torch.randn(1, 9, 32)
    changed = x.clone()
    changed[:, 5:] += 1
    one, two = ours(x, causal=True), ours(changed, causal=True)
    close(one[:, :5], two[:, :5])
    assert ((one[:, 5:] - two[:, 5:]).abs() > 1e-3).any(-1).all()


@pytest.mark.parametrize("kind", [TransformerEncoder, TransformerDecoder])
def test_checkpointing_gives_the_same_gradients_and_keeps_less(kind: type) -> None:
    config = replace(SMALL, dropout=0.2)
    plain, saving = kind(config), kind(replace(config, checkpoint=True))
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(4, 9, 32)
    inputs = (x,) if kind is TransformerEncoder else (x, torch.randn(4, 5, 32))
    kept: list[int] = []
    results = []
    for net in (plain, saving):
        torch.manual_seed(1)  # the same dropout, on the way back too
        total = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            y = net(*inputs)
        kept.append(total)
        y.square().sum().backward()
        results.append([y, *(p.grad for p in net.parameters())])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    assert kept[1] < 0.3 * kept[0]
    saving.eval()
    assert torch.equal(saving(*inputs), plain.eval()(*inputs))


def test_dropout_of_weights_is_apart() -> None:
    x = torch.randn(2, 5, 32)
    torch.manual_seed(0)
    only_weights = replace(SMALL, attention_dropout=0.5)
    net = TransformerEncoder(only_weights)
    dropping = {
        name: m.p for name, m in net.named_modules() if isinstance(m, nn.Dropout)
    }
    for name, p in dropping.items():
        assert p == (0.5 if name.endswith(".attention.dropout") else 0.0)
    assert 0.5 in dropping.values()
    assert not torch.equal(net(x), net(x))
    none = TransformerEncoder(replace(SMALL, dropout=0.3, attention_dropout=0.0))
    assert all(layer.attention.dropout.p == 0 for (layer,) in layers_of(none))
    shared = TransformerEncoder(replace(SMALL, dropout=0.3))
    assert all(layer.attention.dropout.p == 0.3 for (layer,) in layers_of(shared))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    net = TransformerEncoder(TransformerConfig(width=128, layers=1))
    ((layer,),) = layers_of(net)
    bound = (6 / (128 + 512)) ** 0.5
    for linear in (layer.feedforward.widen, layer.feedforward.narrow):
        assert (linear.bias == 0).all()
        assert 0.99 * bound < linear.weight.abs().max() <= bound
    assert (layer.around_attention.norm.weight == 1).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_do_not_depend_on_the_batch(threads: int) -> None:
    """In tiles, as policies act: encoder with padding and causal, then decoder."""
    torch.manual_seed(0)
    config = TransformerConfig(layers=1)
    encoder, decoder = TransformerEncoder(config), TransformerDecoder(config)
    encoder.eval()
    decoder.eval()
    queries = torch.randn(8, 128)

    def act(x: Tensor, padding: Tensor) -> Tensor:
        memory = encoder(encoder(x, padding=padding), causal=True)
        start = x.new_zeros(len(x), 8, 128)
        return decoder(start, memory, position=queries, memory_padding=padding)

    x = torch.randn(70, 12, 128)
    padding = padding_of([1 + i % 12 for i in range(70)], 12)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    (whole,) = run_tiled(act, x, padding)
    for start, stop in ((0, 1), (5, 69), (69, 70)):
        (part,) = run_tiled(act, x[start:stop], padding[start:stop])
        assert torch.equal(part, whole[start:stop])
    torch.set_num_threads(before)


def test_a_step_on_a_cpu_core_is_fast() -> None:
    """Width 128, 4 layers, 50 tokens, batch 1: under 5 ms of its thread, at best."""
    torch.manual_seed(0)
    net = TransformerEncoder(TransformerConfig()).eval()
    x = torch.randn(1, 50, 128)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    best = 1.0
    with torch.inference_mode():
        for _ in range(50):
            start = time.thread_time()
            net(x)
            best = min(best, time.thread_time() - start)
    torch.set_num_threads(before)
    assert best < 5e-3


def test_config_refuses() -> None:
    with pytest.raises(UsageError, match="100 is no multiple of 3 heads"):
        TransformerConfig(width=100, heads=3)
    with pytest.raises(UsageError, match="at least 1, got 32, 4, 0 and 48"):
        replace(SMALL, layers=0)
    with pytest.raises(UsageError, match=r"attention_dropout lies in \[0, 1\), got 1"):
        replace(SMALL, attention_dropout=1.0)
    with pytest.raises(UsageError, match="Did you mean 'gelu'"):
        replace(SMALL, activation="glu")
