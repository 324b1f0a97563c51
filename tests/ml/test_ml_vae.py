"""Variational autoencoders against distributions whose likelihood is known."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch import Tensor, nn
from torch.distributions import (
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from assets.errors import UsageError
from ml.networks import MLP
from ml.transformer import TransformerConfig
from ml.vae import CVAE, VAE, GaussianEncoder, kl_to_standard, reparameterize

SMALL = TransformerConfig(width=32, heads=4, layers=1, feedforward=64, dropout=0.0)


def test_a_draw_is_normal_and_lets_gradients_through() -> None:
    torch.manual_seed(0)
    mean = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    logvar = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    n = 200_000
    z = reparameterize(mean.expand(n, 2), logvar.expand(n, 2))
    std = (0.5 * logvar).exp()
    assert ((z.mean(0) - mean).abs() < 5 * std / n**0.5).all()
    assert ((z.std(0) / std - 1).abs() < 5 / (2 * n) ** 0.5).all()
    # E[z^2] = mean^2 + var, so its gradients are 2 mean and var.
    z.square().mean(0).sum().backward()
    assert mean.grad is not None and logvar.grad is not None
    torch.testing.assert_close(mean.grad, 2 * mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(logvar.grad, logvar.detach().exp(), atol=0.03, rtol=0)
    noise = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(reparameterize(mean, logvar, noise), mean + std * noise)


def test_kl_is_torchs() -> None:
    torch.manual_seed(0)
    mean, logvar = torch.randn(7, 5), 2 * torch.randn(7, 5)
    q = Independent(Normal(mean, (0.5 * logvar).exp()), 1)
    p = Independent(Normal(torch.zeros(7, 5), torch.ones(7, 5)), 1)
    torch.testing.assert_close(kl_to_standard(mean, logvar), kl_divergence(q, p).mean())
    assert kl_to_standard(torch.zeros(3, 4), torch.zeros(3, 4)) == 0


def test_elbo_is_its_definition() -> None:
    torch.manual_seed(0)
    net = VAE(5, 3)
    net.log_std.data.fill_(-0.7)
    x, noise = torch.randn(6, 5), torch.randn(6, 3)
    mean, logvar = net.encode(x)
    q = Independent(Normal(mean, (0.5 * logvar).exp()), 1)
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    z = mean + (0.5 * logvar).exp() * noise
    likely = Normal(net.decoder(z), net.log_std.exp()).log_prob(x).sum(-1)
    expected = likely - kl_divergence(q, prior.expand((6,)))
    torch.testing.assert_close(net.elbo(x, noise), expected)


def train(net: VAE, x: Tensor, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (256,), generator=generator)
        noise = torch.randn(256, net.latent, generator=generator)
        optimizer.zero_grad()
        (-net.elbo(x[rows], noise).mean()).backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def bound(net: VAE, x: Tensor) -> float:
    torch.manual_seed(2)
    return float(np.mean([net.elbo(x).mean().item() for _ in range(20)]))


def test_elbo_reaches_the_likelihood_where_it_can() -> None:
    """Two normal causes, seen linearly with noise in five numbers: q(z | x) is normal,
    so that the bound can be as high as the likelihood itself."""
    torch.manual_seed(0)
    maps, std = torch.randn(2, 5), 0.3

    def draw(n: int) -> Tensor:
        return torch.randn(n, 2) @ maps + std * torch.randn(n, 5)

    truth = MultivariateNormal(torch.zeros(5), maps.T @ maps + std**2 * torch.eye(5))
    net = VAE(5, 2, (32,))
    train(net, draw(20_000), 1000)
    x = draw(20_000)
    likelihood = truth.log_prob(x).mean().item()
    reached = bound(net, x)
    assert likelihood - 0.05 < reached < likelihood + 0.01
    assert net.log_std.exp().item() == pytest.approx(std, rel=0.05)


def test_elbo_and_samples_on_a_bent_line() -> None:
    """A parabola with noise: no normal fits; its density is an integral over the
    place on it, p(x) = int N(x; (2 z, z^2 - 1), s^2) N(z; 0, 1) dz, taken on a grid."""
    torch.manual_seed(0)
    std = 0.15

    def draw(n: int) -> Tensor:
        z = torch.randn(n)
        return torch.stack((2 * z, z.square() - 1), -1) + std * torch.randn(n, 2)

    z = np.linspace(-8, 8, 1601)
    line = np.stack((2 * z, z**2 - 1), -1)

    def log_density(x: Tensor) -> np.ndarray:
        squares = np.square(x.double().numpy()[:, None] - line).sum(-1)
        log = norm.logpdf(z) - squares / (2 * std**2) - np.log(2 * np.pi * std**2)
        return logsumexp(log, axis=1) + np.log(z[1] - z[0])

    net = VAE(2, 1, (64,))
    train(net, draw(20_000), 1500)
    x = draw(1000)
    likelihood = log_density(x).mean()
    normal = MultivariateNormal(x.mean(0), x.T.cov()).log_prob(x).mean().item()
    reached = bound(net, x)
    assert normal + 1.8 < likelihood - 0.05 < reached < likelihood + 0.01
    with torch.no_grad():
        samples = net.sample(torch.randn(1000, 1), torch.randn(1000, 2))
    # What it makes is likely as well: the entropy is that of the data.
    assert log_density(samples).mean() == pytest.approx(likelihood, abs=0.1)
    assert torch.equal(net.sample(torch.ones(1, 1)), net.decoder(torch.ones(1, 1)))


def encoder_with_a_readout() -> GaussianEncoder:
    """One whose last map is not 0, as it is at first."""
    torch.manual_seed(0)
    net = GaussianEncoder(3, 2, 8, latent=4, config=SMALL)
    nn.init.normal_(net.readout.weight)
    return net.eval()


def test_encoder_begins_with_the_standard_normal() -> None:
    net = GaussianEncoder(3, 2, 8)
    mean, logvar = net(torch.randn(5, 3), torch.randn(5, 8, 2))
    assert mean.shape == logvar.shape == (5, 32)
    assert (mean == 0).all() and (logvar == 0).all()


def test_encoder_reads_condition_elements_and_their_order_but_no_filling() -> None:
    net = encoder_with_a_readout()
    condition, sequence = torch.randn(4, 3), torch.randn(4, 6, 2)
    padding = torch.arange(6) >= torch.tensor([6, 4, 2, 1])[:, None]
    mean, logvar = net(condition, sequence, padding)
    junk = torch.where(padding[..., None], torch.full_like(sequence, 1e3), sequence)
    for a, b in zip(net(condition, junk, padding), (mean, logvar), strict=True):
        torch.testing.assert_close(a, b)
    alone = net(condition[2:3], sequence[2:3, :2])
    torch.testing.assert_close(alone[0], mean[2:3], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone[1], logvar[2:3], atol=1e-5, rtol=1e-5)

    def change(other: tuple[Tensor, Tensor]) -> float:
        return (other[0] - mean)[:2].abs().amin(0).max().item()

    assert change(net(condition + 1, sequence, padding)) > 0.01
    assert change(net(condition, sequence + 1, padding)) > 0.01
    swapped = sequence[:, [1, 0, 2, 3, 4, 5]]
    assert change(net(condition, swapped, padding)) > 0.01


def test_encoder_refuses_a_longer_sequence() -> None:
    with pytest.raises(UsageError, match="at most 8, got 9: build it longer"):
        GaussianEncoder(3, 2, 8)(torch.zeros(1, 3), torch.zeros(1, 9, 2))


class Decoder(nn.Module):
    """A perceptron for chunks of 5 pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(1 + 2, 10, (64,))

    def forward(self, condition: Tensor, z: Tensor) -> Tensor:
        return self.net(torch.cat((condition, z), -1)).unflatten(-1, (5, 2))


def test_cvae_tells_two_manners_apart() -> None:
    """A ramp as steep as the condition, up or down at random: who knows the condition
    alone can do no better than 0, at an error of the ramp's size."""
    torch.manual_seed(0)

    def draw(n: int) -> tuple[Tensor, Tensor, Tensor]:
        condition = 1 + torch.rand(n, 1)
        sign = 2.0 * torch.randint(2, (n, 1, 1)) - 1
        ramp = torch.linspace(0.2, 1, 5)[:, None].expand(5, 2)
        return condition, sign * condition[..., None] * ramp, sign.flatten()

    padding = (torch.arange(5) >= 4).expand(128, 5)  # the last one is not seen
    net = CVAE(GaussianEncoder(1, 2, 5, latent=2, config=SMALL), Decoder())
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(400):
        condition, sequence, _ = draw(128)
        out, mean, logvar = net(condition, sequence, padding)
        error = (out - sequence).abs().mean()
        optimizer.zero_grad()
        (error + 0.01 * kl_to_standard(mean, logvar)).backward()
        optimizer.step()
    with torch.no_grad():
        condition, sequence, sign = draw(128)
        out, mean, logvar = net(condition, sequence, padding)
        assert (out - sequence).abs().mean() < 0.15 < sequence.abs().mean() / 4
        assert kl_to_standard(mean, logvar) > 0.5 * np.log(2)  # a bit, at best
        up = net.predict(condition, mean[sign > 0].mean(0).expand(128, 2))
        down = net.predict(condition, mean[sign < 0].mean(0).expand(128, 2))
        ramp = sequence * sign[:, None, None]
        assert (up - ramp).abs().mean() < 0.15
        assert (down + ramp).abs().mean() < 0.15
        neutral = net.predict(condition)
        zero = net.predict(condition, torch.zeros(128, 2))
        assert torch.equal(neutral, zero) and neutral.shape == (128, 5, 2)
