"""ACT: action chunking with transformers, as a conditional VAE.

Zhao, Kumar, Levine and Finn 2023 (arXiv:2304.13705, sections IV-B and IV-C). A
transformer encodes what is seen, one token for each group of the observation and for
each place of a picture, together with a latent ``z``; a decoder turns one learned query
per moment into an action. In training ``z`` comes from an encoder that sees the actions
themselves, so that what demonstrators did differently need not be averaged; acting,
``z = 0`` unless ``latent_spread`` says otherwise:

    L = mean |a - a'| + beta KL(q(z | a, o) || N(0, 1))

The original's decoder is configured with seven layers, of which only the first one's
output is used; one layer is the default here, as in LeRobot. The original divides the
first term by all actions of a chunk, those beyond an episode's end included, LeRobot by
those inside: ``padded_loss`` chooses.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.lerobot.layout import ACTION
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training import Terms
from ml.training_setup import TrainingConfig
from ml.transformer import (
    LearnedPositions,
    TransformerConfig,
    TransformerDecoder,
    TransformerEncoder,
)
from ml.vae import GaussianEncoder, kl_rows, reparameterize
from ml.vision.tokens import ImageTokens
from policies.imitation.config import ImitationConfig
from policies.imitation.net import (
    COUNTS,
    Ahead,
    ImitationNet,
    Seen,
    Sizes,
    key_of,
)
from policies.learners import Learner


@dataclass(frozen=True, kw_only=True)
class ACTConfig(ImitationConfig):
    """What is learned from the demonstrations, and how."""

    kind = "act"

    chunk: int = 50
    """Actions that it predicts at once."""
    execute: int | None = 25
    """Of these, how many are executed before it looks again; None: all."""
    width: int = 128
    """Of a token."""
    heads: int = 4
    """Of each attention."""
    feedforward: int = 512
    """Width between the two linear maps that follow attention."""
    encoder_layers: int = 4
    """Of the encoder of what is seen."""
    decoder_layers: int = 1
    """Of the decoder of actions."""
    vae: bool = True
    """Whether there is a latent; without, it is a plain regression."""
    vae_layers: int = 1
    """Of the encoder that sees the actions."""
    latent: int = 32
    """Numbers in z."""
    kl_weight: float = 10.0
    """beta. With the original's, z soon says nothing (1e-6 nats and less)."""
    latent_spread: float = 0.0
    """Standard deviation of z when acting. The original's is 0: of several things that
    demonstrators did it does one, and always the same where it sees the same."""
    dropout: float = 0.1
    """In training."""
    padded_loss: bool = False
    """Whether actions beyond an episode's end count in the mean, as 0 errors."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=4000,
            batch_size=32,
            learning_rate=5e-4,
            warmup_steps=500,
            gradient_clip=10.0,
            ema_decay=0.999,
            select="last",
            checkpoint_every=500,
            validate_every=500,
        )
    )
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        super().__post_init__()
        self.transformer(self.encoder_layers)  # says what is wrong with the sizes
        if min(self.decoder_layers, self.vae_layers, self.latent) < 1:
            raise UsageError(
                f"decoder_layers, vae_layers and latent are at least 1, got "
                f"{self.decoder_layers}, {self.vae_layers} and {self.latent}"
            )
        if min(self.kl_weight, self.latent_spread) < 0:
            raise UsageError(
                f"kl_weight and latent_spread are at least 0, got {self.kl_weight} and "
                f"{self.latent_spread}"
            )

    def transformer(self, layers: int, final_norm: bool = False) -> TransformerConfig:
        """Of so many layers; post-norm and ReLU, as in the original."""
        return TransformerConfig(
            width=self.width,
            heads=self.heads,
            layers=layers,
            feedforward=self.feedforward,
            dropout=self.dropout,
            final_norm=final_norm,
            checkpoint=self.training.recompute,
        )


class ACTNet(ImitationNet):
    """Encoder of what is seen, decoder of actions, and the encoder of z."""

    def __init__(self, sizes: Sizes, config: ACTConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__(sizes, config)
        self.config: ACTConfig = config
        width, history = config.width, sizes.history
        self.tokens = nn.ModuleDict(
            {group: nn.Linear(history * n, width) for group, n in sizes.groups.items()}
        )
        for key, encoder in list(self.encoders.items()):
            self.encoders[key] = ImageTokens(encoder, width)  # pyright: ignore[reportArgumentType]
        self.latent = nn.Linear(config.latent, width)
        self.places = LearnedPositions(1 + len(sizes.groups), width)
        self.queries = LearnedPositions(config.chunk, width)
        self.encoder = TransformerEncoder(config.transformer(config.encoder_layers))
        self.decoder = TransformerDecoder(
            config.transformer(config.decoder_layers, final_norm=True)
        )
        self.action = nn.Linear(width, sizes.outputs)
        if config.latent_spread:
            self.noise_shape = (config.latent,)
        self.posterior = None
        if config.vae:
            self.posterior = GaussianEncoder(
                history * sizes.inputs,
                sizes.outputs,
                config.chunk,
                latent=config.latent,
                config=config.transformer(config.vae_layers),
            )

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Absolute errors, and what z costs."""
        seen, noise = self.learn(batch, draws)
        targets, counts = self.targets(batch), batch[COUNTS]
        vectors = self.vectors(seen.inputs)
        if noise is not None:
            vectors = vectors + noise
        z, cost = self._posterior(vectors, targets, counts, draws)
        errors = (self.decode(vectors, seen, z) - targets).abs().mean(-1)
        weight = torch.full_like(counts, 1.0) if self.config.padded_loss else counts
        weight = weight.sum(1)
        l1 = (errors * counts).sum(1)
        total = l1 + self.config.kl_weight * cost * weight
        return Terms(total, weight, {"l1": l1, "kl": cost * weight})

    def _posterior(
        self, vectors: Tensor, targets: Tensor, counts: Tensor, draws: StepDraws
    ) -> tuple[Tensor, Tensor]:
        """A draw of z (n, latent), and its KL (n,)."""
        if self.posterior is None:
            zeros = vectors.new_zeros(len(vectors), self.config.latent)
            return zeros, vectors.new_zeros(len(vectors))
        mean, logvar = self.posterior(vectors.flatten(1), targets, counts < 0.5)
        z = reparameterize(mean, logvar, draws.normal("z", self.config.latent))
        return z, kl_rows(mean, logvar)

    def decode(self, vectors: Tensor, seen: Seen, z: Tensor) -> Tensor:
        """Normalised actions.

        Args:
            vectors: (n, history, size) normalised.
            seen: for its pictures.
            z: (n, latent).

        Returns:
            (n, chunk, outputs).
        """
        parts = vectors.split(list(self.sizes.groups.values()), dim=-1)
        tokens = [self.latent(z)]
        for (_, embed), part in zip(self.tokens.items(), parts, strict=True):
            tokens.append(embed(part.flatten(1)))
        x = torch.stack(tokens, dim=1)  # (n, 1 + groups, width)
        position = self.places()
        for camera in self.sizes.cameras:
            looking: Any = self.encoders[key_of(camera)]
            more = looking(seen.images[camera].float() / 255)
            x = torch.cat((x, more), 1)
            position = torch.cat((position, looking.positions))
        memory = self.encoder(x, position=position)
        queries = self.queries()
        start = torch.zeros_like(queries).expand(len(x), -1, -1)
        y = self.decoder(start, memory, position=queries, memory_position=position)
        return self.action(y)

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """A chunk, of z = 0 or drawn."""
        vectors = self.vectors(seen.inputs)
        z = vectors.new_zeros(len(vectors), self.config.latent)
        if self.config.latent_spread:
            z = self.config.latent_spread * noise
        actions = self.decode(vectors, seen, z)
        return self.normalizer.unnormalize(ACTION, actions), memory


LEARNER = Learner(config=ACTConfig, make=ACTNet)
