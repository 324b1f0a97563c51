"""Networks whose weights, features and gradients keep their size: those of FlashSAC.

A linear layer into a residual stream; blocks that widen it fourfold and narrow it
again, each product followed by batch norm and ReLU; RMS norm at the end. Every row of
every weight has length 1, and each norm's gains and biases have length sqrt(size)
together: an optimiser's step is followed by :func:`project`, so that a learning rate
means the same angle throughout a training. FlashSAC (Holiday Robotics 2026), after
BatchNorm in critics by Bhatt et al. 2024, "CrossQ" (arXiv:1902.05605), and
hyperspherical weights by Lee et al. 2025, "SimbaV2" (arXiv:2502.15280).

Batch norm makes a row's result depend on the rows beside it. Whether it takes the
batch's statistics or the running ones is therefore an argument, ``learn``, and not a
module's mode: the same weights act in an environment while they are trained.

Critics stand side by side as modules of their own, unlike
:class:`~policies.rl.networks.Critics`: torch's batch norm is one kernel for rows of
features, and on a CPU it takes a tenth of the time that mean and variance over the
middle axis of a stack do (0.2 against 3 ms for 512 x 1024).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from policies.rl.networks import squash
from policies.rl.policy import Actor

WIDEN = 4
"""How much wider a block is inside."""
MOMENTUM = 0.01
"""Part of the running statistics that a batch replaces."""
TINY = 1e-8
ALL = slice(None)


class UnitLinear(nn.Module):
    """A linear layer, each of whose outputs has a weight of length 1."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        """Orthogonal; a bias of zeros, which is free."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.orthogonal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, outputs)"""
        return F.linear(x, self.weight, self.bias)

    def project(self) -> None:
        """Make the length 1 again."""
        self.weight.div_(self.weight.norm(dim=1, keepdim=True).clamp(min=TINY))


class UnitBatchNorm(nn.Module):
    """Batch norm, whose gains and biases together have length sqrt(size)."""

    mean: Tensor
    var: Tensor

    def __init__(self, size: int) -> None:
        """Gains of 1, biases of 0."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))

    def forward(self, x: Tensor, learn: bool) -> Tensor:
        """(rows, size), out and in; ``learn``: by the batch's own statistics."""
        return F.batch_norm(
            x, self.mean, self.var, self.gain, self.bias, learn, MOMENTUM, 1e-5
        )

    def project(self) -> None:
        """Make the length sqrt(size) again."""
        square = self.gain.square().sum() + self.bias.square().sum()
        factor = math.sqrt(len(self.gain)) * torch.rsqrt(square + TINY)
        self.gain.mul_(factor)
        self.bias.mul_(factor)


class UnitRMSNorm(nn.Module):
    """Root mean square norm (Zhang and Sennrich 2019, arXiv:1910.07467), likewise."""

    def __init__(self, size: int) -> None:
        """Gains of 1."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, size), out and in."""
        return F.rms_norm(x, self.gain.shape, self.gain, eps=1e-6)

    def project(self) -> None:
        """Make the length sqrt(size) again."""
        square = self.gain.square().sum()
        self.gain.mul_(math.sqrt(len(self.gain)) * torch.rsqrt(square + TINY))


@torch.no_grad()
def project(*networks: nn.Module) -> None:
    """Bring all weights back to their lengths."""
    for network in networks:
        for one in network.modules():
            if isinstance(one, UnitLinear | UnitBatchNorm | UnitRMSNorm):
                one.project()


class Block(nn.Module):
    """Widen, narrow, add to what came in."""

    def __init__(self, size: int) -> None:
        """Build the layers."""
        super().__init__()
        self.widen = UnitLinear(size, WIDEN * size)
        self.wide_norm = UnitBatchNorm(WIDEN * size)
        self.narrow = UnitLinear(WIDEN * size, size)
        self.norm = UnitBatchNorm(size)

    def forward(self, x: Tensor, learn: bool) -> Tensor:
        """(rows, size), out and in."""
        y = F.relu(self.wide_norm(self.widen(x), learn))
        return x + F.relu(self.norm(self.narrow(y), learn))


class ResidualTrunk(nn.Module):
    """From inputs to features."""

    def __init__(self, inputs: int, hidden: Sequence[int]) -> None:
        """Build it.

        Args:
            inputs: elements of a row.
            hidden: width of the stream at each block, the same for all.
        """
        super().__init__()
        size = hidden[0]
        self.input_norm = UnitBatchNorm(inputs)
        self.embed = UnitLinear(inputs, size)
        self.blocks = nn.ModuleList(Block(size) for _ in hidden)
        self.norm = UnitRMSNorm(size)

    def forward(self, x: Tensor, *, learn: bool, rows: slice = ALL) -> Tensor:
        """(all, inputs) -> (rows, hidden[-1]): those that are asked for; the others
        count in the batch's statistics alone."""
        x = self.embed(self.input_norm(x, learn))
        for block in self.blocks:
            x = block(x, learn)
        return self.norm(x[rows].float())


class ResidualActor(nn.Module):
    """tanh of a Gaussian whose mean and spread depend on the observation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        log_std: tuple[float, float] = (-10.0, 2.0),
    ) -> None:
        """Build with random weights; the spread stays within bounds."""
        super().__init__()
        self.trunk = ResidualTrunk(inputs, hidden)
        self.mean = UnitLinear(hidden[-1], outputs, bias=True)
        self.log_std = UnitLinear(hidden[-1], outputs, bias=True)
        self.bounds = log_std
        project(self)

    def forward(
        self, x: Tensor, *, learn: bool = False, rows: slice = ALL
    ) -> tuple[Tensor, Tensor]:
        """(all, inputs) -> mean and log of the spread of (rows, outputs), before the
        tanh."""
        y = self.trunk(x, learn=learn, rows=rows)
        low, high = self.bounds
        log_std = low + 0.5 * (high - low) * (torch.tanh(self.log_std(y)) + 1)
        return self.mean(y), log_std

    def sample(
        self, x: Tensor, noise: Tensor, *, learn: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Actions in [-1, 1] and the log of their density, differentiable.

        Args:
            x: (all, inputs).
            noise: (rows, outputs) standard normal, for the leading rows.
            learn: whether norms go by the batch.

        Returns:
            (rows, outputs) and (rows,)
        """
        mean, log_std = self(x, learn=learn, rows=slice(len(noise)))
        return squash(mean.float(), log_std.float(), noise)


class ResidualCritics(nn.Module):
    """Several networks of (observation, action)."""

    def __init__(
        self, count: int, inputs: int, outputs: int, hidden: Sequence[int]
    ) -> None:
        """Build ``count`` of them.

        Args:
            count: how many.
            inputs: elements of observation and action together.
            outputs: atoms of a distribution.
            hidden: as of :class:`ResidualTrunk`.
        """
        super().__init__()
        self.trunks = nn.ModuleList(ResidualTrunk(inputs, hidden) for _ in range(count))
        self.heads = nn.ModuleList(
            UnitLinear(hidden[-1], outputs, bias=True) for _ in range(count)
        )
        project(self)

    def forward(
        self, obs: Tensor, action: Tensor, *, learn: bool, rows: slice = ALL
    ) -> Tensor:
        """(all, critic), (all, action) -> (count, rows, outputs)"""
        x = torch.cat((obs, action), dim=-1)
        pairs = zip(self.trunks, self.heads, strict=True)
        return torch.stack(
            [head(trunk(x, learn=learn, rows=rows)) for trunk, head in pairs]
        )


def build_actor(about: dict[str, Any], inputs: int, outputs: int) -> Actor:
    """See :func:`policies.rl.policy.build_actor`."""
    policy = ResidualActor(inputs, outputs, about["hidden"], tuple(about["log_std"]))
    return Actor(nn.Identity(), policy)
