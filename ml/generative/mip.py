"""Minimal iterative policy: a regression, and one correction of its own answer.

Pan et al. 2025 ("Much ado about noising"): most of what flows give imitation comes from
computing in steps that are each supervised, with some noise between, not from modelling
a distribution. Two steps do: with a fixed tau* (0.9),

    a_0 = pi(0, tau = 0, o),    a = pi(a_0, tau = tau*, o)
    loss = |pi(0, 0, o) - a|^2 / tau*^2
         + |pi(a + (1 - tau*) noise, tau*, o) - a|^2 / (1 - tau*)^2

The paper scales the second step's input, tau* a_0 and tau* a; the authors' code leaves
that out, as here: a_0 then is an action. Their code divides each error, not its square,
which is where the squares below come from.

Their tau is 0 where nothing is known, so the networks here, for which t = 1 is noise,
are told t = 1 - tau.
"""

import torch
from torch import Tensor

from assets.errors import UsageError
from ml.generative.denoiser import Field


def mip_errors(
    field: Field,
    data: Tensor,
    noise: Tensor,
    *,
    tau: float = 0.9,
) -> Tensor:
    """The loss of each element; its mean is what is minimised.

    Args:
        field: the network, its condition settled; it predicts data.
        data: (B, ...).
        noise: (B, ...): standard normal.
        tau: tau*, in (0, 1).

    Returns:
        (B, ...): of both steps together.

    Raises:
        UsageError: a tau outside (0, 1).
    """
    _check(tau)
    first = _at(field, torch.zeros_like(data), 0.0) - data
    second = _at(field, data + (1 - tau) * noise, tau) - data
    return (first / tau).square() + (second / (1 - tau)).square()


def sample_mip(field: Field, like: Tensor, *, tau: float = 0.9) -> Tensor:
    """Two calls of the network; nothing is random.

    Args:
        field: the network, its condition settled; it predicts data.
        like: (B, ...): whose shape, type and device the result has; its values do not
            matter.
        tau: the one it was trained with.

    Returns:
        (B, ...).

    Raises:
        UsageError: a tau outside (0, 1).
    """
    _check(tau)
    return _at(field, _at(field, torch.zeros_like(like), 0.0), tau)


def _at(field: Field, x: Tensor, tau: float) -> Tensor:
    return field(x, x.new_full((len(x),), 1 - tau))


def _check(tau: float) -> None:
    if not 0 < tau < 1:
        raise UsageError(f"tau of the second step is between 0 and 1, got {tau:g}")
