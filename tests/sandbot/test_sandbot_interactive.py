"""``sandbot train`` of what asks and of what watches."""

from pathlib import Path

import pytest

from policies import make_policy
from policies.collect import collect
from policies.learners import INTERACTIVE, find_interactive
from sandbot.main import main
from sims import make_task

TASK = "arm-reach"
DAGGER = "--rounds 2 --episodes 2 --round-steps 5 --steps 5 --hidden 8 --batch-size 16"
GAIL = "--demonstrations 2 --rounds 2 --num-envs 2 --updates 1 --model-updates 1"
IRL = "--demonstrations 2 --cells 12 12 --penalty 0.01"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect(TASK, "computed-torque", episodes=2, out=out, noise=0.0, threads=1)
    return out


@pytest.mark.parametrize("name", INTERACTIVE)
def test_each_explains_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", name, "--help"])
    told = capsys.readouterr().out
    assert "--out" in told and "--overwrite" in told
    assert ("--data" in told) == find_interactive(name).watches
    assert main(["train", "--help"]) == 0
    assert f"  {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "options"), [("dagger", DAGGER), ("gail", GAIL), ("irl", IRL)]
)
def test_a_checkpoint_comes_of_each(
    name: str,
    options: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / name
    source = ["--data", str(data)] if name != "dagger" else ["--task", TASK]
    command = ["train", name, *source, "--out", str(out), *options.split()]
    assert main(command) == 0
    assert f"--policy {out}" in capsys.readouterr().out
    assert make_policy(out, make_task(TASK), 2).num_envs == 2  # pyright: ignore[reportAttributeAccessIssue]
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_misspelt_algorithm_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "dager"]) == 2
    assert "Did you mean 'dagger'" in capsys.readouterr().err
