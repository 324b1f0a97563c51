"""What each command does when it is used well."""

import json
from pathlib import Path

import pytest

from ml.statistics import wilson_interval
from sandbot.main import main


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    from assets import ROBOTS
    from policies import POLICIES
    from sims import ENGINES, TASKS

    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for title in ("robots", "tasks", "engines", "controllers", "policies"):
        assert f"\n {title} " in f"\n{text}"
    for names in (ROBOTS, TASKS, ENGINES, POLICIES):
        assert all(f"\n   {name} " in text for name in names)


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    from sandbot.doctor import CHECKS

    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in CHECKS:
        assert sum(line[5:].startswith(name) for line in lines) == 1, name


def test_doctor_names_the_missing_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    assert main(["doctor"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "-- OpenGL no pictures: MUJOCO_GL=disabled" in text


def test_doctor_fails_without_what_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbot import doctor

    missing = doctor.Finding(found=None, advice="pip install mujoco", needed=True)
    monkeypatch.setattr(doctor, "CHECKS", {"MuJoCo": lambda: missing})
    assert main(["doctor"]) == 1
    assert "!!  MuJoCo  pip install mujoco" in capsys.readouterr().out


@pytest.mark.parametrize("what", [["arm-track"], ["--env", "sandbot/ArmTrack-v0"]])
def test_play_without_a_viewer(
    what: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", *what, "--viewer", "none", "--episodes", "1"]) == 0
    assert "1 episode, 1 succeeded; 6.0 s simulated" in capsys.readouterr().out


def test_play_in_bullet(capsys: pytest.CaptureFixture[str]) -> None:
    call = "play arm-reach --policy impedance --engine bullet --viewer none --steps 20"
    assert main(call.split()) == 0
    assert "0.2 s simulated" in capsys.readouterr().out


def test_play_writes_a_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import imageio.v3 as iio

    out = tmp_path / "arm.mp4"
    call = ["play", "arm-reach", "--out", str(out), "--steps", "60"]
    assert main(call) == 0
    assert f"video: {out}" in capsys.readouterr().out
    frames = iio.imread(out)
    assert len(frames) >= 15
    assert (frames[0] != frames[-1]).any()
    assert [p.name for p in tmp_path.iterdir()] == ["arm.mp4"]


def test_eval_prints_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [
        *("eval", "arm-reach", "--policy", "computed-torque", "zero"),
        *("--engine", "mujoco", "bullet", "--randomize", "none", "gap"),
        *("--episodes", "3", "--report", str(tmp_path / "out"), "--no-videos"),
    ]
    assert main(call) == 0
    text = capsys.readouterr().out
    low, _ = wilson_interval(3, 3)
    assert f"{low:.1%} - 100.0%" in text
    assert "mujoco -> bullet" in text
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(rows) == 8
    assert rows[0]["command"] == "sandbot " + " ".join(call)
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize(("least", "code"), [("0.9", 1), ("0", 0)])
def test_min_success_is_about_the_lowest_row(
    least: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    call = "eval arm-reach --policy computed-torque zero --episodes 2 --min-success"
    assert main([*call.split(), least]) == code
    error = capsys.readouterr().err
    assert ("zero succeeds in 0.0% (mujoco, none)" in error) == bool(code)


def test_eval_gives_the_same_figures_for_any_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = "eval arm-reach --policy impedance --randomize train --episodes 3 --num-envs"
    texts = []
    for size in ("1", "3"):
        assert main([*call.split(), size]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_collect_train_resume_and_eval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = str(tmp_path / "data"), str(tmp_path / "bc")
    collect = ["collect", "arm-reach", "--episodes", "3", "--noise", "0", "--out", data]
    assert main(collect) == 0
    assert "3 episodes, 1200 frames" in capsys.readouterr().out
    train = ["train", "bc", "--data", data, "--task", "arm-reach", "--out", run]
    short = ["--steps", "6", "--validate-every", "3", "--hidden", "8"]
    assert main([*train, *short]) == 0
    assert "6 steps" in capsys.readouterr().out
    weights = (tmp_path / "bc" / "model.safetensors").read_bytes()
    assert main([*train, *short, "--resume"]) == 0
    assert (tmp_path / "bc" / "model.safetensors").read_bytes() == weights
    capsys.readouterr()
    assert main(["eval", "arm-reach", "--policy", run, "--episodes", "2"]) == 0
    assert "| arm-reach | mujoco | none |" in (tmp_path / "bc/README.md").read_text()
    call = ["play", "arm-reach", "--policy", run, "--viewer", "none", "--steps", "5"]
    assert main(call) == 0
