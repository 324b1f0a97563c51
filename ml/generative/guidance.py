"""Real-time chunking: a new chunk that goes on where the last one is being executed.

Black, Galliker and Levine 2025 (arXiv:2506.07339). While a chunk is computed, the
robot executes what is left of the previous one. The flow is therefore guided towards
those actions by inpainting (PiGDM: Song et al. 2023, "Pseudoinverse-guided diffusion
models"; Pokle et al. 2024, arXiv:2310.04432, for flows).

Their time tau is 0 at noise, so t = 1 - tau here, and their velocity, dx/dtau, is -u.
Their equations 2 to 4, with Y the previous actions, W their weights and u(x, t) the
learned velocity dx/dt:

    a_hat = x - t u(x, t)                    where the flow would end from here
    g = (d a_hat / d x)^T W (Y - a_hat)      a vector-Jacobian product
    w = min((1 - tau) / (tau r^2), w_max),   r^2 = (1 - tau)^2 / (tau^2 + (1 - tau)^2)
      = min((t^2 + (1 - t)^2) / (t (1 - t)), w_max)
    u' = u - w g                             minus, since t runs down

So a_hat moves by t w g = (s^2 + sigma^2) / s g, where x = s data + sigma noise. For the
diffusions of :mod:`ml.generative.ddpm`, s^2 + sigma^2 = 1, the same argument, the score
of N(Y; a_hat, r^2) with r^2 = sigma^2 / (s^2 + sigma^2), gives

    a_hat' = a_hat + min(1 / s, w_max) g,    s = sqrt(abar)

d a_hat / d x goes through the network. LeRobot computes u before x is differentiated,
which leaves g = W (Y - a_hat) (lerobot#2511): the actions beyond the prefix hear of it
only when the network is next evaluated. ``through_network=False`` is that form. It
needs no pass back and meets the prefix more closely, but what follows fits the prefix
less (the tests measure both, on a Gaussian process).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from assets.errors import UsageError, unknown
from ml.generative import flow
from ml.generative.ddpm import check_prediction, predicted_data
from ml.generative.denoiser import Field, stretch
from ml.generative.noise_schedule import NoiseSchedule

WEIGHTS = ("zeros", "ones", "linear", "exp")


def prefix_weights(kind: str, horizon: int, delay: int, end: int) -> Tensor:
    """How much each action of the new chunk has to agree with the previous one.

    1 for the first ``delay`` actions, which will have been executed before the new
    chunk is there; 0 from ``end`` on; between them "zeros", "ones", "linear" in
    c_i = (end - i) / (end - delay + 1), or "exp", c_i (e^c_i - 1) / (e - 1), which is
    the paper's equation 5.

    Args:
        kind: one of :data:`WEIGHTS`.
        horizon: T, actions of a chunk.
        delay: how many are executed while the chunk is computed.
        end: how many the previous chunk has left: the paper's H - s.

    Returns:
        (T,) in [0, 1].

    Raises:
        UsageError: unknown kind, or not 0 <= delay <= end <= horizon.
    """
    if kind not in WEIGHTS:
        raise unknown("kind of prefix weights", kind, WEIGHTS)
    if not 0 <= delay <= end <= horizon:
        raise UsageError(
            f"0 <= delay <= end <= horizon is needed, got {delay}, {end} and "
            f"{horizon}: a chunk that takes longer than the previous one lasts cannot "
            f"continue it"
        )
    index = torch.arange(horizon, dtype=torch.float64)
    falling = (end - index) / (end - delay + 1)
    between = {
        "zeros": torch.zeros_like(index),
        "ones": torch.ones_like(index),
        "linear": falling,
        "exp": falling * falling.expm1() / (math.e - 1),
    }[kind]
    weights = torch.where(index < delay, 1.0, between)
    return torch.where(index < end, weights, 0.0).float()


def guidance_weight(t: Tensor, maximum: float) -> Tensor:
    """w of the equations above, of the shape of t; ``maximum`` at noise and at data."""
    free = (t.square() + (1 - t).square()) / (t * (1 - t)).clamp_min(1e-12)
    return free.clamp_max(maximum)


def guide_flow(
    field: Field,
    previous: Tensor,
    weights: Tensor,
    *,
    max_weight: float = 10.0,
    through_network: bool = True,
) -> Field:
    """A velocity field that leads to chunks which continue the previous one.

    Costs a pass back through the network for each evaluation, unless
    ``through_network`` is off.

    Args:
        field: the velocity, its condition settled.
        previous: (B, n, A), n <= T: the previous chunk's actions from now on. What it
            has fewer than T counts as weight 0, whatever ``weights`` say.
        weights: (T,) or (B, T), see :func:`prefix_weights`.
        max_weight: the largest w; 5 in the paper, 10 in LeRobot. Near data an Euler
            step of length h moves a frozen action by h w of its error, so more than the
            number of steps overshoots.
        through_network: the true product, or LeRobot's without the network.

    Returns:
        The guided field, for :func:`ml.generative.flow.sample_flow`.

    Raises:
        UsageError: when called: on chunks of another size, or in inference mode, where
            torch cannot differentiate (use ``torch.no_grad`` there).
    """

    def guided(x: Tensor, t: Tensor) -> Tensor:
        velocity, pull = _pull(
            field, x, t, previous, weights, flow.predicted_data, through_network
        )
        return velocity - stretch(guidance_weight(t, max_weight), x) * pull

    return guided


def guide_diffusion(
    field: Field,
    previous: Tensor,
    weights: Tensor,
    schedule: NoiseSchedule,
    prediction: str = "epsilon",
    *,
    max_weight: float = 5.0,
    through_network: bool = True,
    clip: float | None = 1.0,
) -> Field:
    """A denoiser whose samples continue the previous chunk.

    Args:
        field: the denoiser, its condition settled.
        previous: as of :func:`guide_flow`.
        weights: as of :func:`guide_flow`.
        schedule: the one it was trained with.
        prediction: what it says, and the guided one too; see
            :mod:`ml.generative.ddpm`.
        max_weight: the largest factor of g. Near noise 1 / s is in the thousands.
        through_network: the true product, or the plain error.
        clip: a_hat is kept in [-clip, clip], as in the samplers, and where it is cut it
            pulls no more. Near noise a_hat is the network's error a thousand times
            enlarged: without this, a trained one led astray.

    Returns:
        The guided denoiser, for the samplers, which all give it one time for all rows.

    Raises:
        UsageError: unknown prediction; when called, as of :func:`guide_flow`.
    """
    check_prediction(prediction)

    def ending(output: Tensor, x: Tensor, bar: float) -> Tensor:
        data = predicted_data(output, x, bar, prediction)
        return data if clip is None else data.clamp(-clip, clip)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        bar = schedule.bar(round(t[0].item() * schedule.steps) - 1)
        output, pull = _pull(
            field,
            x,
            t,
            previous,
            weights,
            lambda output, x, t: ending(output, x, bar),
            through_network,
        )
        signal, sigma = math.sqrt(bar), math.sqrt(1 - bar)
        # What the output changes by, when the data it stands for change by 1.
        rate = {"epsilon": -signal / sigma, "sample": 1.0, "v_prediction": -1 / sigma}
        return output + rate[prediction] * min(1 / signal, max_weight) * pull

    return guided


def _pull(
    field: Field,
    x: Tensor,
    t: Tensor,
    previous: Tensor,
    weights: Tensor,
    ending: Callable[[Tensor, Tensor, Tensor], Tensor],
    through_network: bool,
) -> tuple[Tensor, Tensor]:
    """The field's output and g; ``ending`` is a_hat from output, x and t."""
    target, shares = _target(x, previous, weights)
    if not through_network:
        output = field(x, t)
        return output, shares * (target - ending(output, x, t))
    if torch.is_inference_mode_enabled():
        raise UsageError(
            "guidance differentiates the network, which torch.inference_mode forbids: "
            "call the sampler under torch.no_grad instead"
        )
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        output = field(x, t)
        data = ending(output, x, t)
        error = shares * (target - data.detach())
        (pull,) = torch.autograd.grad(data, x, error)
    return output.detach(), pull


def _target(x: Tensor, previous: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The previous actions filled up to x's shape, and their weights (1 or B, T, 1)."""
    rows, length, size = x.shape
    known = previous.shape[1]
    if previous.shape != (rows, known, size) or known > length:
        raise UsageError(
            f"the previous actions are (B, n, A) with n <= T; chunks are "
            f"{tuple(x.shape)}, got {tuple(previous.shape)}"
        )
    if weights.shape not in ((length,), (rows, length)):
        raise UsageError(
            f"{rows} chunks of {length} actions have ({length},) or ({rows}, {length}) "
            f"weights, got {tuple(weights.shape)}"
        )
    target = x.new_zeros(x.shape)
    target[:, :known] = previous
    shares = weights.to(x).reshape(-1, length, 1).clone()
    shares[:, known:] = 0
    return target, shares
