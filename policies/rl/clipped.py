"""A Gaussian policy without a tanh: that of PPO.

Its spread is the same for all observations, and actions outside of the limits are
clipped when they are executed.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from policies.rl.networks import RunningNorm
from policies.rl.policy import Actor

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "elu": nn.ELU}


class GaussianPolicy(nn.Module):
    """A mean that depends on the observation, and a spread that does not."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        activation: str,
        std: float = 1.0,
    ) -> None:
        """Means begin near 0."""
        super().__init__()
        self.mean = perceptron(inputs, outputs, hidden, activation, 0.01)
        self.log_std = nn.Parameter(torch.full((outputs,), math.log(std)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> mean (..., outputs)"""
        return self.mean(x)


class ClippedActor(Actor):
    """Observation -> the mean, within the limits."""

    def forward(self, x: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, action)"""
        return self.policy(self.norm(x)).clamp(-1, 1)


def build_actor(about: dict[str, Any], inputs: int, outputs: int) -> Actor:
    """See :func:`policies.rl.policy.build_actor`."""
    policy = GaussianPolicy(inputs, outputs, about["hidden"], about["activation"])
    return ClippedActor(RunningNorm(inputs, about["eps"]), policy)


def perceptron(
    inputs: int, outputs: int, hidden: Sequence[int], activation: str, gain: float
) -> nn.Sequential:
    """Orthogonal layers with a gain of sqrt(2), and ``gain`` for the last; biases of 0
    (Engstrom et al. 2020, arXiv:2005.12729)."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *hidden]):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    layers.append(nn.Linear(hidden[-1], outputs))
    for layer in layers[::2]:
        assert isinstance(layer, nn.Linear)
        last = layer is layers[-1]
        nn.init.orthogonal_(layer.weight, gain if last else math.sqrt(2))
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def density(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Logarithm of the Gaussian's density, (..., action) -> (...)."""
    off = (action - mean) * (-log_std).exp()
    return (-0.5 * off.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
