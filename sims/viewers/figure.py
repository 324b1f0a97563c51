"""The curves as a figure of MuJoCo's, for its own window, which has no other plots."""

from typing import TYPE_CHECKING

import numpy as np

from sims.viewers.curves import SPAN, CurvesView

if TYPE_CHECKING:
    import mujoco

COLOURS = (
    (0.95, 0.95, 0.95),
    (0.36, 0.63, 0.96),
    (0.95, 0.55, 0.22),
    (0.35, 0.78, 0.42),
    (0.90, 0.33, 0.36),
    (0.66, 0.52, 0.90),
    (0.78, 0.62, 0.45),
    (0.92, 0.56, 0.78),
    (0.85, 0.80, 0.35),
    (0.40, 0.82, 0.84),
)
"""Of the reward, then of its terms; they come again where there are more terms."""
_NAME = 99
"""Longest name of a line [characters]."""


def curves_figure(view: CurvesView) -> "mujoco.MjvFigure":
    """The reward and its terms over the last seconds, each with its latest value.

    Metrics have other units, so that they do not fit into the one figure.
    """
    import mujoco

    figure = mujoco.MjvFigure()
    mujoco.mjv_defaultFigure(figure)
    figure.title = "reward"
    figure.xlabel = "seconds"
    figure.flg_legend = 1
    figure.flg_ticklabel[:] = 1
    figure.flg_extend = 1
    figure.gridsize[:] = 4, 5
    figure.range[0] = -SPAN, SPAN / 2  # the legend takes the right third
    figure.range[1] = 0.0, 0.1  # at least; it extends by itself
    figure.figurergba[:] = 0.1, 0.1, 0.12, 0.6
    figure.legendrgba[:] = 0.1, 0.1, 0.12, 0.6
    lines = {"reward": view.reward}
    if len(view.terms) > 1:
        lines |= view.terms
    for index, (name, values) in enumerate(lines.items()):
        shown = np.isfinite(values)  # MuJoCo draws through a gap
        points = np.stack([view.times[shown], values[shown]], axis=1)
        latest = f"{points[-1, 1]:.3f} " if len(points) else ""
        figure.linename[index] = f"{latest}{name}"[:_NAME].encode()
        figure.linergb[index] = COLOURS[index % len(COLOURS)]
        figure.linepnt[index] = len(points)
        figure.linedata[index, : 2 * len(points)] = points.ravel()
    return figure
