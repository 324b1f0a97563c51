"""PPO against Stable-Baselines3: advantages, and the weights after an update."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO as Sb3PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import configure
from torch import Tensor

from assets.errors import SandbotError, UsageError
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.algorithms import find_algorithm
from policies.rl.clipped import density
from policies.rl.on_policy import Rollout, advantages
from policies.rl.policy import build_actor
from policies.rl.ppo import PPO, PPOConfig, Rows
from policies.rl.training import train
from policies.rl.worlds import MirrorMaps, Sizes

STEPS, ENVS = 32, 4
SIZES = Sizes(actor=3, critic=3, action=2)
CPU = torch.device("cpu")


def small(**settings: Any) -> PPOConfig:
    given = {"num_envs": ENVS, "rollout": STEPS, "batch_size": 32, **settings}
    return PPOConfig(**given)


def some_rollout(seed: int = 0) -> Rollout:
    made = torch.Generator().manual_seed(seed)
    shape = STEPS, ENVS
    ended = torch.rand(*shape, generator=made) < 0.15
    return Rollout(
        obs=torch.randn(*shape, 3, generator=made),
        action=torch.randn(*shape, 2, generator=made),
        reward=torch.randn(*shape, generator=made),
        next_obs=torch.randn(*shape, 3, generator=made),
        terminated=ended & (torch.rand(*shape, generator=made) < 0.5),
        ended=ended,
    )


def spaces() -> tuple[gym.spaces.Box, gym.spaces.Box]:
    return (
        gym.spaces.Box(-np.inf, np.inf, (3,), np.float32),
        gym.spaces.Box(-1, 1, (2,), np.float32),
    )


def in_sb3(
    buffer: RolloutBuffer, rollout: Rollout, value: Tensor, later: Tensor, logp: Tensor
) -> None:
    """Fill its buffer as its ``collect_rollouts`` does: at a time limit the last
    state's value is added to the reward."""
    buffer.reset()
    cut = rollout.ended & ~rollout.terminated
    reward = rollout.reward + buffer.gamma * later * cut
    starts = torch.ones(ENVS)
    for t in range(STEPS):
        buffer.add(
            rollout.obs[t].numpy(),
            rollout.action[t].numpy(),
            reward[t].numpy(),
            starts.numpy(),
            value[t],
            logp[t],
        )
        starts = rollout.ended[t].float()
    buffer.compute_returns_and_advantage(later[-1], starts.numpy())


def test_advantages_are_those_of_stable_baselines_at_time_limits_too() -> None:
    rollout = some_rollout()
    assert (rollout.ended & ~rollout.terminated).any() and rollout.terminated.any()
    assert rollout.ended[-1].any()
    made = torch.Generator().manual_seed(1)
    later = torch.randn(STEPS, ENVS, generator=made)
    value = torch.randn(STEPS, ENVS, generator=made)
    # where an episode goes on, what comes next is the same state's value
    value[1:] = torch.where(rollout.ended[:-1], value[1:], later[:-1])
    buffer = RolloutBuffer(STEPS, *spaces(), "cpu", 0.9, 0.97, ENVS)
    in_sb3(buffer, rollout, value, later, torch.zeros(STEPS, ENVS))
    ours = advantages(rollout, value, later, 0.97, 0.9)
    np.testing.assert_allclose(ours, buffer.advantages, atol=2e-6)
    np.testing.assert_allclose(ours + value, buffer.returns, atol=2e-6)
    # and not those of one that takes a time limit for an end
    wrong = Rollout(**{**vars(rollout), "terminated": rollout.ended})
    assert (advantages(wrong, value, later, 0.97, 0.9) - ours).abs().max() > 0.1


def copied(sb3: Any, learner: PPO) -> None:
    """Give ours the weights of theirs."""
    policy, extractor = sb3.policy, sb3.policy.mlp_extractor
    pairs = [
        (learner.policy.mean[:-1], extractor.policy_net),
        (learner.policy.mean[-1], policy.action_net),
        (learner.value[:-1], extractor.value_net),
        (learner.value[-1], policy.value_net),
    ]
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    learner.policy.log_std.data.copy_(policy.log_std.data)


def flat(tensors: Any) -> Tensor:
    return torch.cat([t.detach().flatten() for t in tensors])


@pytest.mark.parametrize("entropy", [0.0, 0.01])
def test_an_update_is_that_of_stable_baselines(entropy: float) -> None:
    class Still(gym.Env):
        observation_space, action_space = spaces()

        def reset(self, **options: Any) -> Any:
            return np.zeros(3, np.float32), {}

        def step(self, action: Any) -> Any:
            return np.zeros(3, np.float32), 0.0, False, False, {}

    sb3 = Sb3PPO(
        "MlpPolicy",
        Still(),
        n_steps=STEPS * ENVS,
        batch_size=32,
        n_epochs=4,
        ent_coef=entropy,
        learning_rate=3e-3,
        seed=3,
        device="cpu",
    )
    sb3.set_logger(configure(None, []))
    config = small(
        epochs=4, normalize=False, learning_rate=3e-3, entropy_weight=entropy
    )
    learner = PPO(SIZES, config, CPU)
    sb3.policy.log_std.data.fill_(-0.3)  # type: ignore[operator]
    copied(sb3, learner)
    rollout = some_rollout()
    # the next episode's first state is another one; else it is the same
    rollout.next_obs[:-1] = torch.where(
        rollout.ended[:-1, :, None], rollout.next_obs[:-1], rollout.obs[1:]
    )
    rows = learner.prepare(rollout)
    with torch.no_grad():
        later = learner.value(rollout.next_obs).squeeze(-1)
    sb3.rollout_buffer = RolloutBuffer(STEPS, *spaces(), "cpu", 0.95, 0.99, ENVS)
    square = (STEPS, ENVS)
    in_sb3(
        sb3.rollout_buffer,
        rollout,
        rows.value.view(square),
        later,
        rows.logp.view(square),
    )
    before = flat(learner.learned)
    np.random.seed(5)
    sb3.train()

    # theirs puts an environment's steps side by side, ours a step's environments
    np.random.seed(5)
    theirs = torch.arange(STEPS * ENVS).view(square).T.flatten()
    for _ in range(config.epochs):
        order = theirs[torch.from_numpy(np.random.permutation(STEPS * ENVS))]
        for picks in order.split(config.batch_size):
            learner.learn(rows[picks])
    after = flat(learner.learned)
    assert (after - before).abs().max() > 0.01
    other = PPO(SIZES, config, CPU)
    copied(sb3, other)
    torch.testing.assert_close(after, flat(other.learned), atol=1e-5, rtol=0)
    said, logged = learner.watched(), sb3.logger.name_to_value
    values = learner.policy.log_std.detach().exp().mean()
    assert float(values) == pytest.approx(logged["train/std"], abs=1e-6)
    loss = said["policy_loss"] + 0.5 * said["value_loss"] - entropy * said["entropy"]
    # the entropy was taken before the last step, as was theirs
    assert float(loss) == pytest.approx(logged["train/loss"], abs=1e-5)


def test_a_density_is_torchs_normal() -> None:
    made = torch.Generator().manual_seed(0)
    mean, action = (torch.randn(5, 3, generator=made) for _ in range(2))
    log_std = torch.randn(3, generator=made)
    normal = torch.distributions.Normal(mean, log_std.exp())
    expected = normal.log_prob(action).sum(-1)
    torch.testing.assert_close(density(mean, log_std, action), expected)


def test_the_learning_rate_follows_the_policys_change() -> None:
    learner = PPO(SIZES, small(desired_kl=0.01), CPU)
    old = torch.distributions.Normal(torch.zeros(6, 2), 1.0)
    for shift, factor in ((0.0, 1.5), (0.1, 1.0), (0.4, 1 / 1.5)):
        now = torch.distributions.Normal(torch.full((6, 2), shift), 1.0)
        kl = torch.distributions.kl_divergence(old, now).sum(-1).mean()
        expected = 1.5 if kl < 0.005 else 1 / 1.5 if kl > 0.02 else 1.0
        assert factor == expected
        learner.rate.fill_(1e-3)
        learner._follow(old.mean, now.mean)
        assert float(learner.rate) == pytest.approx(1e-3 * factor)
    learner._old_log_std = torch.full((2,), 0.5)  # a spread that shrank since, alone
    learner._follow(old.mean, old.mean)
    assert float(learner.rate) == pytest.approx(1e-3 / 1.5**2)
    learner.rate.fill_(1e-5)
    learner._follow(old.mean, old.mean)
    assert float(learner.rate) == pytest.approx(1e-5)  # the bound
    # the optimiser goes by that very tensor, and a loaded one does too
    assert learner.optimizers["both"].param_groups[0]["lr"] is learner.rate
    optimizer = learner.optimizers["both"]
    optimizer.load_state_dict(optimizer.state_dict())
    learner.load({"rate": torch.tensor(2e-3)})
    assert optimizer.param_groups[0]["lr"] is learner.rate
    assert float(learner.rate) == pytest.approx(2e-3)


def test_a_value_that_is_clipped_has_the_worse_of_both_losses() -> None:
    learner = PPO(SIZES, small(value_clip=0.2), CPU)
    value, before = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0])
    returns = torch.tensor([1.0, 0.0])  # reached by a leap; and left by one
    loss = learner._value_loss(value, before, returns)
    assert float(loss) == pytest.approx((0.8**2 + 1.0) / 2)


def test_mirror_images_learn_as_much_as_what_happened() -> None:
    mirror = MirrorMaps(
        obs_order=torch.tensor([0, 2, 1]),
        obs_signs=torch.tensor([-1.0, 1.0, 1.0]),
        action_order=torch.tensor([1, 0]),
        action_signs=torch.ones(2),
    )
    after = []
    for flipped in (False, True):
        torch.manual_seed(0)
        learner = PPO(SIZES, small(normalize=False), CPU, mirror)
        rollout = some_rollout()
        rows = learner.prepare(rollout)
        if flipped:  # the same batch, with the image in the original's place
            found = vars(rows)
            found["obs"], found["action"] = (
                mirror.obs(rows.obs),
                mirror.action(rows.action),
            )
            rows = Rows(**found)
        learner.learn(rows)
        after.append(flat(learner.learned))
    torch.testing.assert_close(after[0], after[1], atol=1e-6, rtol=0)
    alone = PPO(SIZES, small(normalize=False, symmetry=False), CPU, mirror)
    assert alone.mirror is None


def test_observations_are_normalised_by_what_was_seen_before() -> None:
    learner = PPO(SIZES, small(), CPU)
    first, second = some_rollout(0), some_rollout(1)
    learner.update(first)
    mean = first.obs.flatten(0, 1).mean(0)
    torch.testing.assert_close(learner.norm.mean, mean)
    learner.update(second)
    both = torch.cat((first.obs, second.obs)).flatten(0, 1).mean(0)
    torch.testing.assert_close(learner.norm.mean, both)
    assert learner.count == 2 * 10 * STEPS * ENVS // 32


def test_the_actor_is_built_again_and_stays_within_limits() -> None:
    learner = PPO(SIZES, small(), CPU)
    learner.update(some_rollout())
    bias: Any = learner.policy.mean[-1].bias
    bias.data.copy_(torch.tensor([5.0, -5.0]))
    actor = learner.actor()
    again = build_actor(learner.network(), 3, 2)
    again.load_state_dict(actor.state_dict())
    x = torch.randn(7, 3)
    torch.testing.assert_close(again(x), actor(x))
    torch.testing.assert_close(again(x), torch.tensor([[1.0, -1.0]]).expand(7, 2))


def test_ppo_refuses() -> None:
    with pytest.raises(UsageError, match="batch_size is from 2 to the rows"):
        small(batch_size=129)
    with pytest.raises(UsageError, match="epochs must be above 0"):
        small(epochs=0)
    with pytest.raises(UsageError, match="desired_kl is at least 0"):
        small(desired_kl=-1.0)
    with pytest.raises(UsageError, match="lam is from 0 to 1"):
        small(lam=1.1)
    with pytest.raises(UsageError, match="gamma is from 0"):
        small(gamma=1.0)
    with pytest.raises(UsageError, match="at least 1 wide"):
        small(hidden=())
    with pytest.raises(UsageError, match="Did you mean 'tanh'"):
        small(activation="tan")
    with pytest.raises(UsageError, match="Did you mean 'rollout'"):
        small(normalize_advantage="rollouts")


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    algorithm = find_algorithm("ppo")
    given: dict[str, Any] = {"num_envs": 2, "rollout": 32, "epochs": 2, "threads": 1}
    given |= {"batch_size": 16, "evaluate_minutes": 0.0, "evaluate_episodes": 2}
    given |= {"desired_kl": 0.01, "tensorboard": False}
    ends = []
    for stops in ((128,), (64, 128)):
        out = tmp_path / str(len(stops))
        for index, steps in enumerate(stops):
            config = algorithm.config(**given, steps=steps)
            options = {"task": "Pendulum-v1", "out": out, "progress": False}
            result = train("ppo", config, resume=index > 0, **options)
            assert result.steps == steps
        tensors, _ = load_state(out / STATE)
        kept = ("nets/", "optimizer/", "learner/", "rng/", "worlds/")
        ends.append({k: v for k, v in tensors.items() if k.startswith(kept)})
    assert ends[0].keys() == ends[1].keys()
    for name, values in ends[0].items():
        assert torch.equal(values, ends[1][name]), name


def test_a_training_that_breaks_down_says_what_to_lower(tmp_path: Path) -> None:
    config = PPOConfig(
        **{"num_envs": 2, "rollout": 32, "batch_size": 16, "learning_rate": 1e38},
        **{"rates": (1e38, 1e38), "evaluate_minutes": 0.0, "steps": 256, "threads": 1},
        **{"tensorboard": False, "evaluate_episodes": 2},
    )
    with pytest.raises(
        SandbotError, match=r"lower --learning-rate \(1e\+38\) or --epochs"
    ):
        train("ppo", config, task="Pendulum-v1", out=tmp_path / "a", progress=False)
