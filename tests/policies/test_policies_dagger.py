"""DAgger: who acts, what is recorded, going on after a kill, and what it is worth."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assets.errors import UsageError
from ml.files import sha256
from ml.lerobot import read_dataset
from ml.training_setup import TrainingConfig
from policies import make_policy
from policies.bc import BCConfig
from policies.collect import FIRST_ID
from policies.dagger import DATA, ROUNDS, DaggerConfig, MixtureRecorder, askable, train
from sims import make_env, make_task

TASK = "arm-reach"
TINY = TrainingConfig(
    steps=30,
    batch_size=64,
    validate_every=10,
    checkpoint_every=10,
    log_every=10,
    tensorboard=False,
    select="last",
)
CONFIG = DaggerConfig(
    rounds=3,
    episodes=3,
    decay=0.5,
    round_steps=20,
    num_envs=2,
    bc=BCConfig(hidden=(16,), training=TINY),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rounds of three episodes."""
    out = tmp_path_factory.mktemp("runs") / "dagger"
    result = train(CONFIG, task=TASK, out=out, progress=False)
    assert result.labels == 9 * 400 and len(result.successes) == 3
    assert result.successes[0] == 1.0, "the first round is the expert's own"
    assert "3600 labels" in result.line
    return out


class Still:
    """Acts with a constant that no expert would choose."""

    def __init__(self, num_envs: int) -> None:
        self.ids = np.arange(num_envs)
        self.num_envs = num_envs

    def reset(self, where=None) -> None:
        """Nothing to forget."""

    def act(self, obs) -> np.ndarray:
        return np.full((self.num_envs, 2), 0.123)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_expert_acts_as_often_as_it_should(beta: float) -> None:
    task = make_task(TASK)
    env = make_env(task, num_envs=5, threads=1)
    expert = make_policy("computed-torque", task, 5)
    learner: object = Still(5)
    recorder = MixtureRecorder(env, expert, learner, beta=beta, seed=0)  # type: ignore[arg-type]
    episodes = recorder.run(FIRST_ID + np.arange(5))
    env.close()
    own = np.stack([(e.executed == e.action).all(1) for e in episodes])
    other = np.stack([np.isclose(e.executed, 0.123).all(1) for e in episodes])
    assert (own ^ other).all()
    spread = 4 * np.sqrt(beta * (1 - beta) / own.size)
    assert abs(own.mean() - beta) <= spread


def test_labels_are_what_the_expert_wants_where_the_learner_went(run: Path) -> None:
    data = read_dataset(run / DATA)
    state, label = data.vectors("observation.state"), data.vectors("action")
    assert len(label) == 9 * 400
    expert = make_policy("computed-torque", make_task(TASK), len(state))
    asked = expert.act({"state": state.astype(float)})
    # recorded states are float32, and the law divides by small sines near singularities
    assert np.median(np.abs(asked - label)) < 1e-4
    assert np.quantile(np.abs(asked - label), 0.999) < 1e-2
    done = data.vectors("executed_action")
    bounds = data.bounds
    first = slice(0, bounds[3][0])
    assert np.array_equal(done[first], label[first])
    differs = [(done[a:b] != label[a:b]).any(1).mean() for a, b in bounds]
    assert all(0.4 < share < 0.6 for share in differs[3:6])
    assert all(0.65 < share < 0.85 for share in differs[6:9])


def test_it_becomes_a_checkpoint(run: Path) -> None:
    about = json.loads((run / "config.json").read_text())
    assert about["policy"] == "bc" and about["dagger"]["labels"] == 3600
    assert "DAgger" in (run / "README.md").read_text()
    task = make_task(TASK)
    obs = {"state": np.random.default_rng(0).normal(size=(4, 10))}
    action = make_policy(run, task, 4).act(obs)
    last = make_policy(run / ROUNDS / "02", task, 4).act(obs)
    assert np.array_equal(action, last)


def test_a_run_that_was_killed_ends_with_the_same_bits(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once while episodes are run, once while a round is trained."""
    from ml.training import Trainer

    out = tmp_path / "dagger"
    original, advance = MixtureRecorder.run, Trainer._advance
    calls = iter(range(100))

    def dies_acting(self: MixtureRecorder, *given, **more):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *given, **more)

    monkeypatch.setattr(MixtureRecorder, "run", dies_acting)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, task=TASK, out=out, progress=False)
    monkeypatch.setattr(MixtureRecorder, "run", original)
    assert read_dataset(out / DATA).bounds.shape[0] == 5, "the midst of round 1"

    def dies_learning(self: Trainer, log):
        if self.step == 15:
            raise KeyboardInterrupt
        advance(self, log)

    monkeypatch.setattr(Trainer, "_advance", dies_learning)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, task=TASK, out=out, resume=True, progress=False)
    monkeypatch.setattr(Trainer, "_advance", advance)
    train(CONFIG, task=TASK, out=out, resume=True, progress=False)
    for name in ("model.safetensors", f"{DATA}/data/chunk-000/file-000.parquet"):
        assert sha256(out / name) == sha256(run / name), name


def test_a_run_goes_on_with_the_same_settings_only(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "dagger"
    shutil.copytree(run, out)
    with pytest.raises(UsageError, match="episodes differ"):
        train(replace(CONFIG, episodes=4), task=TASK, out=out, resume=True)
    with pytest.raises(UsageError, match="exists"):
        train(CONFIG, task=TASK, out=out)


def test_experts_that_follow_a_plan_are_refused() -> None:
    reach, aloha = make_task(TASK), make_task("aloha-transfer-cube")
    assert askable("expert", reach) == "computed-torque"
    with pytest.raises(UsageError, match=r"plan or a memory.*computed-torque"):
        askable("expert", aloha)
    with pytest.raises(UsageError, match="plan or a memory"):
        askable("impedance", reach)
    with pytest.raises(UsageError, match="Did you mean 'computed-torque'"):
        askable("computed-tork", reach)


def test_settings_that_make_no_rounds_are_refused() -> None:
    with pytest.raises(UsageError, match="rounds is at least 1"):
        DaggerConfig(rounds=0)
    with pytest.raises(UsageError, match="decay is from 0 to 1"):
        DaggerConfig(decay=1.5)
    with pytest.raises(UsageError, match="episodes is at least 1"):
        DaggerConfig(episodes=0)
    with pytest.raises(UsageError, match="without cameras"):
        DaggerConfig(bc=BCConfig(cameras=("top",)))
