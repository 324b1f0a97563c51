"""The web viewer's window of curves: the reward, its terms, the metrics.

One plot below the other, so that a moment stands at the same place in all of them: they
are as wide, and so are their legends, which tell the latest values. Metrics have plots
of their own, since their units differ.
"""

import math

import numpy as np
from mujoco.studio.dear_imgui import dear_imgui as imgui
from mujoco.studio.implot import implot

from sims.viewers.curves import SPAN, CurvesView

_WIDTH, _MARGIN = 430.0, 16.0
"""Of a plot, and of the window from the page's edge [pixels]."""
_BELOW = 110.0
"""What is left free below the window [pixels]."""
_ROW, _FRAME = 18.0, 34.0
"""Of a legend's line, and what a plot needs around it [pixels]."""
_METRIC = (58.0, 96.0)
"""Least and greatest height of a metric's plot; those that do not fit are left out
[pixels]."""
_TICKS = 18.0
"""Height of the lowest plot's seconds [pixels]."""
_STRIP = 0.07
"""Height of the strip that shows success, of the plot's."""


class CurvesWindow:
    """At the right edge of the page, until a person moves it."""

    def __init__(self) -> None:
        self._wide = 0.0

    def build_gui(self, view: CurvesView | None) -> None:
        """The window with these curves."""
        size = imgui.GetIO().DisplaySize
        if size.x != self._wide:  # a page has no size yet before a browser has it
            corner = imgui.Vec2(size.x - _plot_width() - 2 * _MARGIN, _MARGIN)
            imgui.SetNextWindowPos(corner, int(imgui.Cond.Always))
            self._wide = size.x
        flags = imgui.WindowFlags
        plain = int(flags.NoTitleBar) | int(flags.NoNav) | int(flags.NoFocusOnAppearing)
        imgui.Begin("curves", flags=plain | int(flags.AlwaysAutoResize))
        if view is None:
            imgui.TextDisabled("curves begin with the next step")
        elif implot.BeginAlignedPlots("curves"):
            _build_plots_gui(view, size.y - _MARGIN - _BELOW)
            implot.EndAlignedPlots()
        imgui.End()


def _build_plots_gui(view: CurvesView, room: float) -> None:
    several = len(view.terms) > 1
    rows = max(len(view.terms), 4)
    heights = [_FRAME + 4 * _ROW] + [_FRAME + rows * _ROW] * several
    shown, height = metrics_that_fit(len(view.metrics), room - sum(heights) - _TICKS)
    names = list(view.metrics)[:shown]
    labels = ["reward", *names, *(view.terms if several else ())]
    legend = max(imgui.CalcTextSize(f"-0.000 {label}").x for label in labels)
    heights += [height] * shown
    heights[-1] += _TICKS
    _build_reward_gui(view, heights[0], legend, len(heights) == 1)
    if several:
        low, high = value_range(list(view.terms.values()))
        if _begin("terms", heights[1], low, high, len(heights) == 2):
            for index, (name, values) in enumerate(view.terms.items()):
                _line(name, view.times, values, 0.0 if index else legend)
            implot.EndPlot()
    for index, name in enumerate(names, len(heights) - shown):
        values = view.metrics[name]
        last = index == len(heights) - 1
        if _begin(name, heights[index], *value_range([values]), last):
            ends = value_ends(values)  # a low plot has no room for more of them
            implot.SetupAxisTicks(int(implot.Axis.Y1), ends, [f"{e:.2g}" for e in ends])
            _line(name, view.times, values, legend)
            implot.EndPlot()


def _build_reward_gui(
    view: CurvesView, height: float, legend: float, last: bool
) -> None:
    """The reward, and a strip below it while the task is solved."""
    low, high = value_range([view.reward])
    if not _begin("reward", height, low, high, last):
        return
    label = _label("reward", view.reward, legend)
    implot.PlotDummy(label)  # colours go by order: blue ...
    implot.PlotDummy("##orange")
    if view.success is not None:  # ... and green
        strip = low + _STRIP * (high - low) * view.success
        implot.PlotShaded("success", view.times.tolist(), strip.tolist(), low)
    implot.PlotLine(label, view.times.tolist(), view.reward.tolist())
    implot.EndPlot()


def _plot_width() -> float:
    return min(_WIDTH, 0.45 * imgui.GetIO().DisplaySize.x)


def _begin(name: str, height: float, low: float, high: float, last: bool) -> bool:
    """Begin a plot of the last seconds; the last one says how long ago."""
    flags, axis = implot.Flags, implot.AxisFlags
    fixed = int(flags.NoTitle) | int(flags.NoInputs) | int(flags.NoMouseText)
    if not implot.BeginPlot(f"##{name}", imgui.Vec2(_plot_width(), height), fixed):
        return False
    bare = int(axis.NoLabel)
    implot.SetupAxes("", "", bare | (0 if last else int(axis.NoTickLabels)), bare)
    implot.SetupAxesLimits(-SPAN, 0.0, low, high, int(implot.Cond.Always))
    implot.SetupAxisFormat(int(implot.Axis.X1), "%g s")
    implot.SetupLegend(
        int(implot.Location.NorthEast),
        int(implot.LegendFlags.Outside) | int(implot.LegendFlags.NoButtons),
    )
    return True


def _line(name: str, times: np.ndarray, values: np.ndarray, legend: float) -> None:
    label = _label(name, values, legend)
    implot.PlotLine(label, times.tolist(), values.tolist())


def _label(name: str, values: np.ndarray, legend: float) -> str:
    """A curve's name after its latest value, at least ``legend`` pixels wide."""
    text = f"{latest(values)} {name}"
    missing = legend - imgui.CalcTextSize(text).x
    if missing > 0:
        text += " " * round(missing / imgui.CalcTextSize(" ").x)
    return f"{text}###{name}"


def latest(values: np.ndarray) -> str:
    """The last value of a curve, for a legend."""
    return "-" if math.isnan(values[-1]) else f"{values[-1]:.3f}"


def metrics_that_fit(count: int, room: float) -> tuple[int, float]:
    """How many of the metrics are drawn, and how high each is [pixels]."""
    least, most = _METRIC
    shown = max(0, min(count, int(room / least)))
    return shown, min(most, room / shown) if shown else 0.0


def value_ends(values: np.ndarray) -> list[float]:
    """What to write beside a curve: 0, and its least and its greatest value."""
    seen = values[np.isfinite(values)]
    low, high = float(seen.min(initial=0.0)), float(seen.max(initial=0.0))
    return sorted(
        {low, 0.0, high} if min(-low, high) > 0.3 * (high - low) else {low, high}
    )


def value_range(curves: list[np.ndarray]) -> tuple[float, float]:
    """From 0, or the least value below it, to the most, with some room."""
    seen = np.concatenate(curves)
    seen = seen[np.isfinite(seen)]
    low = min(0.0, float(seen.min(initial=0.0)))
    high = max(0.0, float(seen.max(initial=0.0)))
    room = 0.08 * (high - low) or 1.0
    return low - room * (low < 0), high + room
