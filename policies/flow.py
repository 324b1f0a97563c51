"""Flow matching: actions along a velocity field, from noise, in a few steps.

Black et al. 2024 (pi0, arXiv:2410.24164, section IV) as openpi's code has it: t = 1 is
noise, t = 0 the demonstrator's chunk; the network learns the velocity between them,

    x_t = t e + (1 - t) a,    L = E |v(x_t, t, o) - (e - a)|^2,

at times drawn more often near noise. Acting, Euler's method follows it from t = 1 to 0.
With ``prediction`` "data" the network learns the chunk itself, E |d(x_t, t, o) - a|^2,
and its velocity is (x_t - d) / t: what it says then need not carry the noise, for which
a perceptron narrower than a chunk has no room.

Real-time chunking guides it so that a new chunk continues the one before
(:mod:`ml.generative.guidance`).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from assets.errors import UsageError, unknown
from ml.generative.denoiser import Field, stretch
from ml.generative.flow import DENSITIES, draw_times, interpolate, sample_flow
from ml.generative.ode import SOLVERS
from ml.lerobot.layout import ACTION
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training import Terms
from ml.training_setup import TrainingConfig
from policies.denoising import DenoiserConfig, DenoiserNet, denoiser_training
from policies.imitation.net import COUNTS, Ahead, Seen, chunk_terms
from policies.learners import Learner

PREDICTIONS = ("velocity", "data")


@dataclass(frozen=True, kw_only=True)
class FlowConfig(DenoiserConfig):
    """What is learned from the demonstrations, and how."""

    kind = "flow"

    chunk: int = 48
    """Actions that it predicts at once."""
    execute: int | None = 24
    """Of these, how many are executed before it looks again; None: all."""
    sampling_steps: int = 5
    """Steps of the solver from noise to actions."""
    solver: Literal["euler", "midpoint", "heun", "rk4"] = "euler"
    """How a step is made."""
    prediction: Literal["velocity", "data"] = "data"
    """What the network says."""
    density: Literal["beta", "uniform", "logit_normal"] = "beta"
    """At which times it learns most."""
    training: TrainingConfig = field(default_factory=denoiser_training)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no policy."""
        super().__post_init__()
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.prediction not in PREDICTIONS:
            raise unknown("prediction", self.prediction, PREDICTIONS)
        if self.density not in DENSITIES:
            raise unknown("density of times", self.density, DENSITIES)
        if self.sampling_steps < 1:
            raise UsageError(f"sampling_steps is at least 1, got {self.sampling_steps}")


class FlowNet(DenoiserNet):
    """A velocity field."""

    config: FlowConfig
    guided = True

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Squared error of what the network says."""
        seen, extra = self.learn(batch, draws)
        data = self.targets(batch)
        noise = draws.normal("noise", *data.shape[1:])
        density = self.config.density
        t = draws.of("time", lambda n, g: draw_times(n, density, generator=g))
        x = interpolate(data, noise, t)
        said = self.denoiser(x, t, self.condition(seen, extra))
        target = data if self.config.prediction == "data" else noise - data
        return chunk_terms((said - target).square(), batch[COUNTS])

    def velocity(self, seen: Seen) -> Field:
        """dx/dt at (x, t), for what is seen."""
        said = self.field(seen)
        if self.config.prediction == "velocity":
            return said
        return lambda x, t: (x - said(x, t)) / stretch(t, x)

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """Follow the field."""
        velocity = self.velocity(seen)
        steps = how.get("steps", self.config.sampling_steps)
        if ahead is not None:
            from ml.generative.guidance import guide_flow

            planned = self.normalizer.normalize(ACTION, ahead.actions)
            velocity = guide_flow(
                velocity, planned, ahead.weights, max_weight=min(5.0, steps)
            )
        x = sample_flow(velocity, noise, steps=steps, solver=self.config.solver)
        return self.actions(x), memory


LEARNER = Learner(config=FlowConfig, make=FlowNet)
