"""What breaks a training says so in one line, and leaves the last good state."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from ml.metrics_log import read_metrics
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.fastsac import FastSAC
from policies.rl.worlds import NotFinite, Worlds
from sims.engines.mujoco import MujocoEngine
from tests.policies.rl_runs import assert_same, at_step, config, replay_of, run, short  # noqa: F401


def in_update(
    monkeypatch: pytest.MonkeyPatch, number: int, act: Any, name: str = "learn_values"
) -> None:
    """Let something happen in that update of the next training."""
    usual = getattr(FastSAC, name)

    def planted(self: FastSAC, *given: Any) -> None:
        usual(self, *given)
        if self.count == number:
            act(self)

    monkeypatch.setattr(FastSAC, name, planted)


OFTEN: dict[str, Any] = {"checkpoint_seconds": 1e-9, "log_seconds": 1e9, "steps": 140}
"""Saved after each round."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder, **OFTEN)
    return folder


def breaks(folder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The message of a training that breaks down; resumed, it ends as another did."""
    with pytest.raises(SandbotError) as broke:
        run(folder, **OFTEN)
    message = str(broke.value)
    assert "\n" not in message
    assert f"the last good training state is in {folder}" in message
    assert message.endswith("--resume goes on from there")
    _, saved = load_state(folder / STATE)
    assert saved["learner_count"] == 22
    monkeypatch.undo()
    run(folder, resume=True, **OFTEN)
    assert_same(whole, folder)
    return message


def test_a_loss_that_is_not_finite(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(self: FastSAC) -> None:
        self._watched[0] = torch.nan

    in_update(monkeypatch, 24, plant)
    message = breaks(tmp_path / "run", whole, monkeypatch)
    # noticed in the round after, not only at the next line of the log
    assert message.startswith("training broke down at step 104: critic_loss is nan;")
    assert "lower --learning-rate (0.0003) or --updates" in message


def test_weights_that_are_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(self: FastSAC) -> None:
        self.policy.mean.bias.data[0] = torch.nan

    in_update(monkeypatch, 24, plant, "learn_actions")
    with pytest.raises(SandbotError) as broke:
        run(tmp_path / "run", **OFTEN)
    message = str(broke.value)
    assert message.startswith("training broke down at step 104: actor.mean.bias holds")
    _, saved = load_state(tmp_path / "run" / STATE)
    assert saved["learner_count"] == 22


def test_actions_that_are_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they reach the engine, where the message would be about a policy."""

    def plant(self: FastSAC) -> None:
        self.policy.mean.bias.data[0] = torch.nan

    in_update(monkeypatch, 24, plant, "learn_actions")
    with pytest.raises(SandbotError) as broke:
        run(tmp_path / "run", checkpoint_seconds=1e9)
    message = str(broke.value)
    assert "step 104: the actor's actions are not finite" in message
    assert message.endswith("no training state was saved yet")


MEMORY = "has no memory left at step 100: lower --replay, --batch-size or --num-envs;"


def test_a_gpus_memory_that_is_used_up(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(_: FastSAC) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    in_update(monkeypatch, 24, plant)
    assert MEMORY in breaks(tmp_path / "run", whole, monkeypatch)


def test_a_machines_memory_that_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(_: FastSAC) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")

    in_update(monkeypatch, 24, plant)
    with pytest.raises(SandbotError, match=f"the machine {MEMORY}"):
        run(tmp_path / "run")


def test_other_errors_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(_: FastSAC) -> None:
        raise RuntimeError("a bug")

    in_update(monkeypatch, 2, plant)
    with pytest.raises(RuntimeError, match="a bug"):
        run(tmp_path / "run")


def test_an_environment_that_breaks_down_starts_anew_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(worlds: Worlds) -> None:
        engine = worlds.env.engine
        assert isinstance(engine, MujocoEngine)
        engine.qvel[2] = np.nan

    at_step(monkeypatch, 25, plant)
    run(tmp_path / "run", evaluate_steps=0, replay=400)
    broken = [line["episodes/diverged"] for line in read_metrics(tmp_path / "run")[:-1]
              if "episodes/diverged" in line]  # fmt: skip
    assert sum(broken) == 1
    stored = replay_of(tmp_path / "run")
    assert all(value.float().isfinite().all() for value in stored.values())
    moment = {name: value[24] for name, value in stored.items()}
    assert moment["terminated"].tolist() == [False, False, True, False]
    assert moment["reward"][2] == 0
    assert torch.equal(moment["next_obs"][2], moment["obs"][2])
    following = stored["obs"][25]
    assert torch.equal(following[[0, 1, 3]], moment["next_obs"][[0, 1, 3]])
    assert not torch.equal(following[2], moment["next_obs"][2])
    assert not stored["ended"][25:29].any()


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_numbers_that_no_engine_calls_a_breakdown(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sims import make_env

    env = make_env("arm-reach", num_envs=3, autoreset=True)
    worlds = Worlds(env, torch.device("cpu"))
    worlds.reset()
    usual = env.step

    def planted(action: Any) -> Any:
        obs, reward, terminated, truncated, info = usual(action)
        if what == "reward":
            reward[1] = np.inf
        else:
            obs["state"][1, 0] = np.nan
        return obs, reward, terminated, truncated, info

    monkeypatch.setattr(env, "step", planted)
    step = worlds.step(torch.zeros(3, worlds.sizes.action))
    env.close()
    assert step.terminated.tolist() == [False, True, False]
    assert step.reward[1] == 0
    assert torch.equal(step.next_obs[1], step.obs[1])
    assert step.next_obs.isfinite().all()
    assert worlds.obs.isfinite().all()
    assert worlds.tally.read()["diverged"] == 1


def test_worlds_refuse_what_is_not_finite() -> None:
    from sims import make_env

    env = make_env("arm-reach", num_envs=2, autoreset=True)
    worlds = Worlds(env, torch.device("cpu"))
    worlds.reset()
    with pytest.raises(NotFinite):
        worlds.step(torch.full((2, worlds.sizes.action), torch.nan))
    env.close()
    env = make_env("arm-reach", num_envs=2)
    with pytest.raises(UsageError, match="autoreset=True"):
        Worlds(env, torch.device("cpu"))
    env.close()


def test_what_can_be_refused_is_refused_before_a_run_makes_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from policies.rl import training

    caplog.set_level(logging.WARNING)
    folder = tmp_path / "run"
    run(folder, steps=60, evaluate_steps=0)
    before = (folder / "model.safetensors").read_bytes()
    for changes, words in (
        ({"randomize": "gaap"}, "Did you mean 'gap'"),
        ({"num_envs": 100_000}, "no room for two steps"),
        ({"replay": 10**12}, "lower --replay"),
    ):
        with pytest.raises(SandbotError, match=words):
            training.train(
                *("fastsac", config(**changes)),
                **{"task": "arm-reach", "out": folder, "overwrite": True},
            )
    assert (folder / "model.safetensors").read_bytes() == before
    assert not caplog.records
