"""FlashSAC: its networks against torch's own modules, its losses written out."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.schedule import cosine_factor
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.algorithms import find_algorithm
from policies.rl.flashsac import FlashSAC, FlashSACConfig, HeldNoise, ReturnScale
from policies.rl.policy import build_actor
from policies.rl.recipes import find_recipe
from policies.rl.replay import Batch
from policies.rl.residual import (
    ResidualActor,
    ResidualTrunk,
    UnitBatchNorm,
    UnitLinear,
    UnitRMSNorm,
    project,
)
from policies.rl.training import train
from policies.rl.worlds import Sizes, Transition

SIZES = Sizes(actor=3, critic=5, action=2)
CPU = torch.device("cpu")
ROWS, ATOMS = 8, 11


def small(**settings: Any) -> FlashSAC:
    given: dict[str, Any] = {"num_envs": 4, "hidden": (8, 8), "critic_hidden": (8, 8)}
    given |= {"atoms": ATOMS, "batch_size": ROWS, "gamma": 0.9, **settings}
    torch.manual_seed(0)
    return FlashSAC(SIZES, FlashSACConfig(**given), CPU)


def some_batch() -> Batch:
    made = torch.Generator().manual_seed(1)
    return Batch(
        obs=torch.randn(ROWS, 5, generator=made),
        action=torch.rand(ROWS, 2, generator=made) * 2 - 1,
        reward=3 * torch.randn(ROWS, generator=made),
        next_obs=torch.randn(ROWS, 5, generator=made),
        discount=torch.tensor([0.9, 0.81, 0.0, 0.9, 0.0, 0.9, 0.9, 0.729]),
    )


class Reference(nn.Module):
    """A trunk and its head from torch's own modules."""

    def __init__(self, trunk: Any, head: Any) -> None:
        super().__init__()
        self.first = self.norm(trunk.input_norm)
        self.embed = self.linear(trunk.embed)
        self.parts = nn.ModuleList()
        for block in trunk.blocks:
            layers = (self.linear(block.widen), self.norm(block.wide_norm), nn.ReLU())
            layers += (self.linear(block.narrow), self.norm(block.norm), nn.ReLU())
            self.parts.append(nn.Sequential(*layers))
        self.last = nn.RMSNorm(len(trunk.norm.gain), eps=1e-6)
        self.last.weight.data.copy_(trunk.norm.gain.data)
        self.head = self.linear(head)

    @staticmethod
    def norm(mine: Any) -> nn.BatchNorm1d:
        other = nn.BatchNorm1d(len(mine.gain), momentum=0.01)
        state = {"weight": mine.gain, "bias": mine.bias, "running_mean": mine.mean}
        other.load_state_dict(state | {"running_var": mine.var}, strict=False)
        return other

    @staticmethod
    def linear(mine: Any) -> nn.Linear:
        outputs, inputs = mine.weight.shape
        other = nn.Linear(inputs, outputs, bias=mine.bias is not None)
        other.load_state_dict(mine.state_dict())
        return other

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(self.first(x))
        for part in self.parts:
            x = x + part(x)
        return self.head(self.last(x))


def disturb(network: nn.Module) -> None:
    """Take it away from where it began."""
    for one in network.parameters():
        one.data += 0.1 * torch.randn_like(one)
    for one in network.modules():
        if isinstance(one, UnitBatchNorm):
            one.mean += 0.1 * torch.randn_like(one.mean)
            one.var *= 1.3


@pytest.mark.parametrize("learn", [True, False])
def test_a_trunk_is_torchs_modules(learn: bool) -> None:
    torch.manual_seed(0)
    trunk, head = ResidualTrunk(5, (8, 8)), UnitLinear(8, 3, bias=True)
    disturb(trunk)
    other = Reference(trunk, head).train(learn)
    x = torch.randn(12, 5) * 2 + 1
    some = slice(4, 9)
    ours, expected = head(trunk(x, learn=learn, rows=some)), other(x)[some]
    torch.testing.assert_close(ours, expected)
    ours.square().sum().backward()
    expected.square().sum().backward()
    pairs = zip(trunk.blocks[0].parameters(), other.parts[0].parameters(), strict=True)
    for mine, reference in pairs:
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-4, atol=1e-5)
    first: Any = other.first
    torch.testing.assert_close(trunk.input_norm.mean, first.running_mean)
    torch.testing.assert_close(trunk.input_norm.var, first.running_var)


def test_all_weights_keep_their_length() -> None:
    learner = small()
    for _ in range(4):
        learner.update(some_batch())
    checked = 0
    for network in (learner.policy, learner.critics):
        for one in network.modules():
            if isinstance(one, UnitLinear):
                lengths = one.weight.norm(dim=1)
                torch.testing.assert_close(lengths, torch.ones_like(lengths))
            elif isinstance(one, UnitBatchNorm):
                length = torch.cat((one.gain, one.bias)).detach().norm()
                assert float(length) == pytest.approx(
                    math.sqrt(len(one.gain)), abs=1e-5
                )
            elif isinstance(one, UnitRMSNorm):
                length = one.gain.detach().norm()
                assert float(length) == pytest.approx(
                    math.sqrt(len(one.gain)), abs=1e-5
                )
            else:
                continue
            checked += 1
    # embedding, two blocks of two products, their norms, two heads | twice the critics
    assert checked == (1 + 4 + 5 + 1 + 2) + 2 * (1 + 4 + 5 + 1 + 1)
    weight = learner.policy.mean.weight
    weight.data *= 3
    direction = weight.detach() / 3
    project(learner.policy)
    torch.testing.assert_close(weight.detach(), direction)


def test_acting_is_by_each_row_alone() -> None:
    actor = ResidualActor(3, 2, (8, 8))
    disturb(actor)
    x = torch.randn(9, 3)
    together, alone = actor(x)[0], torch.cat([actor(row[None])[0] for row in x])
    torch.testing.assert_close(together, alone)
    assert (actor(x, learn=True)[0] - together).abs().max() > 1e-2


def test_critics_learn_the_distribution_of_the_lower_mean() -> None:
    learner, batch = small(), some_batch()
    for network in (learner.policy, learner.critics, learner.target):
        disturb(network)
    step = Transition(
        obs=batch.obs[:4],
        action=batch.action[:4],
        reward=torch.tensor([1.0, -2, 0.5, 8]),
        next_obs=batch.obs[:4],
        terminated=torch.zeros(4, dtype=torch.bool),
        truncated=torch.zeros(4, dtype=torch.bool),
    )
    learner.seen(step)
    noise = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(2))
    obs = torch.cat((batch.obs, batch.next_obs))
    values = torch.linspace(-5, 5, ATOMS)
    with torch.no_grad():
        mean, log_std = learner.policy(batch.next_obs[:, :3])
        normal = torch.distributions.Normal(mean, log_std.exp())
        squashed = torch.distributions.TransformedDistribution(
            normal, torch.distributions.TanhTransform(cache_size=1)
        )
        u = mean + log_std.exp() * noise
        action = torch.tanh(u)
        jacobian = torch.distributions.TanhTransform().log_abs_det_jacobian(u, action)
        logp = (normal.log_prob(u) - jacobian).sum(-1)
        assert squashed.log_prob(action).sum(-1) == pytest.approx(logp, abs=0.05)
        x = torch.cat((obs, torch.cat((batch.action, action))), 1)
        references = [
            [
                Reference(trunk, head).train()(x)
                for trunk, head in zip(net.trunks, net.heads, strict=True)
            ]
            for net in (learner.critics, learner.target)
        ]
    now = [one[:ROWS] for one in references[0]]
    later = [one[ROWS:].softmax(-1) for one in references[1]]
    means = [probs @ values for probs in later]
    assert 0 < (means[0] < means[1]).sum() < ROWS  # each is the lower one somewhere
    scale = max(float(step.reward.std(correction=0)), 8 / 5)
    loss = 0.0
    for row in range(ROWS):
        chosen = later[0 if means[0][row] < means[1][row] else 1][row]
        bonus = 0.01 * logp[row]
        moved = batch.reward[row] / scale + batch.discount[row] * (values - bonus)
        # each atom's mass, moved, and shared by hat functions of the atoms' distance
        hats = (1 - (moved.clamp(-5, 5)[:, None] - values).abs() / 1.0).clamp(min=0)
        for one in now:
            loss -= float((chosen @ hats) @ one[row].log_softmax(-1)) / ROWS / 2
    learner.learn_values(batch, obs, noise)
    assert float(learner.watched()["critic_loss"]) == pytest.approx(loss, abs=1e-4)
    assert float(learner.watched()["reward_scale"]) == pytest.approx(scale, abs=1e-4)


def test_actor_and_temperature_follow_their_losses() -> None:
    learner, batch = small(learning_rate=1e-3), some_batch()
    for network in (learner.policy, learner.critics):
        disturb(network)
    noise = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(2))
    obs = torch.cat((batch.obs, batch.next_obs))
    values = torch.linspace(-5, 5, ATOMS)
    policy = learner.policy
    mean_net, spread_net = (
        Reference(policy.trunk, head).train() for head in (policy.mean, policy.log_std)
    )
    u_mean, raw = mean_net(obs[:, :3])[:ROWS], spread_net(obs[:, :3])[:ROWS]
    log_std = -10 + 6 * (torch.tanh(raw) + 1)
    u = u_mean + log_std.exp() * noise
    action = torch.tanh(u)
    normal = torch.distributions.Normal(u_mean, log_std.exp())
    jacobian = torch.distributions.TanhTransform().log_abs_det_jacobian(u, action)
    logp = (normal.log_prob(u) - jacobian).sum(-1)
    x = torch.cat((batch.obs, action), 1)
    nets = zip(learner.critics.trunks, learner.critics.heads, strict=True)
    guesses = [Reference(*pair).eval()(x).softmax(-1) @ values for pair in nets]
    loss = (0.01 * logp - torch.minimum(*guesses)).mean()
    loss.backward()
    learner.learn_actions(obs, noise)
    said = learner.watched()
    assert float(said["actor_loss"]) == pytest.approx(float(loss.detach()), abs=1e-4)
    head: Any = mean_net.head
    torch.testing.assert_close(
        policy.mean.weight.grad, head.weight.grad, atol=1e-5, rtol=1e-3
    )
    spread = torch.distributions.Normal(0.0, 0.15).entropy()
    assert learner.target_entropy == pytest.approx(2 * float(spread))
    entropy = -float(logp.detach().mean())
    rises = entropy < learner.target_entropy
    assert float(learner.alpha()) == pytest.approx(
        0.01 * math.exp(1e-3 if rises else -1e-3), rel=1e-4
    )
    assert all(one.requires_grad for one in learner.critics.parameters())


def test_rewards_are_divided_by_the_returns_spread() -> None:
    made = np.random.default_rng(0)
    scale = ReturnScale(3, 0.9, 5.0)
    sums, seen = np.zeros(3), []
    for _ in range(50):
        reward, ended = made.normal(1, 2, 3), made.random(3) < 0.1
        scale.see(torch.from_numpy(reward).float(), torch.from_numpy(ended))
        sums = 0.9 * sums + reward
        seen.append(sums.copy())
        sums[ended] = 0  # the next episode has nothing of this one's rewards
    found = float(scale.scale())
    assert np.std(seen) > np.abs(seen).max() / 5
    assert found == pytest.approx(np.std(seen), rel=1e-4)
    scale.see(torch.full((3,), 500.0), torch.zeros(3, dtype=torch.bool))
    largest = float(scale.running.max())
    # one large return: the spread hardly knows of it, and still it fits the atoms
    assert largest / float(scale.scale()) == pytest.approx(5.0, rel=1e-5)


def test_noise_is_held_for_a_zeta_distributed_time() -> None:
    many, steps = 4000, 40
    held = HeldNoise(many, 2, 16, 2.0)
    made = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(steps):
        fresh = torch.randn(many, 2, generator=made)
        drawn.append(held(fresh, torch.rand(many, generator=made)).clone())
    noise = torch.stack(drawn)
    changes = (noise[1:] != noise[:-1]).any(-1)
    lengths = [int(changes[:, env].float().argmax()) + 1 for env in range(many)]
    assert max(lengths) == 16
    chances = np.arange(1, 17) ** -2.0
    chances /= chances.sum()
    found = np.bincount(lengths, minlength=17)[1:] / many
    np.testing.assert_allclose(found, chances, atol=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    always = HeldNoise(5, 2, 1, 2.0)
    fresh = torch.randn(5, 2)
    for _ in range(3):
        assert torch.equal(always(fresh, torch.rand(5)), fresh)
        fresh = fresh + 1


def test_the_learning_rate_falls_to_a_half() -> None:
    learner = small(steps=400, updates=1.0, num_envs=4)
    assert learner.total == 100
    for count in (0, 20, 50, 100, 300):
        learner.load({"done": torch.tensor(float(count))})
        learner.update(some_batch())
        factor = cosine_factor(count, total=100, warmup=0, floor=0.5)
        for one in learner.optimizers.values():
            rate = float(one.param_groups[0]["lr"])
            assert rate == pytest.approx(3e-4 * factor, rel=1e-5)
    assert rate == pytest.approx(1.5e-4)
    assert learner.state() == {"done": 301.0}
    # a loaded optimiser goes by the same tensor
    critics = learner.optimizers["critics"]
    critics.load_state_dict(critics.state_dict())
    learner.load({"done": torch.tensor(50.0)})
    assert critics.param_groups[0]["lr"] is learner.rate


def test_the_actor_is_built_again() -> None:
    learner = small()
    for _ in range(3):
        learner.update(some_batch())
    again = build_actor(learner.network(), 3, 2)
    again.load_state_dict(learner.actor().state_dict())
    x = torch.randn(5, 3)
    torch.testing.assert_close(again(x), learner.actor()(x))


def test_half_the_precision_gives_nearly_the_same() -> None:
    losses = []
    for precision in ("no", "bf16"):
        learner = small(precision=precision)
        learner.update(some_batch())
        losses.append(float(learner.watched()["critic_loss"]))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_flashsac_refuses() -> None:
    with pytest.raises(
        UsageError, match="blocks of a residual network are all as wide"
    ):
        FlashSACConfig(hidden=(64, 32))
    with pytest.raises(UsageError, match="final_rate is above 0"):
        FlashSACConfig(final_rate=0.0)
    with pytest.raises(UsageError, match="hold must be above 0"):
        FlashSACConfig(hold=0)
    with pytest.raises(UsageError, match="batch_size is even"):
        FlashSACConfig(batch_size=9, symmetry=True)


@pytest.mark.parametrize("task", ["gym-humanoid", "Humanoid-v5"])
def test_the_humanoids_recipe_fits(task: str) -> None:
    recipe = find_recipe("flashsac", task, gpu=False)
    assert recipe
    find_algorithm("flashsac").config(**recipe)


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    given: dict[str, Any] = {"num_envs": 4, "hidden": (8,), "critic_hidden": (8,)}
    given |= {"batch_size": 16, "warmup": 16, "replay": 64, "threads": 1, "steps": 160}
    given |= {"evaluate_minutes": 0.0, "evaluate_episodes": 2, "tensorboard": False}
    algorithm, ends = find_algorithm("flashsac"), []
    options: Any = {"task": "Pendulum-v1", "progress": False}
    for stops in ((160,), (80, 160)):
        out = tmp_path / str(len(stops))
        for index, steps in enumerate(stops):
            # the learning rate falls by the number of steps: not here
            config = algorithm.config(**given | {"steps": steps}, final_rate=1.0)
            train("flashsac", config, out=out, resume=index > 0, **options)
        tensors, _ = load_state(out / STATE)
        kept = ("nets/", "optimizer/", "learner/", "rng/", "worlds/")
        ends.append({k: v for k, v in tensors.items() if k.startswith(kept)})
    assert ends[0].keys() == ends[1].keys() and "nets/held.left" in ends[0]
    for name, values in ends[0].items():
        assert torch.equal(values, ends[1][name]), name
