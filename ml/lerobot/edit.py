"""Merge datasets into one, and split one into several.

Episodes keep their numbers, instructions, seeds and videos (files are linked or copied,
never encoded again); indices, tasks and statistics are made anew. Where an episode was
recorded stays known: "sources" in ``info.json`` lists what each dataset noted, and an
episode's columns "source" and "source_episode" point there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError, UsageError
from ml.lerobot import layout
from ml.lerobot.reader import Demonstrations, read_dataset, read_rows, video_place
from ml.lerobot.store import Store
from ml.lerobot.video import StoredVideo
from ml.provenance import command, commit

Choice = tuple[Demonstrations, int]
"""An episode of a dataset."""
_MADE_ANEW = ("episode_index", "tasks", "length")
_MADE_ANEW_STEMS = ("data/", "videos/", "meta/", "dataset_", "stats/")
_OWN_TO_A_RUN = ("command", "commit", "attempts", "successes", "sources")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A dataset that was made."""

    folder: Path
    episodes: int
    frames: int


def merge(folders: Sequence[Path], out: Path, *, overwrite: bool = False) -> Written:
    """All episodes of several datasets, in their order.

    Raises:
        UsageError: fewer than two, or ``out`` is one of them, or their features, rates
            or robots differ.
        SandbotError: one is damaged.
    """
    if len(folders) < 2:
        raise UsageError(f"merging takes at least two datasets, got {len(folders)}")
    parts = [read_dataset(Path(folder)) for folder in folders]
    differs = [d for other in parts[1:] for d in differences(parts[0], other)]
    if differs:
        raise UsageError(f"the datasets cannot be merged: {'; '.join(differs)}")
    choices = [(part, i) for part in parts for i in range(len(part.episodes))]
    return write(choices, out, overwrite=overwrite)


def split(
    data: Demonstrations,
    parts: Sequence[Sequence[int]],
    outs: Sequence[Path],
    *,
    overwrite: bool = False,
) -> list[Written]:
    """Some episodes each into datasets of their own.

    Args:
        data: the dataset.
        parts: episodes of each.
        outs: their folders.
        overwrite: whether existing datasets make way.

    Raises:
        UsageError: not as many folders as parts, an empty part, no such episode.
    """
    if len(parts) != len(outs):
        raise UsageError(f"{len(parts)} parts need as many folders, got {len(outs)}")
    for part, out in zip(parts, outs, strict=True):
        if not part:
            raise UsageError(f"no episode is left for {out}: give other parts")
        for index in part:
            data.episode(index)
        if Path(out).exists() and not overwrite:
            raise UsageError(
                f"{out} exists: name another folder, remove it, or ask to overwrite"
            )
    return [
        write([(data, index) for index in part], out, overwrite=overwrite)
        for part, out in zip(parts, outs, strict=True)
    ]


def by_fractions(
    count: int, fractions: Sequence[float], seed: int | None = None
) -> list[list[int]]:
    """Episodes 0 to ``count`` - 1 in parts of these sizes.

    Args:
        count: how many episodes there are.
        fractions: of each part; what is missing to 1 is left out.
        seed: of who goes where; None: in their order.

    Raises:
        UsageError: they are not positive, or more than 1 together.
    """
    if not fractions or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9:
        given = " ".join(f"{part:g}" for part in fractions)
        raise UsageError(
            f"parts are fractions above 0, at most 1 together, got {given or 'none'}"
        )
    order = np.arange(count)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(count)
    ends = np.round(np.cumsum(fractions) * count).astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    return [sorted(order[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]


def by_ranges(ranges: Sequence[str]) -> list[list[int]]:
    """Parts from texts such as "0:40", without its end, or "7".

    Raises:
        UsageError: a text that is no range.
    """
    parts = []
    for text in ranges:
        first, colon, end = text.partition(":")
        try:
            start = int(first)
            parts.append(list(range(start, int(end) if colon else start + 1)))
        except ValueError:
            raise UsageError(
                f"a range of episodes is FIRST:END, such as 0:40, got {text!r}"
            ) from None
    return parts


def by_success(data: Demonstrations) -> list[list[int]]:
    """Those that ended in success, and those that did not.

    Raises:
        UsageError: the dataset does not tell.
    """
    if "next.success" not in data.frames:
        raise UsageError(f"{data.folder} does not tell success: it has no next.success")
    solved = data.frames["next.success"][data.bounds[:, 1] - 1]
    return [np.flatnonzero(solved == good).tolist() for good in (True, False)]


def differences(one: Demonstrations, other: Demonstrations) -> list[str]:
    """What keeps two datasets from being one, in words."""
    found = []
    for name in ("fps", "robot_type"):
        a, b = one.info.get(name), other.info.get(name)
        if a != b:
            found.append(f"{name} is {a!r} in {one.folder} and {b!r} in {other.folder}")
    features = one.info["features"], other.info["features"]
    for key in dict.fromkeys((*features[0], *features[1])):
        if not all(key in side for side in features):
            has, lacks = (one, other) if key in features[0] else (other, one)
            found.append(f"{key!r} is in {has.folder} and not in {lacks.folder}")
            continue
        a, b = (side[key] for side in features)
        names = [n for n in dict.fromkeys((*a, *b)) if a.get(n) != b.get(n)]
        for name in ["shape"] if "shape" in names else names:
            was, now = _first_difference(a.get(name), b.get(name))
            found.append(
                f"{name} of {key!r} is {was} in {one.folder} and {now} in "
                f"{other.folder}"
            )
    return found


def write(choices: Sequence[Choice], out: Path, *, overwrite: bool = False) -> Written:
    """Episodes of one or more datasets of the same features as a dataset.

    Raises:
        SandbotError: an episode that cannot be copied.
    """
    parts = list({id(data): data for data, _ in choices}.values())
    first = parts[0]
    _check_copyable(first)
    for data in parts:
        if Path(out).resolve() == data.folder.resolve():
            raise UsageError(f"{out} is read from: name another folder")
    offsets, sources = {}, []
    for data in parts:
        offsets[id(data)] = len(sources)
        sources += data.about.get("sources") or [
            {"dataset": data.folder.as_posix(), **data.about}
        ]
    rows = {id(data): read_rows(data.folder) for data in parts}
    store = Store(
        Path(out),
        features=first.info["features"],
        fps=first.info["fps"],
        robot=first.info.get("robot_type"),
        about=_about(parts, sources),
        overwrite=overwrite,
    )
    try:
        for data, index in choices:
            row = dict(rows[id(data)][index])
            row["source"] = offsets[id(data)] + (row.get("source") or 0)
            row.setdefault("source_episode", index)
            _copy(store, data, index, row)
    except BaseException:
        store.close(commit=False)
        raise
    store.close()
    return Written(folder=store.folder, episodes=store.episodes, frames=store.frames)


def _first_difference(a: Any, b: Any) -> tuple[str, str]:
    """Two values in words; of two long lists, where they differ first."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) > 3:
        at = next(
            i for i, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1]
        )
        return f"{a[at]!r} at [{at}]", f"{b[at]!r}"
    return str(a), str(b)


def _copy(store: Store, data: Demonstrations, index: int, row: dict[str, Any]) -> None:
    """Add one episode to another dataset."""
    if len(row.get("tasks") or ()) > 1:
        raise SandbotError(
            f"episode {index} of {data.folder} has several instructions, which cannot "
            f"be copied: {'; '.join(row['tasks'])}"
        )
    own = {
        name: value
        for name, value in row.items()
        if name not in _MADE_ANEW and not name.startswith(_MADE_ANEW_STEMS)
    }
    videos = {}
    for key in layout.video_keys(data.info["features"]):
        path, start, end = video_place(data.folder, data.info, row, key)
        if not path.is_file():
            raise SandbotError(f"there is no video {path}")
        stem = f"stats/{key}/"
        statistics = {
            name.removeprefix(stem): value
            for name, value in row.items()
            if name.startswith(stem)
        }
        videos[key] = StoredVideo(
            path=path, start=start, end=end, statistics=statistics
        )
    store.add(data.episode(index), data.instruction(index), own, videos)


def _about(
    parts: Sequence[Demonstrations], sources: list[dict[str, Any]]
) -> dict[str, Any]:
    """What all sources agree on, and each of them."""
    shared = {
        key: value
        for key, value in parts[0].about.items()
        if key not in _OWN_TO_A_RUN
        and all(part.about.get(key) == value for part in parts)
    }
    return {**shared, "command": command(), "commit": commit(), "sources": sources}


def _check_copyable(data: Demonstrations) -> None:
    carried = {
        *layout.number_keys(data.info["features"]),
        *layout.video_keys(data.info["features"]),
    }
    left = [key for key in data.info["features"] if key not in carried]
    if left:
        raise SandbotError(
            f"{data.folder} has features that are neither vectors nor videos, which "
            f"cannot be copied: {', '.join(left)}"
        )
