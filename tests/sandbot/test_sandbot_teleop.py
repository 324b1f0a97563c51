"""``sandbot teleop``: what it says, and what it refuses."""

from pathlib import Path

import pytest

from ml.lerobot import read_dataset
from sandbot.main import main


def test_a_script_records_as_a_person_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d"
    call = ["teleop", "aloha-pick", "--input", "script", "--viewer", "none"]
    call += ["--out", str(out), "--seconds", "1", "--keep-failures"]
    assert main([*call, "--episodes", "1"]) == 0
    text = capsys.readouterr().out
    assert "an episode waits for your first input" in text
    assert f"{out}: 1 episodes, 50 frames; 0 discarded, 0 failed" in text
    assert main([*call, "--episodes", "2", "--resume"]) == 0
    assert len(read_dataset(out).episodes) == 2
    assert main([*call, "--episodes", "2"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*call, "--episodes", "3", "--resume", "--seed", "5"]) == 2
    assert "seed was 0 and is 5" in capsys.readouterr().err


def test_without_a_dataset_one_only_drives(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["teleop", "aloha-pick", "--input", "script", "--viewer", "none"]
    assert main([*call, "--episodes", "1", "--seconds", "1"]) == 0
    text = capsys.readouterr().out
    assert "1 episodes, 0 succeeded" in text and "Enter" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["arm-reach"], "choose one of aloha-transfer-cube, aloha-peg-insertion"),
        (["aloha-pik"], "Did you mean 'aloha-pick'?"),
        (["aloha-pick", "--input", "mouse"], "unknown input 'mouse'"),
        (["aloha-pick", "--viewer", "none"], "leaves nobody to steer"),
        (["aloha-pick", "--viewer", "video"], "Known: auto, native, none, web"),
        (["aloha-pick", "--speed", "3"], "speed is one of"),
        ([], "wants TASK"),
    ],
)
def test_errors_are_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["teleop", *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
