"""The average of weights against diffusers', over 200 updates.

Ours is its ``EMAModel`` with ``use_ema_warmup``, ``inv_gamma`` 1 and no delay, as
Diffusion Policy uses it. Beyond that: ours holds a module that is ready to run, and
copies its buffers, which diffusers leaves out; diffusers copies parameters that need no
gradient, ours averages them.
"""

import copy

import pytest
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ml.ema import EMA


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Linear(16, 3))


def bias(module: nn.Module) -> nn.Parameter:
    """Of the first layer."""
    return module.get_parameter("0.bias")


def walk(module: nn.Module, step: int) -> None:
    """Stands for a step of training."""
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
        for buffer in module.buffers():
            buffer.add_(1)


@pytest.mark.parametrize("power", [0.75, 2 / 3])
@pytest.mark.parametrize("most", [0.9999, 0.9, 0.0])
def test_it_is_that_of_diffusers(power: float, most: float) -> None:
    module = network()
    ours = EMA(module, max_decay=most, power=power)
    theirs = EMAModel(
        module.parameters(), decay=most, use_ema_warmup=True, inv_gamma=1, power=power
    )
    for step in range(200):
        walk(module, step)
        decay = ours.decay()
        ours.update(module)
        theirs.step(module.parameters())
        assert decay == pytest.approx(theirs.cur_decay_value, abs=1e-12)
        pairs = zip(ours.module.parameters(), theirs.shadow_params, strict=True)
        for a, b in pairs:
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    if most:
        assert not torch.equal(bias(ours.module), bias(module))


def test_where_the_two_differ() -> None:
    module = network()
    bias(module).requires_grad_(False)
    ours = EMA(module)
    theirs = EMAModel(module.parameters(), use_ema_warmup=True, power=0.75)
    before = copy.deepcopy(module)
    for step in range(3):
        walk(module, step)
        ours.update(module)
        theirs.step(module.parameters())
    # Buffers: copied by ours; theirs has none.
    assert all(
        torch.equal(a, b)
        for a, b in zip(ours.module.buffers(), module.buffers(), strict=True)
    )
    assert len(theirs.shadow_params) == len(list(module.parameters()))
    # Weights without a gradient: theirs are those of the module, ours the average.
    assert torch.equal(theirs.shadow_params[1], bias(module))
    assert not torch.equal(bias(ours.module), bias(module))
    assert not torch.equal(bias(ours.module), bias(before))
