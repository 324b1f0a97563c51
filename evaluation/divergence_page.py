"""The page and the figures of a comparison of two engines: ``divergence.html`` and
``divergence.json``. Like the report it asks the network for nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.causes import REST
from evaluation.divergence import Comparison
from evaluation.divergence_curves import ANGLE, DISTANCE, TERM
from evaluation.files import writable_folder
from evaluation.machine import machine
from evaluation.one_step import LAYERS
from evaluation.verdicts import Part, Verdict
from ml.files import write_bytes, write_json
from ml.provenance import commit, versions

PAGE = "divergence.html"
FIGURES = "divergence.json"
TEMPLATE = "divergence.html.j2"
STYLE = "page.css"


@dataclass(frozen=True, kw_only=True)
class GroupSummary:
    """One group of bodies over all episodes."""

    group: str
    parted: int
    """Episodes in which it parts."""
    time: float
    """Median of when, over these [s]."""
    bodies: dict[str, int]
    """Which body was farthest off then: how often each, the most frequent first."""
    causes: dict[str, int]
    """Why: how often each."""


@dataclass(frozen=True, kw_only=True)
class TermSummary:
    """One term of the reward, means over all episodes."""

    name: str
    first: float
    second: float
    apart: float
    """Of the size of the difference, step by step."""
    at_frame: float | None
    """Over the episodes that part: the difference where they do."""
    total: float
    """Of the sums' difference."""


def groups(comparison: Comparison) -> list[GroupSummary]:
    """Each group of bodies that parts in some episode, the one to part first first."""
    parts: dict[str, list[Part]] = {}
    for verdict in comparison.episodes:
        for part in verdict.parts:
            parts.setdefault(part.group, []).append(part)
    rows = [
        GroupSummary(
            group=group,
            parted=len(own),
            time=float(np.median([part.time for part in own])),
            bodies=_counts([part.body for part in own]),
            causes=_counts([part.cause.kind for part in own]),
        )
        for group, own in parts.items()
    ]
    return sorted(rows, key=lambda row: (row.time, -row.parted))


def terms(comparison: Comparison) -> list[TermSummary]:
    """Each term of the reward."""
    rows = []
    for name in comparison.episodes[0].terms:
        gaps = [verdict.terms[name] for verdict in comparison.episodes]
        at = [gap.at_frame for gap in gaps if gap.at_frame is not None]
        rows.append(
            TermSummary(
                name=name,
                first=float(np.mean([gap.first for gap in gaps])),
                second=float(np.mean([gap.second for gap in gaps])),
                apart=float(np.mean([gap.apart for gap in gaps])),
                at_frame=float(np.mean(at)) if at else None,
                total=float(np.mean([gap.total for gap in gaps])),
            )
        )
    return rows


def write_comparison(
    folder: str | Path, comparison: Comparison, command: str
) -> tuple[Path, Path]:
    """Write both files, each whole or not at all; returns page and figures.

    Args:
        folder: made if it is missing.
        comparison: of :func:`evaluation.divergence.diverge`.
        command: that produces it again.

    Raises:
        SandbotError: the folder cannot be written to.
    """
    path = writable_folder(folder)
    source = {"command": command, "commit": commit(), "versions": versions()}
    figures = path / FIGURES
    write_json(figures, plain(comparison) | source)
    page = path / PAGE
    write_bytes(page, render(comparison, source).encode())
    return page, figures


def plain(comparison: Comparison) -> dict[str, Any]:
    """All of it but the curves, as plain data, with the summaries."""
    facts = {
        name: getattr(comparison, name)
        for name in (
            *("task", "policy", "engines", "versions", "randomize", "seed"),
            "control_dt",
        )
    }
    facts["engine_versions"] = facts.pop("versions")
    return facts | {
        "tolerances": asdict(comparison.tolerances),
        "groups": [asdict(row) for row in groups(comparison)],
        "terms": [asdict(row) for row in terms(comparison)],
        "episodes": [asdict(verdict) for verdict in comparison.episodes],
    }


def render(comparison: Comparison, source: dict[str, Any]) -> str:
    """The page as text.

    Args:
        comparison: what was found.
        source: command, commit and versions.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["length"] = length_text
    environment.filters["turn"] = lambda x: f"{x if x > 1e-9 else 0:.3g} rad"
    environment.filters["short"] = lambda x: f"{x:.3g}"
    environment.filters["counts"] = counts_text
    here = Path(__file__).parent
    text = (here / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text).render(
        style=(here / STYLE).read_text(encoding="utf-8"),
        c=comparison,
        groups=groups(comparison),
        terms=terms(comparison),
        earliest=earliest(comparison),
        kinds={kind: index for index, kind in enumerate((*LAYERS, REST))},
        solved=_solved(comparison.episodes),
        figures=_figures(comparison),
        source=source,
        machine=machine(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def earliest(comparison: Comparison) -> dict[str, Any] | None:
    """Of the first part of each episode that parts: median time, bodies and causes."""
    first = [verdict.parts[0] for verdict in comparison.parted]
    if not first:
        return None
    return {
        "time": float(np.median([part.time for part in first])),
        "bodies": _counts([part.body for part in first]),
        "causes": _counts([part.cause.kind for part in first]),
    }


def length_text(metres: float) -> str:
    """A length as people write it."""
    if metres >= 1:
        return f"{metres:.2f} m"
    return f"{1e3 * metres:.3g} mm" if metres >= 1e-5 else f"{1e6 * metres:.2g} µm"


def counts_text(counts: dict[str, int]) -> str:
    """How often each was, as people write it."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _counts(names: Sequence[str]) -> dict[str, int]:
    from collections import Counter

    return dict(Counter(names).most_common())


def _solved(verdicts: Sequence[Verdict]) -> tuple[int, int] | None:
    """Episodes that are solved in each; None: the task measures no success."""
    pairs = [v.solved for v in verdicts if v.solved is not None]
    return (sum(p[0] for p in pairs), sum(p[1] for p in pairs)) if pairs else None


def _figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Two sections: what is apart, and the terms of the reward."""
    from evaluation.plots import band, curve_svg, shared_axis

    levels = {
        DISTANCE: comparison.tolerances.position,
        ANGLE: comparison.tolerances.angle,
    }
    figures = []
    for name, lines in comparison.curves.items():
        bands = {
            line: band(rows, comparison.control_dt) for line, rows in lines.items()
        }
        term = name.startswith(TERM)
        axis = shared_axis(list(bands.values()), error=not term)
        if name in levels:
            axis = replace(axis, high=max(axis.high, 1.5 * levels[name]))
        colours = {line: index % 4 for index, line in enumerate(bands)}
        figures.append(
            {
                "name": name,
                "term": term,
                "log": axis.log,
                "colours": colours,
                "svg": curve_svg(bands, axis, colours, levels.get(name)),
            }
        )
    return figures
