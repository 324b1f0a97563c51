"""Figures of the ladder, drawn from what ``benchmarks/ladder.py`` recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1] / "docs" / "ladder"
SIZE = (7.2, 2.9)
"""[inch]"""
CLIFF = (4, 12)
"""Rows and columns of CliffWalking."""

Part = dict[str, Any]


def draw(parts: dict[str, Part]) -> list[Path]:
    """A picture of each part that is there."""
    import matplotlib

    matplotlib.use("Agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    return [_picture(name, DRAW[name], parts[name]) for name in DRAW if name in parts]


def _picture(name: str, fill: "Callable[[Figure, Part], None]", part: Part) -> Path:
    import matplotlib.pyplot as plt

    style: Any = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "axes.titlesize": 9,
    }
    with plt.rc_context(style):
        figure = plt.figure(figsize=SIZE, layout="constrained")
        fill(figure, part)
        path = FOLDER / f"{name}.webp"
        figure.savefig(path, dpi=130, pil_kwargs={"quality": 80})
        plt.close(figure)
    return path


def _planning(figure: "Figure", part: Part) -> None:
    left, right = figure.subplots(1, 2)
    for name in ("value iteration", "policy iteration"):
        errors = np.array(part["curves"][name])
        left.semilogy(np.arange(1, len(errors) + 1), errors + 1e-13, ".-", label=name)
    left.set(
        xlabel="sweep, or evaluation of a policy",
        ylabel="largest error of v",
        title="the arm's values converge",
    )
    left.legend()
    from benchmarks.ladder_tables import CELLS

    values = np.array(part["curves"]["values"]).reshape(-1, *CELLS)
    shown = right.imshow(
        values[len(values) // 2].T,
        origin="lower",
        aspect="auto",
        extent=(-180, 180, -155, 155),
        cmap="viridis",
    )
    right.set(
        xlabel="shoulder, from the target's direction [deg]",
        ylabel="elbow [deg]",
        title="v*: 0 in the two goals",
    )
    figure.colorbar(shown, ax=right)


def _prediction(figure: "Figure", part: Part) -> None:
    axes = figure.subplots()
    episodes = part["curves"]["episodes"]
    for name in ("Monte Carlo", "TD(0)"):
        _band(axes, episodes, part["curves"][name], name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="episodes",
        ylabel="RMS error of v",
        title="values of one policy of the arm, from experience (range of 5 seeds)",
    )
    axes.legend()


def _cliff(figure: "Figure", part: Part) -> None:
    left, right = figure.subplots(1, 2)
    names = ("SARSA", "expected SARSA", "Q-learning")
    for name in names:
        values = part["curves"][name]
        episodes = np.linspace(0, 500, len(values))
        left.plot(episodes, values, label=name)
    left.set(ylim=(-150, 0), xlabel="episode", ylabel="return", title="while exploring")
    left.legend()
    right.imshow(_world(), cmap="Greys", vmin=0, vmax=2, aspect="auto")
    for index, name in enumerate(names):
        row, column = np.divmod(part["curves"][f"{name}, path"], CLIFF[1])
        right.plot(column, row + 0.12 * (index - 1), ".-", label=name)
    right.set(xticks=[], yticks=[], title="the way without exploring")
    right.text(5.5, 3, "cliff", ha="center", va="center")


def _world() -> np.ndarray:
    world = np.zeros(CLIFF)
    world[-1, 1:-1] = 1
    return world


def _classics(figure: "Figure", part: Part) -> None:
    for axes, world in zip(
        figure.subplots(1, 2), ("FrozenLake-v1", "Taxi-v4"), strict=True
    ):
        for name in ("SARSA", "Q-learning"):
            values = part["curves"][f"{name}, {world}"]
            axes.plot(np.linspace(0, 100, len(values)), values, label=name)
        axes.set(xlabel="episodes [%]", ylabel="return, exploring", title=world)
        axes.legend()


def _arm(figure: "Figure", part: Part) -> None:
    left, right = figure.subplots(1, 2)
    for name, values in part["curves"].items():
        share = np.linspace(0, part["figures"]["episodes"], len(values))
        left.plot(share, -np.array(values), label=name)
    left.set(
        yscale="log", xlabel="episodes", ylabel="moves to the target", title="in cells"
    )
    left.legend()
    rows = part["rows"]
    names = [row["policy"].removeprefix("table of ") for row in rows]
    rate = np.array([row["success_rate"] for row in rows])
    error = np.abs([[row["ci_low"], row["ci_high"]] for row in rows] - rate[:, None])
    right.barh(names, 100 * rate, xerr=100 * error.T, color="tab:green", alpha=0.7)
    right.invert_yaxis()
    right.set(xlabel="success [%]", title="driving the real arm, 95% intervals")


def _exploration(figure: "Figure", part: Part) -> None:
    axes = figure.subplots()
    for name, values in part["curves"].items():
        pulls = np.linspace(0, part["figures"]["pulls"], len(values))
        axes.plot(pulls, 100 * np.array(values), label=name)
    axes.set(
        xlabel="pull", ylabel="best arm pulled [%]", title="1000 bandits of ten arms"
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _learning(figure: "Figure", part: Part) -> None:
    axes = figure.subplots()
    for name, curve in part["curves"].items():
        _band(axes, curve["steps"], curve["returns"], name)
    axes.axhline(475, color="grey", linestyle=":", linewidth=1)
    axes.set(
        xlabel="steps of CartPole",
        ylabel="return of 20 episodes",
        title="while exploring; range of 3 seeds; dotted: solved",
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _band(axes: "Axes", x: list[int], runs: list[list[float]], name: str) -> None:
    """The seeds' mean, and their range."""
    values = np.array(runs)
    (line,) = axes.plot(x, values.mean(0), label=name)
    axes.fill_between(
        x, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, linewidth=0
    )


DRAW: "dict[str, Callable[[Figure, Part], None]]" = {
    "planning": _planning,
    "prediction": _prediction,
    "cliff": _cliff,
    "classics": _classics,
    "arm": _arm,
    "exploration": _exploration,
    "dqn": _learning,
    "reinforce": _learning,
    "a2c": _learning,
}
"""By part."""
