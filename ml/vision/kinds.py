"""Encoders of pictures by name, for configurations."""

from collections.abc import Callable
from typing import Any

from assets.errors import unknown
from ml.vision.encoder import ImageEncoder, Size
from ml.vision.resnet import ResNet18
from ml.vision.small_cnn import SmallCNN
from ml.vision.vit import ViT

ENCODERS: dict[str, Callable[..., ImageEncoder]] = {
    "small_cnn": SmallCNN,
    "resnet18": ResNet18,
    "vit": ViT,
}


def make_encoder(
    kind: str, size: Size, features: int = 64, **options: Any
) -> ImageEncoder:
    """An encoder with random weights.

    Args:
        kind: one of :data:`ENCODERS`.
        size: of the pictures: channels, height, width.
        features: that come out.
        options: what this kind alone takes.

    Raises:
        UsageError: unknown kind, or sizes it cannot have.
    """
    if kind not in ENCODERS:
        raise unknown("encoder of pictures", kind, ENCODERS)
    return ENCODERS[kind](size, features, **options)
