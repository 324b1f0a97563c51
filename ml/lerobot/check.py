"""What is wrong with a dataset? Any LeRobot v3.0 one, damaged or not.

Each check of :data:`CHECKS` looks for one kind of fault that a training would swallow
without a word. A finding names the episode and the frame.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import UsageError
from ml.lerobot import layout
from ml.lerobot.raw import Finding, Raw, load

CHECKS = {
    "files": "missing or unreadable files, columns, episodes",
    "nan": "values that are NaN, infinite or missing",
    "gaps": "frames that are missing, repeated or out of order",
    "rate": "timestamps or videos that do not have the dataset's rate",
    "frozen": "state or picture that stands still while the action changes",
    "clipped": "actions outside of their limits",
    "video": "videos that are missing, too short or cannot be decoded",
    "statistics": "meta/stats.json that is not that of the data",
    "instruction": "episodes without an instruction",
}
"""By name, what each looks for."""

FROZEN_SECONDS = 0.5
"""What stands still for so long is frozen [s] ..."""
FROZEN_ACTION = 0.02
"""... if the action meanwhile changes by this share of its range in the dataset."""
CLIPPED_SHARE = 0.05
"""Share of an episode's frames in which the demonstrator's action may be cut off."""
TIME_TOLERANCE = 1e-4
"""Of timestamps [s], as LeRobot has it."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What :func:`check` found."""

    folder: Path
    episodes: int
    frames: int
    videos: int
    """How many were decoded."""
    findings: list[Finding]

    def count(self, name: str) -> int:
        """How many findings a check has."""
        return sum(finding.check == name for finding in self.findings)


def check(folder: Path, *, videos: bool = True) -> Report:
    """Look at all of a dataset.

    Args:
        folder: of the dataset.
        videos: whether to decode the videos, which takes most of the time.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a dataset: there is no such folder")
    raw = load(folder)
    decoded = 0
    if raw.features:
        _check_limits(raw)
        for index in sorted(raw.rows.keys() | raw.places.keys()):
            frames = raw.episode(index)
            _check_length(raw, index, frames)
            _check_nan(raw, index, frames)
            _check_gaps(raw, index, frames)
            _check_times(raw, index, frames)
            _check_frozen(raw, index, frames)
            _check_clipped(raw, index, frames)
            _check_instruction(raw, index, frames)
        _check_statistics(raw)
        if videos and layout.video_keys(raw.features):
            from ml.lerobot.check_video import check_videos

            decoded = check_videos(raw)
    return Report(
        folder=folder,
        episodes=len(raw.rows),
        frames=max((len(v) for v in raw.frames.values()), default=0),
        videos=decoded,
        findings=sorted(raw.findings, key=_order),
    )


def still_runs(still: np.ndarray, least: int) -> list[tuple[int, int]]:
    """First and last frame of each stretch in which nothing changes.

    Args:
        still: (n - 1,) whether frame t + 1 is the same as frame t.
        least: how many frames without a change count.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still, [0]]).astype(int)))
    pairs = edges.reshape(-1, 2)
    return [(int(a), int(b)) for a, b in pairs if b - a >= least]


def least_still(raw: Raw) -> int:
    """Frames without a change that count as frozen."""
    return max(2, round(FROZEN_SECONDS * raw.fps))


def moves(raw: Raw, action: np.ndarray) -> bool:
    """Whether a stretch of actions (n, size) changes noticeably."""
    if not len(action) or layout.ACTION not in raw.frames:
        return False
    scale = np.ptp(raw.frames[layout.ACTION].astype(float), axis=0)
    change = np.ptp(action.astype(float), axis=0)
    return bool((change > np.maximum(FROZEN_ACTION * scale, 1e-12)).any())


def _order(finding: Finding) -> tuple[int, int, int]:
    episode = -1 if finding.episode is None else finding.episode
    frame = -1 if finding.frame is None else finding.frame
    return list(CHECKS).index(finding.check), episode, frame


def _check_length(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    there = len(frames.get("episode_index", ()))
    if index not in raw.rows:
        raw.note("files", f"has {there} frames and no row in meta/episodes", index)
    elif frames and raw.rows[index].get("length") != there:
        promised = raw.rows[index].get("length")
        raw.note("files", f"has {there} frames, {promised} are promised", index)


def _check_nan(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    for key, values in frames.items():
        if values.dtype.kind != "f":
            continue
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, element = bad[0]
            value = values[frame, element]
            text = f"{key}[{element}] is {value}; {len(bad)} such values in the episode"
            raw.note("nan", text, index, int(frame))


def _check_gaps(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    if "frame_index" not in frames:
        return
    numbers = frames["frame_index"][:, 0].astype(int)
    if len(numbers) and numbers[0] != 0:
        raw.note("gaps", f"begins with frame {numbers[0]}, not 0", index, 0)
    for at in np.flatnonzero(np.diff(numbers) != 1):
        before, after = int(numbers[at]), int(numbers[at + 1])
        if after == before:
            text = f"frame {before} is repeated"
        elif after > before:
            text = f"{after - before - 1} frames are missing after frame {before}"
        else:
            text = f"frame {after} comes after frame {before}"
        raw.note("gaps", text, index, before)


def _check_times(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    if "timestamp" not in frames or "frame_index" not in frames:
        return
    times = frames["timestamp"][:, 0].astype(float)
    wanted = frames["frame_index"][:, 0] / raw.fps
    tolerance = TIME_TOLERANCE + np.abs(wanted) * np.finfo(np.float32).eps
    bad = np.flatnonzero(~(np.abs(times - wanted) <= tolerance))
    if len(bad):
        steps = np.diff(times)
        seconds = float(np.median(steps)) if len(steps) else 0.0
        rate = f"{1 / seconds:.1f}" if seconds > 0 else "no"
        text = (
            f"is at {times[bad[0]]:.4f} s, not {wanted[bad[0]]:.4f} s; the timestamps "
            f"have {rate} Hz, the dataset {raw.fps:g} Hz"
        )
        raw.note("rate", text, index, int(bad[0]))


def _check_frozen(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    """The robot's own state; objects may lie still while the robot moves."""
    key = layout.OBSERVATION
    if key not in frames or layout.ACTION not in frames:
        return
    state = frames[key]
    still = (state[1:] == state[:-1]).all(1)
    for first, last in still_runs(still, least_still(raw)):
        if moves(raw, frames[layout.ACTION][first:last]):
            seconds = (last - first) / raw.fps
            text = f"{key} stands still for {seconds:.2f} s while the action changes"
            raw.note("frozen", text, index, first)


def _check_limits(raw: Raw) -> None:
    feature = raw.features.get(layout.ACTION, {})
    size = feature.get("shape", [0])[0]
    for name in ("low", "high"):
        if name in feature and len(feature[name]) != size:
            raw.note("clipped", f"'action' has {size} elements and not as many {name}s")
            del feature[name]


def _check_clipped(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    feature, action = raw.features.get(layout.ACTION, {}), frames.get(layout.ACTION)
    if action is not None and {"low", "high"} <= feature.keys():
        low, high = np.asarray(feature["low"]), np.asarray(feature["high"])
        slack = 1e-6 * (high - low)
        outside = np.argwhere((action < low - slack) | (action > high + slack))
        if len(outside):
            frame, element = outside[0]
            text = (
                f"action[{element}] is {action[frame, element]:g}, its limits are "
                f"{low[element]:g} and {high[element]:g}; {len(outside)} such values"
            )
            raw.note("clipped", text, index, int(frame))
    cut = frames.get(layout.CLIPPED)
    if cut is not None and len(cut) and (cut > 0).mean() > CLIPPED_SHARE:
        text = (
            f"the demonstrator's action was cut off at its limits in "
            f"{(cut > 0).mean():.0%} of the frames"
        )
        raw.note("clipped", text, index, int(np.flatnonzero(cut[:, 0] > 0)[0]))


def _check_instruction(raw: Raw, index: int, frames: dict[str, np.ndarray]) -> None:
    texts = (raw.rows.get(index) or {}).get("tasks") or []
    if not any(str(text).strip() for text in texts):
        raw.note("instruction", "no instruction", index)
    numbers = frames.get("task_index")
    if numbers is None or not len(numbers):
        return
    unknown = np.flatnonzero(~np.isin(numbers[:, 0], np.arange(len(raw.instructions))))
    if len(unknown):
        number, many = numbers[unknown[0], 0], len(raw.instructions)
        text = f"task_index {number} is none of the {many} in {layout.TASKS}"
        raw.note("instruction", text, index, int(unknown[0]))


def _check_statistics(raw: Raw) -> None:
    for key, values in raw.frames.items():
        noted = raw.stats.get(key)
        if not isinstance(noted, dict):
            if raw.stats:
                raw.note("statistics", f"{layout.STATS} has nothing on {key!r}")
            continue
        finite = values.astype(float)
        if not len(finite) or not np.isfinite(finite).all():
            continue
        text = _wrong_statistic(noted, finite)
        if text:
            raw.note("statistics", f"{key}: {text}")


def _wrong_statistic(noted: dict[str, Any], values: np.ndarray) -> str | None:
    """What is wrong with the statistics of (n, size) values; None: nothing."""
    spread = np.ptp(values, axis=0)
    slack = 1e-3 * spread + 1e-5 * np.abs(values).max(0) + 1e-6
    for name, found in (
        ("min", values.min(0)),
        ("max", values.max(0)),
        ("mean", values.mean(0)),
        ("std", values.std(0)),
    ):
        try:
            given = np.ravel(np.asarray(noted[name], float))
        except (KeyError, TypeError, ValueError):
            return f"no {name}"
        if given.shape != found.shape:
            return f"{name} has {given.size} elements, not {found.size}"
        bad = np.flatnonzero(~(np.abs(given - found) <= slack))
        if len(bad):
            at = bad[0]
            return f"{name}[{at}] is {given[at]:g}, that of the data is {found[at]:g}"
    if np.ravel(noted.get("count", [-1]))[0] != len(values):
        return f"count is {noted.get('count')}, there are {len(values)} frames"
    return None
