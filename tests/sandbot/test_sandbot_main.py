"""The dispatcher: names, exit codes, one line for each error."""

import subprocess
import sys
from importlib import import_module

import pytest

from assets.errors import SandbotError, UsageError
from sandbot.main import COMMANDS, main


def fake(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let ``sandbot list`` raise an error."""

    def run(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(import_module("sandbot.list"), "run", run)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([name, "--help"])
    except SystemExit as done:
        code = done.code
    assert code == 0
    assert f"sandbot {name}" in capsys.readouterr().out


def test_without_a_command_help_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "usage: sandbot COMMAND" in capsys.readouterr().err


def test_unknown_command_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pley"]) == 2
    assert "Did you mean 'play'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("two\nlines"), 2), (SandbotError("two\nlines"), 1)],
)
def test_errors_are_one_line(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(monkeypatch, error)
    assert main(["list"]) == code
    assert capsys.readouterr().err == "sandbot: two lines\n"


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, KeyboardInterrupt())
    assert main(["list"]) == 130


def test_a_bug_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, RuntimeError("bug"))
    with pytest.raises(RuntimeError, match="bug"):
        main(["list"])


def test_a_reader_that_leaves_early_hears_nothing() -> None:
    command = f"{sys.executable} -m sandbot.main list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sandbot ")
