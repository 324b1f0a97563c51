"""A small vision transformer (Dosovitskiy et al. 2021), transformers' build of it.

The picture is cut into square patches, each becomes a token, and an encoder with
learned positions looks at all of them. The features are made of a class token; the
other tokens, laid out again, are the feature map. Random weights, as in BERT: normal
with standard deviation 0.02.
"""

from torch import Tensor, nn

from assets.errors import UsageError
from ml.vision.encoder import ImageEncoder, Size


class ViT(ImageEncoder):
    """Patches to tokens to features."""

    def __init__(
        self,
        size: Size,
        features: int = 64,
        *,
        patch: int = 8,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        """Build with random weights.

        Args:
            size: of the pictures: channels, height, width.
            features: that come out.
            patch: height and width of a patch [pixel].
            width: of a token.
            layers: of the encoder.
            heads: of each attention.
            dropout: in training.

        Raises:
            UsageError: patches that do not cover the picture, or heads that do not
                divide the width.
        """
        from transformers import ViTConfig, ViTModel

        _, rows, columns = size
        if patch < 1 or rows % patch or columns % patch:
            fitting = [p for p in range(4, 33) if rows % p == columns % p == 0]
            raise UsageError(
                f"patches of {patch} do not cover a picture of {rows} x {columns}: "
                f"of 4 to 32, {', '.join(map(str, fitting)) or 'none'} would"
            )
        if width % heads:
            raise UsageError(
                f"heads share the width: {width} is no multiple of {heads} heads"
            )
        grid = rows // patch, columns // patch
        super().__init__(size, features, channels=width, grid=grid)
        config = ViTConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            image_size=(rows, columns),
            patch_size=patch,
            num_channels=size[0],
        )
        self.backbone = ViTModel(config, add_pooling_layer=False)
        self.readout = nn.Linear(width, features)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, features), of the class token."""
        return self.readout(self._tokens(images)[:, 0])

    def feature_map(self, images: Tensor) -> Tensor:
        """(batch, C, H, W) in [0, 1] -> (batch, width, H / patch, W / patch)."""
        return self._tokens(images)[:, 1:].transpose(1, 2).unflatten(-1, self.grid)

    def _tokens(self, images: Tensor) -> Tensor:
        """(batch, 1 + rows * columns, width), the class token first."""
        return self.backbone(self.centred(images)).last_hidden_state
