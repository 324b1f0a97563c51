"""Recorded actions give the recorded states again; what was changed is noticed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import UsageError
from evaluation.replay import other_versions, replay
from ml.lerobot import DatasetWriter, read_dataset
from ml.lerobot.edit import by_fractions, merge, split
from ml.spec import ArraySpec
from policies.collect import collect


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five disturbed episodes in varied worlds."""
    out = tmp_path_factory.mktemp("replay") / "d"
    collect(
        "arm-reach",
        "expert",
        episodes=5,
        out=out,
        noise=0.1,
        seed=4,
        randomize="train",
        keep_failures=True,
        threads=1,
    )
    return out


def test_every_bit_comes_again(recorded: Path) -> None:
    for size in (1, 3):
        found = replay(recorded, num_envs=size, threads=1)
        assert [one.episode for one in found] == list(range(5))
        assert all(one.same and one.error == 0 for one in found)
        assert sum(one.frames for one in found) == 2000
    assert [one.episode for one in replay(recorded, [3, 1], threads=1)] == [3, 1]
    assert other_versions(read_dataset(recorded)) == []


def test_the_arms_of_aloha_too(tmp_path: Path) -> None:
    collect(
        "aloha-transfer-cube", "expert", episodes=2, out=tmp_path / "d", noise=0.003
    )
    assert all(one.same for one in replay(tmp_path / "d"))


def test_each_episode_is_replayed_where_it_was_recorded(
    tmp_path: Path, recorded: Path
) -> None:
    other = tmp_path / "other"
    collect("arm-reach", "expert", episodes=2, out=other, noise=0.0, threads=1)
    merge([recorded, other], tmp_path / "m")
    found = replay(tmp_path / "m", threads=1)
    assert len(found) == 7 and all(one.same for one in found)
    split(read_dataset(tmp_path / "m"), by_fractions(7, (0.5,), 1), [tmp_path / "s"])
    assert all(one.same for one in replay(tmp_path / "s", threads=1))


def test_a_changed_action_is_noticed(tmp_path: Path, recorded: Path) -> None:
    import shutil

    shutil.copytree(recorded, tmp_path / "d")
    path = tmp_path / "d/data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    rows = np.array(table["executed_action"].to_pylist(), np.float32)
    rows[400 * 2 + 50, 0] = np.nextafter(rows[400 * 2 + 50, 0], np.float32(9))
    at = table.column_names.index("executed_action")
    kind = table.schema.field("executed_action").type
    column = pa.array(rows.tolist(), kind)
    pq.write_table(table.set_column(at, "executed_action", column), path)
    found = replay(tmp_path / "d", threads=1)
    assert [one.same for one in found] == [True, True, False, True, True]
    assert found[2].frame is not None and found[2].frame > 50
    assert found[2].feature is not None and 0 < found[2].error < 1e-3


def test_data_that_do_not_say_how_to_begin(tmp_path: Path, recorded: Path) -> None:
    with DatasetWriter(
        tmp_path / "d",
        observations={"state": ArraySpec(shape=(1,))},
        action=ArraySpec(shape=(1,)),
        control_dt=0.1,
        robot="hand",
    ) as writer:
        writer.add_episode(
            {"state": np.zeros((3, 1))},
            np.zeros((3, 1)),
            instruction="wave",
            reward=np.zeros(3),
            success=np.zeros(3, bool),
        )
    with pytest.raises(UsageError, match=r"episode 0 of .+ cannot be replayed"):
        replay(tmp_path / "d")
    with pytest.raises(UsageError, match="episodes 0 to 4, got 5"):
        replay(recorded, [5])
