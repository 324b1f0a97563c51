"""What GAIL is made of: the environments, the model of them, the discriminator."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from assets.errors import UsageError
from policies.forward_model import Episodes, ForwardModel, ModelFitter
from policies.gail import GAILConfig
from policies.gail_judge import Discriminator, JudgeNet
from policies.rewardless import Explorer
from sims import make_env, make_task

TASK = "arm-reach"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def look(obs: dict[str, np.ndarray]) -> Tensor:
    return torch.from_numpy(obs["state"].astype(np.float32))


def test_a_round_is_what_the_environment_shows() -> None:
    """Against stepping it by hand, with the actions that are told of."""
    task = make_task(TASK)
    explorer = Explorer(task, 3, look=look, hold=2, seed=5)
    noise = torch.tensor([0.0, 0.1, 0.3])
    happened = explorer.run(lambda seen: 0.1 * seen[:, :2], noise, draws())
    explorer.close()
    assert happened.seen.shape == (3, 201, 10) and happened.done.shape == (3, 200, 2)
    off = happened.done - 0.1 * happened.seen[:, :-1, :2]
    assert torch.allclose(off[0], torch.zeros(200, 2), atol=1e-7), "is not disturbed"
    spread = off.std((1, 2)).numpy()
    assert spread[1:] == pytest.approx([0.1, 0.3], rel=0.3)
    env = make_env(task, num_envs=3, threads=1, seed=5)
    obs = env.reset(ids=4_000_000 + np.arange(3))
    for t in range(200):
        assert np.allclose(look(obs), happened.seen[:, t], atol=1e-6)
        for _ in range(2):
            obs = env.step(happened.done[:, t].double().numpy() * [20, 8])[0]
    env.close()


def test_an_episodes_end_is_told() -> None:
    task = make_task(TASK)
    explorer = Explorer(task, 2, look=look, hold=4, seed=0)

    def act(seen: Tensor) -> Tensor:
        return torch.zeros(2, 2)

    first = explorer.run(act, torch.zeros(2), draws())
    second = explorer.run(act, torch.zeros(2), draws())
    explorer.close()
    for happened in (first, second):
        assert happened.cut[:, -1].all() and not happened.cut[:, :-1].any()
    assert torch.equal(first.seen[:, -1], second.seen[:, 0]), "the next one's beginning"
    assert (first.seen[:, -1, 8:] != first.seen[:, -2, 8:]).all(), "another target"
    with pytest.raises(UsageError, match="choose a divisor"):
        Explorer(task, 2, look=look, hold=7, seed=0)


def pendulums(n: int, steps: int) -> Episodes:
    """Angle, speed, and a number that never changes; pushed at random."""
    draw = draws()
    x = torch.randn(n, 3, generator=draw)
    done = torch.randn(n, steps, 1, generator=draw)
    seen = [x]
    for t in range(steps):
        speed = 0.98 * x[:, 1] + 0.1 * done[:, t, 0] - 0.1 * torch.sin(x[:, 0])
        x = torch.stack([x[:, 0] + 0.1 * speed, speed, x[:, 2]], 1)
        seen.append(x)
    cut = torch.zeros(n, steps, dtype=torch.bool)
    return Episodes(seen=torch.stack(seen, 1), done=done, cut=cut)


def test_the_model_learns_what_happens_over_many_steps() -> None:
    model = ForwardModel(3, 1, (32, 32))
    fitter = ModelFitter(
        model, horizon=4, batch_size=128, learning_rate=5e-3, draws=draws()
    )
    known = pendulums(40, 50)
    first = fitter.learn([known], 1)
    for rate in (5e-3, 1e-3, 2e-4):
        fitter.optimizer.param_groups[0]["lr"] = rate
        last = fitter.learn([known], 250)
    assert last < 5e-3 * first
    other = pendulums(60, 50)
    now = other.seen[40:, 0]
    with torch.no_grad():
        for t in range(30):
            now = model(now, other.done[40:, t])
    wrong = (now - other.seen[40:, 30])[:, :2].square().mean().sqrt()
    moved = (now - other.seen[40:, 0])[:, :2].square().mean().sqrt()
    assert wrong < 0.05 * moved
    assert model.scale[2] == 0
    assert torch.equal(now[:, 2], other.seen[40:, 0, 2]), "kept to the bit"


def test_the_model_is_not_taught_what_lies_between_two_episodes() -> None:
    known = pendulums(4, 20)
    cut = known.cut.clone()
    cut[:, 9] = True
    seen = known.seen.clone()
    seen[:, 10:] += 1e3  # the jump
    fitter = ModelFitter(
        ForwardModel(3, 1, (4,)),
        horizon=3,
        batch_size=8,
        learning_rate=1e-3,
        draws=draws(),
    )
    starts = fitter._starts(cut)
    assert set(starts[:, 1].tolist()) == {*range(7), *range(10, 18)}
    jumping = Episodes(seen=seen, done=known.done, cut=cut)
    assert fitter.learn([jumping], 20) < 1e4
    assert fitter.model.scale.max() < 1


def test_imagination_is_the_model_step_by_step_and_differentiable() -> None:
    model = ForwardModel(3, 1, (8,)).double()
    model.scale.fill_(0.3)
    weight = torch.randn(3, 1, dtype=torch.float64, requires_grad=True)
    start = torch.randn(5, 3, dtype=torch.float64)

    def imagine(weight: Tensor) -> Tensor:
        return model.imagine(start, lambda seen: torch.tanh(seen @ weight), 4)

    frames = imagine(weight)
    assert frames.shape == (4, 5, 4)
    assert torch.equal(frames[0, :, :3], start)
    for now, then in pairwise(frames):
        assert torch.allclose(model(now[:, :3], now[:, 3:]), then[:, :3])
        assert torch.allclose(now[:, 3:], torch.tanh(now[:, :3] @ weight))
    assert torch.autograd.gradcheck(imagine, (weight,))


def test_the_expert_is_white_to_the_discriminator() -> None:
    mix = torch.randn(4, 4)
    expert = torch.randn(5000, 4) @ mix + 2
    seen = JudgeNet(expert, (8,), 2).whiten(expert)
    assert torch.allclose(torch.cov(seen.T), torch.eye(4), atol=0.02)
    assert torch.allclose(seen.mean(0), torch.zeros(4), atol=1e-3)


def test_the_discriminator_learns_who_is_who() -> None:
    expert = torch.randn(500, 3) + 1.5
    config = GAILConfig(discriminator=(16,), details=4, discriminator_rate=1e-2)
    judge = Discriminator(expert, config)
    for _ in range(150):
        judge.learn(torch.randn(64, 3) - 1.5)
    assert judge.figures["expert_logit"] > 1 > -1 > judge.figures["learner_logit"]
    near, far = torch.full((1, 3), 1.5), torch.full((1, 3), -1.5)
    assert judge.reward(near).shape == (1,) and judge.reward(near) > judge.reward(far)
    bounded = Discriminator(expert, replace(config, reward="bounded"))
    assert 0 < bounded.reward(near).item() < 1


def test_small_differences_are_seen_among_large_ones() -> None:
    """Two numbers that span 1 and differ by 0.03 of it the expert's way, or by none."""

    def pairs(count: int, off: float) -> Tensor:
        first = torch.randn(count, 1)
        return torch.cat([first, first + off + 0.01 * torch.randn(count, 1)], 1)

    config = GAILConfig(discriminator=(32,), details=8)
    judge = Discriminator(pairs(2000, 0.0), config)
    for _ in range(300):
        judge.learn(pairs(128, 0.03))
    right = judge.reward(pairs(1000, 0.0)) > judge.reward(pairs(1000, 0.03))
    assert right.float().mean() > 0.85
