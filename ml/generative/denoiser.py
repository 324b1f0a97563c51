"""What every generative model here shares: how a network is called, and with what time.

Time is one number in [0, 1] for diffusion and for flow matching alike, and 1 is noise,
as in openpi. So one network, with one embedding of time, serves both; step k of a
diffusion with K steps has time (k + 1) / K.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> (B, ...): a denoiser whose condition is settled. What it
predicts (noise, data, velocity) is known to whoever calls it."""


class Denoiser(Protocol):
    """A network that predicts from a noisy sample, its time and a condition."""

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """(B, T, A), (B,) in [0, 1], (B, C) -> (B, T, A)."""
        ...


class Example(NamedTuple):
    """What a denoiser is trained on: it sees ``x`` and ``t``, and should say
    ``target``."""

    x: Tensor
    """(B, ...): the noisy sample."""
    t: Tensor
    """(B,): its time, in [0, 1]."""
    target: Tensor
    """(B, ...)."""


def bind(denoiser: Denoiser, condition: Tensor) -> Field:
    """The denoiser for one condition (B, C), which is what samplers take."""
    return lambda x, t: denoiser(x, t, condition)


def stretch(t: Tensor, x: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..., 1): as many dimensions as x, so that the two multiply."""
    return t.reshape(-1, *[1] * (x.ndim - 1))
