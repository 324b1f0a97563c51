"""The web viewer's window of curves: the reward, its terms, the metrics."""

import math

import numpy as np
from mujoco.studio.dear_imgui import dear_imgui as imgui
from mujoco.studio.implot import implot

from sims.viewers.curves import SPAN, CurvesView

MOST_METRICS = 4
"""As many are drawn, each in a plot of its own, since their units differ."""
_WIDTH, _MARGIN = 440.0, 16.0
"""Of a plot, and of the window from the page's edge [pixels]."""
_STRIP = 0.07
"""Height of the strip that shows success, of the plot's."""


def build_curves_gui(view: CurvesView | None) -> None:
    """The window, at the right edge of the page."""
    size = imgui.GetIO().DisplaySize
    first = int(imgui.Cond.FirstUseEver)
    corner = imgui.Vec2(size.x - _plot_width() - 2 * _MARGIN, _MARGIN)
    imgui.SetNextWindowPos(corner, first)
    flags = imgui.WindowFlags
    plain = int(flags.NoTitleBar) | int(flags.NoNav) | int(flags.NoFocusOnAppearing)
    imgui.Begin("curves", flags=plain | int(flags.AlwaysAutoResize))
    if view is None:
        imgui.TextDisabled("curves begin with the next step")
    else:
        _build_reward_gui(view)
        if len(view.terms) > 1:
            _build_terms_gui(view)
        for name, values in list(view.metrics.items())[:MOST_METRICS]:
            _build_metric_gui(name, view, values)
    imgui.End()


def _build_reward_gui(view: CurvesView) -> None:
    """The reward, and a strip below it while the task is solved."""
    low, high = value_range([view.reward])
    if not _begin("reward", 130, low, high):
        return
    label = f"{latest(view.reward)} reward###reward"
    implot.PlotDummy(label)  # colours go by order: blue ...
    implot.PlotDummy("##orange")
    if view.success is not None:  # ... and green
        strip = low + _STRIP * (high - low) * view.success
        implot.PlotShaded("success", view.times.tolist(), strip.tolist(), low)
    implot.PlotLine(label, view.times.tolist(), view.reward.tolist())
    implot.EndPlot()


def _build_terms_gui(view: CurvesView) -> None:
    low, high = value_range(list(view.terms.values()))
    if _begin("terms", 60 + 18 * max(len(view.terms), 5), low, high):
        for name, values in view.terms.items():
            _line(name, view.times, values)
        implot.EndPlot()


def _build_metric_gui(name: str, view: CurvesView, values: np.ndarray) -> None:
    low, high = value_range([values])
    if _begin(name, 84, low, high):
        _line(name, view.times, values)
        implot.EndPlot()


def _plot_width() -> float:
    return min(_WIDTH, 0.45 * imgui.GetIO().DisplaySize.x)


def _begin(name: str, height: float, low: float, high: float) -> bool:
    """Begin a plot of the last seconds."""
    flags, axis = implot.Flags, implot.AxisFlags
    fixed = int(flags.NoTitle) | int(flags.NoInputs) | int(flags.NoMouseText)
    if not implot.BeginPlot(f"##{name}", imgui.Vec2(_plot_width(), height), fixed):
        return False
    implot.SetupAxes("", "", int(axis.NoLabel), int(axis.NoLabel))
    always = int(implot.Cond.Always)
    implot.SetupAxesLimits(-SPAN, 0.0, low, high, always)
    implot.SetupAxisFormat(int(implot.Axis.X1), "%g s")
    implot.SetupLegend(
        int(implot.Location.NorthEast),
        int(implot.LegendFlags.Outside) | int(implot.LegendFlags.NoButtons),
    )
    return True


def _line(name: str, times: np.ndarray, values: np.ndarray) -> None:
    """One curve; its legend tells the latest value."""
    label = f"{latest(values)} {name}###{name}"
    implot.PlotLine(label, times.tolist(), values.tolist())


def latest(values: np.ndarray) -> str:
    """The last value of a curve, for a legend."""
    return "-" if math.isnan(values[-1]) else f"{values[-1]:.3f}"


def value_range(curves: list[np.ndarray]) -> tuple[float, float]:
    """From 0, or the least value below it, to the most, with some room."""
    seen = np.concatenate(curves)
    seen = seen[np.isfinite(seen)]
    low = min(0.0, float(seen.min(initial=0.0)))
    high = max(0.0, float(seen.max(initial=0.0)))
    room = 0.08 * (high - low) or 1.0
    return low - room * (low < 0), high + room
