"""Conditional U-Net over time: the denoiser of Diffusion Policy.

Chi et al. 2023 (arXiv:2303.04137, section 4.1 and appendix A.1): a chunk of actions is
a signal in time. Each level has two residual blocks of convolutions, the next one half
the length; on the way back each level but the first, as in their code, sees what it had
on the way down. Condition and time reach every block as a scale and a shift of each
channel (FiLM, Perez et al. 2018, arXiv:1709.07871). GroupNorm, not BatchNorm, since
running statistics and an average of the weights do not go together.

The scales and shifts of all blocks come from one linear map of the same vector, where
the original has one map per block: the same numbers from one matrix product.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.transformer.positions import time_embedding


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Shape of the network."""

    dims: Sequence[int] = (32, 64, 128)
    """Channels of each level; Diffusion Policy's have 256, 512, 1024."""
    kernel: int = 5
    """Steps of time that a convolution sees; odd."""
    groups: int = 8
    """Of the GroupNorm; divides every level's channels."""
    time_width: int = 256
    """Elements of the embedding of time: 256 for states and 128 for images there."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: no level, an even kernel, or channels that groups do not divide.
        """
        if not self.dims:
            raise UsageError("a U-Net has at least 1 level, got no dims")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UsageError(
                f"the kernel is odd, so that lengths are kept, got {self.kernel}"
            )
        wrong = [dim for dim in self.dims if dim < 1 or dim % self.groups]
        if wrong:
            raise UsageError(
                f"each of dims is a multiple of the {self.groups} groups, got "
                f"{wrong[0]}"
            )

    @property
    def multiple(self) -> int:
        """What the chunk's length must be a multiple of."""
        return 2 ** (len(self.dims) - 1)


class UNet1D(nn.Module):
    """(x, t, condition) -> something of x's shape; see
    :class:`ml.generative.denoiser.Denoiser`."""

    def __init__(
        self, actions: int, condition: int, config: UNetConfig | None = None
    ) -> None:
        """Build the network.

        Args:
            actions: A, elements of an action.
            condition: C, elements of the condition, such as stacked observations.
            config: its shape.
        """
        super().__init__()
        self.config = config = config or UNetConfig()
        dims, width = config.dims, config.time_width
        self.time = nn.Sequential(
            nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        self.down = nn.ModuleList()
        for before, after in pairwise((actions, *dims)):
            self.down.append(_pair(before, after, config))
        self.shrink = nn.ModuleList(nn.Conv1d(d, d, 3, 2, 1) for d in dims[:-1])
        self.middle = _pair(dims[-1], dims[-1], config)
        self.up = nn.ModuleList()
        for after, before in reversed(list(pairwise(dims))):
            self.up.append(_pair(2 * before, after, config))
        self.grow = nn.ModuleList(
            nn.ConvTranspose1d(d, d, 4, 2, 1) for d in reversed(dims[:-1])
        )
        self.out = nn.Sequential(
            _conv_block(dims[0], dims[0], config), nn.Conv1d(dims[0], actions, 1)
        )
        blocks = (block for block in self.modules() if isinstance(block, _Residual))
        self._sizes = [2 * block.channels for block in blocks]  # in order of use
        self.film = nn.Sequential(
            nn.Mish(), nn.Linear(width + condition, sum(self._sizes))
        )

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Denoise.

        Args:
            x: (B, T, A), T a multiple of 2^(levels - 1).
            t: (B,) in [0, 1], 1 is noise.
            condition: (B, C).

        Returns:
            (B, T, A).

        Raises:
            UsageError: T is no such multiple.
        """
        if x.shape[1] % self.config.multiple:
            raise self._wrong_length(x.shape[1])
        seen = self.time(time_embedding(t, self.config.time_width).to(x.dtype))
        films = iter(self.film(torch.cat((seen, condition), -1)).split(self._sizes, -1))
        # (B, T, A) -> (B, A, T): convolutions have time last
        x = x.transpose(1, 2)
        kept = []
        for level, pair in enumerate(self.down):
            if level > 0:
                x = self.shrink[level - 1](x)
            x = _through(pair, x, films)
            kept.append(x)
        x = _through(self.middle, x, films)
        for pair, grow in zip(self.up, self.grow, strict=True):
            x = grow(_through(pair, torch.cat((x, kept.pop()), 1), films))
        return self.out(x).transpose(1, 2)

    def _wrong_length(self, length: int) -> UsageError:
        multiple = self.config.multiple
        longer = math.ceil(length / multiple) * multiple
        return UsageError(
            f"a U-Net of {len(self.config.dims)} levels takes chunks whose length is a "
            f"multiple of {multiple}, got {length}: predict {longer}, or take fewer "
            f"levels"
        )


class _Residual(nn.Module):
    """Two convolutions around a residual; a scale and a shift between them."""

    def __init__(self, before: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.channels = channels
        self.first = _conv_block(before, channels, config)
        self.second = _conv_block(channels, channels, config)
        self.around = (
            nn.Identity() if before == channels else nn.Conv1d(before, channels, 1)
        )

    def forward(self, x: Tensor, film: Tensor) -> Tensor:
        """(B, before, T), (B, 2 channels) -> (B, channels, T)."""
        scale, shift = film[..., None].chunk(2, 1)
        y = torch.addcmul(shift, scale, self.first(x))
        return self.second(y) + self.around(x)


def _pair(before: int, after: int, config: UNetConfig) -> nn.ModuleList:
    return nn.ModuleList(
        (_Residual(before, after, config), _Residual(after, after, config))
    )


def _conv_block(before: int, after: int, config: UNetConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, config.kernel, padding=config.kernel // 2),
        nn.GroupNorm(config.groups, after),
        nn.Mish(),
    )


def _through(pair: nn.Module, x: Tensor, films: Iterator[Tensor]) -> Tensor:
    for block in pair.children():
        x = block(x, next(films))
    return x
