"""GAIL: no reward is read, both sides learn, the actor is what was trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.errors import UsageError
from ml.checkpoint import load_weights, read_config
from ml.files import sha256
from ml.lerobot import read_dataset
from policies import make_policy
from policies.collect import collect
from policies.gail import GAILConfig, _prepare, train
from policies.gail_game import Game
from policies.imitation.checkpoint import load_net
from policies.imitation.net import OBSERVATION, Seen
from sims import make_env, make_task
from sims.tasks.arm_reach import ArmReach

TASK = "arm-reach"
CONFIG = GAILConfig(
    demonstrations=4,
    rounds=3,
    num_envs=4,
    hold=2,
    hidden=(16, 16),
    model=(16,),
    discriminator=(16,),
    details=4,
    model_updates=2,
    updates=3,
    imagined=8,
    horizon=4,
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
    assert result.steps == 3 * 4 * 400 and "control steps" in result.line
    return out


@pytest.mark.parametrize("kind", ["nan", "random"])
def test_neither_reward_nor_success_is_ever_read(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """With a reward that is no number, or noise, the weights are the same bits."""
    noise = np.random.default_rng()
    calls = []

    def reward(self: ArmReach, engine: Any, state: Any) -> dict[str, np.ndarray]:
        calls.append(1)
        n = engine.num_envs
        return {"near": np.full(n, np.nan) if kind == "nan" else noise.normal(size=n)}

    def success(self: ArmReach, engine: Any, state: Any) -> np.ndarray:
        return noise.random(engine.num_envs) < 0.5

    monkeypatch.setattr(ArmReach, "reward", reward)
    monkeypatch.setattr(ArmReach, "success", success)
    train(CONFIG, data=data, out=tmp_path / "gail", progress=False)
    assert len(calls) == 3 * 400, "the environment did pay"
    assert sha256(tmp_path / "gail/model.safetensors") == sha256(
        run / "model.safetensors"
    )


def test_a_seed_makes_the_weights_and_leaves_other_generators_alone(
    run: Path, data: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    expected = [*np.random.random(2), *torch.rand(2).tolist()]
    torch.manual_seed(3)
    np.random.seed(3)
    found = [np.random.random(), *torch.rand(1).tolist()]
    train(replace(CONFIG, seed=1), data=data, out=tmp_path / "b", progress=False)
    found = [found[0], np.random.random(), found[1], *torch.rand(1).tolist()]
    assert found == expected
    assert sha256(tmp_path / "b/model.safetensors") != sha256(run / "model.safetensors")


def test_a_checkpoint_acts_and_holds_each_action(run: Path) -> None:
    about = json.loads((run / "config.json").read_text())
    assert about["policy"] == "gail" and about["gail"]["steps"] == 4800
    assert "neither the task's reward" in (run / "README.md").read_text()
    policy = make_policy(run, make_task(TASK), 3)
    env = make_env(TASK, num_envs=3, threads=1)
    obs = env.reset(ids=np.arange(3))
    actions = []
    for _ in range(4):
        actions.append(policy.act(obs))
        obs = env.step(actions[-1])[0]
    env.close()
    assert np.array_equal(actions[0], actions[1])
    assert np.array_equal(actions[2], actions[3])
    assert not np.array_equal(actions[1], actions[2])
    assert (np.abs(actions) <= [20, 8]).all()


def test_the_log_has_a_line_for_each_round(run: Path) -> None:
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0]["reward"] == 0.0 != lines[1]["reward"], "the first is the model's"
    assert all(line["model_error"] > 0 for line in lines)


def test_the_network_acts_as_the_player_did(data: Path) -> None:
    """Torques of the checkpoint's network are the player's times their limits."""
    _, net, expert = _prepare(read_dataset(data), CONFIG)
    game = Game(net, expert, CONFIG)
    state = torch.from_numpy(read_dataset(data).vectors("observation.state")[::40])
    with torch.no_grad():
        action, _ = net.predict(
            Seen(inputs=state), torch.zeros(40, 0), torch.zeros(40, 0), None
        )
        played = game.act(net.normalizer.normalize(OBSERVATION, state))
    assert action.shape == (40, 2, 2)
    assert np.allclose(action[:, 1], played * torch.tensor([20.0, 8.0]), atol=1e-4)


def test_experts_frames_are_what_the_learner_would_see(data: Path) -> None:
    """Every second observation, and the mean of the actions until the next."""
    _, net, expert = _prepare(read_dataset(data), CONFIG)
    dataset = read_dataset(data)
    action = dataset.vectors("action").reshape(800, 2, 2).mean(1) / [20, 8]
    assert expert.shape == (800, 12)
    assert np.allclose(expert[:, 10:], action, atol=1e-6)
    state = torch.from_numpy(dataset.vectors("observation.state")[::2])
    normal = net.normalizer.normalize(OBSERVATION, state)
    assert torch.allclose(expert[:, :10], normal)
    assert np.allclose(normal.mean(0), 0, atol=1e-4)
    assert np.allclose(normal.std(0, correction=0), 1, atol=1e-3)
    assert net.config.chunk == 2


def test_climbing_makes_imagined_frames_look_more_like_the_experts(data: Path) -> None:
    config = replace(CONFIG, learning_rate=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, net, expert = _prepare(read_dataset(data), config)
        game = Game(net, expert, config)
    game.model.scale.fill_(0.1)
    starts = expert[::10, :10]
    before = [p.clone() for p in (*game.model.parameters(), *game.judge.net.buffers())]
    rewards = [game.climb(starts) for _ in range(60)]
    assert rewards[-1] > rewards[0] + 0.05
    assert np.mean(np.diff(rewards) > 0) > 0.8
    after = (*game.model.parameters(), *game.judge.net.buffers())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in game.model.parameters())
    assert all(p.requires_grad for p in game.judge.net.parameters())


def test_rates_fall_to_the_end(data: Path) -> None:
    config = replace(CONFIG, final_rate=0.2, cool_down=0.5)
    _, net, expert = _prepare(read_dataset(data), config)
    game = Game(net, expert, config)
    for share, left in ((0.0, 1.0), (0.5, 1.0), (0.75, 0.6), (1.0, 0.2)):
        game._slow_down(share)
        rates = [game.optimizer, game.fitter.optimizer, game.judge.optimizer]
        found = [optimizer.param_groups[0]["lr"] for optimizer in rates]
        assert found == pytest.approx([1e-3 * left] * 3)


def test_a_warm_start_imitates(data: Path) -> None:
    config = replace(CONFIG, warm_start=300, learning_rate=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, net, expert = _prepare(read_dataset(data), config)
        game = Game(net, expert, config)
        seen, done = expert.split([10, 2], 1)

        def error() -> float:
            with torch.no_grad():
                return float((game.act(seen) - done).square().mean())

        before = error()
        game.warm_up()
    assert error() < 0.2 * before


def test_it_is_loaded_like_the_others(run: Path) -> None:
    about, net, inputs = load_net(run)
    assert inputs.names == make_task(TASK).obs_spec["state"].names
    load_weights(run, read_config(run), net)
    assert about["network"]["chunk"] == 2
    with pytest.raises(UsageError, match="is for task"):
        make_policy(run, make_task("arm-track"), 1)


def test_what_cannot_be_played_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4 demonstrations, and 100 are"):
        train(GAILConfig(), data=data, out=tmp_path / "a")
    with pytest.raises(UsageError, match="choose a divisor"):
        train(replace(CONFIG, hold=7), data=data, out=tmp_path / "a")
    for wrong, why in (
        ({"updates": 0}, "updates is above 0"),
        ({"rounds": 1}, "rounds is at least 2"),
        ({"discount": 1.0}, "discount is from 0 to less than 1"),
        ({"cool_down": 0.0}, "cool_down is above 0"),
        ({"penalty": -1.0}, "penalty is at least 0"),
    ):
        with pytest.raises(UsageError, match=why):
            replace(CONFIG, **wrong)  # pyright: ignore[reportArgumentType]
