"""Datasets: what is written is read, at every moment; what is damaged is refused."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import SandbotError, UsageError
from ml.files import sha256
from ml.lerobot import DatasetWriter, read_dataset
from ml.spec import ArraySpec
from tests.processes import start

OBSERVATIONS = {
    "state": ArraySpec(shape=(3,), names=("a", "b", "c"), units=("1", "m", "rad")),
    "environment_state": ArraySpec(shape=(1,), names=("target_x",)),
}
ACTION = ArraySpec(
    shape=(2,), names=("x", "y"), units=("N m", "N m"), low=(-2, -2), high=(2, 2)
)
INSTRUCTIONS = ("draw a line", "draw a circle")
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def _writer(folder: Path, **options) -> DatasetWriter:
    given = {
        "observations": OBSERVATIONS,
        "action": ACTION,
        "control_dt": 0.01,
        "robot": "arm",
        "about": {"task": "line"},
    }
    return DatasetWriter(folder, **(given | options))


def _episode(index: int) -> dict[str, Any]:
    n = 20 + index
    draw = np.random.default_rng(index)
    return {
        "observations": {
            "state": draw.normal(size=(n, 3)).astype(np.float32),
            "environment_state": draw.normal(size=(n, 1)).astype(np.float32),
        },
        "instruction": INSTRUCTIONS[index % 2],
        "action": draw.normal(size=(n, 2)).astype(np.float32),
        "reward": draw.random(n).astype(np.float32),
        "success": np.arange(n) > 10,
        "outcomes": {"touched": True, "lifted": index > 2},
    }


def _seen(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return _episode(0)["observations"] | changes


def _write(folder: Path, episodes: int = 5, **options) -> Path:
    with _writer(folder, **options) as writer:
        for index in range(episodes):
            writer.add_episode(**_episode(index), seed=7, identity=100 + index)
    return folder


@pytest.mark.parametrize("per_file", [500_000, 50])
def test_read_is_what_was_written(tmp_path: Path, per_file: int) -> None:
    data = read_dataset(_write(tmp_path / "d", frames_per_file=per_file))
    files = len(list((tmp_path / "d").glob("data/*/*.parquet")))
    assert files == (1 if per_file == 500_000 else 3)
    assert len(data.episodes) == 5 and data.control_dt == 0.01
    assert data.about == {"task": "line"}
    assert data.names("observation.state") == ("a", "b", "c")
    assert data.info["features"]["action"]["units"] == ["N m", "N m"]
    for index in range(5):
        wanted, found = _episode(index), data.episode(index)
        for group, values in wanted["observations"].items():
            stored = found[f"observation.{group}"]
            np.testing.assert_array_equal(stored.reshape(values.shape), values)
        np.testing.assert_array_equal(found["action"], wanted["action"])
        np.testing.assert_array_equal(found["executed_action"], wanted["action"])
        assert data.instruction(index) == wanted["instruction"]
        assert data.episodes[index]["outcomes/lifted"] == (index > 2)
        assert found["task_index"].tolist() == [index % 2] * len(found["action"])
        np.testing.assert_array_equal(found["next.reward"], wanted["reward"])
        np.testing.assert_array_equal(found["next.success"], wanted["success"])
        n = len(wanted["reward"])
        assert found["next.done"].tolist() == [False] * (n - 1) + [True]
        np.testing.assert_allclose(found["timestamp"], np.arange(n) / 100, rtol=1e-6)
        assert (data.episodes[index]["seed"], data.episodes[index]["id"]) == (
            7,
            100 + index,
        )
    np.testing.assert_array_equal(
        data.frames["index"], np.arange(len(data.vectors("action")))
    )


def test_statistics_are_those_of_the_data(tmp_path: Path) -> None:
    folder = _write(tmp_path / "d")
    data = read_dataset(folder)
    stats = json.loads((folder / "meta/stats.json").read_text())
    for key in ("observation.state", "action", "next.reward"):
        values = data.vectors(key).astype(float)
        np.testing.assert_allclose(stats[key]["mean"], values.mean(0))
        np.testing.assert_allclose(stats[key]["std"], values.std(0))
        np.testing.assert_allclose(stats[key]["q99"], np.quantile(values, 0.99, axis=0))
        assert stats[key]["count"] == [len(values)]
    rows = pq.read_table(folder / EPISODES).to_pylist()
    third = data.episode(3)["action"].astype(float)
    np.testing.assert_allclose(rows[3]["stats/action/max"], third.max(0))


def test_an_error_costs_no_episode_that_was_added(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), _writer(tmp_path / "d") as writer:
        writer.add_episode(**_episode(0))
        raise RuntimeError("stopped")
    assert len(read_dataset(tmp_path / "d").episodes) == 1
    with pytest.raises(UsageError, match="no episode"), _writer(tmp_path / "e"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def _write_and_die(folder: Path) -> None:
    with _writer(folder, frames_per_file=50) as writer:
        for i in range(4):
            writer.add_episode(**_episode(i), seed=7, identity=100 + i)
            if i == 2:
                writer.commit()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_writer_leaves_what_was_committed(tmp_path: Path) -> None:
    process = start(_write_and_die, tmp_path / "d")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(read_dataset(tmp_path / "d").episodes) == 3
    with _writer(tmp_path / "d", frames_per_file=50, resume=True) as writer:
        for index in range(writer.episodes, 5):
            writer.add_episode(**_episode(index), seed=7, identity=100 + index)
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    whole = _write(tmp_path / "whole", frames_per_file=50)
    assert sha256(tmp_path / "d") == sha256(whole)


def test_a_dataset_is_whole_after_each_commit(tmp_path: Path) -> None:
    with _writer(tmp_path / "d", frames_per_file=50) as writer:
        for index in range(5):
            writer.add_episode(**_episode(index))
            writer.commit()
            data = read_dataset(tmp_path / "d")
            assert len(data.episodes) == index + 1
            stats = json.loads((tmp_path / "d/meta/stats.json").read_text())
            assert stats["action"]["count"] == [len(data.frames["index"])]
            assert {p.name for p in tmp_path.iterdir()} == {"d", ".d.lock"}


def test_a_dataset_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    _write(tmp_path / "d", 1)
    counts: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            counts.append(len(read_dataset(tmp_path / "d").episodes))

    reader = threading.Thread(target=read)
    reader.start()
    with _writer(tmp_path / "d", resume=True, frames_per_file=50) as writer:
        for index in range(1, 25):
            writer.add_episode(**_episode(index), seed=7, identity=100 + index)
            writer.commit()
    done.set()
    reader.join()
    assert len(set(counts)) > 3 and counts == sorted(counts)
    assert len(read_dataset(tmp_path / "d").episodes) == 25


def test_a_dataset_has_one_writer(tmp_path: Path) -> None:
    with _writer(tmp_path / "d") as writer:
        writer.add_episode(**_episode(0))
        writer.commit()
        with pytest.raises(SandbotError, match="being written by another process"):
            _writer(tmp_path / "d", resume=True)
    with _writer(tmp_path / "d", resume=True) as writer:
        writer.add_episode(**_episode(1))
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_only_the_same_kind_of_dataset_is_continued(tmp_path: Path) -> None:
    _write(tmp_path / "d", 2)
    with pytest.raises(UsageError, match="other features or another rate"):
        _writer(tmp_path / "d", control_dt=0.02, resume=True)


def test_an_existing_dataset_stays_unless_told(tmp_path: Path) -> None:
    _write(tmp_path / "d", 2)
    with pytest.raises(UsageError, match="exists"):
        _write(tmp_path / "d", 3)
    _write(tmp_path / "d", 3, overwrite=True)
    assert len(read_dataset(tmp_path / "d").episodes) == 3


def test_the_hash_names_the_content(tmp_path: Path) -> None:
    one, same = _write(tmp_path / "a"), _write(tmp_path / "b")
    other = _write(tmp_path / "c", 4)
    hashes = [read_dataset(f).sha256() for f in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": _seen(state=np.full((20, 3), np.nan))}, "at frame 0"),
        ({"reward": np.zeros(19)}, r"'next.reward'.*got \(19,\)"),
        ({"observations": _seen(state=np.zeros((20, 4)))}, r"\(frames, 3\)"),
        ({"observations": {"state": np.zeros((20, 3))}}, "has the groups state, envir"),
    ],
)
def test_bad_episodes_are_not_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message), _writer(tmp_path / "d") as writer:
        writer.add_episode(**(_episode(0) | change))
    with pytest.raises(UsageError, match="whole number"):
        _writer(tmp_path / "d", control_dt=0.03)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandbotError, match="cannot write") as error:
        _write(tmp_path / "file" / "d")
    assert "\n" not in str(error.value)


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def _nan(table: pa.Table) -> pa.Table:
    rows = np.array(table["action"].to_pylist(), np.float32)
    rows[44, 1] = np.nan
    column = pa.array(rows.tolist(), pa.list_(pa.float32(), 2))
    return table.set_column(table.column_names.index("action"), "action", column)


def _narrow(table: pa.Table) -> pa.Table:
    rows = [row[:2] for row in table["observation.state"].to_pylist()]
    column = pa.array(rows, pa.list_(pa.float32(), 2))
    return table.set_column(0, "observation.state", column)


def _without(episode: int) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        return table.filter(pa.compute.field("episode_index") != episode)  # type: ignore

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no info": (lambda f: (f / "meta/info.json").unlink(), "meta/info.json is missing"),
    "cut info": (lambda f: (f / "meta/info.json").write_text("{"), "cannot be read"),
    "cut data": (
        lambda f: (f / DATA).write_bytes((f / DATA).read_bytes()[:-500]),
        "file-000.parquet cannot be read",
    ),
    "empty data": (lambda f: (f / DATA).write_bytes(b""), "cannot be read"),
    "no data": (lambda f: (f / DATA).unlink(), "file-000.parquet is missing"),
    "no frames of an episode": (
        lambda f: _rewrite(f / DATA, _without(2)),
        "episode 2 has 0 frames, meta/episodes promises 22",
    ),
    "no row of an episode": (
        lambda f: _rewrite(f / EPISODES, _without(3)),
        "episode 3 is missing in meta/episodes",
    ),
    "NaN": (lambda f: _rewrite(f / DATA, _nan), "frame 3 of episode 2"),
    "shape": (lambda f: _rewrite(f / DATA, _narrow), "has 2 elements, .* says 3"),
    "no column": (
        lambda f: _rewrite(f / DATA, lambda t: t.drop_columns(["action"])),
        "no column 'action'",
    ),
    "frames cut": (
        lambda f: _rewrite(f / DATA, lambda t: t.slice(0, 100)),
        "episode 4 has 14 frames, meta/episodes promises 24",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_clear_line(tmp_path: Path, name: str) -> None:
    damage, message = DAMAGE[name]
    damage(_write(tmp_path / "d"))
    with pytest.raises(SandbotError, match=message) as error:
        read_dataset(tmp_path / "d")
    assert "\n" not in str(error.value)


def test_what_is_no_dataset_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a dataset"):
        read_dataset(tmp_path / "nothing")
    folder = _write(tmp_path / "d")
    info = folder / "meta/info.json"
    info.write_text(info.read_text().replace("v3.0", "v2.1"))
    with pytest.raises(UsageError, match=r"codebase_version 'v2\.1'"):
        read_dataset(folder)
    with pytest.raises(UsageError, match="episodes 0 to 4, got 5"):
        read_dataset(_write(tmp_path / "e")).episode(5)
