"""Datasets merged and split: nothing is lost, and everything is where it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from assets.errors import SandbotError, UsageError
from ml.lerobot import DatasetWriter, Demonstrations, read_dataset
from ml.lerobot.check import check
from ml.lerobot.edit import by_fractions, by_ranges, by_success, merge, split
from ml.spec import ArraySpec

SPECS = {
    "state": ArraySpec(shape=(2,), names=("a", "b")),
    "images.top": ArraySpec(shape=(16, 16, 3), dtype="uint8"),
}


def _write(folder: Path, episodes: int, first: int = 0, **options) -> Path:
    given = {
        "observations": SPECS,
        "action": ArraySpec(shape=(1,)),
        "control_dt": 0.1,
        "robot": "arm",
        "about": {"task": "line", "seed": first, "command": f"made {folder.name}"},
    } | options
    with DatasetWriter(folder, **given) as writer:
        for index in range(first, first + episodes):
            n = 3 + index
            seen = {
                "state": np.random.default_rng(index).normal(size=(n, 2)),
                "images.top": np.full((n, 16, 16, 3), 20 * index, np.uint8),
            }
            for frame, picture in enumerate(seen["images.top"]):
                picture[:, 3 * frame % 16] = 250  # something moves
            writer.add_episode(
                {group: seen[group] for group in given["observations"]},
                np.arange(n)[:, None],
                instruction=("left", "right", "up")[index % 3],
                reward=np.zeros(n),
                success=np.full(n, index % 2 == 0),
                outcomes={"touched": True},
                seed=first,
                identity=index,
            )
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Episodes 0 to 3 in one dataset, 4 to 6 in another."""
    root = tmp_path_factory.mktemp("edit")
    return _write(root / "a", 4), _write(root / "b", 3, first=4)


def _sees(data: Demonstrations, index: int, original: int) -> None:
    """An episode is the one that was recorded as ``original``."""
    n = 3 + original
    episode = data.episode(index)
    state = np.random.default_rng(original).normal(size=(n, 2)).astype(np.float32)
    np.testing.assert_array_equal(episode["observation.state"], state)
    assert (episode["episode_index"] == index).all()
    assert data.episodes[index]["id"] == original
    assert data.episodes[index]["outcomes/touched"] is True
    assert data.instruction(index) == ("left", "right", "up")[original % 3]
    assert abs(np.median(data.video(index, "top")) - 20 * original) < 6


def test_a_merged_dataset_holds_all(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    written = merge(pair, tmp_path / "m")
    assert (written.episodes, written.frames) == (7, 3 * 7 + 21)
    data = read_dataset(tmp_path / "m")
    for index in range(7):
        _sees(data, index, index)
        source = data.origin(index)
        assert source["command"] == f"made {'a' if index < 4 else 'b'}"
        assert source["seed"] == (0 if index < 4 else 4)
        assert data.episodes[index]["source_episode"] == index % 4
    assert data.about["task"] == "line" and "seed" not in data.about
    assert data.info["total_tasks"] == 3
    np.testing.assert_array_equal(data.frames["index"], np.arange(written.frames))
    assert check(tmp_path / "m").findings == []


def test_merging_again_keeps_the_origins(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    merge(pair, tmp_path / "m")
    merge([pair[1], tmp_path / "m"], tmp_path / "mm")
    data = read_dataset(tmp_path / "mm")
    made = [data.origin(index)["command"] for index in range(10)]
    assert made == ["made b"] * 3 + ["made a"] * 4 + ["made b"] * 3
    assert len(data.about["sources"]) == 3


def test_parts_by_fractions(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    data = read_dataset(pair[0])
    parts = by_fractions(4, (0.75, 0.25))
    assert parts == [[0, 1, 2], [3]]
    split(data, parts, [tmp_path / "x", tmp_path / "y"])
    for index in range(3):
        _sees(read_dataset(tmp_path / "x"), index, index)
    last = read_dataset(tmp_path / "y")
    _sees(last, 0, 3)
    assert last.episodes[0]["source_episode"] == 3
    assert last.origin(0)["command"] == "made a"
    for name in ("x", "y"):
        assert check(tmp_path / name).findings == []
    stats = json.loads((tmp_path / "y/meta/stats.json").read_text())
    assert stats["action"]["max"] == [5.0] and stats["action"]["count"] == [6]


def test_fractions_make_every_episode_count_once() -> None:
    for count in (1, 7, 50):
        for seed in (None, 0, 1):
            parts = by_fractions(count, (0.6, 0.3, 0.1), seed)
            assert sorted(i for part in parts for i in part) == list(range(count))
            assert all(part == sorted(part) for part in parts)
    assert by_fractions(50, (0.5, 0.5), 0) != by_fractions(50, (0.5, 0.5), 1)
    assert by_fractions(50, (0.5, 0.5), 1) == by_fractions(50, (0.5, 0.5), 1)
    assert by_fractions(10, (0.2,)) == [[0, 1]]


def test_parts_by_range_and_success(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    assert by_ranges(["0:2", "3"]) == [[0, 1], [3]]
    data = read_dataset(pair[0])
    assert by_success(data) == [[0, 2], [1, 3]]
    split(data, by_success(data), [tmp_path / "good", tmp_path / "bad"])
    bad = read_dataset(tmp_path / "bad")
    _sees(bad, 1, 3)
    assert not bad.frames["next.success"].any()
    merge([tmp_path / "good", tmp_path / "bad"], tmp_path / "again")
    for index, original in enumerate((0, 2, 1, 3)):
        _sees(read_dataset(tmp_path / "again"), index, original)


def test_what_differs_is_named(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cases = {
        "fps is 10 in .* and 20 in": {"control_dt": 0.05},
        "robot_type is 'arm' in .* and 'leg' in": {"robot": "leg"},
        "names of 'observation.state' is": {
            "observations": SPECS | {"state": ArraySpec(shape=(2,), names=("a", "c"))}
        },
        "'observation.images.top' is in .*a and not in": {
            "observations": {"state": SPECS["state"]}
        },
        "low of 'action' is None in": {
            "action": ArraySpec(shape=(1,), low=(0,), high=(1,))
        },
    }
    for number, (message, options) in enumerate(cases.items()):
        other = _write(tmp_path / str(number), 1, **options)
        with pytest.raises(UsageError, match=message):
            merge([pair[0], other], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_wrong_calls_leave_nothing(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    data = read_dataset(pair[0])
    for message, call in {
        "at least two": lambda: merge(pair[:1], tmp_path / "m"),
        "at most 1 together": lambda: by_fractions(4, (0.8, 0.3)),
        "fractions above 0": lambda: by_fractions(4, (1.0, 0.0)),
        "FIRST:END": lambda: by_ranges(["all"]),
        "episodes 0 to 3, got 4": lambda: split(data, [[4]], [tmp_path / "x"]),
        "no episode is left for": lambda: split(data, [[]], [tmp_path / "x"]),
        "need as many folders": lambda: split(data, [[0], [1]], [tmp_path / "x"]),
        "is read from": lambda: merge(pair, pair[0], overwrite=True),
        "exists: name another": lambda: merge(pair, tmp_path.parent),
    }.items():
        with pytest.raises(UsageError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []
    lost = _write(tmp_path / "lost", 2)
    next((lost / "videos").rglob("file-001.mp4")).unlink()
    with pytest.raises(SandbotError, match="there is no video"):
        merge([pair[0], lost], tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["lost"]
