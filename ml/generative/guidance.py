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

d a_hat / d x = I - t du/dx: the product goes through the network. LeRobot computes u
before x is differentiated, which leaves g = W (Y - a_hat) (lerobot#2511): the actions
beyond the prefix hear of it only when the network is next evaluated.
``through_network=False`` is that form. It needs no pass back and meets the prefix more
closely, but what follows fits the prefix less (the tests measure both, on a Gaussian
process).
"""

import math

import torch
from torch import Tensor

from assets.errors import UsageError, unknown
from ml.generative.denoiser import Field
from ml.generative.flow import predicted_data

WEIGHTS = ("zeros", "ones", "linear", "exp")


def prefix_weights(kind: str = "exp", *, horizon: int, delay: int, end: int) -> Tensor:
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


def guide(
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
        weights: (T,), see :func:`prefix_weights`.
        max_weight: the largest w; 5 in the paper, 10 in LeRobot. Near data an Euler
            step of length h moves a frozen action by h w of its error, so more than the
            number of steps overshoots.
        through_network: the true product, or LeRobot's without the network.

    Returns:
        The guided field, for the samplers.

    Raises:
        UsageError: when called: on chunks of another size, or in inference mode, where
            torch cannot differentiate (use ``torch.no_grad`` there).
    """

    def guided(x: Tensor, t: Tensor) -> Tensor:
        target, shares = _target(x, previous, weights)
        if through_network:
            velocity, pull = _pull(field, x, t, target, shares)
        else:
            velocity = field(x, t)
            pull = shares * (target - predicted_data(velocity, x, t))
        strength = guidance_weight(t, max_weight).reshape(-1, 1, 1)
        return velocity - strength * pull

    return guided


def _pull(
    field: Field, x: Tensor, t: Tensor, target: Tensor, shares: Tensor
) -> tuple[Tensor, Tensor]:
    """The velocity, and (d a_hat / d x)^T W (Y - a_hat)."""
    if torch.is_inference_mode_enabled():
        raise UsageError(
            "guidance differentiates the network, which torch.inference_mode forbids: "
            "call the sampler under torch.no_grad instead"
        )
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        velocity = field(x, t)
        data = predicted_data(velocity, x, t)
        error = shares * (target - data.detach())
        (pull,) = torch.autograd.grad(data, x, error)
    return velocity.detach(), pull


def _target(x: Tensor, previous: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The previous actions filled up to x's shape, and their weights (1, T, 1)."""
    rows, length, size = x.shape
    known = previous.shape[1]
    if previous.shape != (rows, known, size) or known > length:
        raise UsageError(
            f"the previous actions are (B, n, A) with n <= T; chunks are "
            f"{tuple(x.shape)}, got {tuple(previous.shape)}"
        )
    if weights.shape != (length,):
        raise UsageError(
            f"a chunk of {length} actions has as many weights, got "
            f"{tuple(weights.shape)}"
        )
    target = x.new_zeros(x.shape)
    target[:, :known] = previous
    shares = weights.to(x).clone()
    shares[known:] = 0
    return target, shares[:, None]
