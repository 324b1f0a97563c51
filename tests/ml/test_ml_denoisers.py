"""The denoising networks: pieces against diffusers', ONNX Runtime, speed, learning."""

import time
import warnings
from pathlib import Path

import pytest
import torch
from diffusers.models.resnet import Conv1dBlock
from torch import Tensor, nn

from assets.errors import UsageError
from ml.generative.denoiser import bind
from ml.generative.diffusion_transformer import (
    DiffusionTransformer,
    DiffusionTransformerConfig,
)
from ml.generative.flow import draw_example, sample_flow
from ml.generative.unet1d import UNet1D, UNetConfig, _Residual
from ml.transformer import TransformerConfig

ACTIONS, CONDITION = 6, 10
NAMES = ["x", "t", "condition"]


def build(kind: str, actions: int, condition: int, small: bool = False) -> nn.Module:
    torch.manual_seed(0)
    if kind == "unet":
        config = UNetConfig(dims=(16, 32), time_width=32) if small else None
        return UNet1D(actions, condition, config).eval()
    layers = TransformerConfig(width=32, layers=2, feedforward=64, norm_first=True)
    config = DiffusionTransformerConfig(transformer=layers) if small else None
    return DiffusionTransformer(actions, condition, config).eval()


@pytest.fixture(scope="module", params=["unet", "transformer"])
def net(request: pytest.FixtureRequest) -> nn.Module:
    return build(request.param, ACTIONS, CONDITION)


def inputs(rows: int = 3, length: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(rows)
    return (
        torch.randn(rows, length, ACTIONS, generator=draw),
        torch.rand(rows, generator=draw),
        torch.randn(rows, CONDITION, generator=draw),
    )


@pytest.mark.parametrize("dims", [(32,), (16, 32), (32, 64, 128), (8, 16, 24, 32)])
def test_any_length_that_can_be_halved(dims: tuple[int, ...]) -> None:
    config = UNetConfig(dims=dims, time_width=32)
    net = UNet1D(ACTIONS, CONDITION, config)
    assert config.multiple == 2 ** (len(dims) - 1)
    for times in (1, 2, 5):
        x, t, condition = inputs(2, times * config.multiple)
        assert net(x, t, condition).shape == x.shape


def test_a_block_is_made_of_those_of_diffusers() -> None:
    """FiLM between their two convolution blocks, around it the residual."""
    config = UNetConfig()
    torch.manual_seed(0)
    for before, after in ((32, 64), (64, 64)):
        ours = _Residual(before, after, config)
        blocks = [Conv1dBlock(n, after, 5) for n in (before, after)]
        for block, mine in zip(blocks, (ours.first, ours.second), strict=True):
            nn.init.normal_(block.group_norm.weight)
            nn.init.normal_(block.group_norm.bias)
            mine[0].load_state_dict(block.conv1d.state_dict())
            mine[1].load_state_dict(block.group_norm.state_dict())
        x, film = torch.randn(2, before, 12), torch.randn(2, 2 * after)
        y = film[:, :after, None] * blocks[0](x) + film[:, after:, None]
        expected = blocks[1](y) + (x if before == after else ours.around(x))
        torch.testing.assert_close(ours(x, film), expected, atol=1e-5, rtol=1e-5)
    assert isinstance(ours.around, nn.Identity)


def test_rows_do_not_mix(net: nn.Module) -> None:
    x, t, condition = inputs()
    with torch.no_grad():
        whole = net(x, t, condition)
        for i in range(3):
            one = slice(i, i + 1)
            alone = net(x[one], t[one], condition[one])
            torch.testing.assert_close(alone, whole[one], atol=1e-5, rtol=1e-5)


def test_everything_matters(net: nn.Module) -> None:
    """Each input changes the output, each weight has a gradient."""
    x, t, condition = (v.clone().requires_grad_() for v in inputs())
    y = net(x, t, condition)
    names = dict(net.named_parameters())
    found = torch.autograd.grad(y.square().sum(), [x, t, condition, *names.values()])
    for value, name in zip(found, ["x", "t", "condition", *names], strict=True):
        assert value.isfinite().all() and value.abs().max() > 0, name
    assert found[0].ne(0).all() and found[2].ne(0).all()


def test_each_step_sees_the_whole_chunk(net: nn.Module) -> None:
    x, t, condition = inputs(1, 16)
    x.requires_grad_()
    (seen,) = torch.autograd.grad(net(x, t, condition)[0, 0].sum(), x)
    assert seen.abs().sum(-1).gt(0).all()


@pytest.mark.parametrize("length", [16, 64])
def test_onnx_runtime_says_the_same(
    net: nn.Module, length: int, tmp_path: Path
) -> None:
    """For any number of rows, and chunks of the given length."""
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        torch.onnx.export(
            net,
            inputs(2, length),
            tmp_path / "net.onnx",
            dynamo=False,
            input_names=NAMES,
            dynamic_axes={name: {0: "batch"} for name in NAMES},
        )
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for rows in (1, 2, 5):
        given = inputs(rows, length)
        feed = {k: v.numpy() for k, v in zip(NAMES, given, strict=True)}
        found = torch.as_tensor(session.run(None, feed)[0])
        with torch.no_grad():
            expected = net(*given)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [16, 64])
def test_ten_evaluations_take_less_than_40_ms_on_one_core(
    net: nn.Module, length: int
) -> None:
    given = inputs(1, length)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken = []
    try:
        with torch.inference_mode():
            # a shared machine has slow seconds: it is tried until one is not
            for _ in range(200):
                start = time.process_time()
                for _ in range(10):
                    net(*given)
                taken.append(time.process_time() - start)
                if taken[-1] < 0.04:
                    break
    finally:
        torch.set_num_threads(threads)
    assert min(taken) < 0.04


@pytest.mark.parametrize("kind", ["unet", "transformer"])
def test_it_learns_to_carry_noise_to_the_condition(kind: str) -> None:
    """Chunks c * (1, 1, ..., 1) with a little noise, c the condition."""
    draw = torch.Generator().manual_seed(0)
    net = build(kind, 1, 1, small=True).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(240):
        condition = torch.rand(32, 1, generator=draw) * 2 - 1
        data = condition[:, None] + 0.02 * torch.randn(32, 8, 1, generator=draw)
        x, t, target = draw_example(data, generator=draw)
        loss = (net(x, t, condition) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    condition = torch.linspace(-0.8, 0.8, 50)[:, None]
    with torch.no_grad():
        noise = torch.randn(50, 8, 1, generator=draw)
        found = sample_flow(bind(net.eval(), condition), noise)
    error = (found - condition[:, None]).square().mean().sqrt()
    assert error < 0.15  # noise has 1, and the mean of the data 0.47


@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_the_condition_becomes_tokens(tokens: int) -> None:
    """Each of its parts is seen by every action, and their order matters."""
    torch.manual_seed(0)
    config = DiffusionTransformerConfig(horizon=16, condition_tokens=tokens)
    net = DiffusionTransformer(ACTIONS, CONDITION, config).eval()
    x, t, condition = inputs(2)
    swapped = condition.unflatten(1, (tokens, -1)).flip(1).flatten(1)
    with torch.no_grad():
        y, z = net(x, t, condition), net(x, t, swapped)
    assert (y - z).abs().amax((0, 2)).gt(1e-4).all() == (tokens > 1)
    assert net(x[:, :5], t, condition).shape == (2, 5, ACTIONS)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 4, got 18: predict 20"):
        UNet1D(ACTIONS, CONDITION)(*inputs(1, 18))
    with pytest.raises(UsageError, match="multiple of the 8 groups, got 20"):
        UNetConfig(dims=(16, 20))
    with pytest.raises(UsageError, match=r"kernel is odd.* got 4"):
        UNetConfig(kernel=4)
    with pytest.raises(UsageError, match="at least 1 level"):
        UNetConfig(dims=())
    with pytest.raises(UsageError, match="up to 64 actions, got 65"):
        DiffusionTransformer(ACTIONS, CONDITION)(*inputs(1, 65))
    parts = DiffusionTransformerConfig(condition_tokens=3)
    with pytest.raises(UsageError, match="10 elements does not make 3 equal"):
        DiffusionTransformer(ACTIONS, CONDITION, parts)
    with pytest.raises(UsageError, match="at least 1, got 0 and 1"):
        DiffusionTransformerConfig(horizon=0)
