"""Networks of off-policy learners: actors with and without a spread, critics side by
side.

Layers are linear, layer norm, SiLU: layer norm keeps a critic that is trained on its
own guesses from growing without bound (Ba et al. 2016, arXiv:1607.06450; Ball et al.
2023, arXiv:2302.02948). The plain algorithms of before do without it, and take ReLU.
Several critics are one module whose weights have a leading axis, so that they cost one
kernel and not one each.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU}
"""Between layers, by name."""


FARTHEST = 10.0
"""From the mean that a normalised element can be, in units of the spread."""


class RunningNorm(nn.Module):
    """Brings rows to mean 0 and spread 1 by the statistics of all rows seen so far.

    The parallel update of Chan, Golub and LeVeque (1979). ``eps`` is added to the
    spread, so that an element that hardly varies is not blown up, and what lies further
    out than :data:`FARTHEST` counts as that: a command that never varied in training
    must not arrive as a huge number when it first does.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, size: int, eps: float = 1e-2) -> None:
        """Nothing is seen yet: rows pass as they are."""
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Take in rows (n, size)."""
        n = rows.shape[0]
        total = self.count + n
        off = rows.mean(0) - self.mean
        spread = self.var * self.count + rows.var(0, correction=0) * n
        spread = spread + off.square() * (self.count * n / total)
        self.mean.add_(off * (n / total))
        self.var.copy_(spread / total)
        self.count.copy_(total)

    def forward(self, rows: Tensor) -> Tensor:
        """(..., k) for any k up to size: the leading elements alone."""
        k = rows.shape[-1]
        y = (rows - self.mean[:k]) / (self.var[:k].sqrt() + self.eps)
        return y.clamp(-FARTHEST, FARTHEST)

    def front(self, size: int) -> "RunningNorm":
        """A copy of what it knows of the leading elements."""
        other = RunningNorm(size, self.eps).to(self.mean.device)
        other.mean.copy_(self.mean[:size])
        other.var.copy_(self.var[:size])
        other.count.copy_(self.count)
        return other


class Trunk(nn.Module):
    """Linear layers, each with layer norm and an activation."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        layer_norm: bool,
        activation: str = "silu",
    ) -> None:
        """Build the layers.

        Args:
            inputs: elements of a row.
            hidden: width of each layer.
            layer_norm: whether there is one; else the linear layer's output is used.
            activation: of :data:`ACTIVATIONS`.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *hidden]):
            layers.append(nn.Linear(before, after))
            if layer_norm:
                layers.append(nn.LayerNorm(after))
            layers.append(ACTIVATIONS[activation]())
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., hidden[-1])"""
        return self.layers(x)


class GaussianActor(nn.Module):
    """tanh of a Gaussian whose mean and spread depend on the observation.

    The spread lies within bounds by a tanh of its own. Both heads begin at zero: the
    first actions are ``tanh(N(0, exp((low + high) / 2)))`` wherever the robot is, small
    ones around its posture (Seo et al. 2025, arXiv:2512.01996).

    The actor of Haarnoja et al. 2018 is ``plain``: its spread is cut off at the bounds,
    and its heads begin like any other layer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        *,
        layer_norm: bool = True,
        log_std: tuple[float, float] = (-5.0, 0.0),
        activation: str = "silu",
        plain: bool = False,
    ) -> None:
        """Build with random layers, and heads of zeros unless it is plain."""
        super().__init__()
        self.trunk = Trunk(inputs, hidden, layer_norm, activation)
        self.mean = nn.Linear(hidden[-1], outputs)
        self.log_std = nn.Linear(hidden[-1], outputs)
        self.bounds, self.plain = log_std, plain
        for head in () if plain else (self.mean, self.log_std):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, inputs) -> mean and log of the spread, before the tanh."""
        y = self.trunk(x)
        low, high = self.bounds
        if self.plain:
            return self.mean(y), self.log_std(y).clamp(low, high)
        spread = torch.tanh(self.log_std(y).float())
        return self.mean(y).float(), low + 0.5 * (high - low) * (spread + 1)

    def sample(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions in [-1, 1] and the log of their density.

        Args:
            x: (rows, inputs).
            noise: (rows, outputs) standard normal.

        Returns:
            (rows, outputs) and (rows,), differentiable through both.
        """
        mean, log_std = self(x)
        return squash(mean, log_std, noise)


class DeterministicActor(nn.Module):
    """One action for an observation, before the tanh."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        *,
        layer_norm: bool = False,
        activation: str = "relu",
    ) -> None:
        """Build with random layers; see :class:`Trunk`."""
        super().__init__()
        self.trunk = Trunk(inputs, hidden, layer_norm, activation)
        self.mean = nn.Linear(hidden[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, outputs), whose tanh is the action."""
        return self.mean(self.trunk(x))


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """tanh(mean + std noise), and the log of its density.

    Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, with the logarithm of tanh's
    derivative written so that it does not cancel: log(1 - tanh(u)^2) = 2 (log 2 - u -
    softplus(-2 u)).
    """
    u = mean + log_std.exp() * noise
    density = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    slope = 2 * (math.log(2) - u - F.softplus(-2 * u))
    return torch.tanh(u), (density - slope).sum(-1)


class ParallelLinear(nn.Module):
    """``count`` linear layers: (count | 1, rows, inputs) -> (count, rows, outputs)."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        """Each begins as :class:`torch.nn.Linear` does."""
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(count, 1, outputs))
        for values in (self.weight, self.bias):
            nn.init.uniform_(values, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.baddbmm(self.bias, x.expand(len(self.weight), -1, -1), self.weight)


class ParallelNorm(nn.Module):
    """Layer norm over the last axis, with gains and biases of each."""

    def __init__(self, count: int, size: int) -> None:
        """Gains of 1, biases of 0."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(count, 1, size))
        self.bias = nn.Parameter(torch.zeros(count, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """(count, rows, size), out and in."""
        normed = F.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias, normed, self.gain)


class Critics(nn.Module):
    """Several networks of (observation, action), trained side by side."""

    def __init__(
        self,
        count: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        *,
        layer_norm: bool = True,
        activation: str = "silu",
    ) -> None:
        """Build ``count`` of them.

        Args:
            count: how many.
            inputs: elements of observation and action together.
            outputs: 1, or the atoms of a distribution.
            hidden: width of each layer.
            layer_norm: as for :class:`Trunk`.
            activation: likewise.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *hidden]):
            layers.append(ParallelLinear(count, before, after))
            if layer_norm:
                layers.append(ParallelNorm(count, after))
            layers.append(ACTIVATIONS[activation]())
        layers.append(ParallelLinear(count, hidden[-1], outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """(rows, critic), (rows, action) -> (count, rows, outputs)"""
        return self.layers(torch.cat((obs, action), dim=-1)[None])


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, tau: float | Tensor) -> None:
    """Move a target's weights a part ``tau`` of the way to the source's."""
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.lerp_(new, tau)


class Average(nn.Module):
    """The running mean of another network's weights: of about the last tenth of its
    updates, and of no more than ``span``.

    An actor that goes on learning wanders about the policy that it is after; the mean
    of where it has been is nearer to that than where it happens to be (Polyak and
    Juditsky 1992).

    Unlike :class:`ml.ema.EMA` it counts its updates on the device, since a recorded
    graph of a GPU would repeat a number of Python's.
    """

    count: Tensor

    def __init__(self, network: nn.Module, span: float) -> None:
        """Begin with its present weights.

        Args:
            network: whose weights are averaged.
            span: of the window, which fades out and has no edge [updates].
        """
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.span = span
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in its weights after another update."""
        self.count.add_(1)
        new = (10 / (self.count + 9)).clamp(min=1 / self.span, max=1.0)
        follow(self.network, network, new)
