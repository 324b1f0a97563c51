"""A picture for a transformer: each place of its feature map is a token.

As in DETR (Carion et al. 2020) and ACT (Zhao et al. 2023): a linear map to the
transformer's width, and sines of row and column to be added to the keys in each layer.
"""

from torch import Tensor, nn

from ml.transformer import sinusoidal_2d
from ml.vision.encoder import ImageEncoder


class ImageTokens(nn.Module):
    """Pictures (batch, C, H, W) to tokens (batch, rows * columns, width).

    Several cameras: run each picture through (the same or another one) and join the
    tokens, and as often the positions.
    """

    positions: Tensor

    def __init__(self, encoder: ImageEncoder, width: int) -> None:
        """Build the linear map, Glorot uniform, bias 0.

        Args:
            encoder: whose feature map is taken; it loses what follows that.
            width: of a token, a multiple of 4.

        Raises:
            UsageError: another width.
        """
        super().__init__()
        self.encoder = encoder
        encoder.behead()
        self.project = nn.Linear(encoder.channels, width)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        places = sinusoidal_2d(*encoder.grid, width)
        self.register_buffer("positions", places, persistent=False)

    @property
    def count(self) -> int:
        """Tokens of a picture."""
        return len(self.positions)

    def forward(self, images: Tensor) -> Tensor:
        """Tokens row by row; :attr:`positions` (rows * columns, width) go with them."""
        places = self.encoder.feature_map(images).flatten(2).transpose(1, 2)
        return self.project(places)
