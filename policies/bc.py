"""Behaviour cloning: regress the demonstrator's action on its observation.

Pomerleau (1989), "ALVINN". The network sees normalised observations and predicts
normalised actions; the loss is their mean squared error,

    L = mean |f(normalise(o)) - normalise(a)|^2,

or, with a Gaussian mixture as its output, the negative logarithm of the likelihood
(Mandlekar et al. 2021, arXiv:2108.03298), which need not average over demonstrators
that did different things. With a ``chunk`` it predicts the next actions as well
(:mod:`policies.chunks`). A perceptron is for demonstrators that are a function of the
observation; an LSTM or GRU can make up for what the observation lacks (velocities, say)
from what it saw before, and learns from windows of episodes
(:class:`ml.samples.Windows`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError, unknown
from ml.lerobot.layout import ACTION
from ml.networks import LSTM, MLP
from ml.samples import Batch, Windows
from ml.step_draws import StepDraws
from ml.training import Terms
from policies.imitation.config import ImitationConfig
from policies.imitation.net import (
    COUNTS,
    OBSERVATION,
    Ahead,
    ImitationNet,
    Seen,
    Sizes,
    chunk_terms,
)
from policies.learners import Learner

NETWORKS = ("mlp", "lstm", "gru")


@dataclass(frozen=True, kw_only=True)
class BCConfig(ImitationConfig):
    """What is learned from the demonstrations, and how."""

    kind = "bc"

    network: Literal["mlp", "lstm", "gru"] = "mlp"
    """Perceptron, or LSTM or GRU for history."""
    hidden: tuple[int, ...] = (128, 128, 128)
    """Width of each hidden layer; of a network with memory all the same."""
    modes: int = 0
    """Gaussians of a mixture that is the output; 0: a regression."""
    changes: bool = True
    """Whether it is shown how its inputs changed since the last step, if it has memory
    or a history."""
    window: int = 64
    """Frames over which a network with memory is trained."""
    burn_in: int = 8
    """Frames of a window inside an episode that it only listens to."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        super().__post_init__()
        if self.network not in NETWORKS:
            raise unknown("network", self.network, NETWORKS)
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"hidden layers are at least 1 wide, got {self.hidden}")
        if self.modes < 0:
            raise UsageError(f"modes are 0 or more, got {self.modes}")
        if not 0 <= self.burn_in < self.window:
            raise UsageError(
                f"burn_in lies in 0 to window - 1 ({self.window - 1}), "
                f"got {self.burn_in}"
            )
        if self.network == "mlp":
            return
        if len(set(self.hidden)) > 1:
            raise UsageError(
                f"an {self.network.upper()}'s layers are of one width, got "
                f"{self.hidden}"
            )
        if self.cameras:
            raise UsageError(
                f"an {self.network.upper()} reads no pictures here, got cameras "
                f"{', '.join(self.cameras)}: take network mlp, with a history"
            )
        if self.chunk > 1 or self.history > 1:
            raise UsageError(
                f"an {self.network.upper()} looks at every step and remembers, got "
                f"chunk {self.chunk} and history {self.history}: take network mlp"
            )


class BCNet(ImitationNet):
    """Normaliser and network."""

    def __init__(self, sizes: Sizes, config: BCConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__(sizes, config)
        self.config: BCConfig = config
        wide = config.chunk * sizes.outputs
        self.head: Any = None
        outputs = wide
        if config.modes:
            from ml.gmm_head import GMMHead

            outputs = config.hidden[-1]
            bounded = config.normalize == "min_max"
            self.head = GMMHead(outputs, wide, modes=config.modes, squash=bounded)
            self.noise_shape = (1,)
        self.network: Any = _network(config, self.features, outputs)

    def fit_changes(self, changes: Tensor) -> None:
        """Of its history, and of its network with memory."""
        super().fit_changes(changes)
        if self.config.network != "mlp":
            self.network.fit_changes(changes)

    def memory(self, rows: int) -> Tensor:
        """Of its network."""
        return self.network.memory(rows)

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Squared errors, or what a mixture makes of the actions' likelihood."""
        if self.config.network == "mlp":
            seen, noise = self.learn(batch, draws)
            features = self.network(self.condition(seen, noise))
            counts = batch[COUNTS]
        else:
            features = self.network(self._windows(batch, draws))
            counts = batch[COUNTS]
        targets = self.targets(batch)
        if self.head is None:
            outputs = features.reshape(targets.shape)
            return chunk_terms((outputs - targets).square(), counts)
        if self.config.network == "mlp":
            targets, counts = targets.flatten(1), counts[:, 0]
            surprise = -self.head(features).log_prob(targets) / targets.shape[1]
            return Terms(surprise * counts, counts)
        surprise = -self.head(features).log_prob(targets) / targets.shape[-1]
        return chunk_terms(surprise, counts)

    def _windows(self, batch: Batch, draws: StepDraws) -> Tensor:
        """(n, window, size) normalised, with noise while training."""
        x = self.normalizer.normalize(OBSERVATION, batch["inputs"])
        if self.training and self.config.state_noise:
            x = x + self.config.state_noise * draws.normal("state_noise", *x.shape[1:])
        return x

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """One step of the network; of a mixture the mean of one component, drawn."""
        y, memory = self.network.step(self.condition(seen), memory)
        if self.head is not None:
            mixture = self.head(y)
            choice = torch.special.ndtr(noise[:, 0])
            y = mixture.sample(torch.zeros_like(mixture.mean[:, 0]), choice)
        y = y.unflatten(-1, (self.config.chunk, self.sizes.outputs))
        return self.normalizer.unnormalize(ACTION, y), memory


def _network(config: BCConfig, inputs: int, outputs: int) -> Any:
    """The perceptron, or the network with memory."""
    if config.network == "mlp":
        return MLP(inputs, outputs, config.hidden)
    if config.network == "lstm":
        return LSTM(inputs, outputs, config.hidden, config.changes)
    from ml.networks import GRU

    return GRU(inputs, outputs, config.hidden, config.changes)


def _samples(
    inputs: np.ndarray, targets: np.ndarray, lengths: np.ndarray, config: BCConfig
) -> Windows | None:
    """Windows, for a network with memory."""
    if config.network == "mlp":
        return None
    window, burn_in = config.window, config.burn_in
    return Windows(inputs, targets, lengths, window=window, burn_in=burn_in)


LEARNER = Learner(config=BCConfig, make=BCNet, samples=_samples)
