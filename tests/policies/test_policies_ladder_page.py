"""``docs/ladder.md`` says what was recorded, and shows a figure of each part."""

import json

from benchmarks.ladder import NAME, PARTS
from benchmarks.ladder_page import PAGE, SAY, fill
from benchmarks.ladder_pictures import DRAW, FOLDER
from benchmarks.record import RESULTS

LARGEST = 60_000
"""Bytes of a figure."""


def test_the_page_is_what_was_recorded() -> None:
    parts = json.loads((RESULTS / f"{NAME}.json").read_text())["parts"]
    assert list(PARTS) == list(SAY) == list(DRAW)
    assert [name for name in PARTS if name in parts] == list(parts)
    text = PAGE.read_text()
    assert fill(text, parts) == text, "run `python -m benchmarks.ladder --draw`"
    parts["prediction"]["figures"]["TD(0)"]["rms"] += 1
    assert fill(text, parts) != text


def test_what_was_not_measured_is_told() -> None:
    text = PAGE.read_text()
    for name in PARTS:
        assert f"<!-- {name} -->" in text
    assert fill(text, {}).count("Not measured yet") == len(PARTS)


def test_each_recorded_part_has_a_figure_that_the_page_shows() -> None:
    text = PAGE.read_text()
    for name in json.loads((RESULTS / f"{NAME}.json").read_text())["parts"]:
        path = FOLDER / f"{name}.webp"
        assert f"](ladder/{path.name})" in text
        assert path.stat().st_size < LARGEST
