"""What an imitator is judged by: a discriminator that sees small differences.

The half of GAIL (:mod:`policies.gail`) that tells who is who. It sees normalised
observations, and actions in [-1, 1], of both sides. Two things let it see that an arm
is off by a centimetre, where the data span a metre: its inputs are whitened by the
expert's full covariance,

    z = (cov + floor)^(-1/2) (x - mean),

so that differences which the expert keeps small, as of tip and target, weigh as much as
large ones; and beside z its network is given tanh(s (A z + b)) for a few scales s,
steep steps at learned places. How steep it may be in the end is the gradient penalty's
to say, which holds the slope to 0, of the expert's and the learner's, by a weight: one
that holds it to 1 forbids such detail; one that looks at the expert's alone lets it be
steep where the learner is lost, and its direction there means little.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ml.generative.gan import (
    discriminator_loss,
    gradient_penalty,
    imitation_reward,
)
from policies.actor import perceptron

if TYPE_CHECKING:
    from policies.gail import GAILConfig

FLOOR = 1e-3
"""Added to the variances: what varies less is not blown up."""
SCALES = (1.0, 4.0, 16.0)
"""Steepness of the steps."""


class JudgeNet(nn.Module):
    """Whitening, steps, and a perceptron on both."""

    white: Tensor
    mean: Tensor

    def __init__(self, expert: Tensor, hidden: tuple[int, ...], steps: int) -> None:
        """Random weights.

        Args:
            expert: (n, size) whose covariance is taken.
            hidden: width of the perceptron's hidden layers.
            steps: how many, of each steepness.
        """
        super().__init__()
        size = expert.shape[1]
        values, vectors = torch.linalg.eigh(torch.cov(expert.double().T))
        white = vectors / (values.clamp(min=0) + FLOOR).sqrt()
        self.register_buffer("white", white.float())
        self.register_buffer("mean", expert.double().mean(0).float())
        self.places = nn.Linear(size, steps)
        self.network = perceptron(size + steps * len(SCALES), 1, hidden)

    def whiten(self, x: Tensor) -> Tensor:
        """(..., size), of unit variance in all directions if it is the expert's."""
        return (x - self.mean) @ self.white

    def judge(self, z: Tensor) -> Tensor:
        """(..., size) whitened -> logits (...,)."""
        place = self.places(z)
        steps = [torch.tanh(scale * place) for scale in SCALES]
        return self.network(torch.cat([z, *steps], -1))[..., 0]

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) -> logits (...,)."""
        return self.judge(self.whiten(x))


class Discriminator:
    """Tells the expert's from the learner's."""

    def __init__(self, expert: Tensor, config: "GAILConfig") -> None:
        """Untrained.

        Args:
            expert: (n, inputs + outputs) observations, and actions in [-1, 1].
            config: of the game.
        """
        self.expert, self.config = expert, config
        self.net = JudgeNet(expert, config.discriminator, config.details)
        # a quick opponent's gradients are soon of another game: little momentum
        self.optimizer = torch.optim.Adam(
            self.net.parameters(),
            lr=config.discriminator_rate,
            betas=(0.5, 0.99),
            fused=True,
        )
        self.draws = torch.Generator().manual_seed(config.seed)
        self.figures = {"expert_logit": 0.0, "learner_logit": 0.0, "loss": 0.0}

    def reward(self, frames: Tensor) -> Tensor:
        """(...,) of the learner's (..., inputs + outputs); differentiable by them."""
        return imitation_reward(self.net(frames), self.config.reward)

    def learn(self, learner: Tensor) -> None:
        """One step on as many of the expert's as these (n, inputs + outputs)."""
        config = self.config
        rows = torch.randint(len(self.expert), (len(learner),), generator=self.draws)
        both = self.net.whiten(torch.cat([self.expert[rows], learner]))
        real, fake = self.net.judge(both).chunk(2)
        loss = total = discriminator_loss(real, fake)
        if config.penalty:
            expert, other = both.chunk(2)
            total = loss + config.penalty * gradient_penalty(
                self.net.judge,
                expert,
                other,
                kind=config.penalty_kind,
                generator=self.draws,
            )
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        values = (real.mean().item(), fake.mean().item(), loss.item())
        self.figures = dict(zip(self.figures, values, strict=True))
