"""``docs/reinforcement-learning.md`` says what was recorded, and names what exists."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.record import RESULTS
from benchmarks.rl_page import COMMANDS, PAGE, SAY, fill
from benchmarks.table import README, results

ROOT = PAGE.parents[1]
WRITE = "run `python -m benchmarks.table --write`"


def test_the_page_is_what_was_recorded() -> None:
    text, recorded = PAGE.read_text(), results()
    assert fill(text, recorded) == text, WRITE
    changed = json.loads((RESULTS / "rl_gpu.json").read_text())
    changed["ahead"]["upright"] += 10
    assert fill(text, {**recorded, "rl_gpu": changed}) != text


def test_every_part_has_its_place_and_what_is_not_there_is_told() -> None:
    text = PAGE.read_text()
    assert re.findall(r"<!-- (\w+) -->", text) == list(SAY)
    empty = fill(text, {})
    for command in COMMANDS.values():
        assert f"Not measured yet: `{command}`." in empty
    without = fill(text, {"rl_gpu": {"not_measured": ["no GPU was at hand"]}})
    assert "Not measured: no GPU was at hand." in without


def test_a_missed_bar_stands_as_missed() -> None:
    found: Any = json.loads((RESULTS / "rl_gpu.json").read_text())
    found["ahead"] = {"n": 200, "upright": 124, "interval": [0.55, 0.68], "speed": 1.0}
    found["bars"] = [{"what": "it", "figure": 0.62, "bar": ">= 0.95", "met": False}]
    said = fill("<!-- rl_gpu -->\n<!-- /rl_gpu -->", {"rl_gpu": found})
    assert "62.0% (55.0 to 68.0), n 200" in said
    assert "| it | 0.62 **(missed)** | >= 0.95 |" in said
    assert "A bar is missed, and the figure stands as it is." in said


def test_a_transfer_is_told() -> None:
    from benchmarks import rl_transfer

    part = {"share": 0.5, "interval": [0.2, 0.8]}
    mean = {"mean": 7.0, "interval": (6.0, 8.0)}
    weights = {"weights": {"randomised": "a"}}
    row = {
        **{"policy": "randomised", "engine": "bullet", "randomize": "none", "n": 9},
        **{"successes": 3, "success_rate": 1 / 3, "ci_low": 0.1, "ci_high": 0.6},
        "parts": dict.fromkeys(("upright", "tracks", "steps", "grips"), part),
        **{"seconds": mean, "metres": mean},
        **weights,
    }
    pair = {
        **{"against": "without push", "engine": "bullet", "randomize": "none", "n": 9},
        "success": {"mean": 0.25, "interval": [0.1, 0.5], "excludes_zero": True},
        "seconds": {"mean": 1.5, "interval": [-0.5, 3.5], "excludes_zero": False},
        **weights,
    }
    ahead = {"engine": "bullet", "n": 9, "upright": 3, "interval": [0.1, 0.6]}
    found = {
        **{"command": "it", "machine": {"cores": 2}, "date": "today"},
        **{"rows": [row], "ahead": [ahead], "pairs": [pair]},
        **{"terms": rl_transfer.ranking([pair]), "bars": rl_transfer.bars([pair])},
    }
    said = fill("<!-- rl_transfer -->\n<!-- /rl_transfer -->", {"rl_transfer": found})
    assert "| randomised | bullet | none | 33.3% (10.0 to 60.0), n 9 | 50% |" in said
    line = "| without push | bullet, none | 9 | **+0.25 (+0.10 to +0.50)** | +1.50 ("
    assert line in said
    assert "first to last: `push` (1.50 s, unsure)." in said


def test_what_the_page_names_is_there() -> None:
    text = PAGE.read_text()
    files = set(re.findall(r"`([a-z_]+/[\w/]+\.py)(?:::(\w+))?`", text))
    assert len(files) > 15
    for path, test in files:
        assert (ROOT / path).is_file(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(), test
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGE.parent / link).exists(), link


def commands(path: Path, name: str) -> list[list[str]]:
    """What follows a command of ours in a document's blocks."""
    text = path.read_text().replace("\\\n", " ")
    lines = re.findall(rf"^sandbot {name} (.+)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("path", [PAGE, README], ids=lambda path: path.name)
def test_its_trainings_are_understood(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from policies.rl import training
    from policies.rl.algorithms import ALGORITHMS
    from sandbot.main import main
    from sims import make_task

    asked: list[dict[str, Any]] = []

    def train(name: str, config: Any, **given: Any) -> training.RLResult:
        task: Any = make_task(given["task"])
        training._randomization(task, config)  # refuses a term that there is not
        asked.append({"name": name, **given})
        return training.RLResult(steps=1, updates=1, seconds=1.0, figures={})

    monkeypatch.setattr(training, "train", train)
    monkeypatch.chdir(tmp_path)
    said = [line for line in commands(path, "train") if line[0] in ALGORITHMS]
    assert len(said) >= (4 if path == README else 8)
    for line in said:
        assert main(["train", *line]) == 0, line
    assert [call["name"] for call in asked] == [line[0] for line in said]


@pytest.mark.parametrize("path", [PAGE, README], ids=lambda path: path.name)
def test_its_other_commands_have_these_options(path: Path) -> None:
    from sandbot import eval, play
    from sandbot.options import parse

    for name, kind in (("eval", eval.Options), ("play", play.Options)):
        said = commands(path, name)
        assert said
        for line in said:
            parse(kind, name, line)
