"""Bad input: one clear line with the way out, the right exit code, no traceback."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbot.main import main

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail; returns its line."""

    def run(code: int, *arguments: str) -> str:
        assert main(list(arguments)) == code
        error = capsys.readouterr().err
        assert error.startswith("sandbot: ")
        assert error.count("\n") == 1
        return error

    return run


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("play", "give a task or --env"),
        ("play arm-reach --env sandbot/ArmReach-v0", "both were given"),
        ("play --env sandbot/ArmRech-v0", "Did you mean 'sandbot/ArmReach-v0'?"),
        ("play arm-rech", "unknown task 'arm-rech'. Did you mean 'arm-reach'?"),
        ("play arm-reach --engine bulet", "Did you mean 'bullet'?"),
        ("play arm-reach --policy impedence", "Did you mean 'impedance'?"),
        ("play arm-reach --policy runs/none", "no checkpoint at 'runs/none'"),
        ("play arm-press --policy pid", "arm-press"),
        ("play arm-reach --randomize trian", "Did you mean 'train'?"),
        ("play arm-reach --viewer wbe", "Did you mean 'web'?"),
        ("play arm-reach --viewer none --speed 3", "speed is one of"),
        ("play arm-reach --viewer none --steps 0", "steps must be at least 1"),
        ("play arm-reach --viewer none --episodes -1", "episodes must be at least 1"),
        ("play arm-reach --num-envs 0", "num_envs must be at least 1, got 0"),
        ("play arm-reach --num-envs -2", "num_envs must be at least 1, got -2"),
        ("play arm-reach --num-envs many", "--num-envs wants an integer"),
        ("play arm-reach --engine bullet --num-envs 65", "64"),
        ("play arm-reach --seed x", "--seed wants an integer, such as 0 or 42"),
        ("play arm-reach --seed 1.5", "got '1.5'"),
        ("play arm-reach --seed -1", "seed"),
        ("play arm-reach --sed 1", "unknown option '--sed 1'. Did you mean --seed?"),
        ("play arm-reach extra", "unknown option 'extra'"),
        ("play arm-reach --engine", "--engine wants a value"),
        ("play arm-reach --out film.txt --viewer video", ".mp4"),
        ("play arm-reach --viewer web --port 99999", "99999"),
        ("eval", "give a task or --env"),
        ("eval arm-reach --device gpu", "unknown device 'gpu'"),
        ("play arm-reach --viewer none --device tpu:0", "unknown device 'tpu:0'"),
        ("eval arm-rech", "Did you mean 'arm-reach'?"),
        ("eval arm-reach --policy", "--policy wants at least one"),
        ("eval arm-reach --policy zero zero", "twice"),
        ("eval arm-reach --engine mujoco bulet", "Did you mean 'bullet'?"),
        ("eval arm-reach --randomize none trian", "Did you mean 'train'?"),
        ("eval arm-reach --episodes 0", "episodes must be at least 1, got 0"),
        ("eval arm-reach --num-envs 0", "num_envs must be at least 1, got 0"),
        ("eval arm-reach --engine bullet --num-envs 65", "64"),
        ("eval arm-reach --min-success 95", "fraction from 0 to 1, got 95"),
        ("eval arm-reach --min-success most", "--min-success wants a number"),
        ("eval arm-reach --seed zero", "--seed wants an integer"),
        ("list robots", "unknown option 'robots'"),
        ("doctor --fix", "unknown option '--fix'"),
    ],
)
def test_a_wrong_call(call: str, words: str, fails: Fails) -> None:
    assert words in fails(2, *call.split())


def test_a_file_where_a_report_should_go(fails: Fails, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    call = ("eval", "arm-reach", "--episodes", "1", "--report", str(file / "report"))
    assert "cannot write" in fails(1, *call)
    assert file.read_text() == "mine"


def test_a_video_where_nothing_can_be_written(fails: Fails) -> None:
    call = ("play", "arm-reach", "--viewer", "video", "--out", "/proc/arm.mp4")
    assert "cannot write" in fails(1, *call)


def test_a_port_in_use(fails: Fails) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = fails(1, "play", "arm-reach", "--viewer", "web", "--port", port)
    assert port in line
    assert "in use" in line


def test_a_window_without_a_display(
    fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "display" in fails(1, "play", "arm-reach", "--viewer", "native")
