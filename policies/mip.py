"""MIP: the minimal iterative policy, two regressions in a row.

A cheap, strong baseline (Pan et al. 2025): what makes diffusion and flow policies good
may be less the distribution that they can draw from than that they are trained at
several degrees of noise, and look at their own answer again. So the network learns the
action out of nothing, and the action out of a noisy one; acting it is asked twice, and
nothing is drawn (:mod:`ml.generative.mip`).
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from assets.errors import UsageError
from ml.generative.denoiser import bind
from ml.generative.mip import mip_errors, sample_mip
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
    tau: float = 0.9
    """How much of the action the second regression is shown."""
    training: TrainingConfig = field(default_factory=denoiser_training)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no policy."""
        super().__post_init__()
        if not 0 < self.tau < 1:
            raise UsageError(f"tau lies between 0 and 1, got {self.tau}")


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
        data = self.targets(batch)
        field = bind(self.denoiser, self.condition(seen, extra))  # pyright: ignore[reportArgumentType]
        noise = draws.normal("noise", *data.shape[1:])
        errors = mip_errors(field, data, noise, tau=self.config.tau)
        return chunk_terms(errors, batch[COUNTS])

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """Ask twice."""
        shape = (len(memory), self.config.chunk, self.sizes.outputs)
        like = next(self.parameters()).new_empty(shape)
        return self.actions(sample_mip(self.field(seen), like, tau=self.config.tau)), (
            memory
        )


LEARNER = Learner(config=MIPConfig, make=MIPNet)
