"""ResNet-18 (He et al. 2016), transformers' build of it, with random weights.

With group norm (Wu and He 2018) it does what Diffusion Policy does (Chi et al. 2023,
section III-D): batch norm keeps an average of its own, which follows the weights of
training and not their average (:mod:`ml.ema`), and is wrong for the averaged ones that
get evaluated. A sample's features then do not depend on the batch either.

The map is 32 times smaller than the picture. That suits pictures of some hundred
pixels; of 64 x 64 it leaves 2 x 2, and :mod:`ml.vision.small_cnn` sees more.
"""

from typing import Literal

from torch import Tensor, nn

from assets.errors import unknown
from ml.vision.encoder import KeypointEncoder, Size, halved

NORMS = ("group", "batch")
GROUP = 16
"""Channels that are normalised together, as in Diffusion Policy."""


class ResNet18(KeypointEncoder):
    """Eighteen layers; 11.2 million weights."""

    def __init__(
        self,
        size: Size,
        features: int = 64,
        *,
        keypoints: int = 32,
        norm: Literal["group", "batch"] = "group",
    ) -> None:
        """Build with random weights, He normal for convolutions.

        Args:
            size: of the pictures: channels, height, width.
            features: that come out.
            keypoints: to look for.
            norm: what follows each convolution.

        Raises:
            UsageError: an unknown norm.
        """
        from transformers import ResNetConfig, ResNetModel

        if norm not in NORMS:
            raise unknown("norm", norm, NORMS)
        widths = [64, 128, 256, 512]
        super().__init__(
            size,
            features,
            channels=widths[-1],
            grid=halved(size, 5),
            keypoints=keypoints,
        )
        config = ResNetConfig(
            num_channels=size[0],
            embedding_size=widths[0],
            hidden_sizes=widths,
            depths=[2, 2, 2, 2],
            layer_type="basic",
        )
        self.backbone = ResNetModel(config)
        if norm == "group":
            to_group_norm(self.backbone)

    def feature_map(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, 512, H / 32, W / 32)."""
        return self.backbone(self.centred(images)).last_hidden_state


def to_group_norm(module: nn.Module) -> None:
    """Replace each batch norm inside a module by a fresh group norm."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            count = child.num_features
            groups = max(1, count // GROUP)
            setattr(module, name, nn.GroupNorm(groups, count))
        else:
            to_group_norm(child)
