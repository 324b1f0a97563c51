"""How much noise a diffusion adds in each of its steps, and which steps are sampled.

    x_k = sqrt(abar_k) x_0 + sqrt(1 - abar_k) noise,   abar_k = prod_{i<=k} (1 - beta_i)

(Ho, Jain and Abbeel 2020, arXiv:2006.11239, equation 4), with k from 0 as in
diffusers. "linear" is theirs, "scaled_linear" is linear in the square root of beta
(Rombach et al. 2022), "squaredcos_cap_v2" is the cosine of Nichol and Dhariwal 2021
(arXiv:2102.09672, equation 17), capped; Diffusion Policy uses the last.

All tables are in double precision and rounded once, where they meet the data: 1 - abar
of the first step is so small that in single precision it has lost four digits.
"""

import math
from functools import cached_property

import torch
from torch import Tensor

from assets.errors import UsageError, unknown

KINDS = ("linear", "scaled_linear", "squaredcos_cap_v2")
SPACINGS = ("trailing", "leading", "linspace")


class NoiseSchedule:
    """The tables of one schedule."""

    def __init__(
        self,
        kind: str = "squaredcos_cap_v2",
        steps: int = 100,
        *,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
    ) -> None:
        """Compute the tables.

        Args:
            kind: one of :data:`KINDS`.
            steps: K, how many steps lead from data to noise.
            beta_start: variance of the first step; the cosine has its own.
            beta_end: variance of the last step; the cosine has its own.

        Raises:
            UsageError: unknown kind, no steps, or variances outside (0, 1).
        """
        if kind not in KINDS:
            raise unknown("noise schedule", kind, KINDS)
        if steps < 1:
            raise UsageError(f"a noise schedule has at least 1 step, got {steps}")
        if not 0 < beta_start <= beta_end < 1:
            raise UsageError(
                f"0 < beta_start <= beta_end < 1 is needed, got {beta_start:g} and "
                f"{beta_end:g}"
            )
        self.kind, self.steps = kind, steps
        self.betas = _betas(kind, steps, beta_start, beta_end)
        """(steps,) float64: variance added by each step."""

    @cached_property
    def alphas(self) -> Tensor:
        """(steps,) float64: 1 - beta."""
        return 1 - self.betas

    @cached_property
    def alpha_bar(self) -> Tensor:
        """(steps,) float64: how much of the data's variance is left after each step."""
        return self.alphas.cumprod(0)

    def bar(self, step: int) -> float:
        """:attr:`alpha_bar` of a step; 1 before the first, which is the data itself."""
        return self._bars[step] if step >= 0 else 1.0

    @cached_property
    def _bars(self) -> list[float]:
        """Plain numbers: a sampler that is exported holds them as constants."""
        return self.alpha_bar.tolist()

    def time(self, step: int) -> float:
        """What the network is told: in (0, 1], and 1 is the last step."""
        return (step + 1) / self.steps

    def factors(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of data and of noise in x_k, as the equation above has them.

        Args:
            step: (B,) integers in [0, steps).
            like: (B, ...): whose dimensions, type and device they get.

        Returns:
            Two tensors (B, 1, ..., 1).
        """
        bars = self.alpha_bar[step.cpu()].reshape(-1, *[1] * (like.ndim - 1))
        return bars.sqrt().to(like), (1 - bars).sqrt().to(like)


def sampled_steps(steps: int, count: int, spacing: str = "trailing") -> list[int]:
    """Which of a schedule's steps a sampler visits, from noise to data.

    "trailing" begins at the last step, where the sampler's first input, pure noise,
    belongs; "leading", which diffusers and Diffusion Policy use, ends at step 0 and
    begins too early unless it visits all (Lin et al. 2024, arXiv:2305.08891, table 2):
    with one step it takes noise for data. "linspace" has both ends.

    Args:
        steps: of the schedule.
        count: how many to visit, 1 to ``steps``.
        spacing: one of :data:`SPACINGS`.

    Returns:
        Decreasing step numbers.

    Raises:
        UsageError: unknown spacing, or no such count.
    """
    if spacing not in SPACINGS:
        raise unknown("spacing of steps", spacing, SPACINGS)
    if not 1 <= count <= steps:
        raise UsageError(
            f"a schedule of {steps} steps is sampled in 1 to {steps}, got {count}"
        )
    if spacing == "leading":
        return [i * (steps // count) for i in reversed(range(count))]
    if spacing == "trailing":
        return [round(steps - i * (steps / count)) - 1 for i in range(count)]
    if count == 1:
        return [steps - 1]
    return [round(i * ((steps - 1) / (count - 1))) for i in reversed(range(count))]


def _betas(kind: str, steps: int, start: float, end: float) -> Tensor:
    if kind == "linear":
        return torch.linspace(start, end, steps, dtype=torch.float64)
    if kind == "scaled_linear":
        roots = (math.sqrt(start), math.sqrt(end))
        return torch.linspace(*roots, steps, dtype=torch.float64).square()

    def bar(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    # The cap keeps the last step, which would leave nothing of the data, invertible.
    betas = [
        min(1 - bar((k + 1) / steps) / bar(k / steps), 0.999) for k in range(steps)
    ]
    return torch.tensor(betas, dtype=torch.float64)
