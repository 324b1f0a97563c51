"""Adversarial learning: what a discriminator and its opponent are told.

Goodfellow et al. 2014 (arXiv:1406.2661). All functions take logits, the discriminator
before its sigmoid, D = sigmoid(logit), so that nothing overflows: -log D is
softplus(-logit). D is the chance that a sample is real (an expert's); Ho and Ermon's
GAIL (2016, arXiv:1606.03476) has it the other way round.

Two remedies against a discriminator that is too sure: the label of real samples is a
little less than 1 (one-sided smoothing, Salimans et al. 2016, arXiv:1606.03498), and
the size of its gradient is held down: to 1 between real and fake samples (Gulrajani et
al. 2017, arXiv:1704.00028), or to 0 at real ones ("r1", Mescheder et al. 2018,
arXiv:1801.04406), or at real and fake ones ("both", the same paper's r1 + r2).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from assets.errors import UsageError, unknown

PENALTIES = ("interpolated", "r1", "both")
REWARDS = ("gail", "airl", "bounded")


def discriminator_loss(real: Tensor, fake: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy: real samples have label 1 - smoothing, fake ones 0.

    Args:
        real: logits of real samples, of any shape.
        fake: logits of the opponent's.
        smoothing: 0 to less than 0.5; only of the real label, since smoothing the other
            would reward fakes for staying where they are.

    Returns:
        The mean over real samples plus the mean over fake ones; a scalar.

    Raises:
        UsageError: no such smoothing.
    """
    if not 0 <= smoothing < 0.5:
        raise UsageError(f"label smoothing is in [0, 0.5), got {smoothing:g}")
    of_real = (1 - smoothing) * softplus(-real) + smoothing * softplus(real)
    return of_real.mean() + softplus(fake).mean()


def generator_loss(fake: Tensor, *, saturating: bool = False) -> Tensor:
    """What the opponent minimises; a scalar.

    Args:
        fake: logits of its samples.
        saturating: log(1 - D), the game's own value, whose gradient vanishes while the
            discriminator is right; or else -log D, which has the same solution.
    """
    return -softplus(fake).mean() if saturating else softplus(-fake).mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    kind: str = "interpolated",
    generator: torch.Generator | None = None,
) -> Tensor:
    """How far the discriminator's gradient is from the size it should have.

    Args:
        discriminator: (B, ...) -> logits (B,) or (B, 1).
        real: (B, ...).
        fake: (B, ...): as many; "r1" looks at the real ones only.
        kind: one of :data:`PENALTIES`.
        generator: of where between real and fake to look.

    Returns:
        The mean of (|gradient| - 1)^2 or of |gradient|^2 / 2 ("both": of all samples),
        to be weighted and added to the loss; differentiable.

    Raises:
        UsageError: unknown kind, or samples that do not pair up.
    """
    if kind not in PENALTIES:
        raise unknown("gradient penalty", kind, PENALTIES)
    if kind == "r1":
        return _slopes(discriminator, real).square().mean() / 2
    if kind == "both":
        return _slopes(discriminator, torch.cat([real, fake])).square().mean() / 2
    if real.shape != fake.shape:
        raise UsageError(
            f"the penalty looks between pairs of samples, got {tuple(real.shape)} real "
            f"and {tuple(fake.shape)} fake"
        )
    share = torch.rand(
        (len(real), *[1] * (real.ndim - 1)),
        generator=generator,
        device=real.device,
        dtype=real.dtype,
    )
    return (_slopes(discriminator, torch.lerp(real, fake, share)) - 1).square().mean()


def imitation_reward(logits: Tensor, kind: str = "gail") -> Tensor:
    """What imitating well is worth, from what the discriminator thinks.

    Args:
        logits: of the learner's samples.
        kind: "gail", -log(1 - D), never negative, so staying alive pays; "airl",
            log D - log(1 - D), the logit itself, of either sign (Fu et al. 2018,
            arXiv:1710.11248); "bounded", D, in [0, 1].

    Returns:
        Of the same shape.

    Raises:
        UsageError: unknown kind.
    """
    if kind not in REWARDS:
        raise unknown("imitation reward", kind, REWARDS)
    if kind == "airl":
        return logits
    return softplus(logits) if kind == "gail" else logits.sigmoid()


def _slopes(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(B,): the norm of the gradient of each logit by its sample."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        total = discriminator(x).sum()
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return gradient.flatten(1).norm(dim=1)
