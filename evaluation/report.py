"""One self-contained page: how good, how sure, does it transfer, and how to redo it.

The page asks the network for nothing: style, plots and videos are inside it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.compare import Gap, gaps
from evaluation.files import writable_folder
from evaluation.machine import machine
from evaluation.results import Row, return_interval_text, rows, write_rows
from evaluation.rollout import Rollout
from evaluation.videos import Clip, record_clips
from ml.files import write_bytes

PAGE = "index.html"
TEMPLATE = "report.html.j2"
STYLE = "page.css"
"""Of this page and of :mod:`evaluation.divergence_page`."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What :func:`write_report` left behind."""

    page: Path
    results: Path
    rows: list[Row]
    gaps: list[Gap]
    warning: str | None
    """Why the page has no videos, if it should have."""


def write_report(
    folder: str | Path,
    results: Sequence[Rollout],
    command: str,
    *,
    videos: bool = True,
    divergence: str | None = None,
) -> Written:
    """Write ``results.json`` and ``index.html``, each whole or not at all.

    Args:
        folder: made if it is missing.
        results: of :func:`evaluation.rollout.evaluate`.
        command: that produces them again.
        videos: whether to record a success and a failure of each policy and engine.
        divergence: name of a page in the folder that says where two engines part
            (:mod:`evaluation.divergence_page`); None: there is none.

    Raises:
        SandbotError: the folder cannot be written to.
    """
    path = writable_folder(folder)
    table, pairs = rows(results, command), gaps(results)
    results_file = write_rows(path, table)
    clips, warning = record_clips(results) if videos else ([], None)
    page = path / PAGE
    text = render_page(results, table, pairs, clips, warning, divergence)
    write_bytes(page, text.encode())
    return Written(
        page=page, results=results_file, rows=table, gaps=pairs, warning=warning
    )


def render_page(
    results: Sequence[Rollout],
    table: Sequence[Row],
    pairs: Sequence[Gap],
    clips: Sequence[Clip] = (),
    warning: str | None = None,
    divergence: str | None = None,
) -> str:
    """The page as text.

    Args:
        results: what was measured.
        table: its rows.
        pairs: the same episodes in two engines.
        clips: to show.
        warning: why there are none.
        divergence: see :func:`write_report`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = lambda x: f"{100 * x:.1f}%"
    environment.filters["p_value"] = p_text
    environment.filters["return_interval"] = return_interval_text
    here = Path(__file__).parent
    source = (here / TEMPLATE).read_text(encoding="utf-8")
    engines = list(dict.fromkeys(result.engine for result in results))
    return environment.from_string(source).render(
        style=(here / STYLE).read_text(encoding="utf-8"),
        first=table[0],
        table=table,
        measured=[row for row in table if row["success_rate"] is not None],
        others=[row for row in table if row["success_rate"] is None],
        published=any("benchmark_success_rate" in row for row in table),
        stages=list(dict.fromkeys(name for row in table for name in row["outcomes"])),
        cards=_cards(table),
        gaps=pairs,
        engines={name: index % 4 for index, name in enumerate(engines)},
        policies=list(dict.fromkeys(row["policy"] for row in table)),
        profiles=list(dict.fromkeys(row["randomize"] for row in table)),
        figures=_figures(results, engines),
        clips=[_clip(clip) for clip in clips],
        warning=warning,
        divergence=divergence,
        machine=machine(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def p_text(p: float) -> str:
    """A p-value as people write it."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _cards(table: Sequence[Row]) -> list[dict[str, Row]]:
    """Per policy: its first row, and its lowest one by success, else by return."""
    cards = []
    for policy in dict.fromkeys(row["policy"] for row in table):
        own = [row for row in table if row["policy"] == policy]
        measured = all(row["success_rate"] is not None for row in own)
        judged = "success_rate" if measured else "mean_return"
        lowest = min(own, key=lambda row: row[judged])
        cards.append({"home": own[0], "lowest": lowest})
    return cards


def _figures(
    results: Sequence[Rollout], engines: Sequence[str]
) -> list[dict[str, Any]]:
    """One figure for each metric: a plot for each policy and randomisation."""
    from evaluation.plots import band, curve_svg, shared_axis

    colours = {name: index % 4 for index, name in enumerate(engines)}
    figures = []
    for metric in dict.fromkeys(name for result in results for name in result.curves):
        cells: dict[tuple[str, str], dict[str, Any]] = {}
        for result in results:
            cell = cells.setdefault((result.policy, result.randomize), {})
            cell[result.engine] = band(result.curves[metric], result.control_dt)
        bands = [one for cell in cells.values() for one in cell.values()]
        axis = shared_axis(bands, error="error" in metric)
        plots = [
            {
                "policy": policy,
                "randomize": profile,
                "svg": curve_svg(cell, axis, colours),
            }
            for (policy, profile), cell in cells.items()
        ]
        name = metric.replace("_", " ")
        figures.append({"name": name, "plots": plots, "log": axis.log})
    return figures


def _clip(clip: Clip) -> dict[str, Any]:
    """A clip with its video as a ``data:`` address."""
    encoded = base64.b64encode(clip.mp4).decode("ascii")
    return {"clip": clip, "source": f"data:video/mp4;base64,{encoded}"}
