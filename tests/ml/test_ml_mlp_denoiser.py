"""The perceptron as denoiser: shapes, time, errors, and that it can learn a chunk."""

import pytest
import torch

from assets.errors import UsageError
from ml.generative.denoiser import bind
from ml.generative.flow import draw_example, sample_flow
from ml.generative.mlp_denoiser import MLPDenoiser, MLPDenoiserConfig


def _net(width: int = 32) -> MLPDenoiser:
    torch.manual_seed(0)
    return MLPDenoiser(2, 3, 8, MLPDenoiserConfig(width=width, blocks=2))


def test_each_input_matters() -> None:
    net, draw = _net(), torch.Generator().manual_seed(0)
    x = torch.randn(4, 8, 2, generator=draw)
    t = torch.rand(4, generator=draw)
    condition = torch.randn(4, 3, generator=draw)
    y = net(x, t, condition)
    assert y.shape == x.shape
    assert (net(x + 1, t, condition) != y).any(-1).all()
    assert (net(x, 0.5 * t, condition) != y).any(-1).all()
    assert (net(x, t, condition + 1) != y).any(-1).all()


def test_a_row_does_not_depend_on_the_others() -> None:
    net, draw = _net(), torch.Generator().manual_seed(0)
    x = torch.randn(16, 8, 2, generator=draw)
    t, condition = torch.rand(16, generator=draw), torch.randn(16, 3, generator=draw)
    y = net(x, t, condition)
    x[1:] += 1
    torch.testing.assert_close(net(x, t, condition)[0], y[0], rtol=0, atol=0)


def test_it_learns_a_conditional_flow() -> None:
    """Chunks that are a function of the condition come out of noise again."""
    net, draw = _net(64), torch.Generator().manual_seed(0)
    time = torch.linspace(0, 1, 8)[:, None]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)

    def chunk(condition: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * time * condition[:, None, :2])

    for _ in range(600):
        condition = torch.rand(128, 3, generator=draw) * 2 - 1
        example = draw_example(chunk(condition), generator=draw)
        error = net(example.x, example.t, condition) - example.target
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    condition = torch.rand(64, 3, generator=draw) * 2 - 1
    with torch.no_grad():
        noise = torch.randn(64, 8, 2, generator=draw)
        found = sample_flow(bind(net, condition), noise, steps=5)
    wanted = chunk(condition)
    assert (found - wanted).square().mean() < 0.1 * wanted.square().mean()


def test_what_cannot_be_built_is_said() -> None:
    with pytest.raises(UsageError, match="width and blocks are at least 1"):
        MLPDenoiserConfig(blocks=0)
    net = _net()
    with pytest.raises(UsageError, match="chunks of 8 actions, got 9"):
        net(torch.zeros(1, 9, 2), torch.zeros(1), torch.zeros(1, 3))
