"""The benchmark that runs every task for a million steps, in small."""

from collections.abc import Iterator
from typing import Any

import mujoco
import pytest

from benchmarks.endurance import bars, endure

GOOD: dict[str, Any] = {
    "steps": 1000,
    "not_finite": 0,
    "diverged": 2,
    "warnings": {"BADQACC": 2},
    "heard": {"BADQACC": 2},
    "growth_MiB": 0.5,
}


@pytest.fixture
def _quiet() -> Iterator[None]:
    yield
    mujoco.set_mju_user_warning(None)


@pytest.mark.usefixtures("_quiet")
def test_a_task_endures() -> None:
    row = endure("arm-press", 3000, 16, 1, 0)
    assert row["steps"] == 3008 and row["randomize"] == "train"
    assert row["not_finite"] == row["diverged"] == 0
    assert row["warnings"] == row["heard"] == {}
    assert all(line["met"] for line in bars([row]))


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, None),
        ({"not_finite": 1}, "not finite"),
        ({"growth_MiB": 100.0}, "growth of memory"),
        ({"warnings": {}}, "nobody counted"),
        ({"warnings": {"BADQACC": 3}}, "the environments do not count"),
        ({"diverged": 3}, "the environments do not count"),
        ({"warnings": {"BADQACC": 2, "CONTACTFULL": 1}}, "warnings of contacts"),
    ],
)
def test_each_bar_can_be_missed(change: dict[str, Any], missed: str | None) -> None:
    lines = bars([GOOD, {**GOOD, **change}])
    assert all(line["met"] for line in lines) == (missed is None)
    if missed is not None:
        assert any(missed in line["what"] and not line["met"] for line in lines)
