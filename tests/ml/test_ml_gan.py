"""Adversarial losses against torch's binary cross-entropy and known gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from assets.errors import UsageError
from ml.generative.gan import (
    PENALTIES,
    REWARDS,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    imitation_reward,
)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def logits(n: int, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(
        n, generator=seeded().manual_seed(n), dtype=torch.float64
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_discriminator_loss_is_the_cross_entropy(smoothing: float) -> None:
    real, fake = logits(40), logits(70)
    expected = binary_cross_entropy_with_logits(
        real, torch.full_like(real, 1 - smoothing)
    ) + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    found = discriminator_loss(real, fake, smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    # The other, which sees probabilities:
    again = binary_cross_entropy(
        real.sigmoid(), torch.full_like(real, 1 - smoothing)
    ) + binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake))
    torch.testing.assert_close(found, again)


def test_generator_losses_are_cross_entropies() -> None:
    fake = logits(50)
    torch.testing.assert_close(
        generator_loss(fake),
        binary_cross_entropy_with_logits(fake, torch.ones_like(fake)),
    )
    torch.testing.assert_close(
        generator_loss(fake, saturating=True),
        -binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)),
    )
    sure = torch.tensor([-20.0], requires_grad=True)  # it knows the fake
    (slope,) = torch.autograd.grad(generator_loss(sure, saturating=True), sure)
    assert slope.abs() < 1e-8
    (slope,) = torch.autograd.grad(generator_loss(sure), sure)
    assert slope.item() == pytest.approx(-1)


def test_nothing_overflows() -> None:
    far = torch.tensor([1e4, -1e4], requires_grad=True)
    losses = [discriminator_loss(far, far, smoothing=0.1), generator_loss(far)]
    losses += [imitation_reward(far, kind).sum() for kind in REWARDS]
    for loss in losses:
        (slope,) = torch.autograd.grad(loss, far)
        assert loss.isfinite() and slope.isfinite().all()


def test_smoothing_bounds_how_sure_it_should_be() -> None:
    """The best logit of a real sample is log(0.9 / 0.1), not infinity."""
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = discriminator_loss(logit, torch.tensor([-50.0]), smoothing=0.1)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert logit.sigmoid().item() == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize("kind", PENALTIES)
def test_penalty_of_a_known_gradient(kind: str) -> None:
    """A linear discriminator's gradient is its weight, |w| = 5, everywhere."""
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 4.0]]))
    real, fake = (torch.randn(9, 2, generator=seeded()) for _ in range(2))
    found = gradient_penalty(net, real, fake, kind=kind, generator=seeded())
    assert found.item() == pytest.approx(16 if kind == "interpolated" else 12.5)
    found.backward()  # it pulls the weight itself
    slope = {"interpolated": 2 * 4 / 5, "r1": 1.0, "both": 1.0}[kind]
    torch.testing.assert_close(net.weight.grad, slope * net.weight.detach())


def test_penalties_look_where_they_say() -> None:
    """Of x^3 / 3 the slope is x^2: at real samples 1, at fake ones 4."""

    def cube(x: Tensor) -> Tensor:
        return x**3 / 3

    real, fake = torch.ones(5, 1), torch.full((15, 1), 2.0)
    assert gradient_penalty(cube, real, fake, kind="r1").item() == 0.5
    both = gradient_penalty(cube, real, fake, kind="both").item()
    assert both == pytest.approx((5 * 1 + 15 * 16) / 20 / 2)


def test_penalty_against_finite_differences() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    net = net.double()
    real, fake = (torch.randn(4, 3, 2, dtype=torch.float64) for _ in range(2))
    found = gradient_penalty(net, real, fake, generator=seeded())
    share = torch.rand(4, 1, 1, generator=seeded(), dtype=torch.float64)
    x, h = real + share * (fake - real), 1e-6
    with torch.no_grad():
        slopes = torch.zeros(4, 6, dtype=torch.float64)
        for i in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[i] = h
            step = step.reshape(3, 2)
            slopes[:, i] = (net(x + step) - net(x - step))[:, 0] / (2 * h)
        expected = (slopes.norm(dim=1) - 1).square().mean()
    assert found.item() == pytest.approx(expected.item(), abs=1e-8)


def test_rewards_are_what_they_say() -> None:
    x = logits(30)
    d = x.sigmoid()
    expected = {"gail": -(1 - d).log(), "airl": d.log() - (1 - d).log(), "bounded": d}
    for kind in REWARDS:
        torch.testing.assert_close(imitation_reward(x, kind), expected[kind])
    assert (imitation_reward(x, "gail") >= 0).all()


def test_the_best_discriminator_is_the_ratio_of_densities() -> None:
    """Of N(1, 1) against N(-1, 1): the logit is 2 x (Goodfellow et al., prop. 1)."""
    draw = seeded()
    net = nn.Linear(1, 1).double()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=100)
    real, fake = (
        torch.randn(20_000, 1, generator=draw, dtype=torch.float64) + mean
        for mean in (1, -1)
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = discriminator_loss(net(real), net(fake))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert net.weight.item() == pytest.approx(2, abs=0.08)
    assert net.bias.item() == pytest.approx(0, abs=0.08)


def test_what_cannot_work_is_refused() -> None:
    x = torch.zeros(3, 2)
    with pytest.raises(UsageError, match=r"\[0, 0.5\), got 0.7"):
        discriminator_loss(x, x, smoothing=0.7)
    with pytest.raises(UsageError, match="unknown gradient penalty"):
        gradient_penalty(nn.Linear(2, 1), x, x, kind="wgan")
    with pytest.raises(UsageError, match="pairs of samples"):
        gradient_penalty(nn.Linear(2, 1), x, x[:2])
    with pytest.raises(UsageError, match="Did you mean 'gail'"):
        imitation_reward(x, "gayl")
