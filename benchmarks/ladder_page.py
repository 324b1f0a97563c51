"""``docs/ladder.md``: what was measured, written between its marks.

``<!-- dqn -->`` to ``<!-- /dqn -->`` holds a part's figure and what :data:`SAY` makes
of it, or that it was not measured;
``python -m benchmarks.ladder --draw`` writes it, and a test holds the page to it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.table import grid, rate

PAGE = Path(__file__).parents[1] / "docs" / "ladder.md"

Part = dict[str, Any]


def fill(text: str, parts: dict[str, Part]) -> str:
    """The page with what was measured, and which parts were not."""

    def say(found: re.Match[str]) -> str:
        name = found[1]
        lines = [f"Not measured yet: `python -m benchmarks.ladder --only {name}`."]
        if name in parts:
            lines = [f"![{ALT[name]}](ladder/{name}.webp)", ""]
            lines += [*SAY[name](parts[name]), "", *_bars(parts[name])]
        return "\n".join([f"<!-- {name} -->", *lines, f"<!-- /{name} -->"])

    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", say, text, flags=re.DOTALL)


def _bars(part: Part) -> list[str]:
    rows = [
        [b["what"], f"{b['figure']:.3g}" + " **(missed)**" * (not b["met"]), b["bar"]]
        for b in part["bars"]
    ]
    return [*grid(("figure", "measured", "bar"), rows), "", _took(part)]


def _took(part: Part) -> str:
    return f"`{part['command']}`, {part['cpu_seconds']:.0f} s of one core."


def _mean(found: Part, key: str, form: str = ".1f") -> str:
    low, high = found["interval"]
    return f"{found[key]:{form}} ({low:{form}} to {high:{form}})"


def _planning(part: Part) -> list[str]:
    rows = [
        [name, found["states"], found["turns"], found["sweeps"]]
        for name, found in part["figures"].items()
    ]
    head = ("planner, process", "states", "rounds", "sweeps through all states")
    return grid(head, rows)


def _prediction(part: Part) -> list[str]:
    figures = part["figures"]
    return [
        f"RMS error of v after {figures['episodes']} episodes, mean of "
        f"{figures['seeds']} seeds with its 95% interval: Monte Carlo "
        f"{_mean(figures['Monte Carlo'], 'rms', '.3f')}, TD(0) "
        f"{_mean(figures['TD(0)'], 'rms', '.3f')}."
    ]


def _cliff(part: Part) -> list[str]:
    figures = part["figures"]
    rows = [
        [
            name,
            _mean(found, "return"),
            f"{min(found['lengths'])} to {max(found['lengths'])}",
            f"{found['steps_on_the_edge']:.1f}",
        ]
        for name, found in figures.items()
        if name != "seeds"
    ]
    head = (
        f"{figures['seeds']} seeds",
        "return of the last 100 of 500 episodes, exploring (95% interval)",
        "steps to the goal, not exploring",
        "of these on the cliff's edge",
    )
    return grid(head, rows)


def _classics(part: Part) -> list[str]:
    rows = [
        [name, ", ".join(f"{w:.3f}" for w in found["worth"]), f"{found['optimal']:.3f}"]
        for name, found in part["figures"].items()
    ]
    return grid(("table", "worth at the start, by seed", "best there is"), rows)


def _arm(part: Part) -> list[str]:
    rows = [
        [r["policy"], r["learning_steps"] or "", f"{rate(r, '')}, n {r['n']}"]
        for r in part["rows"]
    ]
    return grid(("table", "moves learned from", "success on the real arm"), rows)


def _exploration(part: Part) -> list[str]:
    figures = part["figures"]
    rows = [
        [name, _mean(found, "regret", ".3f"), f"{found['best_at_the_end']:.0%}"]
        for name, found in figures.items()
        if isinstance(found, dict)
    ]
    head = (
        f"{figures['pulls']} pulls of {figures['bandits']} bandits",
        "regret of a pull (95% interval)",
        "best arm, last 100 pulls",
    )
    return grid(head, rows)


def _networks(part: Part) -> list[str]:
    rows = [
        [
            name,
            ", ".join(f"{value:.0f}" for value in found["returns"]),
            _mean(found, "mean", ".0f"),
            ", ".join(f"{steps:,}" for steps in found["steps"]),
        ]
        for name, found in part["figures"].items()
        if isinstance(found, dict)
    ]
    head = ("", "return of 100 episodes, by seed", "mean (95% interval)", "steps")
    lines = grid(head, rows)
    if "variance_ratio" in part["figures"]:
        ratios = ", ".join(
            f"{ratio:.2f}" for ratio in part["figures"]["variance_ratio"]
        )
        lines += ["", "The gradient's variance with the baseline over without, after"]
        lines += [f"20 updates, by seed: {ratios}."]
    return lines


SAY: dict[str, Callable[[Part], list[str]]] = {
    "planning": _planning,
    "prediction": _prediction,
    "cliff": _cliff,
    "classics": _classics,
    "arm": _arm,
    "exploration": _exploration,
    "dqn": _networks,
    "reinforce": _networks,
    "a2c": _networks,
}
"""By part: its lines."""
ALT = {
    "planning": "Errors of value and policy iteration fall, and the arm's values",
    "prediction": "Both errors fall with the number of episodes",
    "cliff": "Returns while exploring, and the ways that were learned",
    "classics": "Returns on FrozenLake and Taxi",
    "arm": "Moves to the target while learning, and success on the real arm",
    "exploration": "How often the best arm is pulled",
    "dqn": "DQN with and without its remedies",
    "reinforce": "REINFORCE with and without a baseline",
    "a2c": "A2C by lambda",
}
"""By part: its figure in words."""
