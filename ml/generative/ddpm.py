"""Denoising diffusion: the way to noise, what is learned, and the way back.

Ho, Jain and Abbeel 2020 (arXiv:2006.11239). The network predicts one of three things,
each of which, with x_k, says the other two:

    "epsilon"        the noise (their section 3.2)
    "sample"         the data x_0
    "v_prediction"   v = sqrt(abar) noise - sqrt(1 - abar) x_0
                     (Salimans and Ho 2022, arXiv:2202.00512, appendix D)

The way back draws x_{k-1} from q(x_{k-1} | x_k, x_0) with the predicted x_0 (equation
7), whose variance is beta_k (1 - abar_{k-1}) / (1 - abar_k): "fixed_small".
"""

import math

import torch
from torch import Tensor

from assets.errors import unknown
from ml.generative.denoiser import Example, Field
from ml.generative.noise_schedule import NoiseSchedule, sampled_steps

PREDICTIONS = ("epsilon", "sample", "v_prediction")


def add_noise(
    schedule: NoiseSchedule, data: Tensor, noise: Tensor, step: Tensor
) -> Tensor:
    """Draw from q(x_k | x_0): data and noise (B, ...), steps (B,) -> (B, ...)."""
    signal, sigma = schedule.factors(step, data)
    return signal * data + sigma * noise


def training_target(
    schedule: NoiseSchedule,
    prediction: str,
    data: Tensor,
    noise: Tensor,
    step: Tensor,
) -> Tensor:
    """What the network should say.

    Args:
        schedule: of the noise.
        prediction: one of :data:`PREDICTIONS`.
        data: (B, ...).
        noise: (B, ...): what was added.
        step: (B,) integers.

    Raises:
        UsageError: unknown prediction.
    """
    check_prediction(prediction)
    if prediction == "epsilon":
        return noise
    if prediction == "sample":
        return data
    signal, sigma = schedule.factors(step, data)
    return signal * noise - sigma * data


def draw_example(
    schedule: NoiseSchedule,
    data: Tensor,
    *,
    prediction: str = "epsilon",
    generator: torch.Generator | None = None,
) -> Example:
    """A noisy sample at a uniformly drawn step, and its target, for each row of data.

    The loss is the mean square of the network's error (equation 14).

    Raises:
        UsageError: unknown prediction.
    """
    step = torch.randint(
        schedule.steps, (len(data),), generator=generator, device=data.device
    )
    noise = torch.randn(
        data.shape, generator=generator, dtype=data.dtype, device=data.device
    )
    return Example(
        add_noise(schedule, data, noise, step),
        (step + 1).to(data.dtype) / schedule.steps,
        training_target(schedule, prediction, data, noise, step),
    )


def predicted_data(
    output: Tensor, x: Tensor, alpha_bar: float, prediction: str
) -> Tensor:
    """What the network's output says of x_0.

    Args:
        output: of the network.
        x: what it saw.
        alpha_bar: of that step.
        prediction: what the output is; one of :data:`PREDICTIONS`.
    """
    signal, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    if prediction == "epsilon":
        return (x - sigma * output) / signal
    if prediction == "sample":
        return output
    return signal * x - sigma * output


def predicted_noise(
    output: Tensor, x: Tensor, alpha_bar: float, prediction: str
) -> Tensor:
    """What it says of the noise, with the arguments of :func:`predicted_data`."""
    signal, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    if prediction == "epsilon":
        return output
    if prediction == "sample":
        return (x - signal * output) / sigma
    return signal * output + sigma * x


def sample_ddpm(
    field: Field,
    noise: Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int | None = None,
    prediction: str = "epsilon",
    clip: float | None = 1.0,
    spacing: str = "trailing",
    generator: torch.Generator | None = None,
    trace: list[Tensor] | None = None,
) -> Tensor:
    """From noise to data by ancestral sampling (their algorithm 2).

    Args:
        field: the network, its condition settled.
        noise: (B, ...): where to begin, standard normal.
        schedule: the one it was trained with.
        steps: how many to visit; all if not given.
        prediction: what the network says; one of :data:`PREDICTIONS`.
        clip: predicted data are kept in [-clip, clip]; None lets them be.
        spacing: which steps, see :func:`ml.generative.noise_schedule.sampled_steps`.
        generator: of the noise on the way.
        trace: gets x after each step.

    Returns:
        (B, ...).

    Raises:
        UsageError: unknown prediction or spacing, or no such number of steps.
    """
    check_prediction(prediction)
    visited = sampled_steps(
        schedule.steps, schedule.steps if steps is None else steps, spacing
    )
    x = noise
    for step, before in zip(visited, [*visited[1:], -1], strict=True):
        bar, last = schedule.bar(step), schedule.bar(before)
        output = field(x, x.new_full((len(x),), schedule.time(step)))
        data = predicted_data(output, x, bar, prediction)
        if clip is not None:
            data = data.clamp(-clip, clip)
        beta = 1 - bar / last  # of the jump from `before` to `step`
        x = (math.sqrt(last) * beta / (1 - bar)) * data + (
            math.sqrt(bar / last) * (1 - last) / (1 - bar)
        ) * x
        if before >= 0:
            fresh = torch.randn(
                x.shape, generator=generator, dtype=x.dtype, device=x.device
            )
            x = x + math.sqrt(beta * (1 - last) / (1 - bar)) * fresh
        if trace is not None:
            trace.append(x)
    return x


def check_prediction(prediction: str) -> None:
    """Refuse what is none of :data:`PREDICTIONS`.

    Raises:
        UsageError: unknown prediction.
    """
    if prediction not in PREDICTIONS:
        raise unknown("prediction", prediction, PREDICTIONS)
