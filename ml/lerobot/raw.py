"""What can still be read of a dataset that may be damaged, for :mod:`ml.lerobot.check`.

Nothing is raised: each file that is missing, cut or of a wrong shape is a finding.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ml.lerobot import layout, tasks


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong."""

    check: str
    """Name of the check that found it."""
    text: str
    """In words."""
    episode: int | None = None
    """None: the dataset as a whole."""
    frame: int | None = None
    """In the episode; None: the episode as a whole."""


@dataclass
class Raw:
    """As much as could be read."""

    folder: Path
    info: dict[str, Any] = field(default_factory=dict)
    features: layout.Features = field(default_factory=dict)
    """Those whose description makes sense."""
    fps: float = 0.0
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    """``meta/episodes``, by episode."""
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    """(frames, size) of all the columns that are as described, in the files' order."""
    stats: dict[str, Any] = field(default_factory=dict)
    instructions: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def note(self, check: str, text: str, *where: int | None) -> None:
        """Remember a finding; ``where`` is episode and frame."""
        episode, frame = (*where, None, None)[:2]
        self.findings.append(
            Finding(check=check, text=text, episode=episode, frame=frame)
        )

    @cached_property
    def places(self) -> dict[int, np.ndarray]:
        """Rows of :attr:`frames` by episode, once all files are read."""
        if "episode_index" not in self.frames:
            return {}
        numbers = self.frames["episode_index"][:, 0]
        order = np.argsort(numbers, kind="stable")
        found, first = np.unique(numbers[order], return_index=True)
        parts = np.split(order, first[1:])
        return {int(i): p for i, p in zip(found, parts, strict=True) if np.isfinite(i)}

    def episode(self, index: int) -> dict[str, np.ndarray]:
        """The frames of one episode."""
        if "episode_index" not in self.frames:
            return {}
        mine = self.places.get(index, np.zeros(0, int))
        return {key: values[mine] for key, values in self.frames.items()}


def load(folder: Path) -> Raw:
    """Read what can be read."""
    raw = Raw(folder)
    if not _load_info(raw):
        return raw
    _load_rows(raw)
    _load_frames(raw)
    stats = _load_json(raw, layout.STATS)
    raw.stats = stats if isinstance(stats, dict) else {}
    try:
        raw.instructions = tasks.read(folder)
    except Exception as error:
        raw.note("instruction", f"{layout.TASKS} cannot be read: {_line(error)}")
    return raw


def _load_info(raw: Raw) -> bool:
    info = _load_json(raw, layout.INFO)
    if not isinstance(info, dict):
        return False
    raw.info = info
    if info.get("codebase_version") != layout.VERSION:
        version = info.get("codebase_version")
        raw.note("files", f"codebase_version is {version!r}, not {layout.VERSION!r}")
    try:
        raw.fps = float(info["fps"])
        described = dict(info["features"])
    except (KeyError, TypeError, ValueError) as error:
        raw.note("files", f"{layout.INFO} has no rate or features: {_line(error)}")
        return False
    if not raw.fps > 0:
        raw.note("rate", f"{layout.INFO} says fps {raw.fps:g}")
        return False
    for key, feature in described.items():
        try:
            _ = [int(size) for size in feature["shape"]], str(feature["dtype"])
            raw.features[key] = feature
        except (KeyError, TypeError, ValueError):
            raw.note("files", f"{layout.INFO} does not say what {key!r} is")
    return True


def _load_rows(raw: Raw) -> None:
    """``meta/episodes``, without the statistics."""
    paths = sorted(raw.folder.glob("meta/episodes/*/*.parquet"))
    if not paths:
        raw.note("files", "meta/episodes is missing")
    for path in paths:
        for row in _read_table(raw, path):
            index = row.get("episode_index")
            if not isinstance(index, int):
                raw.note("files", f"{_name(raw, path)} has a row without an episode")
            elif index in raw.rows:
                raw.note("files", "is twice in meta/episodes", index)
            else:
                keep = {k: v for k, v in row.items() if not k.startswith("stats/")}
                raw.rows[index] = keep
    promised = raw.info.get("total_episodes")
    if promised != len(raw.rows):
        raw.note(
            "files",
            f"{layout.INFO} promises {promised} episodes, meta/episodes has "
            f"{len(raw.rows)}",
        )


def _read_table(raw: Raw, path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read().to_pylist()
    except Exception as error:
        raw.note("files", f"{_name(raw, path)} cannot be read: {_line(error)}")
        return []


def _load_frames(raw: Raw) -> None:
    import pyarrow.parquet as pq

    paths = sorted(raw.folder.glob("data/*/*.parquet"))
    named = {
        layout.DATA.format(
            chunk_index=int(row.get("data/chunk_index") or 0),
            file_index=int(row.get("data/file_index") or 0),
        )
        for row in raw.rows.values()
    }
    for name in sorted(named - {_name(raw, path) for path in paths}):
        raw.note("files", f"{name} is missing")
    parts: dict[str, list[np.ndarray]] = {}
    for path in paths:
        try:
            table = pq.ParquetFile(path).read()
        except Exception as error:
            raw.note("files", f"{_name(raw, path)} cannot be read: {_line(error)}")
            continue
        for key in layout.number_keys(raw.features):
            values = _column(raw, path, table, key)
            if values is not None:
                parts.setdefault(key, []).append(values)
    whole = {key: np.concatenate(values) for key, values in parts.items()}
    longest = max((len(values) for values in whole.values()), default=0)
    raw.frames = {k: v for k, v in whole.items() if len(v) == longest}
    promised = raw.info.get("total_frames")
    if promised != longest:
        raw.note(
            "files",
            f"{layout.INFO} promises {promised} frames, the data files have {longest}",
        )


def _column(raw: Raw, path: Path, table: Any, key: str) -> np.ndarray | None:
    """(n, size), missing values as NaN; None where it is not as described."""
    import pyarrow as pa

    if key not in table.column_names:
        raw.note("files", f"{_name(raw, path)} has no column {key!r}")
        return None
    values = table.column(key).combine_chunks()
    size = int(raw.features[key]["shape"][0])
    flat = values.flatten() if pa.types.is_nested(values.type) else values
    if len(flat) != table.num_rows * size:
        raw.note(
            "files",
            f"{_name(raw, path)}: {key!r} has not {size} elements in each frame",
        )
        return None
    if flat.null_count:
        flat = flat.cast(pa.float64())
    return flat.to_numpy(zero_copy_only=False).reshape(-1, size)


def _load_json(raw: Raw, name: str) -> Any:
    try:
        return json.loads((raw.folder / name).read_text())
    except FileNotFoundError:
        raw.note("files", f"{name} is missing")
    except (OSError, ValueError) as error:
        raw.note("files", f"{name} cannot be read: {_line(error)}")
    return None


def _name(raw: Raw, path: Path) -> str:
    return path.relative_to(raw.folder).as_posix()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
