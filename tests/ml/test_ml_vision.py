"""Encoders of pictures: sizes, what they depend on, and whether they see."""

import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from assets.errors import UsageError
from ml.tiles import run_tiled
from ml.transformer import TransformerConfig, TransformerEncoder, sinusoidal_2d
from ml.vision import (
    ENCODERS,
    ImageTokens,
    ResNet18,
    SmallCNN,
    SpatialSoftmax,
    ViT,
    make_encoder,
)

SIZES = [(3, 64, 64), (1, 72, 96), (3, 84, 84)]


def options(kind: str, size: tuple[int, int, int]) -> dict[str, int]:
    return {"patch": 12} if kind == "vit" and size[1] != 64 else {}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ENCODERS)
def test_sizes_are_as_said(kind: str, size: tuple[int, int, int]) -> None:
    net = make_encoder(kind, size, 10, **options(kind, size)).eval()
    images = torch.rand(2, *size)
    with torch.no_grad():
        assert net(images).shape == (2, 10)
        assert net.feature_map(images).shape == (2, net.channels, *net.grid)
        tokens = ImageTokens(net, 32)
        assert tokens(images).shape == (2, tokens.count, 32)
    assert tokens.positions.shape == (net.grid[0] * net.grid[1], 32)


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_weight_learns(kind: str) -> None:
    torch.manual_seed(0)
    net = make_encoder(kind, (3, 64, 64), 10)
    net(torch.rand(4, 3, 64, 64)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("k_proj.bias"):  # a softmax ignores a constant
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_weight_learns_by_tokens_too(kind: str) -> None:
    """What would make features is left out: two processes would wait for it."""
    torch.manual_seed(0)
    tokens = ImageTokens(make_encoder(kind, (3, 64, 64), 10), 16)
    tokens(torch.rand(4, 3, 64, 64)).square().sum().backward()
    for name, parameter in tokens.named_parameters():
        assert parameter.grad is not None, name


def test_keypoints_are_centres_of_mass() -> None:
    torch.manual_seed(0)
    x = 3 * torch.randn(4, 5, 6, 9)
    net = SpatialSoftmax(5)
    net.log_temperature.data.fill_(float(np.log(2.0)))
    places = net(x).unflatten(1, (5, 2))
    mass = np.exp(x.double().numpy() / 2)
    for b in range(4):
        for c in range(5):
            row, column = np.array(ndimage.center_of_mass(mass[b, c]), float)
            expected = [2 * column / 8 - 1, 2 * row / 5 - 1]
            assert places[b, c].tolist() == pytest.approx(expected, abs=1e-5)


def test_keypoints_are_mixed_from_channels() -> None:
    torch.manual_seed(0)
    net, plain = SpatialSoftmax(5, 7), SpatialSoftmax(7)
    x = torch.randn(2, 5, 6, 9)
    assert net(x).shape == (2, 14)
    torch.testing.assert_close(net(x), plain(net.mix(x)))
    net(x)[0, 0].backward()
    assert net.log_temperature.grad is not None and net.log_temperature.grad != 0


def test_resnet_is_the_one_of_the_paper() -> None:
    for norm in ("group", "batch"):
        net = ResNet18((3, 64, 64), norm=norm)
        # He et al.'s network has 11 689 512 weights, 513 000 of them in its last layer.
        assert sum(p.numel() for p in net.backbone.parameters()) == 11_176_512
        convolutions = [m for m in net.backbone.modules() if isinstance(m, nn.Conv2d)]
        assert len(convolutions) == 17 + 3  # and three on the shortcuts


def test_group_norm_forgets_the_batch_and_batch_norm_does_not() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 64)
    group, batch = (ResNet18((3, 64, 64), norm=n).train() for n in ("group", "batch"))
    with torch.no_grad():
        one, all_ = group.feature_map(images[:1]), group.feature_map(images)
        torch.testing.assert_close(one, all_[:1], atol=1e-4, rtol=1e-4)
        one, all_ = batch.feature_map(images[:1]), batch.feature_map(images)
        assert (one - all_[:1]).abs().max() > 0.1
    assert not list(group.backbone.buffers()) and list(batch.backbone.buffers())
    sizes = {
        m.num_channels // m.num_groups
        for m in group.modules()
        if isinstance(m, nn.GroupNorm)
    }
    assert sizes == {16}


def dots(rows: int, size: int = 64) -> tuple[Tensor, Tensor]:
    """Pictures of a bright dot before noise, and where it is, in [-1, 1]."""
    at = torch.rand(rows, 2) * 1.6 - 0.8
    grid = torch.linspace(-1, 1, size)
    x, y = at[:, 0, None, None], at[:, 1, None, None]
    dot = torch.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * 0.08**2))
    images = 0.3 * torch.rand(rows, 3, size, size)
    images[:, 0] += 0.7 * dot
    return images, at


def test_small_cnn_learns_where_a_dot_is() -> None:
    """In 60 steps to a tenth of what knowing nothing costs; and a step is cheap."""
    torch.manual_seed(0)
    net = SmallCNN((3, 64, 64), 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    seconds = []
    for _ in range(60):
        images, at = dots(64)
        start = time.process_time()
        loss = (net(images) - at).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    with torch.no_grad():
        images, at = dots(256)
        error = (net(images) - at).square().mean()
    assert error < 0.1 * at.var()
    assert min(seconds) < 0.2  # of the processor; 45 ms where it was written


def test_tokens_are_places_row_by_row() -> None:
    torch.manual_seed(0)
    net = SmallCNN((3, 64, 96))
    tokens = ImageTokens(net, 32).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        features = net.feature_map(images)  # (1, 32, 16, 24)
        expected = tokens.project(features[0, :, 3, 5])
        torch.testing.assert_close(tokens(images)[0, 3 * 24 + 5], expected)
    assert torch.equal(tokens.positions, sinusoidal_2d(16, 24, 32))
    config = TransformerConfig(width=32, layers=1)
    encoder = TransformerEncoder(config)
    assert encoder(tokens(images), position=tokens.positions).shape == (1, 384, 32)


def test_vit_sees_where_patches_are() -> None:
    torch.manual_seed(0)
    net = ViT((3, 32, 32), patch=8).eval()
    images = torch.rand(1, 3, 32, 32)
    swapped = torch.roll(images, 8, dims=-1)
    with torch.no_grad():
        assert (net(images) - net(swapped)).abs().max() > 1e-4
        # A patch's token stands in the patch's place: a change there moves it most.
        changed = images.clone()
        changed[..., 8:16, 16:24] = 1 - changed[..., 8:16, 16:24]
        moved = (net.feature_map(images) - net.feature_map(changed)).abs().sum(1)[0]
    assert np.unravel_index(int(moved.argmax()), (4, 4)) == (1, 2)


@pytest.mark.parametrize("kind", ["small_cnn", "vit"])
def test_bits_do_not_depend_on_the_batch(kind: str) -> None:
    torch.manual_seed(0)
    net = make_encoder(kind, (3, 64, 64)).eval()
    images = torch.rand(100, 3, 64, 64)
    (whole,) = run_tiled(net, images)
    for start, stop in ((0, 1), (33, 99)):
        (part,) = run_tiled(net, images[start:stop])
        assert torch.equal(part, whole[start:stop])


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_leave_for_onnx(kind: str, tmp_path: Path) -> None:
    import onnxruntime

    torch.manual_seed(0)
    net = make_encoder(kind, (3, 64, 64)).eval()
    images = torch.rand(3, 3, 64, 64)
    file = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        torch.onnx.export(
            net,
            (images[:2],),
            file,
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )
    session = onnxruntime.InferenceSession(file)
    got = torch.as_tensor(session.run(None, {"images": images.numpy()})[0])
    with torch.no_grad():
        torch.testing.assert_close(got, net(images), atol=1e-4, rtol=1e-3)


def test_encoders_refuse() -> None:
    with pytest.raises(UsageError, match="Did you mean 'resnet18'"):
        make_encoder("resnet", (3, 64, 64))
    with pytest.raises(UsageError, match="Known: batch, group"):
        ResNet18((3, 64, 64), norm="layer")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="84 x 84: of 4 to 32, 4, 6, 7, 12, 14"):
        ViT((3, 84, 84), patch=8)
    with pytest.raises(UsageError, match="128 is no multiple of 3 heads"):
        ViT((3, 64, 64), heads=3)
    net = SmallCNN((3, 64, 64))
    with pytest.raises(UsageError, match=r"channels come before height"):
        net(torch.zeros(2, 64, 64, 3))
    with pytest.raises(UsageError, match="divide bytes by 255"):
        net(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(UsageError, match="at least 1, got"):
        SmallCNN((3, 64, 64), 0)
