"""Damaged datasets and checkpoints: one line, exit code 1, nothing half-written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sandbot.main import main

Fails = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small dataset ``data`` and a checkpoint ``bc`` of it."""
    folder = tmp_path_factory.mktemp("made")
    data, run = str(folder / "data"), str(folder / "bc")
    call = ["collect", "arm-reach", "--episodes", "4", "--noise", "0", "--out", data]
    assert main(call) == 0
    call = ["train", "bc", "--data", data, "--task", "arm-reach", "--out", run]
    assert main([*call, "--steps", "4", "--hidden", "8"]) == 0
    return folder


@pytest.fixture
def files(made: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(made, tmp_path / "files")
    return tmp_path / "files"


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail; returns its line."""

    def run(code: int, *arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        error = capsys.readouterr().err
        assert error.startswith("sandbot: ")
        assert error.count("\n") == 1
        return error

    return run


def train(data: Path, out: Path, *more: str, task: str = "arm-reach") -> list[object]:
    steps = ("--steps", "4", "--hidden", "8")
    return ["train", "bc", "--data", data, "--task", task, "--out", out, *steps, *more]


def table(files: Path) -> Path:
    return next((files / "data" / "data").rglob("*.parquet"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: truncate(run / "model.safetensors"),
        lambda run: tamper(run / "model.safetensors"),
        lambda run: (run / "model.safetensors").unlink(),
        lambda run: (run / "model.safetensors").write_bytes(b""),
        lambda run: (run / "config.json").write_text("{"),
        lambda run: (run / "config.json").write_text(
            '{"policy": "bc", "task": "arm-reach"}'
        ),
    ],
    ids=["truncated", "tampered", "missing", "empty", "not json", "incomplete"],
)
@pytest.mark.parametrize("command", ["eval", "play", "collect"])
def test_a_damaged_checkpoint(
    command: str, damage: Callable[[Path], None], files: Path, fails: Fails
) -> None:
    damage(files / "bc")
    extra = {"play": ["--viewer", "none"], "collect": ["--out", files / "new"]}
    call = [command, "arm-reach", "--policy", files / "bc", *extra.get(command, [])]
    assert str(files / "bc") in fails(1, *call)
    assert not (files / "new").exists()


def test_a_checkpoint_of_another_task(files: Path, fails: Fails) -> None:
    line = fails(2, "eval", "arm-track", "--policy", files / "bc")
    assert "'arm-reach'" in line
    assert "'arm-track'" in line


def test_a_folder_that_is_no_checkpoint(files: Path, fails: Fails) -> None:
    line = fails(2, "play", "arm-reach", "--policy", files / "data")
    assert "not a checkpoint" in line
    fails(2, "play", "arm-reach", "--policy", files / "bc" / "config.json")


def test_a_dataset_with_a_missing_episode(files: Path, fails: Fails) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(table(files))
    pq.write_table(rows.filter(pc.field("episode_index") != 2), table(files))
    assert "2" in fails(1, *train(files / "data", files / "new"))
    assert not (files / "new").exists()


def test_a_dataset_with_nan(files: Path, fails: Fails) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(table(files))
    action = np.array(rows["action"].to_pylist(), np.float32)
    action[500, 1] = np.nan
    index = rows.schema.get_field_index("action")
    column = pa.array(action.tolist(), rows.schema.field("action").type)
    pq.write_table(
        rows.set_column(index, rows.schema.field("action"), column), table(files)
    )
    line = fails(1, *train(files / "data", files / "new"))
    assert "action" in line
    assert not (files / "new").exists()


def test_a_dataset_with_a_truncated_or_missing_file(files: Path, fails: Fails) -> None:
    truncate(table(files))
    fails(1, *train(files / "data", files / "new"))
    table(files).unlink()
    fails(1, *train(files / "data", files / "new"))
    assert not (files / "new").exists()


def test_a_dataset_of_another_task(files: Path, fails: Fails) -> None:
    line = fails(2, *train(files / "data", files / "new", task="arm-track"))
    assert "'arm-reach'" in line
    assert not (files / "new").exists()


def test_no_dataset(files: Path, fails: Fails) -> None:
    fails(2, *train(files / "nothing", files / "new"))
    (files / "data" / "meta" / "info.json").write_text(json.dumps({}))
    fails(1, *train(files / "data", files / "new"))
    assert not (files / "new").exists()


def test_folders_that_exist_are_not_overwritten(files: Path, fails: Fails) -> None:
    before = (files / "bc" / "model.safetensors").read_bytes()
    assert "--resume" in fails(2, *train(files / "data", files / "bc"))
    assert (files / "bc" / "model.safetensors").read_bytes() == before
    call = ("collect", "arm-reach", "--episodes", "1", "--out", files / "data")
    assert "exist" in fails(2, *call)
    assert table(files).is_file()


def test_nothing_to_resume(files: Path, fails: Fails) -> None:
    line = fails(2, *train(files / "data", files / "new", "--resume"))
    assert "nothing to resume" in line


def test_a_folder_that_cannot_be_written(files: Path, fails: Fails) -> None:
    file = files / "file"
    file.write_text("mine")
    assert "cannot write" in fails(1, *train(files / "data", file / "run"))
    call = ("collect", "arm-reach", "--episodes", "1", "--out", file / "data")
    assert "cannot write" in fails(1, *call)
    assert "cannot write" in fails(1, *train(files / "data", Path("/proc/run")))
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--seed", "x"], "--seed wants an integer"),
        (["--seed", "-1"], "seed"),
        (["--steps", "0"], "steps must be above 0"),
        (["--network", "mlq"], "only mlp or lstm"),
        (["--drop", "nothing"], "nothing"),
        (["--task", "arm-rech"], "Did you mean 'arm-reach'?"),
        (["--learning-rate", "fast"], "--learning-rate wants a number"),
    ],
)
def test_a_wrong_training(
    change: list[str], words: str, files: Path, fails: Fails
) -> None:
    assert words in fails(2, *train(files / "data", files / "new"), *change)
    assert not (files / "new").exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("train", "wants an algorithm: bc"),
        ("train bq", "Did you mean 'bc'?"),
        ("train bc", "wants --data, --out"),
        ("collect arm-reach", "wants --out"),
        ("collect --out {out}", "give a task or --env"),
        ("collect arm-reach --out {out} --episodes 0", "episodes must be at least 1"),
        ("collect arm-reach --out {out} --num-envs 0", "num_envs must be at least 1"),
        ("collect arm-reach --out {out} --noise 2", "noise"),
        ("collect arm-reach --out {out} --noise lots", "--noise wants a number"),
        ("collect arm-reach --out {out} --policy impedence", "'impedance'"),
        ("collect arm-reach --out {out} --seed x", "--seed wants an integer"),
        (
            "collect arm-reach --out {out} --engine bullet --num-envs 65 --episodes 65",
            "64",
        ),
    ],
)
def test_a_wrong_call(call: str, words: str, tmp_path: Path, fails: Fails) -> None:
    assert words in fails(2, *call.format(out=tmp_path / "new").split())
    assert list(tmp_path.iterdir()) == []
