"""The options that say what is observed, and what ``list`` says of cameras."""

from dataclasses import dataclass

import pytest

from assets import UsageError
from sandbot.main import main
from sandbot.options import Observed, parse


@dataclass(frozen=True, kw_only=True)
class Options(Observed):
    """Of a command that looks."""


def read(*words: str) -> dict:
    return parse(Options, "look", words).observed()


def test_options_become_arguments() -> None:
    assert read() == {"observe": "state", "cameras": None, "image_size": (320, 240)}
    assert read("--cameras", "top", "left/wrist", "--image-size", "84x64") == {
        "observe": "both",
        "cameras": ("top", "left/wrist"),
        "image_size": (84, 64),
    }
    assert read("--observe", "images", "--cameras", "top")["observe"] == "images"


@pytest.mark.parametrize("size", ["84", "84x", "0x4", "4x-3", "ax3", "8.5x3"])
def test_sizes_that_are_none_are_refused(size: str) -> None:
    with pytest.raises(UsageError, match=f"such as 320x240, got '{size}'.*look --help"):
        read("--image-size", size)


def test_list_names_the_cameras(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "(cameras top, left/wrist, right/wrist)" in text
