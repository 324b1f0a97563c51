"""Our dropout is one: how much, how independent, and what it does to gradients."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ml.transformer.dropout import LEVELS, Dropout


def _drawn(p: float, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(shape))


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_should_be(p: float) -> None:
    """Within four standard deviations; what is kept keeps the mean."""
    n = 1_000_003  # no multiple of four
    y = _drawn(p, (n,))
    dropped = (y == 0).double().mean().item()
    assert abs(dropped - p) < 4 * np.sqrt(p * (1 - p) / n) + 1 / LEVELS
    exact = round(p * LEVELS) / LEVELS
    assert y.max().item() == pytest.approx(1 / (1 - exact), rel=1e-6)
    assert y.double().mean().item() == pytest.approx(
        1, abs=4 * np.sqrt(p / (1 - p) / n)
    )


def test_neighbours_know_nothing_of_each_other() -> None:
    """Nor do the four that share a draw: all 16 patterns are as frequent as chance."""
    kept = (_drawn(0.5, (250_000, 4)) > 0).numpy()
    counts = np.bincount(kept @ [1, 2, 4, 8], minlength=16)
    expected = len(kept) / 16
    assert ((counts - expected) ** 2 / expected).sum() < 44  # chi^2 with 15, p 1e-4
    flat = kept.ravel() - 0.5
    for lag in range(1, 9):
        assert abs((flat[lag:] * flat[:-lag]).mean() * 4) < 4e-3


def test_gradients_go_where_values_go() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 5, 3, requires_grad=True)
    y = Dropout(0.3).train()(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y, x.detach() * x.grad)
    assert 0 < (x.grad == 0).sum() < x.numel()


def test_the_generator_decides() -> None:
    """The same seed the same, another another; computed again it drops the same."""
    a, b, c = _drawn(0.1, (999,)), _drawn(0.1, (999,)), _drawn(0.1, (999,), 1)
    assert torch.equal(a, b) and not torch.equal(a, c)
    layer = nn.Sequential(nn.Linear(8, 8), Dropout(0.4), nn.Linear(8, 1)).train()
    x = torch.randn(16, 8)
    gradients = []
    for again in (False, True):
        torch.manual_seed(2)
        layer.zero_grad()
        y = checkpoint(layer, x, use_reentrant=False) if again else layer(x)
        y.sum().backward()
        gradients.append(
            [p.grad.clone() for p in layer.parameters() if p.grad is not None]
        )
    assert all(torch.equal(p, q) for p, q in zip(*gradients, strict=True))


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False), (1.0, True)])
def test_where_nothing_is_drawn_it_is_torchs(p: float, training: bool) -> None:
    x = torch.randn(4, 3)
    ours, theirs = Dropout(p).train(training), nn.Dropout(p).train(training)
    assert torch.equal(ours(x), theirs(x))


def test_half_precision_stays_half() -> None:
    torch.manual_seed(0)
    y = Dropout(0.25).train()(torch.ones(1000, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and set(y.tolist()) == {0.0, 1.3359375}
