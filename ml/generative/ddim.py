"""Denoising diffusion implicit models: the same network, sampled in a few steps.

Song, Meng and Ermon 2021 (arXiv:2010.02502), equation 12:

    x_{k'} = sqrt(abar') x_0 + sqrt(1 - abar' - sigma^2) eps + sigma z
    sigma = eta sqrt((1 - abar') / (1 - abar)) sqrt(1 - abar / abar')      (16)

for a jump from step k to an earlier k' (primed), with x_0 and the noise eps as
predicted at k. Nothing is random with eta = 0; with eta = 1 the variance is that of
DDPM. Where x_0 is clipped, eps stays as predicted, as in diffusers and in Diffusion
Policy, so that the two no longer add up to x_k; ``rederive`` takes eps from the clipped
x_0 instead.
"""

import math

import torch
from torch import Tensor

from assets.errors import UsageError
from ml.generative.ddpm import check_prediction, predicted_data, predicted_noise
from ml.generative.denoiser import Field
from ml.generative.noise_schedule import NoiseSchedule, sampled_steps


def sample_ddim(
    field: Field,
    noise: Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int = 10,
    eta: float = 0.0,
    prediction: str = "epsilon",
    clip: float | None = 1.0,
    rederive: bool = False,
    spacing: str = "trailing",
    generator: torch.Generator | None = None,
    trace: list[Tensor] | None = None,
) -> Tensor:
    """From noise to data in a few steps.

    Args:
        field: the network, its condition settled.
        noise: (B, ...): where to begin, standard normal.
        schedule: the one it was trained with.
        steps: how many to visit.
        eta: from 0 (nothing is drawn on the way) to 1.
        prediction: what the network says, see :mod:`ml.generative.ddpm`.
        clip: predicted data are kept in [-clip, clip]; None lets them be.
        rederive: whether the noise is taken from the clipped data.
        spacing: which steps, see :func:`ml.generative.noise_schedule.sampled_steps`.
        generator: of the noise on the way.
        trace: gets x after each step.

    Returns:
        (B, ...).

    Raises:
        UsageError: unknown prediction or spacing, no such number of steps, or an eta
            outside [0, 1].
    """
    check_prediction(prediction)
    if not 0 <= eta <= 1:
        raise UsageError(f"eta is in 0 to 1, got {eta:g}")
    visited = sampled_steps(schedule.steps, steps, spacing)
    x = noise
    for step, before in zip(visited, [*visited[1:], -1], strict=True):
        bar, last = schedule.bar(step), schedule.bar(before)
        output = field(x, x.new_full((len(x),), schedule.time(step)))
        data = predicted_data(output, x, bar, prediction)
        epsilon = predicted_noise(output, x, bar, prediction)
        if clip is not None:
            data = data.clamp(-clip, clip)
            if rederive:
                epsilon = predicted_noise(data, x, bar, "sample")
        sigma = eta * math.sqrt((1 - last) / (1 - bar) * (1 - bar / last))
        x = math.sqrt(last) * data + math.sqrt(1 - last - sigma**2) * epsilon
        if sigma > 0:
            fresh = torch.randn(
                x.shape, generator=generator, dtype=x.dtype, device=x.device
            )
            x = x + sigma * fresh
        if trace is not None:
            trace.append(x)
    return x
