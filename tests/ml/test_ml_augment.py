"""Augmentation against plain slices and against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from assets.errors import UsageError
from ml.augment import (
    add_noise,
    center_crop,
    crop,
    jitter,
    random_crop,
    random_jitter,
    random_shift,
    shift,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(rows: int, channels: int = 3) -> Tensor:
    return torch.rand(rows, channels, 12, 17, generator=seeded(9))


def test_crop_is_a_slice() -> None:
    images = pictures(4)
    corners = torch.tensor([[0, 0], [5, 2], [2, 7], [3, 3]])
    pieces = crop(images, corners, 7, 10)
    for image, (row, column), piece in zip(images, corners, pieces, strict=True):
        assert torch.equal(piece, image[:, row : row + 7, column : column + 10])


def test_shift_is_numpys_padded_slice() -> None:
    images = pictures(3, channels=2)
    corners = torch.tensor([[0, 6], [3, 3], [6, 1]])
    moved = shift(images, corners, pad=3)
    for image, (row, column), got in zip(images, corners, moved, strict=True):
        padded = np.pad(image.numpy(), ((0, 0), (3, 3), (3, 3)), mode="edge")
        expected = padded[:, row : row + 12, column : column + 17]
        assert np.array_equal(got.numpy(), expected)
    assert torch.equal(moved[1], images[1])


def test_random_shifts_are_uniform_and_each_samples_own() -> None:
    # The middle pixel's value says where it came from.
    n, pad = 30_000, 2
    ramp = (torch.arange(9.0)[:, None] * 9 + torch.arange(9.0)).expand(n, 1, 9, 9)
    middle = random_shift(ramp, seeded(), pad)[:, 0, 4, 4].long()
    rows, columns = middle // 9 - 4, middle % 9 - 4
    counts = torch.zeros(5, 5)
    counts.index_put_((rows + 2, columns + 2), torch.ones(n), accumulate=True)
    expected = n / 25
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_random_crops_reach_both_ends() -> None:
    n = 2000
    ramp = (torch.arange(6.0)[:, None] * 8 + torch.arange(8.0)).expand(n, 3, 6, 8)
    corner = random_crop(ramp, 4, 7, seeded())[:, 0, 0, 0].long()
    assert set(corner.tolist()) == {r * 8 + c for r in range(3) for c in range(2)}


def test_center_crop() -> None:
    images = pictures(2)
    assert torch.equal(center_crop(images, 6, 7), images[..., 3:9, 5:12])
    assert torch.equal(center_crop(images, 12, 17), images)


def by_pillow(image: Tensor, factors: list[float]) -> np.ndarray:
    """Brightness, contrast and saturation by Pillow, on bytes."""
    content = (image * 255).round().byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(content)
    enhancers = ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color
    for enhancer, factor in zip(enhancers, factors, strict=True):
        picture = enhancer(picture).enhance(factor)
    return np.asarray(picture).transpose(2, 0, 1) / 255


@pytest.mark.parametrize(
    "factors",
    [[0.6, 1, 1], [1.6, 1, 1], [1, 0.4, 1], [1, 1.7, 1], [1, 1, 0], [1, 1, 2]],
)
def test_colours_are_pillows(factors: list[float]) -> None:
    images = (pictures(2) * 255).round() / 255
    got = jitter(images, torch.tensor([factors, [1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(got[0], by_pillow(images[0], factors), atol=2.1 / 255)
    torch.testing.assert_close(got[1], images[1])


def test_colours_all_together_are_pillows_in_that_order() -> None:
    images = (pictures(1) * 255).round() / 255
    factors = [0.7, 1.5, 1.8]
    got = jitter(images, torch.tensor([factors]))[0].numpy()
    # Pillow rounds to bytes three times, and later factors enlarge what that loses.
    np.testing.assert_allclose(got, by_pillow(images[0], factors), atol=6 / 255)


def test_random_colours_stay_within_their_spans() -> None:
    images = torch.full((4000, 3, 2, 2), 0.5)
    got = random_jitter(images, seeded(), brightness=0.4, contrast=0, saturation=0)
    factors = got[:, 0, 0, 0] / 0.5
    assert factors.min() == pytest.approx(0.6, abs=2e-3)
    assert factors.max() == pytest.approx(1.4, abs=2e-3)
    assert factors.mean() == pytest.approx(1, abs=5 * 0.8 / (12 * 4000) ** 0.5)
    assert torch.equal(
        got, random_jitter(images, seeded(), brightness=0.4, contrast=0, saturation=0)
    )


def test_noise_has_the_given_size_in_each_dimension() -> None:
    x = torch.zeros(40_000, 3)
    std = torch.tensor([0.0, 0.5, 2.0])
    noise = add_noise(x, std, seeded())
    torch.testing.assert_close(noise.std(0), std, atol=0, rtol=0.02)
    assert (noise.mean(0).abs() <= 5 * std / 200).all()
    assert torch.equal(noise, add_noise(x, std, seeded()))
    assert not torch.equal(noise, add_noise(x, std, seeded(1)))
    assert add_noise(x, 0.1, seeded()).std().item() == pytest.approx(0.1, rel=0.02)


def test_the_generator_alone_decides() -> None:
    images = pictures(8)
    torch.manual_seed(0)
    first = random_shift(images, seeded(3)), random_jitter(images, seeded(3))
    torch.manual_seed(1)
    second = random_shift(images, seeded(3)), random_jitter(images, seeded(3))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(random_shift(images, seeded(4)), first[0])


def test_augmentation_refuses() -> None:
    images = pictures(2)
    with pytest.raises(UsageError, match="12 x 17 is at most that large, got 13 x 4"):
        random_crop(images, 13, 4, seeded())
    with pytest.raises(UsageError, match="got 4 x 18"):
        center_crop(images, 4, 18)
    with pytest.raises(UsageError, match=r"red, green and blue, got \(2, 1, 12, 17\)"):
        random_jitter(images[:, :1], seeded())
    with pytest.raises(UsageError, match="vary by 0 to 1"):
        random_jitter(images, seeded(), contrast=1.5)
    with pytest.raises(UsageError, match="not negative"):
        add_noise(images, -0.1, seeded())
