"""Training data varied at random, so that a policy does not learn the accidental.

Pictures are (batch, C, H, W) floats in [0, 1]; each sample of a batch is varied by
itself. The shift is that of DrQ (Kostrikov et al. 2021, section 3.1): pad, then crop
anywhere. Cropping for good, smaller than the picture, is what Diffusion Policy does
(Chi et al. 2023); at run time it is the middle that is cropped.

Each variation is a function of its numbers (``shift``), and one that draws them from a
generator (``random_shift``). Numbers are drawn on the generator's device.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_edges

from assets.errors import UsageError

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, ITU-R BT.601."""


def crop(images: Tensor, corners: Tensor, height: int, width: int) -> Tensor:
    """Cut a piece out of each picture.

    Args:
        images: (batch, C, H, W).
        corners: (batch, 2) int64: first row and first column of each piece.
        height: of a piece.
        width: of a piece.

    Returns:
        (batch, C, height, width).

    Raises:
        UsageError: pieces larger than the picture.
    """
    _check_piece(images, height, width)
    device = images.device
    corners = corners.to(device)
    rows = corners[:, 0, None] + torch.arange(height, device=device)
    columns = corners[:, 1, None] + torch.arange(width, device=device)
    sample = torch.arange(len(images), device=device)[:, None, None]
    # Indices around the slice: (batch, height, width, C), channels last.
    pieces = images[sample, :, rows[:, :, None], columns[:, None, :]]
    return pieces.permute(0, 3, 1, 2)


def random_crop(
    images: Tensor, height: int, width: int, generator: torch.Generator
) -> Tensor:
    """Cut a piece out of each picture, anywhere; see :func:`crop`."""
    _check_piece(images, height, width)
    room = images.shape[-2] - height, images.shape[-1] - width
    return crop(images, _corners(len(images), room, generator), height, width)


def center_crop(images: Tensor, height: int, width: int) -> Tensor:
    """Cut the middle out, where the network learned from :func:`random_crop`.

    Args:
        images: (..., H, W).
        height: of the piece.
        width: of the piece.

    Raises:
        UsageError: a piece larger than the picture.
    """
    _check_piece(images, height, width)
    row = (images.shape[-2] - height) // 2
    column = (images.shape[-1] - width) // 2
    return images[..., row : row + height, column : column + width]


def shift(images: Tensor, corners: Tensor, pad: int = 4) -> Tensor:
    """Move each picture; its edge pixels are repeated where it has moved away.

    Args:
        images: (batch, C, H, W).
        corners: (batch, 2) int64 in [0, 2 pad]: ``pad`` stays, 0 moves the picture
            ``pad`` down (first number) or right (second), ``2 pad`` up or left.
        pad: the largest move [pixel].
    """
    padded = pad_edges(images, (pad, pad, pad, pad), mode="replicate")
    return crop(padded, corners, images.shape[-2], images.shape[-1])


def random_shift(images: Tensor, generator: torch.Generator, pad: int = 4) -> Tensor:
    """Move each picture by up to ``pad`` pixels each way; see :func:`shift`."""
    room = 2 * pad, 2 * pad
    return shift(images, _corners(len(images), room, generator), pad)


def jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, then contrast, then saturation.

    Each mixes the picture with one that has none of it (black; its mean grey; its own
    grey) and cuts off at 0 and 1: a factor of 0 gives that picture, 1 changes nothing.

    Args:
        images: (batch, 3, H, W).
        factors: (batch, 3) of brightness, contrast and saturation, not negative.

    Raises:
        UsageError: pictures without three colours.
    """
    factors = factors.to(images.device, images.dtype)
    brightness, contrast, saturation = factors[..., None, None, None].unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = _grey(images).mean((-2, -1), keepdim=True)
    images = (mean + contrast * (images - mean)).clamp(0, 1)
    grey = _grey(images)
    return (grey + saturation * (images - grey)).clamp(0, 1)


def random_jitter(
    images: Tensor,
    generator: torch.Generator,
    *,
    brightness: float = 0.3,
    contrast: float = 0.3,
    saturation: float = 0.3,
) -> Tensor:
    """Change the colours of each picture; see :func:`jitter`.

    Args:
        images: (batch, 3, H, W).
        generator: of the factors.
        brightness: factors lie in 1 -+ this; at most 1.
        contrast: likewise.
        saturation: likewise.

    Raises:
        UsageError: pictures without three colours, or spans outside [0, 1].
    """
    spans = brightness, contrast, saturation
    if min(spans) < 0 or max(spans) > 1:
        raise UsageError(
            f"brightness, contrast and saturation vary by 0 to 1 around 1, got {spans}"
        )
    device = generator.device
    drawn = torch.rand(len(images), 3, generator=generator, device=device)
    return jitter(images, 1 + (2 * drawn - 1) * torch.tensor(spans, device=device))


def add_noise(x: Tensor, std: float | Tensor, generator: torch.Generator) -> Tensor:
    """Add normal noise, for states rather than pictures.

    Args:
        x: (..., size).
        std: standard deviation, one or (size,), in the units of ``x``.
        generator: of the noise.

    Raises:
        UsageError: a negative standard deviation.
    """
    std = torch.as_tensor(std, dtype=x.dtype, device=x.device)
    if (std < 0).any():
        raise UsageError(f"a standard deviation is not negative, got {std.tolist()}")
    noise = torch.randn(
        x.shape, generator=generator, device=generator.device, dtype=x.dtype
    )
    return x + std * noise.to(x.device)


def _corners(count: int, room: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, 2) int64: each from 0 to ``room``, both ends included."""
    drawn = [
        torch.randint(most + 1, (count,), generator=generator, device=generator.device)
        for most in room
    ]
    return torch.stack(drawn, dim=1)


def _grey(images: Tensor) -> Tensor:
    """(batch, 3, H, W) -> (batch, 1, H, W)."""
    if images.shape[1] != 3:
        raise UsageError(
            f"colours are changed in pictures (batch, 3, H, W) of red, green and blue, "
            f"got {tuple(images.shape)}"
        )
    luma = torch.tensor(LUMA, device=images.device, dtype=images.dtype)
    return (images * luma[:, None, None]).sum(1, keepdim=True)


def _check_piece(images: Tensor, height: int, width: int) -> None:
    rows, columns = images.shape[-2:]
    if not (1 <= height <= rows and 1 <= width <= columns):
        raise UsageError(
            f"a piece of a picture of {rows} x {columns} is at most that large, got "
            f"{height} x {width}"
        )
