"""Mixtures against torch.distributions; what they learn that a mean cannot."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from assets.errors import UsageError
from ml.gmm_head import GMMHead, Mixture


def some(*leading: int) -> tuple[Mixture, MixtureSameFamily]:
    """Ours and torch's, with the same numbers."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(*leading, 4)
    mean, std = torch.randn(*leading, 4, 3), torch.rand(*leading, 4, 3) + 0.05
    theirs = MixtureSameFamily(
        Categorical(logits=logits), Independent(Normal(mean, std), 1)
    )
    return Mixture(logits=logits, mean=mean, std=std), theirs


@pytest.mark.parametrize("leading", [(), (6,), (2, 5)])
def test_density_and_mean_are_torchs(leading: tuple[int, ...]) -> None:
    ours, theirs = some(*leading)
    for scale in (1.0, 30.0):  # far away too, where a plain sum would be 0
        x = scale * torch.randn(*leading, 3)
        torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(ours.average(), theirs.mean)


def test_gradients_are_torchs() -> None:
    ours, theirs = some(6)
    parts = ours.logits, ours.mean, ours.std
    for part in parts:
        part.requires_grad_()
    x = torch.randn(6, 3)
    theirs = MixtureSameFamily(
        Categorical(logits=ours.logits), Independent(Normal(ours.mean, ours.std), 1)
    )
    mine = torch.autograd.grad(ours.log_prob(x).sum(), parts)
    other = torch.autograd.grad(theirs.log_prob(x).sum(), parts)
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_samples_have_the_mixtures_mean_variance_and_weights() -> None:
    ours, theirs = some()
    n = 200_000
    many = Mixture(
        logits=ours.logits.expand(n, 4),
        mean=ours.mean.expand(n, 4, 3),
        std=ours.std.expand(n, 4, 3),
    )
    x = many.sample(torch.randn(n, 3), torch.rand(n))
    error = (x.mean(0) - theirs.mean).abs() / (theirs.stddev / n**0.5)
    assert error.max() < 5
    torch.testing.assert_close(x.var(0), theirs.variance, atol=0, rtol=0.03)
    still = many.sample(torch.zeros(n, 3), torch.rand(n))
    shares = (still[:, None] == ours.mean).all(-1).float().mean(0)
    torch.testing.assert_close(shares, ours.logits.softmax(-1), atol=5e-3, rtol=0)


def test_extreme_choices_take_the_ends() -> None:
    ours, _ = some(6)
    zero = torch.zeros(6, 3)
    assert torch.equal(ours.sample(zero, torch.zeros(6)), ours.mean[:, 0])
    assert torch.equal(ours.sample(zero, torch.ones(6)), ours.mean[:, -1])


def test_mode_is_the_mean_of_the_heaviest() -> None:
    ours, _ = some(2, 5)
    for i in range(2):
        for j in range(5):
            heaviest = int(ours.logits[i, j].argmax())
            assert torch.equal(ours.mode()[i, j], ours.mean[i, j, heaviest])


@pytest.mark.parametrize("activation", ["softplus", "exp"])
def test_head_keeps_its_promises(activation) -> None:
    torch.manual_seed(0)
    head = GMMHead(7, 3, modes=4, min_std=0.01, activation=activation)
    mixture = head(50 * torch.randn(2, 5, 7))
    assert mixture.logits.shape == (2, 5, 4)
    assert mixture.mean.shape == mixture.std.shape == (2, 5, 4, 3)
    assert (mixture.std >= 0.01).all() and mixture.std.min() < 0.02
    assert (mixture.mean.abs() <= 1).all()
    free = GMMHead(7, 3, squash=False)(50 * torch.randn(9, 7))
    assert free.mean.abs().max() > 2


def test_two_ways_around_are_learned() -> None:
    """Right or left of an obstacle, at random: both are likely, between is not."""
    torch.manual_seed(0)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        obs = torch.rand(n, 1)
        side = 2.0 * torch.randint(2, (n, 1)) - 1
        return obs, side * (0.3 + 0.4 * obs) + 0.03 * torch.randn(n, 1)

    head = GMMHead(1, 1, modes=3)
    optimizer = torch.optim.Adam(head.parameters(), lr=2e-2)
    for _ in range(400):
        obs, action = draw(256)
        loss = -head(obs).log_prob(action).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    obs, action = draw(5000)
    with torch.no_grad():
        mixture = head(obs)
        reached = mixture.log_prob(action).mean().item()
        # A coin's throw, then a normal: its negative entropy is the best there is.
        best = -np.log(2) - 0.5 * np.log(2 * np.pi * np.e * 0.03**2)
        assert best - 0.15 < reached < best + 0.03
        way = (0.3 + 0.4 * obs).squeeze(-1)
        mode = mixture.mode().squeeze(-1)
        assert ((mode.abs() - way).abs() < 0.06).float().mean() > 0.95
        assert mixture.average().abs().max() < 0.2
        between = mixture.log_prob(torch.zeros(5000, 1))
        assert (between < mixture.log_prob(way[:, None]) - 4).all()  # 1/50 at most
        drawn = mixture.sample(torch.randn(5000, 1), torch.rand(5000)).squeeze(-1)
        assert ((drawn.abs() - way).abs() < 0.12).float().mean() > 0.95
        assert 0.4 < (drawn > 0).float().mean() < 0.6


def test_head_refuses() -> None:
    with pytest.raises(UsageError, match="at least 1 mode and a min_std above 0"):
        GMMHead(3, 2, modes=0)
    with pytest.raises(UsageError, match=r"got 5 and 0"):
        GMMHead(3, 2, min_std=0.0)
    with pytest.raises(UsageError, match="Did you mean 'softplus'"):
        GMMHead(3, 2, activation="softmax")  # type: ignore[arg-type]
