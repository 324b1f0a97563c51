"""Normaliser, average, schedule, networks, samples: against their definitions."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from assets.errors import UsageError
from ml.ema import EMA
from ml.networks import LSTM, MLP
from ml.normalizer import Normalizer
from ml.samples import Frames, Order, Windows, split_episodes
from ml.schedule import cosine_factor


@pytest.mark.parametrize("mode", ["mean_std", "min_max"])
def test_normalizer_gives_unit_size_and_back(mode: str) -> None:
    data = np.random.default_rng(0).normal(3, [0.01, 5.0, 100.0], (500, 3))
    normalizer = Normalizer({"a.b": 3}, mode).fit({"a.b": data})
    x = torch.from_numpy(data).float()
    y = normalizer.normalize("a.b", x)
    if mode == "mean_std":
        torch.testing.assert_close(y.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            y.std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0
        )
    else:
        torch.testing.assert_close(y.amin(0), -torch.ones(3), atol=1e-3, rtol=0)
        torch.testing.assert_close(y.amax(0), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalizer.unnormalize("a.b", y), x)


@pytest.mark.parametrize("mode", ["mean_std", "min_max"])
def test_constant_dimensions_are_centred_only(mode: str) -> None:
    data = np.tile([2.0, 1e6, 0.0], (50, 1))
    data[:, 1] += np.random.default_rng(0).normal(0, 1e-3, 50)
    normalizer = Normalizer({"x": 3}, mode).fit({"x": data})
    y = normalizer.normalize("x", torch.tensor([[2.5, 1e6 + 1, -0.5]]))
    torch.testing.assert_close(y, torch.tensor([[0.5, 1.0, -0.5]]), atol=0.07, rtol=0)


def test_normalizer_refuses() -> None:
    normalizer = Normalizer({"state": 2})
    assert normalizer.normalize("state", torch.zeros(1, 2)).isnan().all()  # not fitted
    with pytest.raises(UsageError, match="Did you mean 'state'"):
        normalizer.normalize("stat", torch.zeros(1, 2))
    with pytest.raises(UsageError, match="unknown array to fit"):
        normalizer.fit({"other": np.zeros((3, 2))})
    with pytest.raises(UsageError, match=r"takes \(n, 2\)"):
        normalizer.fit({"state": np.zeros((3, 3))})
    with pytest.raises(UsageError, match="NaN"):
        normalizer.fit({"state": np.full((3, 2), np.nan)})
    with pytest.raises(UsageError, match="unknown normaliser mode"):
        Normalizer({"state": 2}, "minmax")


def test_normalizer_travels_in_the_state_dict() -> None:
    fitted = Normalizer({"a": 2, "b.c": 1}).fit(
        {"a": np.random.default_rng(0).random((9, 2)), "b.c": np.arange(9.0)[:, None]}
    )
    fresh = Normalizer({"a": 2, "b.c": 1})
    fresh.load_state_dict(fitted.state_dict())
    x = torch.ones(1, 2)
    assert torch.equal(fresh.normalize("a", x), fitted.normalize("a", x))
    missing = {k: v for k, v in fitted.state_dict().items() if "b/c" not in k}
    with pytest.raises(RuntimeError, match="Missing key"):
        Normalizer({"a": 2, "b.c": 1}).load_state_dict(missing)


def test_ema_is_its_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    module.register_buffer("kept", torch.zeros(1))
    ema = EMA(module, max_decay=0.8)
    shadow = module.weight.item()
    for t in range(20):
        value = math.sin(t)
        module.weight.data.fill_(value)
        module.get_buffer("kept").fill_(t)
        decay = min(1 - (1 + t) ** -0.75, 0.8)
        shadow = decay * shadow + (1 - decay) * value
        ema.update(module)
        assert ema.state_dict()["weight"].item() == pytest.approx(shadow, abs=1e-6)
    assert ema.state_dict()["kept"].item() == 19


def test_cosine_schedule() -> None:
    def factor(step: int) -> float:
        return cosine_factor(step, total=100, warmup=10, floor=0.1)

    rising = [factor(s) for s in range(11)]
    assert rising == pytest.approx([(s + 1) / 11 for s in range(11)])
    assert factor(55) == pytest.approx(0.55)
    assert factor(100) == factor(200) == pytest.approx(0.1)
    falling = [factor(s) for s in range(10, 101)]
    assert all(a > b for a, b in pairwise(falling))


@pytest.mark.parametrize("changes", [True, False])
def test_lstm_steps_are_its_sequence(changes: bool) -> None:
    torch.manual_seed(0)
    net = LSTM(3, 2, (16, 16), changes).eval()
    x = torch.randn(5, 12, 3)
    net.fit_changes(torch.diff(x, dim=1).flatten(0, 1))
    memory = net.memory(5)
    with torch.no_grad():
        whole = net(x)
        for t in range(12):
            y, memory = net.step(x[:, t], memory)
            torch.testing.assert_close(y, whole[:, t], atol=1e-6, rtol=1e-5)


def test_mlp_has_no_memory() -> None:
    net = MLP(3, 2, (8,))
    y, memory = net.step(torch.ones(4, 3), net.memory(4))
    assert y.shape == (4, 2) and memory.shape == (4, 0)
    assert torch.equal(y, net(torch.ones(4, 3)))


def test_each_epoch_has_every_sample_once_in_another_order() -> None:
    order = Order(100, 20, seed=3)
    epochs = [torch.cat([order(5 * e + s) for s in range(5)]) for e in range(3)]
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(100))
    assert not torch.equal(epochs[0], epochs[1])
    again = Order(100, 20, seed=3)
    assert torch.equal(again(12), order(12))  # from the step alone
    assert not torch.equal(Order(100, 20, seed=4)(12), order(12))
    assert len(Order(7, 20, seed=0)(5)) == 7  # fewer samples than a batch
    with pytest.raises(UsageError, match="no samples"):
        Order(0, 1, seed=0)


def test_validation_is_split_by_episode() -> None:
    train, held_out = split_episodes(50, 0.1, seed=0)
    assert len(held_out) == 5
    assert sorted([*train, *held_out]) == list(range(50))
    assert not np.array_equal(held_out, split_episodes(50, 0.1, seed=1)[1])
    assert len(split_episodes(2, 0.9, seed=0)[0]) == 1
    with pytest.raises(UsageError, match="at least 2 episodes"):
        split_episodes(1, 0.1, seed=0)


def test_frames_are_gathered() -> None:
    frames = Frames(np.arange(6).reshape(3, 2), np.arange(3)[:, None])
    batch = frames.gather(torch.tensor([2, 0]))
    assert batch["inputs"].tolist() == [[4, 5], [0, 1]]
    assert batch["targets"].tolist() == [[2], [0]]


def test_windows_stay_inside_an_episode() -> None:
    lengths = np.array([30, 5, 20])
    episode = np.repeat([0.0, 1.0, 2.0], lengths)[:, None]
    frame = np.concatenate([np.arange(n) for n in lengths])[:, None].astype(float)
    windows = Windows(np.hstack([episode, frame]), frame, lengths, window=8, burn_in=3)
    batch = windows.gather(torch.arange(len(windows)))
    counts = batch["counts"].bool()
    seen = set()
    for inputs, use in zip(batch["inputs"], counts, strict=True):
        inside = use.clone()
        first = int(inputs[0, 1])
        inside[:3] |= first > 0
        assert (inputs[inside, 0] == inputs[0, 0]).all()
        assert inputs[inside, 1].diff().eq(1).all()
        assert use[:3].all() == (first == 0)  # burn-in, but not at an episode's start
        seen |= {tuple(row) for row in inputs[use].int().tolist()}
    assert seen == {(e, t) for e, n in enumerate(lengths) for t in range(n)}
