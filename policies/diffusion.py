"""Diffusion policy: actions out of noise, step by step.

Chi et al. 2023 (arXiv:2303.04137). A chunk of actions is drawn from what demonstrators
might do, given what is seen: a network learns to tell the noise that was added to a
chunk, at all degrees of noise,

    L = E |eps(sqrt(abar_k) a + sqrt(1 - abar_k) e, k, o) - e|^2,

and acting, noise is taken away in a few large steps (DDIM, Song et al. 2021), which
makes an action a function of the observation and of the noise it began with. Actions
are brought to [-1, 1], where predicted ones are kept. The chunk begins at the present,
where the original's begins one step before.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from assets.errors import UsageError, unknown
from ml.generative.ddim import sample_ddim
from ml.generative.ddpm import add_noise, check_prediction, training_target
from ml.generative.noise_schedule import KINDS, NoiseSchedule
from ml.lerobot.layout import ACTION
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training import Terms
from ml.training_setup import TrainingConfig
from policies.denoising import DenoiserConfig, DenoiserNet, denoiser_training
from policies.imitation.net import COUNTS, Ahead, Seen, Sizes, chunk_terms
from policies.learners import Learner


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(DenoiserConfig):
    """What is learned from the demonstrations, and how."""

    kind = "diffusion"

    chunk: int = 48
    """Actions that it predicts at once."""
    execute: int | None = 24
    """Of these, how many are executed before it looks again; None: all."""
    history: int = 2
    """Observations that it looks at: the present one, and those just before."""
    normalize: Literal["mean_std", "min_max"] = "min_max"
    """How observations and actions are normalised; actions lie in [-1, 1]."""
    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = (
        "squaredcos_cap_v2"
    )
    """Of the noise."""
    noise_steps: int = 100
    """Degrees of noise that it learns."""
    prediction: Literal["epsilon", "sample", "v_prediction"] = "sample"
    """What the network says: the noise, as in the original, the actions, or something
    between. A perceptron narrower than a chunk has no room for the noise."""
    sampling_steps: int = 10
    """Of DDIM, from noise to actions."""
    clip: float | None = 1.0
    """Predicted actions are kept within this; None: they are not."""
    training: TrainingConfig = field(default_factory=denoiser_training)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no policy."""
        super().__post_init__()
        if self.schedule not in KINDS:
            raise unknown("noise schedule", self.schedule, KINDS)
        check_prediction(self.prediction)
        if not 1 <= self.sampling_steps <= self.noise_steps:
            raise UsageError(
                f"sampling_steps lies in 1 to noise_steps ({self.noise_steps}), got "
                f"{self.sampling_steps}"
            )


class DiffusionNet(DenoiserNet):
    """A denoiser and its schedule."""

    config: DiffusionConfig
    guided = True

    def __init__(self, sizes: Sizes, config: DiffusionConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__(sizes, config)
        self.schedule = NoiseSchedule(config.schedule, config.noise_steps)

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Squared error of what the network says."""
        seen, extra = self.learn(batch, draws)
        data = self.targets(batch)
        noise = draws.normal("noise", *data.shape[1:])
        step = draws.integers("step", 0, self.schedule.steps)
        t = (step + 1).to(data.dtype) / self.schedule.steps
        x = add_noise(self.schedule, data, noise, step)
        said = self.denoiser(x, t, self.condition(seen, extra))
        kind = self.config.prediction
        target = training_target(self.schedule, kind, data, noise, step)
        return chunk_terms((said - target).square(), batch[COUNTS])

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """Take the noise away."""
        denoiser = self.field(seen)
        if ahead is not None:
            from ml.generative.guidance import guide_diffusion

            planned = self.normalizer.normalize(ACTION, ahead.actions)
            denoiser = guide_diffusion(
                denoiser,
                planned,
                ahead.weights,
                self.schedule,
                self.config.prediction,
                clip=self.config.clip,
            )
        x = sample_ddim(
            denoiser,
            noise,
            self.schedule,
            steps=how.get("steps", self.config.sampling_steps),
            prediction=self.config.prediction,
            clip=self.config.clip,
        )
        return self.actions(x), memory


LEARNER = Learner(config=DiffusionConfig, make=DiffusionNet)
