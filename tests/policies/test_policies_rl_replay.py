"""The replay: windows that end where they must, and samples that reach everybody."""

from typing import Any

import numpy as np
import psutil
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from assets.errors import SandbotError, UsageError
from policies.rl.fastsac import FastSAC
from policies.rl.replay import Replay
from policies.rl.worlds import Sizes, Transition, Worlds
from tests.policies.rl_runs import run, short  # noqa: F401

SIZES = Sizes(actor=2, critic=3, action=1)
CPU = torch.device("cpu")


def transition(step: int, num_envs: int, terminated: Any, truncated: Any) -> Transition:
    """Whose numbers say from which step and environment they are."""
    envs = torch.arange(num_envs, dtype=torch.float32)
    obs = torch.stack([torch.full((num_envs,), float(step)), envs, -envs], 1)
    return Transition(
        obs=obs,
        action=envs[:, None] / num_envs,
        reward=step + 0.01 * envs,
        next_obs=obs + torch.tensor([0.5, 0.0, 0.0]),
        terminated=torch.as_tensor(terminated),
        truncated=torch.as_tensor(truncated),
    )


def filled(
    slots: int, num_envs: int, steps: int, ends: dict[int, str] | None = None
) -> Replay:
    """A replay after so many steps; at some of them all episodes end."""
    replay = Replay(slots, num_envs, SIZES, CPU)
    for step in range(steps):
        how = (ends or {}).get(step)
        terminated = torch.full((num_envs,), how == "terminated")
        truncated = torch.full((num_envs,), how == "truncated")
        replay.add(transition(step, num_envs, terminated, truncated))
    return replay


def window(replay: Replay, step: int, gamma: float, n: int) -> tuple[float, ...]:
    """Return, discount, and the step of the next observation, from a step on."""
    slot = torch.tensor([step % replay.slots])
    batch = replay.windows(slot, torch.zeros(1, dtype=torch.long), gamma, n)
    return (
        batch.reward.item(),
        batch.discount.item(),
        batch.next_obs[0, 0].item() - 0.5,
    )


def test_no_window_runs_over_the_seam() -> None:
    replay = filled(8, 1, 11)  # steps 3 to 10 are left, and 10 lies beside 3
    assert window(replay, 8, 0.5, 3) == (8 + 0.5 * 9 + 0.25 * 10, 0.125, 10)
    assert window(replay, 9, 0.5, 3) == (14.0, 0.25, 10)
    assert window(replay, 10, 0.5, 3) == (10.0, 0.5, 10)
    assert window(replay, 3, 0.5, 3) == (3 + 0.5 * 4 + 0.25 * 5, 0.125, 5)


def test_a_window_cut_short_is_continued_by_its_own_length() -> None:
    replay = filled(16, 1, 11, {4: "truncated", 7: "terminated"})
    assert window(replay, 4, 0.5, 3) == (4.0, 0.5, 4)
    assert window(replay, 3, 0.5, 3) == (5.0, 0.25, 4)
    assert window(replay, 2, 0.5, 3) == (4.5, 0.125, 4)
    assert window(replay, 7, 0.5, 3) == (7.0, 0.0, 7)
    assert window(replay, 6, 0.5, 3) == (9.5, 0.0, 7)
    assert window(replay, 5, 0.5, 1) == (5.0, 0.5, 5)


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("steps", [7, 12, 29])
def test_windows_are_those_of_stable_baselines(
    n: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gymnasium.spaces import Box
    from stable_baselines3.common.buffers import NStepReplayBuffer

    slots, envs, gamma = 12, 4, 0.9
    chance = np.random.default_rng(steps)
    ours = Replay(slots, envs, SIZES, CPU)
    boxes = Box(-100, 100, (3,), np.float32), Box(-1, 1, (1,), np.float32)
    theirs = NStepReplayBuffer(
        slots * envs, *boxes, "cpu", n_envs=envs, n_steps=n, gamma=gamma
    )
    for step in range(steps):
        terminated = chance.random(envs) < 0.15
        truncated = (chance.random(envs) < 0.15) & ~terminated
        one = transition(step, envs, terminated, truncated)
        ours.add(one)
        theirs.add(
            one.obs.numpy(),
            one.next_obs.numpy(),
            one.action.numpy(),
            one.reward.numpy(),
            terminated | truncated,
            [{"TimeLimit.truncated": bool(late)} for late in truncated],
        )
    stored = min(slots, steps)
    slot, env = np.divmod(np.arange(stored * envs), envs)  # each place once
    monkeypatch.setattr(np.random, "randint", lambda *_, **__: env)
    expected = theirs._get_samples(slot)
    found = ours.windows(torch.from_numpy(slot), torch.from_numpy(env), gamma, n)
    assert expected.discounts is not None
    discount = expected.discounts * (1 - expected.dones)
    for one, two in (
        (found.obs, expected.observations),
        (found.action, expected.actions),
        (found.reward, expected.rewards[:, 0]),
        (found.next_obs, expected.next_observations),
        (found.discount, discount[:, 0]),
    ):
        torch.testing.assert_close(one, two)
    assert (discount == 0).any()
    assert len(discount.unique()) > n  # windows of all lengths, and ends


@pytest.mark.parametrize("steps", [5, 16, 23])
def test_each_stored_transition_is_as_likely_as_any_other(steps: int) -> None:
    replay = filled(16, 8, steps)
    draws = torch.Generator().manual_seed(0)
    batch = replay.sample(40_000, 0.9, 3, draws)
    times, envs = batch.obs[:, 0].long(), batch.obs[:, 1].long()
    oldest = max(0, steps - 16)
    assert times.min() == oldest
    assert times.max() == steps - 1
    counts = torch.zeros(min(steps, 16), 8)
    counts.index_put_((times - oldest, envs), torch.ones(()), accumulate=True)
    assert chisquare(counts.flatten().numpy()).pvalue > 0.001


def test_everybody_reaches_actor_and_critic_and_mirror_images_go_in_pairs(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, values, actions = Worlds._rows, FastSAC.learn_values, FastSAC.learn_actions
    critic: set[int] = set()
    actor: set[int] = set()

    def marked(self: Worlds, obs: dict[str, Any]) -> Tensor:
        made = rows(self, obs)
        made[:, 0] = torch.arange(self.num_envs)
        return made

    def own_half(learner: FastSAC, obs: Tensor) -> list[int]:
        assert learner.mirror is not None
        first, second = obs.chunk(2)
        assert torch.equal(learner.mirror.obs(first), second)
        return first[:, 0].int().tolist()

    def spy_values(self: FastSAC, batch: Any, noise: Tensor) -> None:
        critic.update(own_half(self, batch.obs))
        own_half(self, batch.next_obs)
        assert self.mirror is not None
        first, second = batch.action.chunk(2)
        assert torch.equal(self.mirror.action(first), second)
        for same in (batch.reward, batch.discount):
            assert torch.equal(*same.chunk(2))
        assert len(batch.obs) == self.config.batch_size
        values(self, batch, noise)

    def spy_actions(self: FastSAC, obs: Tensor, noise: Tensor) -> None:
        actor.update(own_half(self, obs))
        actions(self, obs, noise)

    monkeypatch.setattr(Worlds, "_rows", marked)
    monkeypatch.setattr(FastSAC, "learn_values", spy_values)
    monkeypatch.setattr(FastSAC, "learn_actions", spy_actions)
    sizes: dict[str, Any] = {
        "num_envs": 32,
        "replay": 640,
        "steps": 32 * 15,
        "evaluate_steps": 0,
    }
    run(tmp_path / "run", "humanoid-walk", updates=8, actor_every=4, **sizes)
    assert critic == actor == set(range(32))


@pytest.mark.parametrize("free", [10_000, 100_000])
def test_a_replay_larger_than_the_memory(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type("Memory", (), {"available": free})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    row = 4 * (3 + 3 + 1 + 1) + 2  # obs, next_obs, action, reward; two flags
    fits = int(0.8 * free / row)
    Replay(fits // 4, 4, SIZES, CPU)
    with pytest.raises(SandbotError, match=f"lower --replay .at most {fits:,}"):
        Replay(fits // 4 + 1, 4, SIZES, CPU)


def test_a_replay_larger_than_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 2**31))
    with pytest.raises(SandbotError) as refused:
        Replay(10**6, 64, SIZES, torch.device("cuda"))
    message = str(refused.value)
    assert "64,000,000 transitions takes 2.0 GiB of cuda's memory" in message
    assert "1.0 GiB are free: lower --replay (at most 25,26" in message


def test_what_torch_refuses_is_said_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(SandbotError, match=r"lower --replay$"):
        Replay(4, 4, SIZES, CPU)


def test_a_ring_has_two_slots() -> None:
    with pytest.raises(UsageError, match="at least 2 slots, got 1"):
        Replay(1, 4, SIZES, CPU)
