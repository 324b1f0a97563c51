"""Each fault of a dataset is found, with its episode and frame, and nothing else is."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import UsageError
from ml.lerobot import DatasetWriter
from ml.lerobot.check import CHECKS, Report, check, still_runs
from ml.spec import ArraySpec

FPS, LENGTH, EPISODES = 50, 60, 5
DATA = "data/chunk-000/file-000.parquet"
ROWS = "meta/episodes/chunk-000/file-000.parquet"
TOP = "observation.images.top"
SPECS = {
    "state": ArraySpec(shape=(2,)),
    "environment_state": ArraySpec(shape=(1,)),
    "images.top": ArraySpec(shape=(32, 32, 3), dtype="uint8"),
    "images.wrist": ArraySpec(shape=(32, 32, 3), dtype="uint8"),
}
ACTION = ArraySpec(shape=(2,), low=(-2, -2), high=(2, 2))


def _film(moving: np.ndarray) -> np.ndarray:
    """A bar that goes on where ``moving`` is true."""
    at = np.cumsum(moving)
    x = np.arange(32)
    bar = np.abs(x[None] - 4 - at[:, None] % 24) < 4
    return np.broadcast_to(
        np.where(bar, 220, 40)[:, None, :, None], (len(moving), 32, 32, 3)
    ).astype(np.uint8)


def _write(
    folder: Path,
    change: Callable[[int, dict], None] | None = None,
    *,
    filmed: bool = True,
) -> Path:
    """Five good episodes, but for what ``change(index, episode)`` does to them."""
    specs = {k: v for k, v in SPECS.items() if filmed or not k.startswith("images")}
    with DatasetWriter(
        folder, observations=specs, action=ACTION, control_dt=1 / FPS, robot="arm"
    ) as writer:
        for index in range(EPISODES):
            time = np.arange(LENGTH) / FPS
            waves = np.stack([np.sin(7 * time + index), np.cos(5 * time)], 1)
            late = np.arange(LENGTH) > LENGTH * 2 // 3
            episode = {
                "observations": {
                    "state": waves,
                    "environment_state": np.zeros((LENGTH, 1)),
                    "images.top": _film(np.ones(LENGTH, bool)),
                    "images.wrist": _film(late),  # its arm waits in each episode
                },
                "action": 1.1 * waves,
                "instruction": "wave",
                "reward": np.ones(LENGTH),
                "success": np.ones(LENGTH, bool),
            }
            if change:
                change(index, episode)
            seen = episode["observations"]
            episode["observations"] = {group: seen[group] for group in specs}
            writer.add_episode(**episode, seed=1, identity=index)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset without a fault."""
    return _write(tmp_path_factory.mktemp("check") / "d")


def _only(report: Report, name: str) -> str:
    """The findings of one check as a text; there are no others."""
    assert {finding.check for finding in report.findings} == {name}, report.findings
    return "; ".join(f"{f.episode} {f.frame} {f.text}" for f in report.findings)


def test_a_good_dataset_has_no_findings(good: Path) -> None:
    report = check(good)
    assert report.findings == []
    assert (report.episodes, report.frames, report.videos) == (5, 300, 10)
    assert check(good, videos=False).videos == 0


def _frozen_state(index: int, episode: dict) -> None:
    if index == 2:
        episode["observations"]["state"][10:40] = episode["observations"]["state"][10]


def _frozen_picture(index: int, episode: dict) -> None:
    if index == 3:
        film = episode["observations"]["images.top"]
        episode["observations"]["images.top"] = np.concatenate(
            [film[:20], np.repeat(film[20:21], 40, 0)]
        )


def _dead_camera(_: int, episode: dict) -> None:
    film = episode["observations"]["images.top"]
    episode["observations"]["images.top"] = np.repeat(film[:1], LENGTH, 0)


def _outside(index: int, episode: dict) -> None:
    if index == 1:
        episode["action"][7, 1] = 2.5


def _cut_off(index: int, episode: dict) -> None:
    if index == 4:
        episode["clipped"] = (np.arange(LENGTH) > 50).astype(int)


def _speechless(index: int, episode: dict) -> None:
    if index == 1:
        episode["instruction"] = " "


RECORDED = {
    "frozen state": (
        _frozen_state,
        "frozen",
        "2 10 observation.state stands still for 0.58 s",
    ),
    "frozen picture": (_frozen_picture, "frozen", "3 20 observation.images.top stands"),
    "dead camera": (_dead_camera, "frozen", "0 0 observation.images.top stands"),
    "action out of limits": (
        _outside,
        "clipped",
        r"1 7 action\[1\] is 2.5, its limits are -2 and 2; 1 such",
    ),
    "demonstrator cut off": (_cut_off, "clipped", "4 51 .* in 15% of the frames"),
    "no instruction": (_speechless, "instruction", "1 None no instruction"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_faults_of_a_recording(tmp_path: Path, name: str) -> None:
    change, kind, text = RECORDED[name]
    found = _only(
        check(_write(tmp_path / "d", change, filmed="d c" in name or "pic" in name)),
        kind,
    )
    assert re.search(text, found), found


def _column(
    folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = folder / DATA
    table = pq.read_table(path)
    at = table.column_names.index(name)
    kind = table.schema.field(name).type
    values = change(np.array(table[name].to_pylist()))
    pq.write_table(table.set_column(at, name, pa.array(values.tolist(), kind)), path)


def _set(at: object, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] = value  # type: ignore[index]
        return values

    return change


def _filter(
    name: str, keep: Callable[[pa.Table], np.ndarray]
) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        table = pq.read_table(folder / name)
        pq.write_table(table.filter(pa.array(keep(table))), folder / name)

    return damage


def _json(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        change(data)
        (folder / name).write_text(json.dumps(data))

    return damage


def _video(folder: Path, index: int) -> Path:
    return folder / f"videos/{TOP}/chunk-000/file-00{index}.mp4"


def _other_rate(folder: Path) -> None:
    _column(folder, "timestamp", lambda t: 2 * t)


def _slow_video(folder: Path) -> None:
    from ml.lerobot.video import Clip

    clip = Clip(_video(folder, 0), 25, 32, 32)
    for picture in _film(np.ones(LENGTH, bool)):
        clip.add(picture)
    clip.finish()


DAMAGE: dict[str, tuple[Callable[[Path], object], dict[str, str]]] = {
    "NaN": (
        lambda f: _column(f, "action", _set((70, 1), np.nan)),
        {"nan": r"1 10 action\[1\] is nan; 1 such"},
    ),
    "a frame twice": (
        lambda f: _column(f, "frame_index", _set(65, 4)),
        {"gaps": "1 4 frame 4 is repeated", "rate": "1 5 is at"},
    ),
    "a frame gone": (
        _filter(DATA, lambda t: np.arange(t.num_rows) != 130),
        {"gaps": "2 9 1 frames are missing after frame 9", "files": "2 None has 59"},
    ),
    "an episode's row gone": (
        _filter(ROWS, lambda t: np.arange(t.num_rows) != 3),
        {"files": "promises 5 episodes.*3 None has 60 frames and no row"},
    ),
    "timestamps of another rate": (
        _other_rate,
        {"rate": "0 1 .* have 25.0 Hz", "statistics": "timestamp: max"},
    ),
    "cut data": (
        lambda f: (f / DATA).write_bytes((f / DATA).read_bytes()[:900]),
        {"files": "file-000.parquet cannot be read"},
    ),
    "no data": (
        lambda f: (f / DATA).unlink(),
        {"files": "file-000.parquet is missing"},
    ),
    "no info": (
        lambda f: (f / "meta/info.json").unlink(),
        {"files": "info.json is mi"},
    ),
    "half an info": (
        lambda f: (f / "meta/info.json").write_text('{"fps'),
        {"files": "info.json cannot be read"},
    ),
    "info without features": (
        _json("meta/info.json", lambda d: d.pop("features")),
        {"files": "no rate or features"},
    ),
    "another version": (
        _json("meta/info.json", lambda d: d.update(codebase_version="v2.1")),
        {"files": "codebase_version is 'v2.1'"},
    ),
    "a column too many": (
        _json(
            "meta/info.json",
            lambda d: d["features"].update(
                force={"dtype": "float32", "shape": [1], "names": None}
            ),
        ),
        {"files": "no column 'force'"},
    ),
    "other statistics": (
        _json("meta/stats.json", lambda d: d["action"]["mean"].__setitem__(0, 0.5)),
        {"statistics": r"action: mean\[0\] is 0.5, that of the data is"},
    ),
    "no statistics": (
        lambda f: (f / "meta/stats.json").unlink(),
        {"files": "stats.json is missing"},
    ),
    "no video": (lambda f: _video(f, 2).unlink(), {"video": "2 None videos/.*missing"}),
    "cut video": (
        lambda f: _video(f, 2).write_bytes(_video(f, 2).read_bytes()[:300]),
        {"video": "2 None video videos/.*cannot be"},
    ),
    "slow video": (_slow_video, {"rate": "0 None .* has 25 frames", "video": "0 30"}),
    "no tasks": (
        lambda f: (f / "meta/tasks.parquet").unlink(),
        {"instruction": "tasks.parquet cannot be read"},
    ),
}


FOLLOWED = ("an episode's row gone", "cut data", "no data", "no tasks")
"""What else is not as it should be, then, follows from the damage."""


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_reported_and_not_raised(
    tmp_path: Path, good: Path, name: str
) -> None:
    damage, wanted = DAMAGE[name]
    shutil.copytree(good, tmp_path / "d")
    damage(tmp_path / "d")
    report = check(tmp_path / "d")
    for kind, text in wanted.items():
        found = "; ".join(
            f"{f.episode} {f.frame} {f.text}"
            for f in report.findings
            if f.check == kind
        )
        assert re.search(text, found), report.findings
    if len(wanted) == 1 and name not in FOLLOWED:
        assert {f.check for f in report.findings} == set(wanted), report.findings


def test_no_folder_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        check(tmp_path / "nothing")


def test_stretches_without_a_change() -> None:
    still = np.array([0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert still_runs(still, 3) == [(1, 4), (9, 13)]
    assert still_runs(still, 5) == [] and still_runs(still[:0], 1) == []
    assert set(CHECKS) > {"nan", "gaps", "frozen", "rate", "clipped"}
