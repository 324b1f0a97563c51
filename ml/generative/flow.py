"""Conditional flow matching: straight paths between noise and data.

Lipman et al. 2023 (arXiv:2210.02747) with the linear path of rectified flow (Liu et al.
2023, arXiv:2209.03003), in the convention of openpi's code, where t = 1 is noise (the
paper of pi0, arXiv:2410.24164, has it the other way round):

    x_t = t noise + (1 - t) data,    dx_t/dt = noise - data

The network learns the mean of the latter given x_t, which is the velocity that carries
the distribution of noise to that of data; :mod:`ml.generative.ode` follows it down
from t = 1 to 0.

Which t are learned most is a choice of density. "beta" is pi0's (appendix B):
t = 0.001 + 0.999 Beta(1.5, 1), more often near noise, where an action is decided, than
near data, where it is only polished. "logit_normal" stresses the middle (Esser et al.
2024, arXiv:2403.03206, section 3.1).
"""

import torch
from torch import Tensor

from assets.errors import unknown
from ml.generative.denoiser import Example, Field, stretch
from ml.generative.ode import integrate

DENSITIES = ("beta", "uniform", "logit_normal")
FIRST = 1e-3
"""Smallest time of "beta"."""


def draw_times(
    count: int,
    density: str = "beta",
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Times to learn at.

    Args:
        count: B, how many.
        density: one of :data:`DENSITIES`.
        generator: to draw from; on ``device``.
        device: of the result.
        dtype: of the result.

    Returns:
        (B,) in [0, 1].

    Raises:
        UsageError: unknown density.
    """
    if density not in DENSITIES:
        raise unknown("density of times", density, DENSITIES)
    place = {"generator": generator, "device": device, "dtype": dtype}
    if density == "logit_normal":
        return torch.randn(count, **place).sigmoid()
    uniform = torch.rand(count, **place)
    if density == "uniform":
        return uniform
    # Beta(a, 1) has the distribution function t^a, which is easily inverted.
    return FIRST + (1 - FIRST) * uniform ** (1 / 1.5)


def interpolate(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t: data and noise (B, ...), times (B,) -> (B, ...)."""
    t = stretch(t, data)
    return t * noise + (1 - t) * data


def draw_example(
    data: Tensor,
    *,
    density: str = "beta",
    generator: torch.Generator | None = None,
) -> Example:
    """A point on the way and its velocity, for each row of data.

    The loss is the mean square of the network's error.

    Args:
        data: (B, ...).
        density: of the times; one of :data:`DENSITIES`.
        generator: of times and noise; on the data's device.

    Raises:
        UsageError: unknown density.
    """
    place = {"generator": generator, "device": data.device, "dtype": data.dtype}
    t = draw_times(len(data), density, **place)
    noise = torch.randn(data.shape, **place)
    return Example(interpolate(data, noise, t), t, noise - data)


def predicted_data(velocity: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Where a straight path with this velocity ends: the data at t = 0."""
    return x - stretch(t, x) * velocity


def predicted_noise(velocity: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Where it came from: the noise at t = 1."""
    return x + (1 - stretch(t, x)) * velocity


def sample_flow(
    field: Field,
    noise: Tensor,
    *,
    steps: int = 10,
    solver: str = "euler",
    trace: list[Tensor] | None = None,
) -> Tensor:
    """From noise to data.

    Args:
        field: the velocity, its condition settled.
        noise: (B, ...): where to begin, standard normal.
        steps: of the solver.
        solver: see :data:`ml.generative.ode.SOLVERS`.
        trace: gets x after each step.

    Returns:
        (B, ...).

    Raises:
        UsageError: unknown solver, or no steps.
    """
    return integrate(field, noise, steps=steps, solver=solver, trace=trace)
