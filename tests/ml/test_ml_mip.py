"""The two-step policy: its loss by hand, its minimum, and a task that needs both."""

import pytest
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.generative.denoiser import bind
from ml.generative.mip import mip_errors, sample_mip


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def test_the_loss_is_the_authors() -> None:
    data = torch.randn(5, 3, 2, generator=seeded(), dtype=torch.float64)
    noise = torch.randn(5, 3, 2, generator=seeded(), dtype=torch.float64)
    calls = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        calls.append((x, t))
        return torch.sin(x) + t[:, None, None]

    found = mip_errors(field, data, noise, tau=0.8)
    (x0, t0), (x1, t1) = calls
    assert x0.eq(0).all() and t0.eq(1).all()  # nothing is known: noise's time
    torch.testing.assert_close(x1, data + 0.2 * noise)
    torch.testing.assert_close(t1, torch.full_like(t1, 0.2))
    first = (torch.sin(x0) + 1 - data) / 0.8
    second = (torch.sin(x1) + 0.2 - data) / 0.2
    torch.testing.assert_close(found, first**2 + second**2)


def test_sampling_is_two_calls_and_no_chance() -> None:
    times = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        times.append(t[0].item())
        return x + 1

    found = sample_mip(field, torch.randn(4, 3, 2))
    assert found.eq(2).all() and found.shape == (4, 3, 2)
    assert times == pytest.approx([1.0, 0.1])


def test_it_learns_a_regression_and_corrects_it() -> None:
    """a = sin(3 o): the first step is rough, the second closer."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU()
            )
            self.out = nn.Linear(64, 1)

        def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            seen = torch.cat((x[:, 0], t[:, None], condition), 1)
            return self.out(self.layers(seen))[:, None]

    net, draw = Net(), seeded()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(600):
        condition = torch.rand(128, 1, generator=draw) * 2 - 1
        data = torch.sin(3 * condition)[:, None]
        noise = torch.randn(data.shape, generator=draw)
        loss = mip_errors(bind(net, condition), data, noise).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    condition = torch.linspace(-1, 1, 200)[:, None]
    with torch.no_grad():
        nothing = torch.zeros(200, 1, 1)
        first = net(nothing, torch.ones(200), condition)
        second = sample_mip(bind(net, condition), nothing)
    rough, close = (
        (found[:, 0] - torch.sin(3 * condition)).square().mean().sqrt().item()
        for found in (first, second)
    )
    assert close < 0.05 < rough < 0.2  # the data have 0.7


def test_what_cannot_work_is_refused() -> None:
    for tau in (0.0, 1.0, -3.0):
        with pytest.raises(UsageError, match="between 0 and 1"):
            sample_mip(lambda x, t: x, torch.zeros(1, 1), tau=tau)
        with pytest.raises(UsageError, match="between 0 and 1"):
            mip_errors(lambda x, t: x, torch.zeros(1, 1), torch.zeros(1, 1), tau=tau)
