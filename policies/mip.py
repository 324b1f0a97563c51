"""MIP: the minimal iterative policy, two regressions in a row.

A cheap, strong baseline: what makes diffusion and flow policies good may be less the
distribution they can draw from than that they are trained at several degrees of noise,
and look at their own answer again. So with a fixed ``t`` the network learns two things,
the action out of nothing, and the action out of a noisy one,

    L = |f(0, 0, o) - a|^2 / t  +  |f(a + (1 - t) e, t, o) - a|^2 / (1 - t),

and acting it is asked twice: ``a = f(0, 0, o)``, then ``f(a, t, o)``. Nothing is drawn.

Time runs from noise to data here, as in the paper.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from assets.errors import UsageError
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training import Terms
from ml.training_setup import TrainingConfig
from policies.denoising import DenoiserConfig, DenoiserNet, denoiser_training
from policies.imitation.net import COUNTS, Ahead, Seen, Sizes, chunk_terms
from policies.learners import Learner


@dataclass(frozen=True, kw_only=True)
class MIPConfig(DenoiserConfig):
    """What is learned from the demonstrations, and how."""

    kind = "mip"

    chunk: int = 48
    """Actions that it predicts at once."""
    execute: int | None = 24
    """Of these, how many are executed before it looks again; None: all."""
    time: float = 0.9
    """t of the second regression."""
    training: TrainingConfig = field(default_factory=denoiser_training)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no policy."""
        super().__post_init__()
        if not 0 < self.time < 1:
            raise UsageError(f"time lies between 0 and 1, got {self.time}")


class MIPNet(DenoiserNet):
    """A network that is asked twice."""

    config: MIPConfig

    def __init__(self, sizes: Sizes, config: MIPConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__(sizes, config)
        self.noise_shape = ()

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Both regressions."""
        seen, extra = self.learn(batch, draws)
        data, time = self.targets(batch), self.config.time
        condition = self.condition(seen, extra)
        near = data + (1 - time) * draws.normal("noise", *data.shape[1:])
        nothing = torch.zeros_like(data)
        first = (self._ask(nothing, 0.0, condition) - data).square().mean(-1)
        second = (self._ask(near, time, condition) - data).square().mean(-1)
        total = first / time + second / (1 - time)
        return chunk_terms(total, batch[COUNTS], {"first": first, "second": second})

    def _ask(self, x: Tensor, time: float, condition: Tensor) -> Tensor:
        return self.denoiser(x, x.new_full((len(x),), time), condition)

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """Ask twice."""
        condition = self.condition(seen)
        shape = (len(condition), self.config.chunk, self.sizes.outputs)
        x = self._ask(condition.new_zeros(shape), 0.0, condition)
        return self.actions(self._ask(x, self.config.time, condition)), memory


LEARNER = Learner(config=MIPConfig, make=MIPNet)
