"""Curves of one episode as inline SVG: a few elements of a kind on one pair of axes.

Lines keep their sharp moments when they are thinned out: of each stretch the lowest and
the highest value stay. The page's script reads values back from a drawing, so that the
numbers are in it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from evaluation.plots import linear_ticks
from ml.lerobot.layout import ACTION, OBSERVATION, PREFIX

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 28
LINES = 8
"""The most elements of one plot, and the number of colours."""
STRETCHES = 150
"""A line is thinned out to so many stretches of two points."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One element of a feature."""

    feature: str
    column: int
    label: str
    colour: int
    dashed: bool = False
    """An action, drawn over the state of the same name."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What is drawn on one pair of axes."""

    title: str
    unit: str
    lines: list[Line] = field(default_factory=list)
    low: float = 0.0
    """Of the vertical axis, over all episodes of the page."""
    high: float = 1.0


def panels(data: "Demonstrations", episodes: Sequence[int]) -> list[Panel]:
    """How the vectors of a dataset are best shown: by feature, limb and unit.

    Where actions are targets of the state (they have the same names), both are on the
    same axes.
    """
    targets = OBSERVATION in data.frames and data.names(ACTION) == data.names(
        OBSERVATION
    )
    features = [PREFIX + group for group in data.groups]
    features += [] if targets else [ACTION]
    found = []
    for feature in features:
        over = targets and feature == OBSERVATION
        for title, unit, columns in _groups(data, feature):
            lines = _lines(data, feature, columns)
            if over:
                lines += [_over(line) for line in lines]
                title += ", action dashed"
            found.append((title, unit, lines))
    if "next.reward" in data.frames:
        reward = Line(feature="next.reward", column=0, label="reward", colour=0)
        found.append(("reward", "1", [reward]))
    return [_scaled(data, episodes, *one) for one in found]


def panel_svg(panel: Panel, episode: dict[str, np.ndarray], dt: float) -> str:
    """One episode on a panel's axes.

    Args:
        panel: what to draw.
        episode: its frames.
        dt: time between two [s].
    """
    n = len(episode["frame_index"])
    end = max((n - 1) * dt, dt)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="plot" role="img" '
        f'data-end="{end:.6g}" data-low="{panel.low:.9g}" data-high="{panel.high:.9g}" '
        f'aria-label="{escape(panel.title)} over time">'
    ]
    parts += _success(episode, dt, end)
    parts += _frame(panel, end)
    for line in panel.lines:
        values = episode[line.feature].reshape(n, -1)[:, line.column].astype(float)
        at = thinned(values)
        x = LEFT + at * dt / end * (WIDTH - LEFT - RIGHT)
        y = _place(panel, values[at])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        kind = "line dashed" if line.dashed else "line"
        parts.append(
            f'<polyline class="{kind} series-{line.colour}" points="{points}"/>'
        )
    parts.append(
        f'<line class="cursor" x1="0" x2="0" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    )
    return "".join([*parts, "</svg>"])


def thinned(values: np.ndarray) -> np.ndarray:
    """Indices that keep the lowest and the highest value of each stretch."""
    n = len(values)
    if n <= 2 * STRETCHES:
        return np.arange(n)
    edges = np.linspace(0, n, STRETCHES + 1).astype(int)
    kept = {0, n - 1}
    for a, b in pairwise(edges):
        part = values[a:b]
        kept |= {int(a + part.argmin()), int(a + part.argmax())}
    return np.array(sorted(kept))


def _groups(data: "Demonstrations", feature: str) -> list[tuple[str, str, list[int]]]:
    """(title, unit, columns) of each plot of a feature."""
    names, units = data.names(feature), data.info["features"][feature].get("units")
    size = data.vectors(feature).shape[1]
    found: dict[tuple[str, str], list[int]] = {}
    for column in range(size):
        name = names[column] if len(names) == size else str(column)
        limb = name.rpartition("/")[0]
        found.setdefault((limb, units[column] if units else ""), []).append(column)
    lone = [key for key, columns in found.items() if len(columns) == 1]
    for limb, unit in lone if len(lone) > 1 else []:
        found.setdefault(("", unit), [])
        if limb:
            found[("", unit)] += found.pop((limb, unit))
    short = feature.removeprefix(PREFIX).replace("_", " ")
    groups = []
    for (limb, unit), columns in found.items():
        known = names if len(names) == size else [""] * size
        parts = _parts(columns, [_thing(known[column]) for column in columns])
        for some, things in parts:
            whose = limb or (", ".join(things) if len(parts) > 1 else "")
            groups.append((f"{short}, {whose}" if whose else short, unit, some))
    return groups


def _thing(name: str) -> str:
    """What an element is of, in words: "red cube" of "red_cube_x"."""
    if name.startswith("target_"):
        return "target"
    return name.rpartition("_")[0].replace("_", " ")


def _parts(columns: list[int], things: list[str]) -> list[tuple[list[int], list[str]]]:
    """Columns in parts of at most :data:`LINES`, and which things each part has.

    A thing's elements stay together where they fit, so that a plot shows whole poses.
    """
    parts: list[tuple[list[int], list[str]]] = []
    pairs = zip(things, columns, strict=True)
    for name, group in groupby(pairs, key=lambda pair: pair[0]):
        own = [column for _, column in group]
        for first in range(0, len(own), LINES):
            piece = own[first : first + LINES]
            if not parts or len(parts[-1][0]) + len(piece) > LINES:
                parts.append(([], []))
            parts[-1][0].extend(piece)
            parts[-1][1].extend([name] if name else [])
    return parts


def _lines(data: "Demonstrations", feature: str, columns: list[int]) -> list[Line]:
    names = data.names(feature)
    labels = [names[c] if c < len(names) else str(c) for c in columns]
    limbs = {label.rpartition("/")[0] for label in labels}
    if len(limbs) == 1:
        labels = [label.rpartition("/")[2] for label in labels]
    return [
        Line(feature=feature, column=column, label=label, colour=index)
        for index, (column, label) in enumerate(zip(columns, labels, strict=True))
    ]


def _over(line: Line) -> Line:
    return Line(
        feature=ACTION,
        column=line.column,
        label=line.label,
        colour=line.colour,
        dashed=True,
    )


def _scaled(
    data: "Demonstrations",
    episodes: Sequence[int],
    title: str,
    unit: str,
    lines: list[Line],
) -> Panel:
    """A panel on which all episodes of the page fit."""
    values = [
        data.vectors(line.feature)[slice(*data.bounds[index]), line.column]
        for line in lines
        for index in episodes
    ]
    low = min(float(part.min()) for part in values)
    high = max(float(part.max()) for part in values)
    margin = 0.04 * (high - low) or 0.5
    return Panel(
        title=title, unit=unit, lines=lines, low=low - margin, high=high + margin
    )


def _place(panel: Panel, values: np.ndarray) -> np.ndarray:
    share = (values - panel.low) / (panel.high - panel.low)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _success(episode: dict[str, np.ndarray], dt: float, end: float) -> list[str]:
    """A band from the moment on at which the task is solved for good."""
    solved = episode.get("next.success")
    if solved is None or not solved[-1]:
        return []
    failed = np.flatnonzero(~solved)
    first = int(failed[-1]) + 1 if len(failed) else 0
    x = LEFT + min(first * dt / end, 1.0) * (WIDTH - LEFT - RIGHT)
    return [
        f'<rect class="solved" x="{x:.1f}" y="{TOP}" '
        f'width="{max(WIDTH - RIGHT - x, 1.5):.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
    ]


def _frame(panel: Panel, end: float) -> list[str]:
    parts = []
    for tick in linear_ticks(panel.low, panel.high):
        y = float(_place(panel, np.array(tick)))
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text class="tick end" x="{LEFT - 6}" y="{y + 3.5:.1f}">'
            f"{round(tick, 12):g}</text>"
        )
    for tick in linear_ticks(0.0, end, 6):
        x = LEFT + tick / end * (WIDTH - LEFT - RIGHT)
        unit = " s" if tick == 0 else ""
        parts.append(
            f'<text class="tick middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}">'
            f"{round(tick, 12):g}{unit}</text>"
        )
    base = HEIGHT - BOTTOM
    parts.append(
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    )
    return parts
