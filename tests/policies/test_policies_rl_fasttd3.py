"""FastTD3: its targets and objective against the paper's, written out; its noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.algorithms import find_algorithm
from policies.rl.fasttd3 import FastTD3, FastTD3Config, Spread
from policies.rl.policy import build_actor
from policies.rl.replay import Batch
from policies.rl.training import train
from policies.rl.worlds import MirrorMaps, Sizes, Transition

SIZES = Sizes(actor=3, critic=5, action=2)
CPU = torch.device("cpu")
ROWS, ATOMS = 6, 11


def small(**settings: Any) -> FastTD3:
    given: dict[str, Any] = {"num_envs": 4, "hidden": (8, 8), "critic_hidden": (16, 8)}
    given |= {"atoms": ATOMS, "batch_size": ROWS, "gamma": 0.9, **settings}
    torch.manual_seed(0)
    learner = FastTD3(SIZES, FastTD3Config(**given), CPU)
    nn.init.normal_(learner.policy.mean.weight)
    last: Any = learner.critics.layers[-1]
    nn.init.normal_(last.weight)
    learner.target.load_state_dict(learner.critics.state_dict())
    for weights in learner.target.parameters():
        weights += 0.05 * torch.randn_like(weights)
    return learner


def some_batch() -> Batch:
    made = torch.Generator().manual_seed(1)
    discount = torch.tensor([0.9, 0.81, 0.0, 0.9, 0.0, 0.9])
    return Batch(
        obs=torch.randn(ROWS, 5, generator=made),
        action=torch.rand(ROWS, 2, generator=made) * 2 - 1,
        reward=torch.rand(ROWS, generator=made) * 1.3,
        next_obs=torch.randn(ROWS, 5, generator=made),
        discount=discount,
    )


def alone(critics: Any, index: int, x: Tensor) -> Tensor:
    """One critic's logits, by torch's own linear layers and ReLU."""
    for layer in list(critics.layers)[::2]:
        x = nn.functional.linear(x, layer.weight[index].T, layer.bias[index, 0])
        last = layer is critics.layers[-1]
        x = x if last else torch.relu(x)
    return x


def as_categorical(logits: Tensor, values: Tensor) -> Tensor:
    return (torch.distributions.Categorical(logits=logits).probs * values).sum(-1)


def test_critics_learn_the_distribution_of_the_lower_mean() -> None:
    learner, batch = small(target_std=0.4, target_clip=0.3), some_batch()
    assert any(isinstance(one, nn.ReLU) for one in learner.critics.layers)
    noise = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(2))
    assert (0.4 * noise.abs() > 0.3).any()
    values = torch.linspace(0, 10, ATOMS)
    with torch.no_grad():
        following = learner.policy.trunk(learner.norm(batch.next_obs)[:, :3])
        mean = torch.tanh(learner.policy.mean(following))
        action = (mean + (0.4 * noise).clamp(-0.3, 0.3)).clamp(-1, 1)
        x = torch.cat((learner.norm(batch.next_obs), action), 1)
        guesses = [alone(learner.target, i, x) for i in range(2)]
        means = [as_categorical(guess, values) for guess in guesses]
        assert 0 < (means[0] < means[1]).sum() < ROWS  # each is the lower one somewhere
        now = torch.cat((learner.norm(batch.obs), batch.action), 1)
        logits = [alone(learner.critics, i, now) for i in range(2)]
    loss = 0.0
    for row in range(ROWS):
        chosen = guesses[0 if means[0][row] < means[1][row] else 1][row].softmax(-1)
        # each atom's mass, moved, and shared by hat functions of the atoms' distance
        moved = (batch.reward[row] + batch.discount[row] * values).clamp(0, 10)
        hats = (1 - (moved[:, None] - values).abs() / 1.0).clamp(min=0)
        target = chosen @ hats
        assert float(target.sum()) == pytest.approx(1, abs=1e-5)
        for one in logits:
            loss -= float(target @ one[row].log_softmax(-1)) / ROWS
    learner.learn_values(batch, noise)
    assert float(learner.watched()["critic_loss"]) == pytest.approx(loss, abs=1e-4)


def test_the_actor_climbs_the_lower_mean() -> None:
    learner, batch = small(weight_decay=0.0), some_batch()
    values = torch.linspace(0, 10, ATOMS)

    def climbed() -> Tensor:
        x = learner.norm(batch.obs)
        action = torch.tanh(learner.policy.mean(learner.policy.trunk(x[:, :3])))
        both = torch.cat((x, action), 1)
        means = [
            as_categorical(alone(learner.critics, i, both), values) for i in range(2)
        ]
        return torch.minimum(*means).mean()

    weights = list(learner.policy.parameters())
    expected = torch.autograd.grad(-climbed(), weights)
    before = [one.detach().clone() for one in weights]
    learner.learn_actions(batch.obs)
    for now, was, slope in zip(weights, before, expected, strict=True):
        torch.testing.assert_close(now.grad, slope, atol=1e-5, rtol=1e-4)
        # the first step of Adam: against the slope's sign
        moves = slope.abs() > 1e-4
        assert torch.equal((now - was).sign()[moves], -slope.sign()[moves])
    assert all(one.grad is None for one in learner.critics.parameters())
    assert all(one.requires_grad for one in learner.critics.parameters())


def test_actors_wait_weights_decay_and_targets_follow() -> None:
    learner = small(actor_every=2, tau=0.5, weight_decay=0.1)
    batch = some_batch()
    weight = learner.policy.mean.weight
    before = weight.detach().clone()
    target = [one.clone() for one in learner.target.parameters()]
    learner.update(batch)
    assert torch.equal(weight, before)
    pairs = zip(learner.target.parameters(), learner.critics.parameters(), strict=True)
    for (new, source), old in zip(pairs, target, strict=True):
        torch.testing.assert_close(new, (old + source.detach()) / 2)
    learner.update(batch)
    assert not torch.equal(weight, before)
    for one in learner.optimizers.values():
        assert one.param_groups[0]["weight_decay"] == 0.1


def test_each_environment_keeps_its_noise_for_an_episode() -> None:
    learner = small(explore_std=(0.1, 0.4), num_envs=2000)
    std = learner.spread.std.clone()
    assert std.min() >= 0.1 and std.max() <= 0.4
    assert float(std.mean()) == pytest.approx(0.25, abs=0.01)
    ended = torch.zeros(2000, dtype=torch.bool)
    ended[::2] = True
    zero = torch.zeros(2000)
    rows: dict[str, Tensor] = {"obs": zero, "action": zero, "reward": zero}
    rows |= {"next_obs": zero, "terminated": ended & False, "truncated": ended}
    learner.seen(Transition(**rows))
    changed = (learner.spread.std != std)[:, 0]
    assert torch.equal(changed, ended)
    # what is done is as spread as that says, around what the actor does
    learner.policy.mean.weight.data.zero_()
    learner.policy.mean.bias.data.zero_()
    drawn = torch.stack([learner.explore(torch.zeros(2000, 5)) for _ in range(300)])
    found = drawn.std((0, 2))
    inside = learner.spread.std[:, 0] < 0.25  # the limits cut off the others' noise
    np.testing.assert_allclose(
        found[inside], learner.spread.std[inside, 0], rtol=0.16, atol=0
    )
    assert drawn.abs().max() <= 1


def test_spread_is_drawn_everywhere_at_first() -> None:
    spread = Spread(3, (0.0, 2.0))
    spread.draw(torch.tensor([0.0, 0.5, 0.75]))
    torch.testing.assert_close(spread.std, torch.tensor([[0.0], [1.0], [1.5]]))


def test_the_actor_is_built_again() -> None:
    learner = small()
    learner.update(some_batch())
    again = build_actor(learner.network(), 3, 2)
    again.load_state_dict(learner.actor().state_dict())
    x = torch.randn(5, 3)
    torch.testing.assert_close(again(x), learner.actor()(x))


def test_mirror_images_are_in_the_batch() -> None:
    mirror = MirrorMaps(
        obs_order=torch.tensor([1, 0, 2, 3, 4]),
        obs_signs=torch.tensor([1.0, 1, -1, 1, 1]),
        action_order=torch.tensor([0, 1]),
        action_signs=torch.tensor([-1.0, 1]),
    )
    learner = FastTD3(SIZES, FastTD3Config(num_envs=4), CPU, mirror)
    learner.update(some_batch())
    both = torch.cat((some_batch().obs, mirror.obs(some_batch().obs)))
    torch.testing.assert_close(learner.norm.mean, both.mean(0))


def test_fasttd3_refuses() -> None:
    with pytest.raises(UsageError, match="explore_std goes from at least 0 up"):
        FastTD3Config(explore_std=(0.4, 0.1))
    with pytest.raises(UsageError, match="tau is above 0"):
        FastTD3Config(tau=0.0)
    with pytest.raises(UsageError, match="actor_every must be above 0"):
        FastTD3Config(actor_every=0)
    with pytest.raises(UsageError, match="target_std is at least 0"):
        FastTD3Config(target_std=-0.1)
    with pytest.raises(UsageError, match="batch_size is even"):
        FastTD3Config(batch_size=9)


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    given: dict[str, Any] = {"num_envs": 4, "hidden": (8,), "critic_hidden": (8,)}
    given |= {"batch_size": 16, "warmup": 16, "n_step": 3, "replay": 64, "threads": 1}
    given |= {"evaluate_minutes": 0.0, "evaluate_episodes": 2, "tensorboard": False}
    algorithm, ends = find_algorithm("fasttd3"), []
    for stops in ((160,), (80, 160)):
        out = tmp_path / str(len(stops))
        for index, steps in enumerate(stops):
            config = algorithm.config(**given, steps=steps)
            options: Any = {"task": "Pendulum-v1", "out": out, "progress": False}
            train("fasttd3", config, resume=index > 0, **options)
        tensors, _ = load_state(out / STATE)
        kept = ("nets/", "optimizer/", "learner/", "rng/", "worlds/")
        ends.append({k: v for k, v in tensors.items() if k.startswith(kept)})
    assert ends[0].keys() == ends[1].keys() and "nets/spread.std" in ends[0]
    for name, values in ends[0].items():
        assert torch.equal(values, ends[1][name]), name
