"""The bits of a row do not depend on the rows beside it; in a plain forward they do."""

import pytest
import torch

from ml.networks import LSTM, MLP
from ml.tiles import TILE, run_tiled


def _network(kind: str) -> MLP | LSTM:
    torch.manual_seed(0)
    if kind == "mlp":
        return MLP(10, 2, (128, 128, 128)).eval()
    net = LSTM(10, 2, (96, 96)).eval()
    net.fit_changes(torch.randn(100, 10))
    return net


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_bits_do_not_depend_on_the_batch(kind: str, threads: int) -> None:
    net = _network(kind)
    x = torch.randn(512, 10)
    memory = torch.randn_like(net.memory(512))
    whole = run_tiled(net.step, x, memory)
    for rows in (1, 7, 64, 65, 300):
        for start in range(0, 512, 97):
            stop = min(start + rows, 512)
            part = run_tiled(net.step, x[start:stop], memory[start:stop])
            for a, b in zip(part, whole, strict=True):
                assert torch.equal(a, b[start:stop])


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_tiles_compute_what_a_plain_forward_does(kind: str) -> None:
    net = _network(kind)
    x = torch.randn(300, 10)
    memory = torch.randn_like(net.memory(300))
    with torch.inference_mode():
        plain = net.step(x, memory)
    tiled = run_tiled(net.step, x, memory)
    for a, b in zip(plain, tiled, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_every_tile_has_the_same_shape() -> None:
    seen = []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append((x.shape, x.is_contiguous()))
        return x * 2

    x = torch.randn(3, 130).T
    (y,) = run_tiled(function, x)
    assert torch.equal(y, x * 2)
    assert seen == [(torch.Size([TILE, 3]), True)] * 3
