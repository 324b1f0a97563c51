"""What diffusion, flow matching and MIP share: a network that turns noise into actions.

It sees a noisy chunk, how noisy it is, and the observation as one vector: a U-Net over
time, a transformer, or a perceptron, which costs least (:mod:`ml.generative`).
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from assets.errors import UsageError, unknown
from ml.generative.denoiser import Field, bind
from ml.lerobot.layout import ACTION
from ml.training_setup import TrainingConfig
from policies.imitation.config import ImitationConfig
from policies.imitation.net import ImitationNet, Seen, Sizes

DENOISERS = ("mlp", "unet", "transformer")


def denoiser_training() -> TrainingConfig:
    """How such networks are trained, unless told otherwise."""
    return TrainingConfig(
        steps=4000,
        batch_size=128,
        learning_rate=1e-3,
        betas=(0.95, 0.999),
        weight_decay=1e-6,
        warmup_steps=500,
        ema_decay=0.999,
        select="last",
        checkpoint_every=500,
        validate_every=500,
    )


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig(ImitationConfig):
    """Shared by these policies."""

    denoiser: Literal["mlp", "unet", "transformer"] = "mlp"
    """Which network."""
    hidden: int = 256
    """Width of a perceptron."""
    blocks: int = 3
    """Of a perceptron."""
    dims: tuple[int, ...] = (32, 64, 128)
    """Channels of a U-Net's levels."""
    kernel: int = 5
    """Steps of time that a U-Net's convolution sees."""
    width: int = 128
    """Of a transformer's token."""
    heads: int = 4
    """Of a transformer's attention."""
    layers: int = 4
    """Of a transformer."""
    feedforward: int = 512
    """Width between the two linear maps of a transformer's layer."""
    dropout: float = 0.0
    """Of a transformer, in training."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        super().__post_init__()
        if self.denoiser not in DENOISERS:
            raise unknown("denoiser", self.denoiser, DENOISERS)
        if self.denoiser == "unet":
            multiple = self._unet().multiple
            if self.chunk % multiple:
                longer = -(-self.chunk // multiple) * multiple
                raise UsageError(
                    f"a U-Net of {len(self.dims)} levels takes chunks whose length is "
                    f"a multiple of {multiple}, got chunk {self.chunk}: take {longer}"
                )

    def _unet(self) -> Any:
        from ml.generative.unet1d import UNetConfig

        return UNetConfig(dims=self.dims, kernel=self.kernel)

    def network(self, outputs: int, features: int) -> nn.Module:
        """A denoiser (see :class:`ml.generative.denoiser.Denoiser`)."""
        if self.denoiser == "unet":
            from ml.generative.unet1d import UNet1D

            return UNet1D(outputs, features, self._unet())
        if self.denoiser == "mlp":
            from ml.generative.mlp_denoiser import MLPDenoiser, MLPDenoiserConfig

            shape = MLPDenoiserConfig(width=self.hidden, blocks=self.blocks)
            return MLPDenoiser(outputs, features, self.chunk, shape)
        from ml.generative.diffusion_transformer import (
            DiffusionTransformer,
            DiffusionTransformerConfig,
        )
        from ml.transformer import TransformerConfig

        shape = DiffusionTransformerConfig(
            horizon=self.chunk,
            condition_tokens=1,
            transformer=TransformerConfig(
                width=self.width,
                heads=self.heads,
                layers=self.layers,
                feedforward=self.feedforward,
                dropout=self.dropout,
                activation="gelu",
                norm_first=True,
                checkpoint=self.training.recompute,
            ),
        )
        return DiffusionTransformer(outputs, features, shape)


class DenoiserNet(ImitationNet):
    """Normaliser and denoiser."""

    tile = 16  # rows at once: many evaluations a look, and often few environments

    def __init__(self, sizes: Sizes, config: DenoiserConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__(sizes, config)
        self.denoiser = config.network(sizes.outputs, self.features)
        self.noise_shape = (config.chunk, sizes.outputs)

    def field(self, seen: Seen) -> Field:
        """The denoiser, for what is seen."""
        return bind(self.denoiser, self.condition(seen))  # pyright: ignore[reportArgumentType]

    def actions(self, normalised: Tensor) -> Tensor:
        """In their units."""
        return self.normalizer.unnormalize(ACTION, normalised)
