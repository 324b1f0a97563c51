"""What the documents say is what was recorded, and names what exists."""

import json
import re
from pathlib import Path

import numpy as np

from benchmarks.record import bar
from benchmarks.table import ALL, README, everything, section, summary

ROOT = Path(__file__).parents[1]


def test_the_readmes_tables_are_the_recorded_results() -> None:
    text = README.read_text()
    start, end = section(text)
    wanted = "run `python -m benchmarks.table --write`"
    assert text[start:end].strip() == summary().strip(), wanted
    assert ALL.read_text() == everything(), wanted


def test_the_map_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "guide-map.md").read_text()
    named = set(re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", text))
    assert len(named) > 15
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_the_map_has_a_row_for_each_part_of_the_guide() -> None:
    text = (ROOT / "docs" / "guide-map.md").read_text()
    parts = [int(n) for n in re.findall(r"^## Part (\d+):", text, re.MULTILINE)]
    assert parts == list(range(1, 21))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.count("|") == 5 for line in rows)
    assert all(line.split("|")[2].strip() for line in rows)


def test_pictures_of_the_readme_exist() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (ROOT / link).exists(), link


def test_a_bar_is_json_whoever_computed_it() -> None:
    line = json.loads(json.dumps(bar("it", np.float64(0.5), ">=", 0.4)))
    assert line == {"what": "it", "figure": 0.5, "bar": ">= 0.4", "met": True}
