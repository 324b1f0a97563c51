"""Where a token is, as a vector: in a sequence, in a picture, in time.

Attention does not know the order of its tokens. Sines and cosines of many periods tell
it (Vaswani et al. 2017, section 3.5), or vectors that are learned. The same waves
encode the time of a diffusion or a flow, which is a number and not a place.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

from assets.errors import UsageError


def sinusoidal_1d(length: int, width: int, max_period: float = 10_000.0) -> Tensor:
    """Vaswani et al. (2017), section 3.5: sine and cosine in turn,

        p[t, 2i] = sin(t / P^(2i / width)),  p[t, 2i + 1] = cos(t / P^(2i / width)).

    Args:
        length: how many places.
        width: of a token, even.
        max_period: P; the slowest wave takes almost 2 pi P places.

    Returns:
        (length, width) float32.

    Raises:
        UsageError: an odd width.
    """
    return _waves(torch.arange(length, dtype=torch.float64), width, max_period).float()


def sinusoidal_2d(
    height: int, width: int, channels: int, max_period: float = 10_000.0
) -> Tensor:
    """Places of a picture, as DETR has them (Carion et al. 2020, appendix A.4).

    Row and column run from just above 0 to 2 pi, whatever the picture's size. The first
    half of the channels is of the row, the second of the column.

    Args:
        height: rows of the feature map.
        width: its columns.
        channels: of a token, a multiple of 4.
        max_period: ratio of the slowest to the fastest wave.

    Returns:
        (height * width, channels) float32, row by row.

    Raises:
        UsageError: channels that cannot be shared.
    """
    if channels < 4 or channels % 4:
        raise UsageError(
            f"positions in a picture share their channels among the sine and cosine of "
            f"row and column: a multiple of 4 is needed, got {channels}"
        )
    rows, columns = (
        _waves(_full_turn(count), channels // 2, max_period)
        for count in (height, width)
    )
    grid = (height, width, channels // 2)
    both = rows[:, None].expand(grid), columns[None].expand(grid)
    return torch.cat(both, dim=-1).flatten(0, 1).float()


def time_embedding(
    time: Tensor, width: int, min_period: float = 4e-3, max_period: float = 4.0
) -> Tensor:
    """A time as sines, then cosines, of periods that grow geometrically.

        sin(2 pi t / T_i),  cos(2 pi t / T_i),
        T_i = T_min (T_max / T_min)^(i / (n - 1)),  i = 0 .. n - 1,  n = width / 2

    The default periods are those of pi0 (Black et al. 2024) for times in [0, 1]. For
    the steps 0, 1, 2 ... of a diffusion take 2 pi and 2 pi * 10 000.

    Args:
        time: (...,); whole numbers too.
        width: of the embedding, even, at least 4.
        min_period: of the fastest wave, in the unit of ``time``.
        max_period: of the slowest.

    Returns:
        (..., width), of floats.

    Raises:
        UsageError: an odd or too small width, or periods that do not grow.
    """
    if width < 4 or width % 2:
        raise UsageError(
            f"a time is embedded as sines and cosines of two or more periods: an even "
            f"width of at least 4 is needed, got {width}"
        )
    if not 0 < min_period < max_period:
        raise UsageError(
            f"periods grow from a positive min_period to max_period, got {min_period} "
            f"and {max_period}"
        )
    dtype = time.dtype if time.is_floating_point() else torch.float32
    speeds = _speeds(width, min_period, max_period)
    angle = time[..., None] * torch.tensor(speeds, dtype=dtype, device=time.device)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class LearnedPositions(nn.Module):
    """A vector for each place, learned; normal with standard deviation 0.02 at first,
    as in BERT (Devlin et al. 2019)."""

    def __init__(self, length: int, width: int) -> None:
        """Draw the vectors.

        Args:
            length: how many places.
            width: of a token.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int | None = None) -> Tensor:
        """(length, width): of the first so many places; None: of all.

        Raises:
            UsageError: more places than there are.
        """
        if length is not None and length > len(self.weight):
            raise UsageError(
                f"positions were learned for {len(self.weight)} places, got {length} "
                f"tokens: build them longer, or give shorter sequences"
            )
        return self.weight[:length]


def _waves(place: Tensor, width: int, max_period: float) -> Tensor:
    """(places,) -> (places, width): sine and cosine in turn, ever slower."""
    if width < 2 or width % 2:
        raise UsageError(
            f"sinusoidal positions are pairs of a sine and a cosine: an even width is "
            f"needed, got {width}"
        )
    power = torch.arange(0, width, 2, dtype=place.dtype) / width
    angle = place[:, None] / max_period**power
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


@cache
def _speeds(width: int, min_period: float, max_period: float) -> tuple[float, ...]:
    """2 pi / T_i, in double precision: an angle may be of many turns."""
    ratio = max_period / min_period
    steps = width // 2 - 1
    return tuple(
        2 * math.pi / (min_period * ratio ** (i / steps)) for i in range(steps + 1)
    )


def _full_turn(count: int) -> Tensor:
    """(count,): equal steps up to 2 pi, divided as DETR divides."""
    place = torch.arange(1, count + 1, dtype=torch.float64)
    return place / (count + 1e-6) * 2 * math.pi
