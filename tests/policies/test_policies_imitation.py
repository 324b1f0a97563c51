"""What holds for every policy that learns from demonstrations."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from ml.lerobot import read_dataset
from ml.lerobot.layout import ACTION
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training_setup import TrainingConfig
from policies import make_policy
from policies.act import ACTConfig
from policies.bc import BCConfig
from policies.collect import collect
from policies.diffusion import DiffusionConfig
from policies.execution import Execution
from policies.flow import FlowConfig
from policies.imitation import ImitationConfig, load, train
from policies.imitation.checkpoint import load_net
from policies.imitation.data import choose, make_samples, sizes_of
from policies.imitation.net import Seen
from policies.learners import LEARNERS, find_learner
from policies.mip import MIPConfig
from sims import make_env, make_task
from sims.policy import Policy
from sims.tasks.arm_reach import ArmReach

TASK = "arm-reach"
TINY = TrainingConfig(
    steps=12,
    batch_size=16,
    validate_every=6,
    checkpoint_every=6,
    log_every=6,
    tensorboard=False,
    select="last",
)
UNET = {
    "chunk": 8,
    "execute": 4,
    "denoiser": "unet",
    "dims": (16, 32),
    "training": TINY,
}
TRANSFORMER = {
    "chunk": 8,
    "execute": 4,
    "denoiser": "transformer",
    "width": 16,
    "layers": 1,
    "training": TINY,
}
SMALL: dict[str, ImitationConfig] = {
    "bc": BCConfig(hidden=(16,), chunk=8, execute=4, training=TINY),
    "gmm": BCConfig(hidden=(16,), chunk=8, execute=4, modes=3, training=TINY),
    "gru": BCConfig(network="gru", hidden=(16,), training=TINY),
    "act": ACTConfig(
        chunk=8,
        execute=4,
        width=16,
        feedforward=16,
        encoder_layers=1,
        vae_layers=1,
        training=TINY,
    ),
    "diffusion": DiffusionConfig(
        noise_steps=20, sampling_steps=10, prediction="epsilon", **TRANSFORMER
    ),
    "flow": FlowConfig(
        sampling_steps=3, history=2, changes=True, prediction="velocity", **UNET
    ),
    "flow mlp": FlowConfig(chunk=8, execute=4, hidden=32, blocks=1, training=TINY),
    "flow transformer": FlowConfig(**TRANSFORMER),
    "mip": MIPConfig(chunk=8, execute=4, hidden=32, blocks=1, training=TINY),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five demonstrations."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect(TASK, "computed-torque", episodes=5, out=out, noise=0.1, threads=1)
    return out


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One barely trained checkpoint of each."""
    folder = tmp_path_factory.mktemp("runs")
    for name, config in SMALL.items():
        train(config, data=data, out=folder / name, progress=False)
    return folder


def _net(data: Path, config: ImitationConfig, scratch: Path):
    """An untrained network, with samples to learn from."""
    torch.manual_seed(0)
    subject = choose(read_dataset(data), make_task(TASK), config)
    learner = find_learner(config.kind)
    net = learner.make(sizes_of(subject, config), config)
    return net, make_samples(subject, config, learner, net, scratch)


def test_each_algorithm_is_tried_here() -> None:
    assert {config.kind for config in SMALL.values()} == set(LEARNERS)
    for kind, (_, line) in LEARNERS.items():
        assert find_learner(kind).config.kind == kind
        assert 0 < len(line) <= 72


@pytest.mark.parametrize("name", SMALL)
def test_it_is_a_policy_of_the_task(runs: Path, name: str) -> None:
    task = make_task(TASK)
    policy = make_policy(runs / name, task, 3)
    assert isinstance(policy, Policy)
    assert policy.obs_spec == task.obs_spec and policy.action_spec == task.action_spec
    low, high = task.action_spec.limits()
    for scale in (1.0, 1e6):
        obs = {"state": scale * np.random.default_rng(0).normal(size=(3, 10))}
        action = policy.act(obs)
        assert action.shape == (3, 2) and ((action >= low) & (action <= high)).all()
    card = (runs / name / "README.md").read_text()
    assert "validation loss" in card and "parameters" in card


@pytest.mark.parametrize("name", SMALL)
def test_actions_are_the_same_bits_in_any_batch(runs: Path, name: str) -> None:
    """Noise and all: keyed by environment, episode and look."""
    task = make_task(TASK)

    def actions(ids: np.ndarray) -> np.ndarray:
        env = make_env(TASK, num_envs=len(ids), threads=1)
        policy = load(runs / name, task, len(ids), seed=4)
        obs, taken = env.reset(seed=3, ids=ids), []
        policy.ids = ids
        policy.reset()
        for _ in range(20):
            taken.append(policy.act(obs))
            obs = env.step(taken[-1])[0]
        env.close()
        return np.stack(taken, 1)

    together = actions(np.arange(70))
    for some in ([0], [69], [5, 30, 17]):
        np.testing.assert_array_equal(actions(np.array(some)), together[some])


@pytest.mark.parametrize("name", SMALL)
def test_a_reset_starts_another_episode_and_a_full_one_starts_over(
    runs: Path, name: str
) -> None:
    policy = load(runs / name, make_task(TASK), 2)
    obs = {"state": np.random.default_rng(1).normal(size=(2, 10))}
    first = policy.act(obs)
    policy.act(obs)
    policy.reset(np.array([True, False]))
    again = policy.act(obs)
    drawn = bool(policy._net.noise_shape)  # pyright: ignore[reportPrivateUsage]
    assert np.array_equal(again[0], first[0]) != drawn or name == "gmm"
    policy.reset()
    np.testing.assert_array_equal(policy.act(obs), first)


@pytest.mark.parametrize("name", SMALL)
def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(
    data: Path, runs: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml import training

    def cut(self, log) -> None:
        if self.step == 8:
            raise KeyboardInterrupt
        advance(self, log)

    advance = training.Trainer._advance
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "_advance", cut)
        train(SMALL[name], data=data, out=tmp_path / "run", progress=False)
    train(SMALL[name], data=data, out=tmp_path / "run", resume=True, progress=False)
    wanted = (runs / name / "model.safetensors").read_bytes()
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == wanted


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns(data: Path, name: str, tmp_path: Path) -> None:
    """No part of a network is left out of its loss."""
    net, (samples, _) = _net(data, SMALL[name], tmp_path)
    net.train()
    rows = torch.arange(16)
    terms = net.loss(samples.gather(rows), StepDraws(0, 0, slice(0, 16), 16))
    assert terms.total.shape == terms.weight.shape == (16,)
    (terms.total.sum() / terms.weight.sum()).backward()
    dead = [
        n
        for n, p in net.named_parameters()
        if p.grad is None or not torch.isfinite(p.grad).all()
    ]
    assert not dead


def _error(net: Any, batch: Batch) -> float:
    """Of what is predicted, over the spread of what was demonstrated."""
    net.eval()
    with torch.no_grad():
        if batch["inputs"].ndim == 3:  # windows: it acts as it goes along
            memory, said = net.memory(4), []
            for t in range(40):
                seen = Seen(inputs=batch["inputs"][:, t])
                action, memory = net.predict(seen, memory, torch.zeros(4, 0), None)
                said.append(action)
            predicted, wanted = torch.cat(said, 1)[:, 8:], batch["targets"][:, 8:40]
        else:
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(4, *net.noise_shape, generator=generator)
            seen = Seen(inputs=batch["inputs"])
            predicted, _ = net.predict(seen, net.memory(4), noise, None)
            wanted = batch["targets"]
        wanted = net.normalizer.normalize(ACTION, wanted)
        error = net.normalizer.normalize(ACTION, predicted) - wanted
    net.train()
    return float(error.square().mean().sqrt() / wanted.std())


@pytest.mark.parametrize("name", SMALL)
def test_one_batch_is_learned_by_heart(data: Path, name: str, tmp_path: Path) -> None:
    """Then what it predicts is what was demonstrated; no longer than that takes."""
    config = SMALL[name]
    if isinstance(config, ACTConfig):
        config = replace(config, dropout=0.0, vae=False, width=32)
    net, (samples, _) = _net(data, config, tmp_path)
    batch = samples.gather(torch.tensor([0, 90, 210, 330]))
    convolves = getattr(config, "denoiser", "") == "unet"
    rate, steps = (1e-3, 800) if convolves else (5e-3, 400)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.0)
    net.train()
    assert _error(net, batch) > 0.5
    for step in range(steps):
        terms = net.loss(batch, StepDraws(0, step, slice(0, 4), 4))
        optimizer.zero_grad()
        (terms.total.sum() / terms.weight.sum()).backward()
        optimizer.step()
        if step % 50 == 49 and _error(net, batch) < 0.5:
            break
    assert _error(net, batch) < 0.5


def test_a_mixture_draws_its_component(runs: Path) -> None:
    _, net, _ = load_net(runs / "gmm")
    seen = Seen(inputs=torch.zeros(200, 10))
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    actions, _ = net.predict(seen, net.memory(200), noise, None)
    assert 2 <= len(actions.detach().flatten(1).unique(dim=0)) <= 3


def test_execution_is_chosen_afterwards(runs: Path) -> None:
    """More steps of sampling, more actions a look, ensembling: all without training."""
    task = make_task(TASK)
    obs = {"state": np.random.default_rng(1).normal(size=(2, 10))}

    def played(name: str, **choices) -> np.ndarray:
        policy = make_policy(runs / name, task, 2, execution=Execution(**choices))
        return np.stack([policy.act(obs) for _ in range(6)])

    usual = played("flow")
    np.testing.assert_array_equal(usual, played("flow", execute=4, sampling_steps=3))
    assert (usual != played("flow", sampling_steps=9)).any()
    assert (usual[4:] != played("flow", execute=8)[4:]).any()
    calm = played("bc", ensemble=0.1)
    np.testing.assert_array_equal(calm[0], played("bc")[0])
    assert (calm[1:] != played("bc")[1:]).any()


def test_real_time_chunks_go_on_with_what_is_executed(
    data: Path, tmp_path: Path
) -> None:
    """Of a network that has learned something: what random weights do says nothing."""
    training = replace(TINY, steps=300, batch_size=64, learning_rate=3e-3)
    config = replace(SMALL["flow transformer"], training=training)
    train(config, data=data, out=tmp_path / "flow", progress=False)
    task = make_task(TASK)
    draw = np.random.default_rng(1)
    seen = [{"state": draw.normal(size=(2, 10))} for _ in range(16)]
    jumps = {}
    for real_time in (False, True):
        execution = Execution(execute=4, delay=2, real_time=real_time)
        policy = make_policy(tmp_path / "flow", task, 2, execution=execution)
        actions = np.stack([policy.act(obs) for obs in seen])
        switches = np.arange(4 + 2, 16, 4)  # where a late chunk takes over
        jumps[real_time] = np.abs(actions[switches] - actions[switches - 1]).mean()
    assert jumps[True] < 0.8 * jumps[False]


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("bc", {"real_time": True}, "cannot be guided"),
        ("bc", {"sampling_steps": 3}, "in one go"),
        ("flow", {"execute": 9}, "1 to 8 to execute, got 9"),
        ("flow", {"execute": 7, "delay": 2}, "reach 9 steps ahead"),
        ("flow", {"ensemble": 0.1, "delay": 1}, "looks at every step"),
        ("flow", {"sampling_steps": 0}, "sampling_steps is at least 1"),
        ("flow", {"delay": -1}, "0 or more control steps"),
        ("flow", {"real_time": True, "ensemble": 0.1}, "choose one"),
    ],
)
def test_executions_that_do_not_fit(
    runs: Path, name: str, choices: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(runs / name, make_task(TASK), 2, execution=Execution(**choices))
    with pytest.raises(UsageError, match="has no chunks"):
        make_policy("expert", make_task(TASK), 2, execution=Execution(delay=1))


def test_a_latent_that_is_drawn_does_several_things(data: Path, tmp_path: Path) -> None:
    """Two robots that see the same; with z = 0 they do the same."""
    task, seen = make_task(TASK), {"state": np.ones((2, 10))}
    for spread in (0.0, 1.0):
        config = replace(SMALL["act"], latent_spread=spread, kl_weight=1e-3)
        out = tmp_path / f"run{spread:.0f}"
        train(config, data=data, out=out, progress=False)
        actions = make_policy(out, task, 2).act(seen)
        assert np.array_equal(actions[0], actions[1]) == (spread == 0)


def test_any_dataset_is_learned_from(data: Path, tmp_path: Path) -> None:
    """One that names no task, as another program writes it; it fits by its sizes."""
    foreign = shutil.copytree(data, tmp_path / "foreign")
    info = json.loads((foreign / "meta/info.json").read_text())
    del info["sandbot"]
    info["features"]["observation.state"]["names"] = None
    (foreign / "meta/info.json").write_text(json.dumps(info))
    train(SMALL["act"], data=foreign, out=tmp_path / "run", progress=False)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["task"] is None and config["inputs"][0] == "state_0"
    policy = make_policy(tmp_path / "run", make_task(TASK), 2)
    assert policy.act({"state": np.zeros((2, 10))}).shape == (2, 2)
    with pytest.raises(UsageError, match=r"observes .* in 'state'; .* now has"):
        make_policy(tmp_path / "run", make_task("arm-track"), 2)


def test_any_gymnasium_environment_is_learned(tmp_path: Path) -> None:
    """Recorded, trained on and judged by its id, as a task of ours is."""
    from evaluation.rollout import rollout

    name = "Pusher-v5"
    options = {"noise": 0.0, "keep_failures": True}
    collect(name, "random", episodes=3, out=tmp_path / "data", **options)
    config = replace(SMALL["flow mlp"], constant="accept")  # the goal never moves
    train(config, data=tmp_path / "data", out=tmp_path / "run", task=name)
    result = rollout(name, str(tmp_path / "run"), episodes=2)
    assert result.success is None and np.isfinite(result.returns).all()


def test_what_does_not_fit_is_said_before_anything_is_trained(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cases: list[tuple[dict, str]] = [
        ({"chunk": 500, "execute": None}, r"chunk of 500 .* longer than episode 0"),
        ({"groups": ("stat",)}, "unknown group.*Did you mean 'state'"),
        ({"cameras": ("top",)}, "has no camera, and 'top' is to be looked through"),
    ]
    for changes, message in cases:
        with pytest.raises(UsageError, match=message):
            train(replace(SMALL["act"], **changes), data=data, out=out)
    evaluating = replace(TINY, evaluate_every=5)
    nameless = shutil.copytree(data, tmp_path / "nameless")
    info = json.loads((nameless / "meta/info.json").read_text())
    del info["sandbot"]
    (nameless / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(UsageError, match="names no task to evaluate in"):
        train(replace(SMALL["act"], training=evaluating), data=nameless, out=out)
    other = shutil.copytree(data, tmp_path / "other")
    info = json.loads((other / "meta/info.json").read_text())
    info["robot_type"] = "aloha"
    (other / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(UsageError, match="of robot 'aloha', and 'arm-reach' has 'arm'"):
        train(SMALL["act"], data=other, out=out)
    still = shutil.copytree(data, tmp_path / "still")
    _hold_still(still, "joint_vel_elbow")
    with pytest.raises(
        UsageError,
        match=r"joint_vel_elbow of 'observation\.state' .* --drop joint_vel_e",
    ):
        train(SMALL["act"], data=still, out=out)
    assert not out.exists()
    accepting = replace(SMALL["act"], constant="accept")
    train(accepting, data=still, out=out, progress=False)
    dropping = replace(SMALL["act"], drop=("joint_vel_elbow",))
    train(dropping, data=still, out=tmp_path / "dropped", progress=False)


def _hold_still(folder: Path, name: str) -> None:
    """Make an element of the state constant, in a dataset's files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    info = json.loads((folder / "meta/info.json").read_text())
    key = "observation.state"
    column = info["features"][key]["names"].index(name)
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        values = np.stack(table.column(key).to_numpy()).copy()
        values[:, column] = 0.25
        index = table.column_names.index(key)
        kind = table.schema.field(key)
        rows = pa.array(list(values), type=kind.type)
        pq.write_table(table.set_column(index, kind, rows), path)


def test_evaluations_on_the_way_choose_and_are_logged(
    data: Path, tmp_path: Path
) -> None:
    training = replace(TINY, evaluate_every=6, evaluate_episodes=4, select="success")
    config = replace(SMALL["bc"], training=training)
    result = train(config, data=data, out=tmp_path / "run", progress=False)
    assert result.best_step in (6, 12) and 0 <= result.figures["success"] <= 1
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(x) for x in lines if "evaluation/success" in x]
    assert [x["step"] for x in logged] == [6, 12]
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    assert about["evaluation"] == result.figures


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (ACTConfig, {"heads": 3}, "no multiple"),
        (ACTConfig, {"decoder_layers": 0}, "at least 1"),
        (ACTConfig, {"latent_spread": -1.0}, "at least 0, got 10.0 and -1.0"),
        (
            FlowConfig,
            {"denoiser": "unet", "chunk": 50},
            "multiple of 4, got chunk 50: take 52",
        ),
        (FlowConfig, {"solver": "eular"}, "Did you mean 'euler'"),
        (DiffusionConfig, {"sampling_steps": 101}, r"1 to noise_steps \(100\)"),
        (DiffusionConfig, {"prediction": "noise"}, "unknown prediction"),
        (MIPConfig, {"tau": 1.0}, "between 0 and 1"),
        (BCConfig, {"modes": -1}, "modes are 0 or more"),
        (BCConfig, {"network": "gru", "history": 2}, "looks at every step"),
        (ACTConfig, {"history": 0}, "history is at least 1"),
        (ACTConfig, {"encoder": "resnet"}, "Did you mean 'resnet18'"),
    ],
)
def test_configurations_that_make_no_policy(kind, changes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**changes)


def test_a_checkpoint_with_a_camera_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded, trained on and played with pictures; shuffled they act otherwise."""
    monkeypatch.setattr(ArmReach, "max_steps", 80)  # each is drawn, in software
    collect(
        TASK,
        "computed-torque",
        episodes=2,
        out=tmp_path / "data",
        cameras=("side",),
        image_size=(64, 64),
        noise=0.0,
        keep_failures=True,
        threads=1,
    )
    config = replace(
        SMALL["bc"],
        groups=("state",),
        drop=("target", "tip"),
        cameras=("side",),
        image_size=(32, 32),
        image_shift=2,
        image_jitter=0.2,
        state_noise=0.05,
    )
    train(config, data=tmp_path / "data", out=tmp_path / "run", progress=False)
    from evaluation.rollout import rollout

    result = rollout(TASK, str(tmp_path / "run"), episodes=2, threads=1)
    assert result.n == 2
    policy = make_policy(tmp_path / "run", make_task(TASK), 2)
    draw = np.random.default_rng(0)
    obs = {
        "state": draw.normal(size=(2, 10)),
        "images.side": draw.integers(0, 255, (2, 32, 32, 3), dtype=np.uint8),
    }
    before = policy.act(obs)
    policy.reset()
    swapped = policy.act({**obs, "images.side": obs["images.side"][::-1]})
    assert (before != swapped).any()


def test_a_checkpoint_is_refused_where_it_is_damaged(
    runs: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(runs / "flow", tmp_path / "flow")
    config = json.loads((broken / "config.json").read_text())
    config["network"]["dims"] = [16, 64]
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(SandbotError, match=r"does not fit config\.json"):
        make_policy(broken, make_task(TASK), 1)
