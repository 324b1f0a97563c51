"""Behaviour cloning end to end: demonstrations, training, checkpoint, policy."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from ml.lerobot import read_dataset
from ml.training_setup import TrainingConfig
from policies import make_policy
from policies.bc import BCConfig
from policies.collect import FIRST_ID, collect
from policies.imitation import load, train
from sims import make_env, make_task
from sims.policy import Policy

TINY = TrainingConfig(
    steps=60,
    batch_size=256,
    validate_every=30,
    checkpoint_every=30,
    log_every=10,
    tensorboard=False,
)
SMALL = {
    "mlp": BCConfig(hidden=(32,), training=TINY),
    "lstm": BCConfig(
        network="lstm", hidden=(16, 16), drop=("joint_vel",), training=TINY
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight demonstrations, disturbed."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect("arm-reach", "computed-torque", episodes=8, out=out, noise=0.1, threads=1)
    return out


@pytest.fixture(scope="module", params=["mlp", "lstm"])
def checkpoint(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A barely trained network."""
    out = tmp_path_factory.mktemp("runs") / request.param
    train(data=data, task="arm-reach", out=out, config=SMALL[request.param])
    return out


@pytest.fixture(scope="module")
def perceptron(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One to be copied."""
    out = tmp_path_factory.mktemp("perceptron") / "bc"
    train(data=data, task="arm-reach", out=out, config=SMALL["mlp"])
    return out


@pytest.fixture
def mlp(perceptron: Path, tmp_path: Path) -> Path:
    """One to be damaged."""
    return shutil.copytree(perceptron, tmp_path / "bc")


def _observations(n: int) -> dict[str, np.ndarray]:
    return {"state": np.random.default_rng(0).normal(size=(n, 10))}


def _play(policy: Policy, ids: np.ndarray, engine: str = "mujoco") -> np.ndarray:
    """Success of the episodes of so many identities."""
    env = make_env("arm-reach", engine=engine, num_envs=len(ids), threads=1)
    obs, info = env.reset(seed=0, ids=ids), {}
    policy.reset()
    for _ in range(env.max_steps):
        obs, _, _, _, info = env.step(policy.act(obs))
    env.close()
    return info["success"].copy()


def test_a_checkpoint_is_complete(checkpoint: Path, data: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    assert (config["policy"], config["task"], config["robot"]) == (
        "bc",
        "arm-reach",
        "arm",
    )
    assert config["dataset_sha256"] == read_dataset(data).sha256()
    assert config["control_dt"] == 0.01 and config["training"]["seed"] == 0
    assert {"torch", "mujoco", "python"} <= config["versions"].keys()
    card = (checkpoint / "README.md").read_text()
    for fact in (config["commit"], config["dataset_sha256"], "validation loss", "seed"):
        assert fact in card
    names = {p.name for p in checkpoint.rglob("*") if p.is_file()}
    assert names == {
        *("config.json", "model.safetensors", "README.md"),
        *("state.safetensors", "metrics.jsonl"),
    }


def test_it_is_a_policy_of_the_task(checkpoint: Path) -> None:
    task = make_task("arm-reach")
    policy = make_policy(checkpoint, task, 5)
    assert isinstance(policy, Policy)
    assert policy.obs_spec == task.obs_spec and policy.action_spec == task.action_spec
    action = policy.act(_observations(5))
    assert action.shape == (5, 2) and np.isfinite(action).all()
    wild = {"state": np.full((5, 10), 1e6)}
    low, high = task.action_spec.limits()
    assert ((policy.act(wild) >= low) & (policy.act(wild) <= high)).all()


def test_actions_are_the_same_bits_in_any_batch(checkpoint: Path) -> None:
    """Alone or among 200, over a hundred steps in the engine."""
    task = make_task("arm-reach")

    def actions(ids: np.ndarray) -> np.ndarray:
        env = make_env("arm-reach", num_envs=len(ids), threads=1)
        policy = load(checkpoint, task, len(ids))
        obs, taken = env.reset(seed=3, ids=ids), []
        for _ in range(100):
            taken.append(policy.act(obs))
            obs = env.step(taken[-1])[0]
        env.close()
        return np.stack(taken, 1)

    together = actions(np.arange(200))  # three tiles and a part of one
    for some in ([0], [37], [199], [5, 150, 64]):
        np.testing.assert_array_equal(actions(np.array(some)), together[some])


def test_reset_forgets(data: Path, tmp_path: Path) -> None:
    train(data=data, task="arm-reach", out=tmp_path / "r", config=SMALL["lstm"])
    policy = load(tmp_path / "r", make_task("arm-reach"), 3)
    obs = _observations(3)
    fresh = policy.act(obs)
    second = policy.act(obs)
    assert (fresh != second).any(axis=1).all()  # it remembers
    policy.reset(np.array([False, True, False]))
    third = policy.act(obs)
    np.testing.assert_array_equal(third[1], fresh[1])
    assert (third[[0, 2]] != fresh[[0, 2]]).any(axis=1).all()
    policy.reset()
    np.testing.assert_array_equal(policy.act(obs), fresh)


def test_dropped_elements_are_not_read(data: Path, tmp_path: Path) -> None:
    config = replace(SMALL["mlp"], drop=("joint_vel", "tip_"))
    train(data=data, task="arm-reach", out=tmp_path / "r", config=config)
    task = make_task("arm-reach")
    policy = load(tmp_path / "r", task, 4)
    obs = _observations(4)
    before = policy.act(obs)
    gone = task.obs_spec["state"].columns(("joint_vel", "tip_"))
    obs["state"][:, gone] += 5.0
    np.testing.assert_array_equal(policy.act(obs), before)
    obs["state"][:, 0] += 5.0
    assert (policy.act(obs) != before).any()
    with pytest.raises(UsageError, match=r"unknown element.*Did you mean"):
        bad = replace(SMALL["mlp"], drop=("joint_vell",))
        train(data=data, task="arm-reach", out=tmp_path / "x", config=bad)
    assert not (tmp_path / "x").exists()


def test_the_same_seed_gives_the_same_bits(data: Path, tmp_path: Path) -> None:
    """And so does a training that was resumed, whatever torch drew in between."""
    config = SMALL["lstm"]
    whole = train(data=data, task="arm-reach", out=tmp_path / "a", config=config)
    torch.manual_seed(1234)
    out = tmp_path / "b"
    train(data=data, task="arm-reach", out=out, config=config)
    content = (out / "model.safetensors").read_bytes()
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == content
    (out / "config.json").unlink()  # as if killed before the last file was written
    (out / "model.safetensors").unlink()
    again = train(data=data, task="arm-reach", out=out, config=config, resume=True)
    assert (out / "model.safetensors").read_bytes() == content
    assert again.validation_loss == whole.validation_loss
    card = (out / "README.md").read_text() + "\nmeasured: 99%\n"
    (out / "README.md").write_text(card)
    train(data=data, task="arm-reach", out=out, config=config, resume=True)
    assert (out / "README.md").read_text() == card  # finished: nothing is rewritten


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the demonstrations of ``benchmarks/bc.py``."""
    out = tmp_path_factory.mktemp("hundred") / "arm"
    collect(
        "arm-reach",
        "expert",
        episodes=100,
        out=out,
        noise=0.1,
        num_envs=100,
        threads=1,
    )
    return out


def _solved(data: Path, out: Path, batch_size: int = 256, **options) -> float:
    """Success rate after a quarter of the usual steps, of fewer samples each."""
    training = TrainingConfig(steps=1500, batch_size=batch_size, tensorboard=False)
    config = BCConfig(training=training, **options)
    train(data=data, task="arm-reach", out=out, config=config)
    policy = make_policy(out, make_task("arm-reach"), 100)
    return float(_play(policy, np.arange(100)).mean())


def test_a_clone_reaches(hundred: Path, tmp_path: Path) -> None:
    """Zero and random torques reach in under 5%; the full training in over 95%."""
    assert _solved(hundred, tmp_path / "bc") > 0.5


def test_memory_makes_up_for_velocities(hundred: Path, tmp_path: Path) -> None:
    """The short version of ``benchmarks/bc.py``."""
    blind = _solved(hundred, tmp_path / "mlp", drop=("joint_vel",))
    memory = _solved(
        hundred,
        tmp_path / "lstm",
        batch_size=512,
        network="lstm",
        hidden=(128,),
        window=32,
        drop=("joint_vel",),
    )
    assert blind < 0.1 and memory > 0.2


DAMAGE = {
    "cut weights": ("model.safetensors", lambda b: b[:-40], "is not the file"),
    "changed weights": (
        "model.safetensors",
        lambda b: b[:-1] + bytes([b[-1] ^ 1]),
        "is not the file",
    ),
    "no weights": ("model.safetensors", None, "model.safetensors is missing"),
    "cut config": ("config.json", lambda b: b[: len(b) // 2], "config.json"),
    "no config": ("config.json", None, r"has not (ended|finished)"),
    "another network": (
        "config.json",
        lambda b: b.replace(b'"hidden": [\n      32\n    ]', b'"hidden": [33]'),
        "does not fit config.json",
    ),
    "another input": (
        "config.json",
        lambda b: b.replace(b'"tip_x"', b'"tip_y"', 1),
        "does not make sense",
    ),
    "no network": (
        "config.json",
        lambda b: b.replace(b'"network"', b'"netwerk"', 1),
        "does not make sense",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_is_refused(mlp: Path, name: str) -> None:
    file, change, message = DAMAGE[name]
    path = mlp / file
    content = path.read_bytes()
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(content))
        assert path.read_bytes() != content
    for way in (make_policy, load):
        with pytest.raises(SandbotError, match=message) as error:
            way(mlp, make_task("arm-reach"), 2)
        assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_task_is_refused(mlp: Path) -> None:
    with pytest.raises(UsageError, match="'arm-reach', not for 'arm-track'"):
        make_policy(mlp, make_task("arm-track"), 2)
    config = json.loads((mlp / "config.json").read_text())
    (mlp / "config.json").write_text(json.dumps(config | {"policy": "flow"}))
    with pytest.raises(SandbotError, match=r"does not make sense.*unknown settings"):
        load(mlp, make_task("arm-reach"), 2)


def test_an_unfinished_training_says_so(mlp: Path) -> None:
    (mlp / "config.json").unlink()
    with pytest.raises(SandbotError, match="continue it with --resume"):
        load(mlp, make_task("arm-reach"), 2)
    with pytest.raises(UsageError, match=r"has not ended: go on with .* --resume"):
        make_policy(mlp, make_task("arm-reach"), 2)


def test_a_checkpoint_of_no_task_is_damaged(mlp: Path) -> None:
    config = json.loads((mlp / "config.json").read_text())
    del config["task"]
    (mlp / "config.json").write_text(json.dumps(config))
    with pytest.raises(SandbotError, match="does not make sense"):
        make_policy(mlp, make_task("arm-reach"), 2)


def test_data_of_another_task_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of task 'arm-reach', not of 'arm-track'"):
        train(BCConfig(), data=data, task="arm-track", out=tmp_path / "r")
    foreign = shutil.copytree(data, tmp_path / "foreign")
    info = json.loads((foreign / "meta/info.json").read_text())
    del info["sandbot"]  # as if made by another program: the names tell
    (foreign / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(UsageError, match=r"'observation\.state' of .* is joint_cos"):
        train(BCConfig(), data=foreign, task="arm-track", out=tmp_path / "r")
    with pytest.raises(UsageError, match="is not a dataset"):
        train(BCConfig(), data=tmp_path / "none", task="arm-reach", out=tmp_path / "r")
    with pytest.raises(UsageError, match="unknown task"):
        train(BCConfig(), data=data, task="arm-reech", out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_other_data_do_not_continue_a_training(
    mlp: Path, data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    collect("arm-reach", "expert", episodes=4, out=other, noise=0.1, threads=1)
    with pytest.raises(UsageError, match="dataset_sha256 was"):
        train(
            data=other,
            task="arm-reach",
            out=mlp,
            config=SMALL["mlp"],
            resume=True,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "transformer"}, "unknown network 'transformer'"),
        ({"hidden": ()}, "at least 1 wide"),
        ({"network": "lstm", "hidden": (8, 16)}, "of one width"),
        ({"burn_in": 64}, "burn_in lies in 0 to window - 1"),
    ],
)
def test_configurations_that_make_no_network(changes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BCConfig(**changes)


def test_recorded_is_what_was_seen_and_wanted(tmp_path: Path) -> None:
    """Played again from its seed and identity, an undisturbed episode is the same."""
    summary = collect(
        "arm-reach", "expert", episodes=3, out=tmp_path / "d", noise=0.0, threads=1
    )
    assert (summary.episodes, summary.frames, summary.success_rate) == (3, 1200, 1.0)
    data = read_dataset(tmp_path / "d")
    for index, about in enumerate(data.episodes):
        assert about["id"] == FIRST_ID + index and about["seed"] == 0
        episode = data.episode(index)
        env = make_env("arm-reach", num_envs=1, threads=1)
        obs = env.reset(seed=about["seed"], ids=np.array([about["id"]]))
        expert = make_policy("expert", env.task, 1)
        for t in range(400):
            np.testing.assert_array_equal(
                episode["observation.state"][t], obs["state"][0].astype(np.float32)
            )
            action = np.clip(expert.act(obs), *env.action_spec.limits())
            action = action.astype(np.float32)  # so it is recorded, and executed
            np.testing.assert_array_equal(episode["action"][t], action[0])
            np.testing.assert_array_equal(episode["executed_action"][t], action[0])
            obs, reward, _, _, info = env.step(action)
            assert episode["next.reward"][t] == np.float32(reward[0])
            assert episode["next.success"][t] == info["success"][0]
        env.close()


def test_data_do_not_depend_on_the_number_of_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the disturbance that is found for them."""
    monkeypatch.setattr("policies.collect.PROBE", 5)
    for name, num in (("a", 1), ("b", 2), ("c", 16)):
        collect(
            "arm-reach",
            "expert",
            episodes=3,
            out=tmp_path / name,
            num_envs=num,
            threads=1,
        )
    one = read_dataset(tmp_path / "a")
    for other in (read_dataset(tmp_path / "b"), read_dataset(tmp_path / "c")):
        for key, values in one.frames.items():
            np.testing.assert_array_equal(values, other.frames[key])
        assert one.about["noise"] == other.about["noise"] == 0.1


def test_the_disturbance_is_executed_and_not_recorded(data: Path) -> None:
    """The expert, asked again about what it saw, gives the recorded action."""
    recorded = read_dataset(data)
    assert recorded.about["noise"] == 0.1
    seen = recorded.vectors("observation.state")
    task = make_task("arm-reach")
    expert = make_policy("expert", task, len(seen))
    wanted = np.clip(expert.act({"state": seen}), *task.action_spec.limits())
    error = np.abs(wanted - recorded.vectors("action"))
    assert np.median(error) < 1e-4 and np.percentile(error, 99) < 1e-2
    calm = seen[recorded.frames["frame_index"] == 399]
    assert np.abs(calm[:, 4:6]).max() > 1e-3  # pushed about to the end


def test_only_successes_are_kept(tmp_path: Path) -> None:
    options = {"episodes": 10, "noise": 0.13, "threads": 1}
    kept = collect("arm-reach", "expert", out=tmp_path / "a", **options)
    assert kept.successes == 10 < kept.attempts
    data = read_dataset(tmp_path / "a")
    assert all(data.episode(i)["next.success"][-1] for i in range(10))
    assert data.about["attempts"] == kept.attempts
    every = collect(
        "arm-reach", "expert", out=tmp_path / "b", keep_failures=True, **options
    )
    assert every.attempts == 10 and every.success_rate < 1.0  # pyright: ignore


def test_collecting_refuses(tmp_path: Path) -> None:
    out = tmp_path / "d"
    cases = [
        ({"task": "arm-reech"}, "unknown task"),
        ({"policy": "expret"}, "unknown policy"),
        ({"engine": "bulet"}, "unknown engine"),
        ({"randomize": "trian"}, "unknown randomisation"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"noise": 2.0}, "noise is a fraction"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"seed": -1}, "seed"),
    ]
    for changes, message in cases:
        given = {"task": "arm-reach", "policy": "expert", "episodes": 2, "out": out}
        with pytest.raises(UsageError, match=message):
            collect(**(given | changes))
    with pytest.raises(SandbotError, match="only 0 of 10 episodes succeeded"):
        collect("arm-reach", "zero", episodes=2, out=out, threads=1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="exists"):
        collect("arm-reach", "expert", episodes=2, out=out)


def test_randomised_worlds_can_be_recorded(tmp_path: Path) -> None:
    summary = collect(
        "arm-reach",
        "expert",
        episodes=2,
        out=tmp_path / "d",
        randomize="train",
        noise=0.1,
        keep_failures=True,
        threads=1,
    )
    data = read_dataset(tmp_path / "d")
    assert data.about["randomize"] == "train" and summary.frames == 800
