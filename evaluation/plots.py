"""Error curves as inline SVG: the median over episodes, and where most of them are.

Drawn by hand and coloured by classes of the page's style sheet, so that a curve follows
the reader's light or dark theme, prints sharply and costs a few kilobytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 30
POINTS = 120
"""The most points of a line; more than a screen shows only cost bytes."""
LOG_RATIO = 30.0
"""From this ratio of the largest to the smallest value on, the axis is logarithmic."""
LOG_DECADES = 4
"""A logarithmic axis goes so far below its top; smaller values lie on its floor."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """How a figure of many episodes runs over time."""

    time: np.ndarray
    """(k,) [s]"""
    low: np.ndarray
    """(k,): one episode in ten lies below."""
    median: np.ndarray
    """(k,)"""
    high: np.ndarray
    """(k,): one episode in ten lies above."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Range and kind of the vertical axis, shared by all the plots of one figure."""

    low: float
    high: float
    log: bool

    def place(self, values: np.ndarray) -> np.ndarray:
        """Vertical position of values in the picture [pixels]."""
        inside = np.clip(values, self.low, self.high)
        if self.log:
            span = math.log(self.high / self.low)
            share = np.log(inside / self.low) / span
        else:
            share = (inside - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    def ticks(self) -> list[float]:
        """Round values to label."""
        if not self.log:
            return linear_ticks(self.low, self.high)
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        ticks = [10.0**power for power in range(first, last + 1)]
        if len(ticks) >= 2:
            return ticks
        powers = range(first - 1, last + 2)
        finer = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return [tick for tick in finer if self.low <= tick <= self.high]


def band(values: np.ndarray, dt: float) -> Band:
    """Median and outer tenths over episodes, thinned out to what a screen shows.

    Args:
        values: (steps, n); NaN after an episode's end.
        dt: time between two rows [s].
    """
    alive = np.flatnonzero(np.isfinite(values).any(axis=1))
    keep = np.unique(np.linspace(0, len(alive) - 1, POINTS).round().astype(int))
    steps = alive[keep] if len(alive) else alive
    low, median, high = np.nanquantile(values[steps], (0.1, 0.5, 0.9), axis=1)
    return Band(time=(steps + 1) * dt, low=low, median=median, high=high)


def shared_axis(bands: Sequence[Band], *, error: bool = True) -> Axis:
    """An axis on which all the bands fit.

    Args:
        bands: to be drawn on it.
        error: whether the figure is an error, which may fall by orders of magnitude;
            the axis of another one is never logarithmic.
    """
    parts = [part for b in bands for part in (b.low, b.high)]
    values = np.concatenate(parts) if parts else np.zeros(1)
    low, high = float(values.min()), float(values.max())
    floor = float(values[values > 0].min()) if (values > 0).any() else 0.0
    if error and low >= 0 and floor > 0 and high / floor >= LOG_RATIO:
        return Axis(low=max(floor, high / 10**LOG_DECADES), high=high, log=True)
    low = min(low, 0.0)
    return Axis(low=low, high=high if high > low else low + 1.0, log=False)


def linear_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About ``count`` round values within a range."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def curve_svg(
    bands: Mapping[str, Band],
    axis: Axis,
    colours: Mapping[str, int],
    level: float | None = None,
) -> str:
    """One plot, a line and a band for each name.

    Args:
        bands: what to draw, by name.
        axis: of the whole figure.
        colours: index of each name's colour, class ``series-0`` and so on.
        level: where to draw a line across, such as a tolerance.

    Returns:
        An ``<svg>`` element.
    """
    end = max((float(b.time[-1]) for b in bands.values() if len(b.time)), default=1.0)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="plot" role="img" '
        f'aria-label="{escape(", ".join(bands))} over time">'
    ]
    parts += _frame(axis, end)
    if level is not None and axis.low <= level <= axis.high:
        y = float(axis.place(np.array(level)))
        parts.append(
            f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    for name, one in bands.items():
        if not len(one.time):
            continue
        x = _across(one.time, end)
        upper, lower = axis.place(one.high), axis.place(one.low)
        area = _points(np.append(x, x[::-1]), np.append(upper, lower[::-1]))
        line = _points(x, axis.place(one.median))
        colour = f"series-{colours[name]}"
        parts.append(f'<polygon class="band {colour}" points="{area}"/>')
        parts.append(f'<polyline class="line {colour}" points="{line}"/>')
    return "".join([*parts, "</svg>"])


def _frame(axis: Axis, end: float) -> list[str]:
    """Grid lines and labels."""
    parts = []
    for tick in axis.ticks():
        y = float(axis.place(np.array(tick)))
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick end" x="{LEFT - 6}" y="{y + 3.5:.1f}">{tick:g}</text>'
        )
    base = HEIGHT - BOTTOM
    for tick in linear_ticks(0.0, end):
        x = float(_across(np.array(tick), end))
        parts.append(
            f'<text class="tick middle" x="{x:.1f}" y="{base + 14}">{tick:g}</text>'
        )
    parts.append(
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
        f'<text class="tick middle" x="{(LEFT + WIDTH - RIGHT) / 2}" '
        f'y="{HEIGHT - 3}">time [s]</text>'
    )
    return parts


def _across(time: np.ndarray, end: float) -> np.ndarray:
    """Horizontal position of times in the picture [pixels]."""
    return LEFT + time / end * (WIDTH - LEFT - RIGHT)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
