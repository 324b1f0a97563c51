"""What every encoder of pictures does: pictures to features, and to a feature map."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.vision.spatial_softmax import SpatialSoftmax

Size = tuple[int, int, int]
"""Channels, height and width of a picture."""


class ImageEncoder(nn.Module, ABC):
    """Pictures (batch, C, H, W) of floats in [0, 1] to features (batch, features).

    The features are where in the picture its keypoints are, through a linear map; a
    kind may do otherwise. A transformer takes the feature map as tokens instead
    (:class:`ml.vision.tokens.ImageTokens`).
    """

    head: ClassVar[tuple[str, ...]] = ("readout",)
    """Modules that make features of the feature map."""

    def __init__(
        self, size: Size, features: int, *, channels: int, grid: tuple[int, int]
    ) -> None:
        """Note the sizes.

        Args:
            size: of the pictures: channels, height, width.
            features: that come out.
            channels: of the feature map.
            grid: its rows and columns.
        """
        super().__init__()
        if min(*size, features) < 1:
            raise UsageError(
                f"pictures (channels, height, width) and features are of at least 1, "
                f"got {size} and {features}"
            )
        self.size, self.features = size, features
        self.channels, self.grid = channels, grid

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, features)."""

    @abstractmethod
    def feature_map(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, channels, rows, columns)."""

    def behead(self) -> None:
        """Leave the feature map alone: weights that nothing learns by would be stored,
        and processes that train together would wait for their gradients."""
        for name in self.head:
            setattr(self, name, nn.Identity())

    def centred(self, images: Tensor) -> Tensor:
        """Bring pictures to [-1, 1].

        Raises:
            UsageError: pictures of another size, or bytes.
        """
        if images.shape[1:] != self.size or images.ndim != 4:
            wanted = ", ".join(map(str, self.size))
            raise UsageError(
                f"the encoder takes pictures (batch, {wanted}), got "
                f"{tuple(images.shape)}: channels come before height and width"
            )
        if not torch.is_floating_point(images):
            raise UsageError(
                f"the encoder takes pictures of floats in [0, 1], got {images.dtype}: "
                f"divide bytes by 255"
            )
        return images * 2 - 1


class KeypointEncoder(ImageEncoder):
    """A convolutional network, the places of its keypoints, a linear map."""

    head = ("pool", "readout")

    def __init__(
        self,
        size: Size,
        features: int,
        *,
        channels: int,
        grid: tuple[int, int],
        keypoints: int,
    ) -> None:
        """Build what follows the feature map.

        Args:
            size: of the pictures: channels, height, width.
            features: that come out.
            channels: of the feature map.
            grid: its rows and columns.
            keypoints: to look for.
        """
        super().__init__(size, features, channels=channels, grid=grid)
        self.pool = SpatialSoftmax(channels, keypoints)
        self.readout = nn.Linear(2 * keypoints, features)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, features)."""
        return self.readout(self.pool(self.feature_map(images)))


def halved(size: Size, times: int) -> tuple[int, int]:
    """Rows and columns after so many convolutions of stride 2, which round up."""
    return -(-size[1] // 2**times), -(-size[2] // 2**times)
