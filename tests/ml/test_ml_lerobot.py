"""Datasets: what is written is read, by us and by LeRobot; what is damaged is refused.

LeRobot needs another torch than ours, so its part runs where the variable
SANDBOT_LEROBOT_PYTHON names an interpreter that has it (lerobot 0.4.4 and what its
dataset reader imports).
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import SandbotError, UsageError
from ml.lerobot import DatasetWriter, read_dataset
from ml.spec import ArraySpec

OBSERVATION = ArraySpec(shape=(3,), names=("a", "b", "c"), units=("1", "m", "rad"))
ACTION = ArraySpec(shape=(2,), names=("x", "y"), units=("N m", "N m"))
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def _writer(folder: Path, **options) -> DatasetWriter:
    given = {
        "observation": OBSERVATION,
        "action": ACTION,
        "control_dt": 0.01,
        "instruction": "draw a line",
        "robot": "arm",
        "about": {"task": "line"},
    }
    return DatasetWriter(folder, **(given | options))


def _episode(index: int) -> dict[str, Any]:
    n = 20 + index
    draw = np.random.default_rng(index)
    return {
        "observation": draw.normal(size=(n, 3)).astype(np.float32),
        "action": draw.normal(size=(n, 2)).astype(np.float32),
        "reward": draw.random(n).astype(np.float32),
        "success": np.arange(n) > 10,
    }


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
        np.testing.assert_array_equal(found["observation.state"], wanted["observation"])
        np.testing.assert_array_equal(found["action"], wanted["action"])
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


def test_a_dataset_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), _writer(tmp_path / "d") as writer:
        writer.add_episode(**_episode(0))
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no episode"), _writer(tmp_path / "d"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_no_dataset(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_ml_lerobot import _writer, _episode\n"
        "with _writer(Path(sys.argv[1]), frames_per_file=10) as writer:\n"
        "    for i in range(3): writer.add_episode(**_episode(i))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = str(Path(__file__).parent)
    import sys

    subprocess.run([sys.executable, "-c", code, str(tmp_path / "d"), here])
    assert not (tmp_path / "d").exists()
    assert [p.name for p in tmp_path.iterdir()] == [".d.partial"]
    _write(tmp_path / "d")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


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
        ({"observation": np.full((20, 3), np.nan)}, "not finite at frame 0"),
        ({"action": np.zeros((19, 2))}, r"'action'.*got \(19, 2\)"),
        ({"observation": np.zeros((20, 4))}, r"\(frames, 3\)"),
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


PEER = os.environ.get("SANDBOT_LEROBOT_PYTHON")

READ = """
import sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
ahead = {"action": [0, 0.01]}
data = LeRobotDataset("local/d", root=sys.argv[1], delta_timestamps=ahead)
assert data.num_episodes == 5 and data.num_frames == 110, data
assert data.fps == 100 and data.meta.robot_type == "arm"
item = data[25]
print(item["observation.state"].tolist())
print(item["action"].tolist())
print(item["task"], bool(item["next.done"]), data.meta.stats["action"]["mean"].tolist())
"""

WRITE = """
import sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset.create(
    "local/p", fps=50, root=sys.argv[1], robot_type="peer", use_videos=False,
    features={
        "observation.state": {"dtype": "float32", "shape": (3,), "names": list("abc")},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    },
)
for episode in range(3):
    for frame in range(4 + episode):
        data.add_frame({
            "observation.state": np.full(3, 10 * episode + frame, np.float32),
            "action": np.array([episode, frame], np.float32),
            "task": "peer's task",
        })
    data.save_episode()
data.finalize()
"""


def _peer(code: str, folder: Path) -> str:
    assert PEER
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder.parent / "hf"),
    }
    done = subprocess.run(
        [PEER, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


needs_peer = pytest.mark.skipif(
    PEER is None,
    reason="needs an environment of its own for a peer: lerobot "
    "(SANDBOT_LEROBOT_PYTHON names its interpreter)",
)


@needs_peer
def test_lerobot_reads_ours(tmp_path: Path) -> None:
    folder = _write(tmp_path / "d", frames_per_file=50)
    lines = _peer(READ, folder).strip().splitlines()[-3:]
    episode = _episode(1)
    np.testing.assert_allclose(json.loads(lines[0]), episode["observation"][5])
    np.testing.assert_allclose(json.loads(lines[1]), episode["action"][5:7])
    assert lines[2].startswith("draw a line False [")


@needs_peer
def test_we_read_lerobots(tmp_path: Path) -> None:
    _peer(WRITE, tmp_path / "p")
    data = read_dataset(tmp_path / "p")
    assert data.control_dt == 0.02 and data.about == {}
    assert data.bounds.tolist() == [[0, 4], [4, 9], [9, 15]]
    assert data.episode(2)["observation.state"][3].tolist() == [23, 23, 23]
    assert data.episode(1)["action"][2].tolist() == [1, 2]
