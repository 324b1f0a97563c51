"""FastSAC's losses against another way to compute them, and who learns from what."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from assets.errors import UsageError
from policies.rl.fastsac import FastSAC, FastSACConfig
from policies.rl.learner import has_bf16
from policies.rl.replay import Batch
from policies.rl.worlds import Sizes
from tests.policies.test_policies_rl_networks import slow_projection

SIZES = Sizes(actor=3, critic=5, action=2)
CPU = torch.device("cpu")


def learner(**changes: Any) -> FastSAC:
    """A small one whose heads are not zero any more."""
    torch.manual_seed(0)
    chosen = {"hidden": (8,), "critic_hidden": (8,), "atoms": 11, "gamma": 0.9}
    made = FastSAC(SIZES, FastSACConfig(**chosen | changes), CPU)
    for weight in made.policy.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    made.norm.update(torch.randn(50, 5) * 2 + 1)
    return made


def batch(rows: int = 16) -> Batch:
    """Random transitions, a third of them the last of an episode."""
    draws = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws)

    return Batch(
        obs=normal(rows, 5),
        action=torch.tanh(normal(rows, 2)),
        reward=normal(rows),
        next_obs=normal(rows, 5),
        discount=torch.where(torch.arange(rows) % 3 == 0, 0.0, 0.81),
    )


def weights(module: torch.nn.Module) -> list[Tensor]:
    return [value.clone() for value in module.state_dict().values()]


def moved(module: torch.nn.Module, before: list[Tensor]) -> bool:
    return any(
        not torch.equal(old, new)
        for old, new in zip(before, module.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("target", ["own", "min"])
def test_the_critics_loss(target: str) -> None:
    sac, data = learner(target=target, alpha=0.2, reward_scale=3.0), batch()
    noise = torch.randn(16, 2)
    with torch.no_grad():
        after = sac.norm(data.next_obs)
        mean, log_std = sac.policy(after[:, :3])
        policy = Normal(mean, log_std.exp())
        action = torch.tanh(mean + log_std.exp() * noise)
        logp = TransformedDistribution(policy, [TanhTransform()]).log_prob(action)
        reward = 3 * data.reward - data.discount * 0.2 * logp.sum(-1)
        guesses = sac.target(after, action).softmax(-1).double()
        values = torch.linspace(0, 10, 11, dtype=torch.float64)
        lower = (guesses @ values).argmin(0)
        scores = sac.critics(sac.norm(data.obs), data.action).log_softmax(-1)
    expected = 0.0
    for index in range(2):
        chosen = guesses[index]
        if target == "min":
            chosen = torch.stack([guesses[who, row] for row, who in enumerate(lower)])
        aim = slow_projection(chosen, reward, data.discount, 0, 10)
        expected -= float((aim * scores[index].double().numpy()).sum(-1).mean())
    sac.learn_values(data, noise)
    assert sac.watched()["critic_loss"].item() == pytest.approx(expected, rel=1e-4)
    entropy = -logp.sum(-1).mean().item()
    assert sac.watched()["entropy"].item() == pytest.approx(entropy, rel=1e-4)


def test_the_actors_loss_and_its_gradient() -> None:
    sac, data = learner(alpha=0.2), batch()
    noise = torch.randn(16, 2)
    x = sac.norm(data.obs)
    mean, log_std = sac.policy(x[:, :3])
    action = torch.tanh(mean + log_std.exp() * noise)
    base = Normal(mean, log_std.exp())
    logp = TransformedDistribution(base, [TanhTransform(cache_size=1)]).log_prob(action)
    values = (sac.critics(x, action).softmax(-1) @ sac.atoms.values).mean(0)
    loss = (0.2 * logp.sum(-1) - values).mean()
    gradients = torch.autograd.grad(loss, list(sac.policy.parameters()))
    sac.learn_actions(data.obs, noise)
    assert sac.watched()["actor_loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    for weight, expected in zip(sac.policy.parameters(), gradients, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, expected, rtol=1e-3, atol=1e-5)


def test_each_step_moves_what_it_is_of_and_nothing_else() -> None:
    sac, data, noise = learner(), batch(), torch.randn(16, 2)
    parts = dict(sac.nets.items())
    before = {name: weights(part) for name, part in parts.items()}
    sac.learn_actions(data.obs, noise)
    assert {n for n, part in parts.items() if moved(part, before[n])} == {"actor"}
    assert all(weight.grad is None for weight in sac.critics.parameters())
    assert all(weight.requires_grad for weight in sac.critics.parameters())
    before = {name: weights(part) for name, part in parts.items()}
    for weight in sac.policy.parameters():
        weight.grad = None
    sac.learn_values(data, noise)
    changed = {n for n, part in parts.items() if moved(part, before[n])}
    assert changed == {"critics", "alpha"}
    assert all(weight.grad is None for weight in sac.policy.parameters())
    assert all(weight.grad is None for weight in sac.target.parameters())


def test_the_actor_learns_at_every_so_many_updates_and_the_target_follows() -> None:
    sac, data = learner(actor_every=3, tau=0.25), batch()
    for count in range(1, 7):
        actor, target = weights(sac.policy), weights(sac.target)
        sac.update(data)
        assert moved(sac.policy, actor) == (count % 3 == 0)
        pairs = zip(target, sac.target.parameters(), strict=True)
        for (old, new), now in zip(pairs, sac.critics.parameters(), strict=True):
            torch.testing.assert_close(new, 0.75 * old + 0.25 * now)
    assert sac.norm.count.item() == 50 + 6 * 16


@pytest.mark.parametrize(("std", "grows"), [(0.01, True), (1.0, False)])
def test_the_temperature_rises_where_entropy_is_short(std: float, grows: bool) -> None:
    sac = learner(target_std=0.1)
    with torch.no_grad():
        sac.policy.log_std.weight.zero_()
        share = (2 / 5) * (np.log(std) + 5) - 1  # of the tanh between the bounds
        sac.policy.log_std.bias.fill_(float(np.arctanh(np.clip(share, -1, 0.9999))))
        sac.policy.mean.weight.zero_()
        sac.policy.mean.bias.zero_()
    before = sac.alpha().item()
    sac.learn_values(batch(), torch.randn(16, 2))
    assert (sac.alpha().item() > before) == grows


def test_bf16_computes_the_same_to_its_precision() -> None:
    one, two, data = learner(), learner(precision="bf16"), batch()
    noise = torch.randn(16, 2)
    for sac in (one, two):
        sac.learn_values(data, noise)
        sac.learn_actions(data.obs, noise)
        assert all(weight.dtype == torch.float32 for weight in sac.nets.parameters())
    for name, value in one.watched().items():
        assert two.watched()[name].item() == pytest.approx(value.item(), rel=0.05)


def test_a_learner_with_the_same_seed_is_the_same() -> None:
    one, two, data = learner(seed=3), learner(seed=3), batch()
    for sac in (one, two):
        for _ in range(4):
            sac.update(data)
    assert not moved(one.nets, weights(two.nets))
    assert torch.equal(one.explore(data.obs), two.explore(data.obs))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tau": 0.0}, "tau is above 0 and at most 1, got 0"),
        ({"target": "max"}, "target is own or min, got 'max'"),
        ({"batch_size": 15}, "batch_size is even"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"actor_every": 0}, "actor_every must be above 0"),
        ({"atoms": 1}, "atoms are at least 2, got 1"),
        ({"returns": (1.0, 1.0)}, "returns is a range, got 1 to 1"),
        ({"log_std": (0.0, -5.0)}, "log_std is a range, got 0 to -5"),
        ({"gamma": 1.0}, "gamma is from 0 to less than 1"),
        ({"replay": 100}, "raise replay, or lower num_envs"),
        ({"hidden": ()}, "hidden layers are at least 1 wide"),
        ({"steps": 0}, "steps must be above 0"),
        ({"seed": -1}, "seed is at least 0"),
        ({"stop_at": 1.5}, "stop_at is from 0 to 1"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
    ],
)
def test_numbers_that_cannot_work(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        FastSACConfig(**changes)


def test_the_policy_that_is_kept_is_the_mean_of_the_actors_weights() -> None:
    sac, data = learner(actor_every=1), batch()
    seen = []
    for _ in range(5):
        sac.update(data)
        seen.append(sac.policy.mean.weight.detach().clone())
    # new_k = 10 / (k + 9), from the first update on
    mean = seen[0]
    for k, weight in enumerate(seen[1:], start=2):
        mean = mean + (weight - mean) * 10 / (k + 9)
    kept = sac.actor().state_dict()["policy.mean.weight"]
    torch.testing.assert_close(kept, mean)
    assert not torch.equal(kept, seen[-1])
    last = learner(average=0, actor_every=1)
    for _ in range(5):
        last.update(data)
    kept = last.actor().state_dict()["policy.mean.weight"]
    assert torch.equal(kept, last.policy.mean.weight)
    assert torch.equal(kept, seen[-1])  # what is learned is the same
    with pytest.raises(UsageError, match="average is at least 0, got -1"):
        learner(average=-1)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "avx2"])
def test_auto_is_bf16_where_the_processor_can(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {name: True})
    assert has_bf16(torch.device("cpu")) == name.endswith("bf16")
    assert has_bf16(torch.device("cuda"))
    noise, data, found = torch.randn(16, 2), batch(), []
    for precision in ("auto", "bf16" if name.endswith("bf16") else "no"):
        sac = learner(precision=precision)
        sac.learn_values(data, noise)
        found.append(sac.watched()["critic_loss"])
    assert torch.equal(*found)
