"""What an imitator is paid by: a discriminator, and a memory that it judges anew.

The half of GAIL (:mod:`policies.gail`) that is not reinforcement learning. The
discriminator sees normalised observations and actions in [-1, 1], of both sides.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from ml.ema import EMA
from ml.generative.gan import (
    discriminator_loss,
    gradient_penalty,
    imitation_reward,
)
from policies.actor import perceptron

if TYPE_CHECKING:
    from ml.metrics_log import MetricsLog
    from policies.gail import GAILConfig

LOG_EVERY = 100
"""Steps of all environments between two lines of the log."""


class Discriminator:
    """Tells the expert's from the learner's; inputs are normalised already."""

    def __init__(self, expert: Tensor, config: "GAILConfig") -> None:
        """Untrained.

        Args:
            expert: (n, inputs + outputs) observations, and actions in [-1, 1].
            config: of the game.
        """
        self.expert, self.config = expert, config
        self.net = perceptron(expert.shape[1], 1, config.discriminator)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=config.discriminator_rate, fused=True
        )
        self.draws = torch.Generator().manual_seed(config.seed)
        self.figures = {"expert_logit": 0.0, "learner_logit": 0.0, "loss": 0.0}

    @torch.no_grad()
    def reward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(n, 1) of the learner's (n, inputs) and (n, outputs)."""
        logits = self.net(torch.cat([observations, actions], 1))
        return imitation_reward(logits, self.config.reward)

    def learn(self, learner: Tensor) -> None:
        """One step on as many of the expert's as these (n, inputs + outputs)."""
        config = self.config
        rows = torch.randint(len(self.expert), (len(learner),), generator=self.draws)
        expert = self.expert[rows]
        real, fake = self.net(expert), self.net(learner)
        loss = discriminator_loss(real, fake)
        total = loss
        if config.penalty:
            total = loss + config.penalty * gradient_penalty(
                self.net,
                expert,
                learner,
                kind=config.penalty_kind,
                generator=self.draws,
            )
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        values = (real.mean().item(), fake.mean().item(), loss.item())
        self.figures = dict(zip(self.figures, values, strict=True))


class JudgedBuffer(ReplayBuffer):
    """Past transitions and the expert's, with what the discriminator now thinks of
    them as their reward."""

    def __init__(
        self, *args: Any, judge: Discriminator, after: Tensor, share: float, **kw: Any
    ) -> None:
        """See stable-baselines3's.

        Args:
            args: of it.
            judge: gives the rewards.
            after: (n, inputs) what the expert saw after each of the judge's frames.
            share: of each batch that is the expert's.
            kw: of it.
        """
        super().__init__(*args, **kw)
        self.judge, self.after, self.share = judge, after, share

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Any:
        shown = round(self.share * len(batch_inds))
        drawn = super()._get_samples(batch_inds[shown:], env)
        rows = torch.from_numpy(np.random.randint(0, len(self.after), shown))
        split = [self.after.shape[1], drawn.actions.shape[1]]
        seen, done = self.judge.expert[rows].split(split, 1)
        seen = torch.cat([seen, drawn.observations])
        done = torch.cat([done, drawn.actions])
        return drawn._replace(
            observations=seen,
            actions=done,
            next_observations=torch.cat([self.after[rows], drawn.next_observations]),
            dones=torch.cat([torch.zeros(shown, 1), drawn.dones]),
            rewards=self.judge.reward(seen, done),
        )

    def recent(self, count: int, last: int) -> Tensor:
        """(count, inputs + outputs) at random of the last transitions."""
        size = self.buffer_size if self.full else self.pos
        ages = np.random.randint(0, max(1, min(size, last // self.n_envs)), count)
        drawn = super()._get_samples((self.pos - 1 - ages) % self.buffer_size)
        return torch.cat([drawn.observations, drawn.actions], 1)


class Game(BaseCallback):
    """After each step of the environments: the discriminator's turn, and the log."""

    def __init__(
        self,
        judge: Discriminator,
        config: "GAILConfig",
        log: "MetricsLog",
        tell: Callable[[int], object],
    ) -> None:
        """Ready for ``SAC.learn``.

        Args:
            judge: learns after each step.
            config: of the game.
            log: of the discriminator's figures.
            tell: told the actions so far.
        """
        super().__init__()
        self.judge, self.config, self.log, self.tell = judge, config, log, tell
        self.average: EMA | None = None
        """Of the actor's weights, once it learns."""

    def _on_step(self) -> bool:
        config, model = self.config, self.model
        assert isinstance(model, SAC)
        if self.average is None:
            self.average = EMA(model.actor, max_decay=config.ema_decay)
        if self.num_timesteps > model.learning_starts:
            self.average.update(model.actor)
            assert isinstance(model.replay_buffer, JudgedBuffer)
            for _ in range(config.discriminator_updates):
                batch = model.replay_buffer.recent(config.batch_size, config.recent)
                self.judge.learn(batch)
        self.tell(self.num_timesteps)
        if self.n_calls % LOG_EVERY == 0:
            self.log.write(self.num_timesteps, **self.judge.figures)
        return True
