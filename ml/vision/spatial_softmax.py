"""Feature maps to keypoints: where in the picture, rather than how much.

Levine et al. (2016), "End-to-End Training of Deep Visuomotor Policies", section 5.1
(and Finn et al. 2016, with the temperature): each channel's softmax over all places is
taken as a probability, and the mean place under it comes out,

    s[c, i, j] = exp(a[c, i, j] / T) / sum,   (x_c, y_c) = sum s[c, i, j] (x_j, y_i)

A hand needs to know where things are, which an average over the map forgets.
"""

import torch
from torch import Tensor, nn


class SpatialSoftmax(nn.Module):
    """(batch, channels, rows, columns) -> (batch, 2 * keypoints)."""

    def __init__(self, channels: int, keypoints: int | None = None) -> None:
        """Build.

        Args:
            channels: of the map.
            keypoints: made of the channels by a linear map at each place; None: each
                channel is one.
        """
        super().__init__()
        self.mix = (
            nn.Identity() if keypoints is None else nn.Conv2d(channels, keypoints, 1)
        )
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Mean places, x and y of each keypoint in turn: from -1 at the first column
        and row to 1 at the last."""
        x = self.mix(x)
        rows, columns = x.shape[-2:]
        share = (x.flatten(2) / self.log_temperature.exp()).softmax(-1)
        share = share.unflatten(-1, (rows, columns))
        across = torch.linspace(-1, 1, columns, device=x.device, dtype=x.dtype)
        down = torch.linspace(-1, 1, rows, device=x.device, dtype=x.dtype)
        places = (share.sum(-2) @ across, share.sum(-1) @ down)
        return torch.stack(places, dim=-1).flatten(1)
