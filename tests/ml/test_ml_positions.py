"""Positions and times against diffusers' and transformers' embeddings."""

import math
from types import SimpleNamespace

import pytest
import torch

from assets.errors import UsageError
from ml.transformer import (
    LearnedPositions,
    sinusoidal_1d,
    sinusoidal_2d,
    time_embedding,
)


def test_sequence_is_diffusers() -> None:
    from diffusers.models.embeddings import SinusoidalPositionalEmbedding

    peer = SinusoidalPositionalEmbedding(embed_dim=64, max_seq_length=200)
    ours = sinusoidal_1d(200, 64)
    assert ours.shape == (200, 64) and ours.dtype == torch.float32
    torch.testing.assert_close(ours, peer.get_buffer("pe")[0], atol=2e-5, rtol=0)


def test_picture_is_detrs() -> None:
    from transformers.models.detr.modeling_detr import DetrSinePositionEmbedding

    peer = DetrSinePositionEmbedding(16, normalize=True)
    shape = torch.Size((1, 3, 5, 7))
    expected = peer(shape, "cpu", torch.float32)[0]  # (channels, height, width)
    ours = sinusoidal_2d(5, 7, 32)
    assert ours.shape == (35, 32)
    torch.testing.assert_close(
        ours, expected.flatten(1).T.contiguous(), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("periods", [(4e-3, 4.0), (0.1, 20.0)])
def test_time_is_that_of_pi0(periods: tuple[float, float]) -> None:
    from transformers.models.pi0.modeling_pi0 import PI0TimestepEmbeddings

    config = SimpleNamespace(
        min_period=periods[0],
        max_period=periods[1],
        dit_config=SimpleNamespace(hidden_size=64),
    )
    peer = PI0TimestepEmbeddings(config)
    time = torch.linspace(0, 1, 11)
    ours = time_embedding(time, 64, *periods)
    # They take their powers in single precision: two last bits of the largest angle.
    spacing = torch.finfo(torch.float32).eps * 2 * math.pi / periods[0]
    torch.testing.assert_close(ours, peer(time), atol=2 * spacing, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_time_is_that_of_a_diffusion(dtype: torch.dtype) -> None:
    from diffusers.models.embeddings import get_timestep_embedding

    steps = torch.arange(100).to(dtype)
    expected = get_timestep_embedding(steps, 64, downscale_freq_shift=1)
    ours = time_embedding(steps, 64, 2 * math.pi, 2 * math.pi * 10_000)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_time_keeps_leading_dimensions() -> None:
    time = torch.rand(2, 3)
    ours = time_embedding(time, 8)
    assert ours.shape == (2, 3, 8)
    assert torch.equal(ours[1, 2], time_embedding(time[1, 2], 8))


def test_learned_positions() -> None:
    torch.manual_seed(0)
    net = LearnedPositions(500, 64)
    assert net.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert torch.equal(net(), net.weight) and torch.equal(net(3), net.weight[:3])
    net(2).sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.abs().sum(1).nonzero().flatten().tolist() == [0, 1]
    with pytest.raises(UsageError, match="learned for 500 places, got 501 tokens"):
        net(501)


def test_positions_refuse() -> None:
    with pytest.raises(UsageError, match="even width is needed, got 7"):
        sinusoidal_1d(5, 7)
    with pytest.raises(UsageError, match="a multiple of 4 is needed, got 30"):
        sinusoidal_2d(5, 5, 30)
    with pytest.raises(UsageError, match="at least 4 is needed, got 2"):
        time_embedding(torch.zeros(1), 2)
    with pytest.raises(UsageError, match=r"periods grow .* got 1.0 and 0.5"):
        time_embedding(torch.zeros(1), 8, 1.0, 0.5)
