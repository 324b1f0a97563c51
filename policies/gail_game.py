"""A game of GAIL: who plays, and in which order they learn (:mod:`policies.gail`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ml.ema import EMA
from policies.actor import ActorNet
from policies.forward_model import Episodes, ForwardModel, ModelFitter
from policies.gail_judge import Discriminator

if TYPE_CHECKING:
    from policies.gail import GAILConfig
    from policies.rewardless import Explorer

RANDOM = 2
"""Rounds in the beginning that act at random, for the model to see what acting does;
in the first of them nothing but the model learns."""
RANDOM_NOISE = 0.5
"""Standard deviation of the actions in them."""


class Game:
    """Model, discriminator and actor, and what happened so far."""

    def __init__(self, net: ActorNet, expert: Tensor, config: "GAILConfig") -> None:
        """Nobody has learned yet.

        Args:
            net: whose ``network`` is the actor.
            expert: (n, inputs + outputs).
            config: of the game.
        """
        self.config, self.expert = config, expert
        self.actor = net.network
        self.inputs = net.sizes.inputs
        self.average = EMA(self.actor, max_decay=config.ema_decay)
        self.optimizer = torch.optim.Adam(
            self.actor.parameters(), lr=config.learning_rate, fused=True
        )
        self.judge = Discriminator(expert, config)
        self.draws = torch.Generator().manual_seed(config.seed)
        self.model = ForwardModel(self.inputs, net.sizes.outputs, config.model)
        self.fitter = ModelFitter(
            self.model,
            horizon=config.model_horizon,
            batch_size=config.batch_size,
            learning_rate=config.model_rate,
            draws=self.draws,
        )
        self.calm = config.num_envs // 2
        """Environments, the first ones, whose actions are not disturbed."""
        self.noise = torch.zeros(config.num_envs)
        rising = torch.linspace(0, config.noise, config.num_envs - self.calm + 1)
        self.noise[self.calm :] = rising[1:]
        self.rounds: list[Episodes] = []
        self.figures: dict[str, float] = {}

    def act(self, seen: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs) in [-1, 1]."""
        return torch.tanh(self.actor(seen))

    def warm_up(self) -> None:
        """Bring the actor near the expert's actions, by their squared error."""
        config = self.config
        seen, done = self.expert[:, : self.inputs], self.expert[:, self.inputs :]
        optimizer = torch.optim.Adam(
            self.actor.parameters(), lr=config.learning_rate, fused=True
        )
        for _ in range(config.warm_start):
            rows = self._rows(len(seen), config.batch_size)
            optimizer.zero_grad()
            (self.act(seen[rows]) - done[rows]).square().mean().backward()
            optimizer.step()

    def play(self, explorer: "Explorer") -> None:
        """One round."""
        config, index = self.config, len(self.rounds)
        self._slow_down(index / config.rounds)
        early = index < RANDOM
        if early:
            noise = torch.full_like(self.noise, RANDOM_NOISE)
            happened = explorer.run(self._nothing, noise, self.draws)
        else:
            happened = explorer.run(self.act, self.noise, self.draws)
        self.rounds.append(happened)
        updates = config.model_updates * (4 if early else 1)
        error = self.fitter.learn(self.rounds, updates)
        worth = self._compete() if index else 0.0
        self.figures = {**self.judge.figures, "model_error": error, "reward": worth}

    def climb(self, starts: Tensor) -> float:
        """One step of the actor, from (n, inputs) on; the mean reward imagined."""
        config = self.config
        weights = config.discount ** torch.arange(config.horizon)
        with _fixed(self.model, self.judge.net):
            frames = self.model.imagine(starts, self.act, config.horizon)
            worth = self.judge.reward(frames).mean(1) @ weights / weights.sum()
        self.optimizer.zero_grad()
        (-worth).backward()
        torch.nn.utils.clip_grad_norm_(self.actor.parameters(), config.max_norm)
        self.optimizer.step()
        self.average.update(self.actor)
        return worth.item()

    def _compete(self) -> float:
        """Discriminator and actor in turns; the last reward imagined."""
        config = self.config
        recent = [r.frames(self.calm) for r in self.rounds[-config.recent :]]
        learner = torch.cat(recent)
        seen = [r.seen[:, :-1].flatten(0, 1) for r in self.rounds[-config.remembered :]]
        been = torch.cat(seen)
        shown = round(config.expert_share * config.imagined)
        worth = 0.0
        for _ in range(config.updates):
            for _ in range(config.discriminator_updates):
                self.judge.learn(learner[self._rows(len(learner), config.batch_size)])
            first = self.expert[self._rows(len(self.expert), shown), : self.inputs]
            other = been[self._rows(len(been), config.imagined - shown)]
            worth = self.climb(torch.cat([first, other]))
        return worth

    def _rows(self, size: int, count: int) -> Tensor:
        return torch.randint(size, (count,), generator=self.draws)

    def _nothing(self, seen: Tensor) -> Tensor:
        return torch.zeros(len(seen), self.expert.shape[1] - self.inputs)

    def _slow_down(self, share: float) -> None:
        """Set the learning rates of a moment, from 0 to 1."""
        config = self.config
        late = max(0.0, 1 - (1 - share) / config.cool_down)
        left = 1 - (1 - config.final_rate) * late
        for optimizer, rate in (
            (self.optimizer, config.learning_rate),
            (self.fitter.optimizer, config.model_rate),
            (self.judge.optimizer, config.discriminator_rate),
        ):
            optimizer.param_groups[0]["lr"] = left * rate


@contextmanager
def _fixed(*modules: torch.nn.Module) -> Iterator[None]:
    """What is computed inside passes gradients on, and has none by these weights."""
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
