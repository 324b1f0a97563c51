"""GAIL: no reward is read, the discriminator learns, the actor is what was trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

from assets.errors import UsageError
from ml.checkpoint import load_weights, read_config
from ml.files import sha256
from ml.lerobot import read_dataset
from policies import make_policy
from policies.collect import collect
from policies.gail import GAILConfig, _learner, _prepare, train
from policies.gail_judge import Discriminator, JudgedBuffer
from policies.imitation.checkpoint import load_net
from policies.imitation.net import OBSERVATION, Seen
from policies.rewardless_env import RewardlessVecEnv
from policies.sb3 import clone, mean_layers, seeded
from sims import make_env, make_task
from sims.tasks.arm_reach import ArmReach

TASK = "arm-reach"
CONFIG = GAILConfig(
    demonstrations=4,
    steps=240,
    num_envs=8,
    hidden=(16, 16),
    critic=(16,),
    discriminator=(16,),
    updates=2,
    discriminator_updates=2,
    batch_size=32,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four demonstrations."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect(TASK, "computed-torque", episodes=4, out=out, noise=0.0, threads=1)
    return out


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game that has hardly begun."""
    out = tmp_path_factory.mktemp("runs") / "gail"
    result = train(CONFIG, data=data, out=out, progress=False)
    assert result.steps == 240 * 4 and "control steps" in result.line
    return out


@pytest.mark.parametrize("kind", ["nan", "random"])
def test_the_environments_reward_is_never_read(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """With a reward that is no number, or noise, the weights are the same bits."""
    noise = np.random.default_rng()
    calls = []

    def reward(self: ArmReach, engine: Any, state: Any) -> dict[str, np.ndarray]:
        calls.append(1)
        n = engine.num_envs
        return {"near": np.full(n, np.nan) if kind == "nan" else noise.normal(size=n)}

    monkeypatch.setattr(ArmReach, "reward", reward)
    train(CONFIG, data=data, out=tmp_path / "gail", progress=False)
    assert len(calls) >= 240 / 8 * 4, "the environment did pay"
    assert sha256(tmp_path / "gail/model.safetensors") == sha256(
        run / "model.safetensors"
    )


def test_a_seed_makes_the_weights_and_leaves_other_generators_alone(
    run: Path, data: Path, tmp_path: Path
) -> None:
    np.random.seed(3)
    expected = np.random.random(2)
    np.random.seed(3)
    first = np.random.random()
    train(replace(CONFIG, seed=1), data=data, out=tmp_path / "b", progress=False)
    assert [first, np.random.random()] == expected.tolist()
    assert sha256(tmp_path / "b/model.safetensors") != sha256(run / "model.safetensors")


def test_a_checkpoint_acts_and_holds_each_action(run: Path) -> None:
    about = json.loads((run / "config.json").read_text())
    assert about["policy"] == "gail" and about["gail"]["steps"] == 960
    assert "neither the task's reward" in (run / "README.md").read_text()
    policy = make_policy(run, make_task(TASK), 3)
    env = make_env(TASK, num_envs=3, threads=1)
    obs = env.reset(ids=np.arange(3))
    actions = []
    for _ in range(8):
        actions.append(policy.act(obs))
        obs = env.step(actions[-1])[0]
    env.close()
    assert all(np.array_equal(actions[0], a) for a in actions[1:4])
    assert not np.array_equal(actions[3], actions[4])
    assert (np.abs(actions) <= [20, 8]).all()


def test_the_network_is_the_actors_mean(data: Path) -> None:
    """Against stable-baselines3's own prediction."""
    with seeded(0):
        subject, net, expert, after = _prepare(read_dataset(data), CONFIG)
        judge = Discriminator(expert, CONFIG)
        model = _learner(subject, net, judge, after, CONFIG)
    net.network.load_state_dict(mean_layers(model.actor))
    state = read_dataset(data).vectors("observation.state")[::40]
    seen = Seen(inputs=torch.from_numpy(state))
    with torch.no_grad():
        action, _ = net.predict(seen, torch.zeros(40, 0), torch.zeros(40, 0), None)
    assert model.env is not None
    normal = net.normalizer.normalize(OBSERVATION, torch.from_numpy(state)).numpy()
    theirs, _ = model.predict(normal, deterministic=True)
    assert action.shape == (40, 4, 2)
    assert np.allclose(action[:, 0].numpy(), theirs, atol=1e-4)
    model.env.close()


def test_experts_frames_are_what_the_learner_would_see(data: Path) -> None:
    """Every fourth observation, and the mean of the actions until the next."""
    _, net, expert, after = _prepare(read_dataset(data), CONFIG)
    dataset = read_dataset(data)
    action = dataset.vectors("action").reshape(4, 100, 4, 2).mean(2) / [20, 8]
    assert expert.shape == (396, 12) and after.shape == (396, 10)
    assert np.allclose(expert[:, 10:], action[:, :99].reshape(-1, 2), atol=1e-6)
    assert torch.equal(after[:98], expert[1:99, :10])
    assert not torch.equal(after[98], expert[99, :10]), "another episode"
    assert np.allclose(expert[:, :10].mean(0), 0, atol=1e-4)
    assert np.allclose(expert[:, :10].std(0, correction=0), 1, atol=1e-3)
    assert net.config.chunk == 4


def test_the_discriminator_learns_who_is_who() -> None:
    torch.manual_seed(0)
    expert = torch.randn(500, 3) + 1.5
    judge = Discriminator(expert, replace(CONFIG, discriminator_rate=1e-2))
    for _ in range(150):
        judge.learn(torch.randn(64, 3) - 1.5)
    assert judge.figures["expert_logit"] > 1 > -1 > judge.figures["learner_logit"]
    near, far = torch.full((1, 2), 1.5), torch.full((1, 2), -1.5)
    better = judge.reward(near, torch.tensor([[1.5]]))
    assert better.shape == (1, 1)
    assert better > judge.reward(far, torch.tensor([[-1.5]]))


def test_rewards_are_judged_when_they_are_drawn(data: Path) -> None:
    with seeded(0):
        subject, net, expert, after = _prepare(read_dataset(data), CONFIG)
        judge = Discriminator(expert, CONFIG)
        model = _learner(subject, net, judge, after, CONFIG)
        model.learn(40)
        buffer = model.replay_buffer
        assert isinstance(buffer, JudgedBuffer) and not buffer.rewards.any()
        drawn = buffer.sample(16)
        pairs = torch.cat([drawn.observations, drawn.actions], 1)
        assert torch.allclose(drawn.rewards, judge.net(pairs))
        whole = torch.cat([pairs, drawn.next_observations], 1)
        shown = (whole[:, None] == torch.cat([expert, after], 1)).all(2).any(1)
        assert shown[:8].all() and not shown[8:].any(), "half of it is the expert's"
        for weight in judge.net.parameters():
            weight.data.zero_()
        assert not buffer.sample(16).rewards.any()
        newest = buffer.recent(200, last=8)
        last = torch.from_numpy(buffer.observations[buffer.pos - 1])
        assert (newest[:, None, :10] == last).all(2).any(1).all()
    assert model.env is not None
    model.env.close()


def test_environments_end_by_time_and_say_so() -> None:
    task = make_task(TASK)
    env = RewardlessVecEnv(
        task,
        2,
        look=lambda obs: obs["state"].astype(np.float32),
        size=10,
        hold=4,
        seed=5,
    )
    start = env.reset()
    for count in range(1, 102):
        obs, reward, done, infos = env.step(np.zeros((2, 2)))
        assert not reward.any() and done.all() == (count == 100)
        if count == 100:
            assert all(info["TimeLimit.truncated"] for info in infos)
            last: Any = infos[0]["terminal_observation"]
            assert not np.array_equal(last, np.asarray(obs)[0])
    env.close()
    plain = make_env(task, num_envs=2, threads=1)
    assert np.allclose(plain.reset(seed=5)["state"], start)
    plain.close()
    with pytest.raises(UsageError, match="choose a divisor"):
        RewardlessVecEnv(
            task, 2, look=lambda obs: obs["state"], size=10, hold=7, seed=0
        )


def test_a_warm_start_imitates(data: Path) -> None:
    with seeded(0):
        subject, net, expert, after = _prepare(read_dataset(data), CONFIG)
        judge = Discriminator(expert, CONFIG)
        model = _learner(subject, net, judge, after, CONFIG)
        seen, done = expert.split([10, 2], 1)

        def error() -> float:
            with torch.no_grad():
                mean = torch.tanh(model.actor.mu(model.actor.latent_pi(seen)))
            return float((mean - done).square().mean())

        before = error()
        clone(
            model.actor,
            seen,
            done,
            steps=300,
            batch_size=64,
            learning_rate=3e-3,
            seed=0,
        )
        assert error() < 0.2 * before
    assert isinstance(model, SAC) and model.env is not None
    model.env.close()


def test_it_is_loaded_like_the_others(run: Path) -> None:
    about, net, inputs = load_net(run)
    assert inputs.names == make_task(TASK).obs_spec["state"].names
    load_weights(run, read_config(run), net)
    assert about["network"]["chunk"] == 4
    with pytest.raises(UsageError, match="is for task"):
        make_policy(run, make_task("arm-track"), 1)


def test_what_cannot_be_played_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4 demonstrations, and 100 are"):
        train(GAILConfig(), data=data, out=tmp_path / "a")
    with pytest.raises(UsageError, match="steps is above 0"):
        GAILConfig(steps=0)
    with pytest.raises(UsageError, match="discount"):
        GAILConfig(discount=1.0)
    with pytest.raises(UsageError, match="penalty"):
        GAILConfig(penalty=-1.0)
