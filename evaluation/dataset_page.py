"""One self-contained page that shows a dataset: episodes as curves and video.

Like the report (:mod:`evaluation.report`) it asks the network for nothing. Pictures are
made smaller and encoded again for the page, so that it stays light.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError
from evaluation.dataset_plots import panel_svg, panels
from ml.files import write_bytes
from ml.lerobot.layout import ACTION, PREFIX

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations

TEMPLATE = "dataset.html.j2"
SHOWN = 6
"""Episodes of the page, where none are asked for."""
VIDEO_WIDTH = 480
"""The most of a video on the page [pixels]."""
VIDEO_FPS = 25


@dataclass(frozen=True, kw_only=True)
class Page:
    """What :func:`write_page` made."""

    path: Path
    episodes: list[int]
    """That it shows."""
    warnings: list[str]
    """Videos that are missing from it, and why."""


def write_page(folder: Path, episodes: Sequence[int], out: Path) -> Page:
    """Draw episodes of a dataset.

    Args:
        folder: of the dataset.
        episodes: which; none: the first :data:`SHOWN`.
        out: the page's file.

    Raises:
        UsageError: no such dataset or episode.
        SandbotError: it is damaged, or the page cannot be written.
    """
    from ml.lerobot import read_dataset

    data = read_dataset(folder)
    chosen = list(episodes) or list(range(min(SHOWN, len(data.episodes))))
    for index in chosen:
        data.episode(index)
    warnings: list[str] = []
    text = render(data, chosen, warnings)
    write_bytes(out, text.encode())
    return Page(path=out, episodes=chosen, warnings=warnings)


def render(data: "Demonstrations", chosen: Sequence[int], warnings: list[str]) -> str:
    """The page as text; what cannot be shown is added to ``warnings``."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["short"] = lambda x: f"{x:.3g}"
    source = (Path(__file__).parent / TEMPLATE).read_text(encoding="utf-8")
    drawn = panels(data, chosen)
    return environment.from_string(source).render(
        name=data.folder.resolve().name,
        about=data.about,
        robot=data.info.get("robot_type") or "",
        fps=data.info["fps"],
        cards=_cards(data),
        bars=_bars(data, chosen),
        instructions=_instructions(data),
        episodes=[_episode(data, index, drawn, warnings) for index in chosen],
        statistics=_statistics(data),
        warnings=warnings,
    )


def solved(data: "Demonstrations") -> np.ndarray | None:
    """(episodes,) whether each ended in success; None: the dataset does not tell."""
    success = data.frames.get("next.success")
    unmeasured = data.about.get("successes", 0) is None
    return (
        None
        if success is None or unmeasured
        else success[data.bounds[:, 1] - 1].astype(bool)
    )


def _cards(data: "Demonstrations") -> list[tuple[str, str, str]]:
    """(title, figure, remark)"""
    lengths = np.diff(data.bounds, axis=1)[:, 0]
    seconds = lengths * data.control_dt
    good = solved(data)
    size = sum(file.stat().st_size for file in data.folder.rglob("*") if file.is_file())
    cards = [
        ("episodes", f"{len(lengths)}", f"{seconds.sum() / 60:.1f} minutes"),
        (
            "length",
            f"{seconds.mean():.1f} s",
            f"{seconds.min():.1f} to {seconds.max():.1f} s",
        ),
        ("frames", f"{lengths.sum():,}", f"{size / 1e6:.1f} MB on disk"),
    ]
    if good is not None:
        of = f"{good.sum()} of {len(good)} in the dataset"
        cards.insert(1, ("success", f"{good.mean():.0%}", of))
    tried, hit = data.about.get("attempts"), data.about.get("successes")
    if tried and hit is not None:
        remark = f"{hit} of {tried} attempts"
        cards.insert(2, ("demonstrator", f"{hit / tried:.0%}", remark))
    return cards


def _bars(data: "Demonstrations", chosen: Sequence[int]) -> list[dict[str, Any]]:
    """A bar for each episode, as high as it is long."""
    lengths, good = np.diff(data.bounds, axis=1)[:, 0], solved(data)
    return [
        {
            "episode": index,
            "height": 100 * length / lengths.max(),
            "kind": "plain" if good is None else "good" if good[index] else "bad",
            "seconds": length * data.control_dt,
            "shown": index in chosen,
        }
        for index, length in enumerate(lengths)
    ]


def _instructions(data: "Demonstrations") -> list[tuple[str, int]]:
    """Each instruction, and of how many episodes it is."""
    counts: dict[str, int] = {}
    for index in range(len(data.episodes)):
        text = data.instruction(index) or "no instruction"
        counts[text] = counts.get(text, 0) + 1
    return sorted(counts.items(), key=lambda pair: -pair[1])


def _episode(
    data: "Demonstrations", index: int, drawn: list[Any], warnings: list[str]
) -> dict[str, Any]:
    frames, row, good = data.episode(index), data.episodes[index], solved(data)
    outcomes = {
        name.removeprefix("outcomes/").replace("_", " "): value
        for name, value in row.items()
        if name.startswith("outcomes/") and value is not None
    }
    videos = []
    for camera in data.cameras:
        try:
            videos.append((camera, _video(data.video(index, camera), data.info["fps"])))
        except SandbotError as error:
            warnings.append(f"episode {index}, {camera}: {error}")
    cut = frames.get("clipped")
    return {
        "index": index,
        "good": None if good is None else bool(good[index]),
        "instruction": data.instruction(index),
        "seconds": len(frames["frame_index"]) * data.control_dt,
        "frames": len(frames["frame_index"]),
        "seed": row.get("seed"),
        "id": row.get("id"),
        "outcomes": outcomes,
        "clipped": 0 if cut is None else int((cut > 0).sum()),
        "total": float(frames["next.reward"].sum())
        if "next.reward" in frames
        else None,
        "videos": videos,
        "plots": [(one, panel_svg(one, frames, data.control_dt)) for one in drawn],
    }


def _video(pictures: np.ndarray, fps: float) -> str:
    """A smaller film as a ``data:`` address."""
    from evaluation.videos import encode

    every = max(1, round(fps / VIDEO_FPS))
    step = -(-pictures.shape[2] // VIDEO_WIDTH)
    thin = pictures[::every, ::step, ::step]
    thin = thin[:, : thin.shape[1] // 2 * 2, : thin.shape[2] // 2 * 2]
    mp4 = encode(thin, max(1, round(fps / every)))
    return f"data:video/mp4;base64,{base64.b64encode(mp4).decode('ascii')}"


def _statistics(data: "Demonstrations") -> list[dict[str, Any]]:
    """Each element of each vector: its range, and where most of it lies."""
    from ml.lerobot.statistics import of_numbers

    found = []
    for key in (*(PREFIX + group for group in data.groups), ACTION):
        stats, names = of_numbers(data.vectors(key)), data.names(key)
        feature = data.info["features"][key]
        rows = []
        for i, low in enumerate(stats["min"]):
            high = stats["max"][i]
            span = high - low or 1.0
            rows.append(
                {
                    "name": names[i] if i < len(names) else str(i),
                    "unit": (feature.get("units") or [""] * len(stats["min"]))[i],
                    **{name: stats[name][i] for name in ("min", "max", "mean", "std")},
                    "from": 100 * (stats["q10"][i] - low) / span,
                    "wide": 100 * (stats["q90"][i] - stats["q10"][i]) / span,
                    "middle": 100 * (stats["q50"][i] - low) / span,
                }
            )
        found.append({"name": key, "rows": rows})
    return found
