"""``sandbot train fastsac``: from the command line to a policy that plays."""

import ast
import dataclasses
import inspect
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from policies.rl.algorithms import ALGORITHMS, find_algorithm
from policies.rl.fastsac import FastSACConfig
from policies.rl.recipes import find_recipe
from sandbot.main import main
from sims import make_task

SMALL = [
    *("--num-envs", "2", "--steps", "40", "--warmup", "20", "--replay", "100"),
    *("--batch-size", "8", "--updates", "1", "--hidden", "8", "--critic-hidden", "8"),
    *("--evaluate-episodes", "1", "--threads", "1", "--no-tensorboard"),
]

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Fails:
    """Run a training that must fail before its folder is made; returns its line."""

    def run(code: int, *arguments: str, out: bool = True) -> str:
        folder = tmp_path / "run"
        if "--steps" not in arguments:
            arguments = (*arguments, "--steps", "40")  # should it not be refused
        place = ("--out", str(folder)) if out else ()
        assert main(["train", *arguments, *place]) == code
        error = capsys.readouterr().err
        assert error.startswith("sandbot: ")
        assert error.count("\n") == 1
        assert not folder.exists()
        return error

    return run


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("fastsca --task arm-reach", "Did you mean 'fastsac'?"),
        ("fastsac --task arm-rech", "unknown task 'arm-rech'. Did you mean"),
        ("fastsac --env Pendulum-v9", "Did you mean 'Pendulum-v1'?"),
        ("fastsac --env arm-reach", "unknown Gymnasium id 'arm-reach'"),
        ("fastsac", "give --task, or --env with a Gymnasium id; neither was given"),
        ("fastsac --task arm-reach --env Pendulum-v1", "both were given"),
        ("fastsac --env CartPole-v1", "only a Box, continuous actions"),
        ("fastsac --env sandbot-test/NoLimits-v0", "give the action_spec low and high"),
        ("fastsac --task arm-reach --engine bulet", "Did you mean 'bullet'?"),
        ("fastsac --task arm-reach --engine bullet --num-envs 65", "64"),
        ("fastsac --task arm-reach --num-envs many", "--num-envs wants an integer"),
        ("fastsac --task arm-reach --num-env 3", "Did you mean --num-envs?"),
        ("fastsac --task arm-reach --gama=0.9", "Did you mean --gamma?"),
        ("fastsac --task arm-reach --without frictoin", "of this randomisation"),
        ("fastsac --task arm-reach --num-envs 0", "num_envs must be above 0, got 0"),
        ("fastsac --task arm-reach --gamma 1.5", "gamma is from 0 to less than 1"),
        ("fastsac --task arm-reach --gamma most", "--gamma wants a number"),
        ("fastsac --task arm-reach --steps -1", "steps must be above 0, got -1"),
        ("fastsac --task arm-reach --n-step 0", "n_step must be above 0, got 0"),
        ("fastsac --task arm-reach --replay 9 --num-envs 8", "raise replay, or lower"),
        ("fastsac --task arm-reach --batch-size 7", "batch_size is even"),
        ("fastsac --task arm-reach --returns 1 0", "returns is a range, got 1 to 0"),
        ("fastsac --task arm-reach --target max", "target is own or min, got 'max'"),
        ("fastsac --task arm-reach --randomize trian", "Did you mean 'train'?"),
        ("fastsac --task arm-reach --evaluate-randomize gp", "'gap'?"),
        ("fastsac --task arm-reach --device gpu", "unknown device 'gpu'"),
        ("fastsac --task arm-reach --precision fp8", "fp8"),
        ("fastsac --task arm-reach --resume", "nothing to resume: there is no folder"),
        ("fastsac --task arm-reach --resume --overwrite", "exclude each other"),
    ],
)
@pytest.mark.usefixtures("no_limits")
def test_a_wrong_call(call: str, words: str, fails: Fails) -> None:
    assert words in fails(2, *call.split())


def test_without_out(fails: Fails) -> None:
    line = fails(2, "fastsac", "--task", "arm-reach", out=False)
    assert "sandbot train fastsac wants --out" in line


def test_a_replay_larger_than_the_memory(fails: Fails) -> None:
    line = fails(1, "fastsac", "--task", "arm-reach", "--replay", "1000000000000")
    assert "GiB of cpu's memory" in line
    assert "lower --replay (at most " in line


class NoLimits(gymnasium.Env):
    """Whose actions may be as large as one likes."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))

    def reset(self, **_: Any) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, _: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, False, False, {}


@pytest.fixture
def no_limits() -> Iterator[None]:
    """An environment that cannot be learned."""
    gymnasium.register(
        "sandbot-test/NoLimits-v0", lambda **_: NoLimits(), max_episode_steps=5
    )
    yield
    del gymnasium.registry["sandbot-test/NoLimits-v0"]


def test_algorithms_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    told = capsys.readouterr().out
    assert main(["list"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    for name, (_, description) in ALGORITHMS.items():
        assert f"  {name} " in told
        assert f"{name} {description}" in listed


def test_options_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "fastsac", "--task", "humanoid-walk", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in ("--task", "--env", "--out", "--resume", "--overwrite", "--video"):
        assert words in told
    assert "default: 64" in told  # of the recipe, not of the algorithm
    assert "give --task (and --engine) before --help" in told
    assert told.count("--") > 40 and "``" not in told


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_option_has_its_line(name: str) -> None:
    kind = find_algorithm(name).config
    told = set()
    for one in kind.__mro__[:-1]:
        source: Any = ast.parse(inspect.getsource(one)).body[0]
        for line, following in itertools.pairwise(source.body):
            said = getattr(getattr(following, "value", None), "value", None)
            if isinstance(line, ast.AnnAssign) and isinstance(said, str):
                told.add(ast.unparse(line.target))
    assert {field.name for field in dataclasses.fields(kind)} == told


def test_what_is_told_lies_over_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(make_task("humanoid-walk")), "max_steps", 30)
    out = tmp_path / "run"
    arguments = ["train", "fastsac", "--task", "humanoid-walk", "--out", str(out)]
    assert main([*arguments, *SMALL]) == 0
    training = json.loads((out / "config.json").read_text())["training"]
    assert training["num_envs"] == 2
    recipe = find_recipe("fastsac", "humanoid-walk", gpu=False)
    assert training["target_std"] == recipe["target_std"] != FastSACConfig().target_std


def trained(out: Path, env: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "fastsac", "--out", str(out)]
    named = ["--env", env] if "-v" in env else ["--task", env]
    assert main([*arguments, *named, *SMALL]) == 0
    told = capsys.readouterr().out
    assert "40 control steps and 10 updates" in told
    where = f"--env {env}" if "-v" in env else env
    assert f"how good it is: sandbot eval {where} --policy {out}" in told


def test_a_policy_plays_in_gymnasiums_environment_and_in_its_twin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(tmp_path / "twin"), str(tmp_path / "gymnasium")]
    for folder, env in zip(folders, ("gym-humanoid", "Humanoid-v5"), strict=True):
        trained(Path(folder), env, capsys)
    for where in (("gym-humanoid",), ("--env", "Humanoid-v5")):
        assert main(["eval", *where, "--policy", *folders, "--episodes", "2"]) == 0
        assert "mean return" in capsys.readouterr().out
        for folder in folders:
            call = ["play", *where, "--policy", folder, "--steps", "3"]
            assert main([*call, "--viewer", "none"]) == 0
    capsys.readouterr()
    assert main(["eval", "arm-reach", "--policy", folders[0], "--episodes", "1"]) == 2
    line = capsys.readouterr().err
    assert "trained for 'gym-humanoid', observes 348 numbers in 'state'" in line


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.policies.rl_runs import at_step, interrupt

    out = tmp_path / "run"
    call = ["train", "fastsac", "--env", "Pendulum-v1", "--out", str(out), *SMALL]
    with monkeypatch.context() as patch:
        at_step(patch, 5, interrupt)
        assert main(call) == 130
    lines = capsys.readouterr().err.strip().split("\n")
    assert lines[-1].startswith("sandbot: training stopped at step 10; the last good")
    assert "the same command with --resume goes on from there" in lines[-1]
    assert main([*call, "--resume"]) == 0
