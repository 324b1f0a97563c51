"""Distributions, densities and networks, each against another way to compute it."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from assets.errors import UsageError
from policies.rl.distribution import Atoms, cross_entropy
from policies.rl.networks import (
    FARTHEST,
    Average,
    Critics,
    GaussianActor,
    ParallelLinear,
    RunningNorm,
    follow,
    squash,
)


def slow_projection(
    probs: Tensor, reward: Tensor, discount: Tensor, low: float, high: float
) -> np.ndarray:
    """Mass by mass in double precision: each goes to its two neighbours by distance."""
    rows, count = probs.shape
    atoms = np.linspace(low, high, count)
    gap = (high - low) / (count - 1)
    out = np.zeros((rows, count))
    for row in range(rows):
        for index in range(count):
            place = float(reward[row]) + float(discount[row]) * atoms[index]
            place = min(max(place, low), high)
            for target in range(count):
                near = max(0.0, 1.0 - abs(place - atoms[target]) / gap)
                out[row, target] += float(probs[row, index]) * near
    return out


@pytest.mark.parametrize(
    ("low", "high", "count"), [(-3, 5, 9), (0, 33.3, 51), (0, 1, 2)]
)
def test_projection(low: float, high: float, count: int) -> None:
    torch.manual_seed(0)
    probs = torch.randn(12, count).mul(2).softmax(-1)
    reward = torch.randn(12) * (high - low)
    discount = torch.where(torch.rand(12) < 0.3, 0.0, torch.rand(12))
    reward[:3], discount[:3] = torch.tensor([low, high, 0.0]), torch.tensor([0, 0, 1.0])
    found = Atoms(low, high, count).project(probs, reward, discount)
    expected = slow_projection(probs, reward, discount, low, high)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    torch.testing.assert_close(found.sum(-1), torch.ones(12))
    assert found.min() > -1e-5


def test_projection_keeps_the_mean_inside_the_support() -> None:
    torch.manual_seed(0)
    atoms = Atoms(-10, 10, 51)
    probs = torch.randn(100, 51).softmax(-1)
    reward, discount = 2 * torch.rand(100) - 1, 0.9 * torch.rand(100)
    moved = atoms.project(probs, reward, discount) @ atoms.values
    torch.testing.assert_close(
        moved, reward + discount * (probs @ atoms.values), atol=1e-5, rtol=1e-5
    )


def test_the_expected_return_and_the_loss_are_those_of_torch() -> None:
    torch.manual_seed(0)
    atoms, logits = Atoms(-2, 3, 7), torch.randn(2, 5, 7)
    target = torch.randn(2, 5, 7).softmax(-1)
    mean = torch.distributions.Categorical(logits=logits).probs @ atoms.values
    torch.testing.assert_close(atoms.mean(logits), mean)
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(0, 1), reduction="none"
    )
    torch.testing.assert_close(cross_entropy(logits, target).flatten(), loss)


@pytest.mark.parametrize(("low", "high", "count"), [(1, 1, 5), (2, 1, 5), (0, 1, 1)])
def test_atoms_that_cannot_be(low: float, high: float, count: int) -> None:
    with pytest.raises(UsageError, match="atoms lie between two different values"):
        Atoms(low, high, count)


def test_the_squashed_density_is_that_of_torch_distributions() -> None:
    torch.manual_seed(0)
    mean = torch.randn(200, 4, dtype=torch.float64)
    log_std = torch.rand(200, 4, dtype=torch.float64) * 5 - 4
    noise = torch.randn(200, 4, dtype=torch.float64)
    action, density = squash(mean, log_std, noise)
    base = Normal(mean, log_std.exp())
    peer = TransformedDistribution(base, [TanhTransform(cache_size=1)])
    drawn = torch.tanh(mean + log_std.exp() * noise)
    torch.testing.assert_close(action, drawn)
    kept = action.abs().max(-1).values < 1 - 1e-12  # the peer inverts the tanh
    expected = peer.log_prob(action).sum(-1)
    torch.testing.assert_close(density[kept], expected[kept], rtol=1e-5, atol=1e-5)
    assert kept.sum() > 150


def test_the_density_is_right_where_tanh_is_flat() -> None:
    """log(1 - tanh(u)^2) is 2 log 2 - 2u there, though 1 - tanh(u)^2 rounds to 0."""
    u = torch.tensor([[30.0], [-30.0]])
    action, density = squash(u, torch.zeros(2, 1), torch.zeros(2, 1))
    slope = 2 * math.log(2) - 60
    assert action.flatten().tolist() == [1, -1]
    expected = torch.full((2,), -0.5 * math.log(2 * math.pi) - slope)
    torch.testing.assert_close(density, expected)


def test_the_first_policy_is_the_same_everywhere_and_its_spread_stays_in_bounds() -> (
    None
):
    torch.manual_seed(0)
    actor = GaussianActor(5, 3, (8,), log_std=(-5.0, 0.0))
    mean, log_std = actor(torch.randn(10, 5))
    assert not mean.any()
    assert (log_std == -2.5).all()
    nn.init.normal_(actor.log_std.weight, std=100.0)
    _, log_std = actor(torch.randn(100, 5))
    assert log_std.min() == -5
    assert log_std.max() == 0


def test_running_statistics_are_those_of_everything_seen() -> None:
    chance = np.random.default_rng(0)
    norm, seen = RunningNorm(3), []
    scale, shift = np.array([1.0, 50.0, 0.0]), np.array([0.0, 1000.0, 7.0])
    for rows in (1, 5, 64, 3, 200):
        batch = chance.normal(size=(rows, 3)) * scale + shift
        seen.append(batch)
        norm.update(torch.tensor(batch, dtype=torch.float32))
    whole = np.concatenate(seen)
    np.testing.assert_allclose(norm.mean.numpy(), whole.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.var.numpy(), whole.var(0), rtol=1e-4, atol=1e-6)
    assert norm.count.item() == len(whole)
    expected = (whole - whole.mean(0)) / (whole.std(0) + 1e-2)
    found = norm(torch.tensor(whole, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-2)  # float32 near 1000
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=1e-4)
    front = norm.front(2)
    assert torch.equal(front(torch.ones(4, 2)), norm(torch.ones(4, 2)))


def test_what_never_varied_does_not_arrive_huge() -> None:
    """A command that was always the same, and then is another: it counts as far away,
    and other elements as before."""
    norm = RunningNorm(2)
    rows = torch.stack([torch.full((500,), 0.4), torch.randn(500)], dim=1)
    norm.update(rows)
    usual, turned = norm(torch.tensor([[0.4, 1.0], [0.9, 1.0]]))
    assert usual[0] == pytest.approx(0.0, abs=1e-3)
    assert turned[0] == FARTHEST < 0.5 / norm.eps
    assert turned[1] == usual[1]
    assert norm(torch.tensor([[-9.0, 1.0]]))[0, 0] == -FARTHEST


def test_nothing_seen_passes_unchanged_but_for_eps() -> None:
    x = torch.randn(4, 3)
    torch.testing.assert_close(RunningNorm(3, eps=0.0)(x), x)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_critics_side_by_side_are_separate_networks(layer_norm: bool) -> None:
    torch.manual_seed(0)
    critics = Critics(3, 6, 5, (8, 7), layer_norm=layer_norm)
    for parameter in critics.parameters():  # gains and biases, too
        nn.init.normal_(parameter)
    obs, action = torch.randn(10, 4), torch.randn(10, 2)
    found = critics(obs, action)
    found.square().sum().backward()
    for index in range(3):
        layers: list[nn.Module] = []
        for layer in critics.layers:
            layers.append(_alone(layer, index))
        alone = nn.Sequential(*layers)
        expected = alone(torch.cat((obs, action), 1))
        torch.testing.assert_close(found[index], expected)
        expected.square().sum().backward()
        first, weight = alone[0], next(critics.parameters())
        assert isinstance(first, nn.Linear)
        assert weight.grad is not None
        assert first.weight.grad is not None
        grads = weight.grad[index], first.weight.grad.T
        torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-3)


def _alone(layer: nn.Module, index: int) -> nn.Module:
    """One of a parallel layer's, as torch has it."""
    if isinstance(layer, nn.SiLU):
        return layer
    with torch.no_grad():
        if isinstance(layer, ParallelLinear):
            _, inputs, outputs = layer.weight.shape
            own = nn.Linear(inputs, outputs)
            own.weight.copy_(layer.weight[index].T)
            own.bias.copy_(layer.bias[index, 0])
            return own
        gain, bias = layer.gain[index, 0], layer.bias[index, 0]  # type: ignore[index]
        norm = nn.LayerNorm(len(gain))
        norm.weight.copy_(gain)
        norm.bias.copy_(bias)
        return norm


def test_parallel_layers_begin_as_torchs_do() -> None:
    torch.manual_seed(0)
    ours, theirs = ParallelLinear(2, 100, 400), nn.Linear(100, 400)
    for one, two in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert one.abs().max().item() == pytest.approx(two.abs().max().item(), rel=0.03)
        assert one.std().item() == pytest.approx(two.std().item(), rel=0.1)


def test_a_target_goes_a_part_of_the_way() -> None:
    target, source = nn.Linear(3, 2), nn.Linear(3, 2)
    before, aim = target.weight.clone(), source.weight.clone()
    follow(target, source, 0.25)
    torch.testing.assert_close(target.weight, 0.75 * before + 0.25 * aim)
    assert torch.equal(source.weight, aim)


def counted(average: Average, network: nn.Linear, upto: int) -> float:
    """The mean, where the weight is the number of the update."""
    with torch.no_grad():
        for number in range(1, upto + 1):
            network.weight.fill_(number)
            average.update(network)
    return next(average.network.parameters()).item()


def test_an_average_lags_by_a_tenth_of_all_and_by_no_more_than_its_span() -> None:
    network = nn.Linear(1, 1)
    for upto in (100, 1000):
        found = counted(Average(network, 1e9), network, upto)
        assert upto - found == pytest.approx(upto / 11, rel=0.1)
    found = counted(Average(network, 50), network, 1000)
    assert 1000 - found == pytest.approx(49, rel=0.01)


def test_an_old_average_is_torchs_own() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    ours = Average(network, 20)
    theirs = AveragedModel(network, avg_fn=get_ema_avg_fn(1 - 1 / 20))
    for _ in range(1000):  # how they began is forgotten by then
        with torch.no_grad():
            network.weight.normal_()
        ours.update(network)
        theirs.update_parameters(network)
    for one, two in zip(ours.network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two)
        assert not one.requires_grad
