"""The checks that decode videos."""

from dataclasses import dataclass

import numpy as np

from assets.errors import SandbotError
from ml.lerobot import layout
from ml.lerobot.check import least_still, moves, still_runs
from ml.lerobot.raw import Raw
from ml.lerobot.reader import video_place
from ml.lerobot.video import decode, rate

USUAL = 0.5
"""A camera that sees nothing move at some time in more of the episodes than this is one
that looks at what stands still (at the wrist of the arm that waits), not a frozen
one."""
FEW = 4
"""With fewer episodes it cannot be told what is usual."""
LEVELS = 16
"""A pixel that changes by less is the codec's doing, which never repeats a picture to
the bit ..."""
PIXELS = 1e-4
"""... and a picture of which at most this share changes is the same."""
MEAN_TOLERANCE = 0.05
"""Of the mean of pixel values in [0, 1]; the codec changes them a little."""


@dataclass
class _Seen:
    """What one video showed."""

    frames: int
    still: np.ndarray
    mean: np.ndarray
    """(3,) of pixel values in [0, 1]."""


def check_videos(raw: Raw) -> int:
    """Decode all videos once; returns how many there are."""
    decoded = 0
    for key in layout.video_keys(raw.features):
        frozen: dict[int, list[tuple[int, int]]] = {}
        dead: set[int] = set()
        means: list[tuple[int, np.ndarray]] = []
        for index in sorted(raw.rows):
            seen = _watch(raw, index, key)
            if seen is None:
                continue
            decoded += 1
            means.append((seen.frames, seen.mean))
            action = raw.episode(index).get(layout.ACTION, np.zeros((0, 1)))
            runs = still_runs(seen.still, least_still(raw))
            frozen[index] = [r for r in runs if moves(raw, action[r[0] : r[1]])]
            if len(seen.still) and seen.still.all():
                dead.add(index)
        _note_frozen(raw, key, frozen, dead)
        _check_mean(raw, key, means)
    return decoded


def _watch(raw: Raw, index: int, key: str) -> _Seen | None:
    """Decode an episode's video; None, and a finding, where that fails."""
    row = raw.rows[index]
    wanted = int(row.get("length") or 0)
    try:
        path, start, end = video_place(raw.folder, raw.info, row, key)
        if not path.is_file():
            name = path.relative_to(raw.folder).as_posix()
            raw.note("video", f"{name} is missing", index)
            return None
        found = rate(path)
        if abs(found - raw.fps) > 0.01 * raw.fps:
            text = f"{key} has {found:g} frames per second, the data {raw.fps:g}"
            raw.note("rate", text, index)
        if abs((end - start) * raw.fps - wanted) > 0.5:
            text = f"{key} lasts {end - start:.2f} s, the data {wanted / raw.fps:.2f} s"
            raw.note("rate", text, index)
        still, first, total, count = [], None, np.zeros(3), 0
        for _, picture in decode(path, start, wanted, raw.fps):
            green = picture[..., 1].astype(np.int16)
            if first is not None:
                still.append(_same(first, green))
            if first is None or not still[-1]:
                first = green  # of a stretch without a change: slow motions add up
            total += picture[::4, ::4].reshape(-1, 3).mean(0) / 255
            count += 1
    except SandbotError as error:
        raw.note("video", str(error).replace(f"{raw.folder}/", ""), index)
        return None
    if count != wanted:
        raw.note("video", f"{key} has {count} frames, the data {wanted}", index, count)
    if not count:
        return None
    return _Seen(frames=count, still=np.array(still, bool), mean=total / count)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures (height, width) show the same."""
    return bool((np.abs(one - other) > LEVELS).mean() <= PIXELS)


def _note_frozen(
    raw: Raw, key: str, frozen: dict[int, list[tuple[int, int]]], dead: set[int]
) -> None:
    """Note pictures that stand still, unless that is what this camera usually sees."""
    concerned = [index for index, runs in frozen.items() if runs and index not in dead]
    usual = len(frozen) >= FEW and len(concerned) > USUAL * len(frozen)
    for index, runs in frozen.items():
        for first, last in runs if index in dead or not usual else []:
            seconds = (last - first) / raw.fps
            text = f"{key} stands still for {seconds:.2f} s while the action changes"
            raw.note("frozen", text, index, first)


def _check_mean(raw: Raw, key: str, means: list[tuple[int, np.ndarray]]) -> None:
    noted = raw.stats.get(key)
    if not raw.stats or not means:
        return
    if not isinstance(noted, dict) or np.size(noted.get("mean", [])) != 3:
        raw.note("statistics", f"{layout.STATS} has no mean of each channel of {key!r}")
        return
    weights = np.array([frames for frames, _ in means], float)
    found = np.average([mean for _, mean in means], axis=0, weights=weights)
    given = np.ravel(np.asarray(noted["mean"], float))
    if (np.abs(given - found) > MEAN_TOLERANCE).any():
        raw.note(
            "statistics",
            f"{key}: mean is {np.round(given, 3).tolist()}, that of the videos is "
            f"{np.round(found, 3).tolist()}",
        )
