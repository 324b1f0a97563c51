"""When a task counts as learned, and what the race's bars say."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.rl_minutes import RACES, _command, _curve, _reached, bars

LINES: list[dict[str, Any]] = [
    {"step": 0, "evaluation/return": 100.0},
    {"step": 10, "seconds": 60.0},
    {"step": 10, "evaluation/return": 5200.0, "evaluation/success": 0.5},
    {"step": 20, "seconds": 120.0},
    {"step": 20, "evaluation/return": 4800.0},
    {"step": 30, "seconds": 180.0, "evaluation/return": 6100.0},
]


def row(**changed: Any) -> dict[str, Any]:
    curve = _curve(LINES, "return")
    return {
        **{"race": "gym-humanoid", "figure": "return", "enough": 5000.0},
        **{"limit": 2.0, "further": 6000.0, "seconds": 240.0, "curve": curve},
        "judged": {"return": 6000.0},
        "reached": _reached(curve, "return", 5000.0),
        "reached_further": _reached(curve, "return", 6000.0),
        **changed,
    }


def test_a_curve_has_the_time_of_the_line_before() -> None:
    found = _curve(LINES, "return")
    assert [point["minutes"] for point in found] == [0, 1, 2, 3]
    assert [point["return"] for point in found] == [100, 5200, 4800, 6100]
    assert found[1]["success"] == 0.5
    assert [point["steps"] for point in _curve(LINES, "success")] == [10]


def test_it_is_reached_the_first_time() -> None:
    curve = _curve(LINES, "return")
    assert _reached(curve, "return", 5000.0) == 1
    assert _reached(curve, "return", 6000.0) == 3
    assert _reached(curve, "return", 7000.0) is None
    assert _reached(curve, "return", 0.0) is None  # nothing is asked


@pytest.mark.parametrize(
    ("changed", "figures", "met"),
    [
        ({}, [6000, 1, 3], [True, True, True]),
        ({"judged": {"return": 4000.0}}, [4000, 1, 3], [False, True, True]),
        # never seen on the way: all of its time counts
        ({"reached": None}, [6000, 4, 3], [True, False, True]),
        # the best on the way is told in place of a time
        ({"reached_further": None, "further": 7e3}, [6000, 1, 6100], [True, True, 0]),
        (
            {"in_gymnasium": {"return": 4999.0}},
            [6000, 1, 3, 4999],
            [True, True, True, False],
        ),
        (
            {"ahead": {"upright": 19, "n": 20}, "further": 0.0},
            [6000, 1, 0.95],
            [True, True, True],
        ),
    ],
)
def test_bars(changed: Any, figures: list[float], met: list[bool]) -> None:
    found = bars([row(**changed)])
    assert [line["figure"] for line in found] == pytest.approx(figures)
    assert [line["met"] for line in found] == met


@pytest.mark.parametrize("name", RACES)
def test_the_card_names_what_trains_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from policies.rl import training
    from sandbot.main import main

    asked: dict[str, Any] = {}

    def train(algorithm: str, config: Any, **given: Any) -> training.RLResult:
        asked.update(given, algorithm=algorithm, **vars(config))
        return training.RLResult(steps=1, updates=1, seconds=1.0, figures={})

    monkeypatch.setattr(training, "train", train)
    race = RACES[name]
    words = _command(race, 3, Path("runs/it")).split()
    assert words[0] == "sandbot"
    main(words[1:])
    wanted = {"algorithm": race.algorithm, "task": race.task, "out": Path("runs/it")}
    wanted |= {"minutes": race.minutes, "stop_at": race.stop_at, "seed": 3}
    wanted |= {"randomize": race.randomize}
    assert {key: asked[key] for key in wanted} == wanted
