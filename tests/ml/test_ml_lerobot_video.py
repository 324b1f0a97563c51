"""Videos: what cameras saw, beside the numbers; nobody who does without pays."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assets.errors import SandbotError, UsageError
from ml.files import sha256
from ml.lerobot import DatasetWriter, read_dataset
from ml.spec import ArraySpec

HEIGHT, WIDTH = 48, 64
SPECS = {
    "state": ArraySpec(shape=(2,)),
    "images.top": ArraySpec(shape=(HEIGHT, WIDTH, 3), dtype="uint8"),
    "images.left_wrist": ArraySpec(shape=(HEIGHT, WIDTH, 3), dtype="uint8"),
}
TOP = "observation.images.top"


def pictures(n: int, seed: int) -> np.ndarray:
    """A soft scene that moves to the right, (n, height, width, 3)."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    waves = [np.sin((x - 2 * t + 9 * seed) / 8) + np.cos(y / 7) for t in range(n)]
    grey = 127 + 55 * np.stack(waves)
    return np.stack([grey, grey * 0.6, 255 - grey], -1).astype(np.uint8)


def writer(folder: Path, **options) -> DatasetWriter:
    return DatasetWriter(
        folder,
        observations=SPECS,
        action=ArraySpec(shape=(1,)),
        control_dt=0.02,
        robot="eye",
        **options,
    )


def record(w: DatasetWriter, index: int, n: int = 12) -> None:
    """Add an episode; one camera as an array, the other picture by picture."""
    clip = w.new_clip("images.left_wrist")
    for picture in pictures(n, index + 5):
        clip.add(picture)
    w.add_episode(
        {
            "state": np.full((n, 2), index + np.arange(n)[:, None]),
            "images.top": pictures(n, index),
            "images.left_wrist": clip,
        },
        np.arange(n)[:, None],
        instruction="look",
        reward=np.zeros(n),
        success=np.ones(n, bool),
    )


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes of two cameras."""
    folder = tmp_path_factory.mktemp("videos") / "d"
    with writer(folder) as w:
        for index in range(3):
            record(w, index)
            w.commit()
    return folder


def test_a_video_shows_what_was_seen(filmed: Path) -> None:
    data = read_dataset(filmed)
    assert data.cameras == ("top", "left_wrist") and data.groups == ("state",)
    assert TOP not in data.frames
    for index in range(3):
        for camera, seed in (("top", index), ("left_wrist", index + 5)):
            found = data.video(index, camera).astype(int)
            error = np.abs(found - pictures(12, seed))
            assert found.shape == error.shape and error.mean() < 6
            others = np.abs(found - np.roll(pictures(12, seed), 1, axis=0))
            assert error.mean() < others.mean() / 2, "frames are shifted"


def test_layout_is_lerobots(filmed: Path) -> None:
    info = json.loads((filmed / "meta/info.json").read_text())
    stem = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    assert info["video_path"] == stem
    feature = info["features"][TOP]
    assert feature["dtype"] == "video" and feature["shape"] == [48, 64, 3]
    about = feature["info"]
    assert about["video.fps"] == 50 and about["video.codec"] == "h264"
    assert about["video.pix_fmt"] == "yuv420p"
    found = sorted(p.relative_to(filmed).as_posix() for p in filmed.rglob("*.mp4"))
    assert found[3:] == [f"videos/{TOP}/chunk-000/file-00{i}.mp4" for i in range(3)]
    row = read_dataset(filmed).episodes[2]
    assert row[f"videos/{TOP}/file_index"] == 2
    assert row[f"videos/{TOP}/from_timestamp"] == 0.0
    assert row[f"videos/{TOP}/to_timestamp"] == pytest.approx(12 / 50)


def test_statistics_of_pictures_are_per_channel(filmed: Path) -> None:
    stats = json.loads((filmed / "meta/stats.json").read_text())[TOP]
    seen = np.concatenate([pictures(12, index) for index in range(3)]) / 255
    channels = seen.reshape(-1, 3)
    for name, wanted in (
        ("mean", channels.mean(0)),
        ("std", channels.std(0)),
        ("min", channels.min(0)),
        ("max", channels.max(0)),
    ):
        assert np.shape(stats[name]) == (3, 1, 1)
        np.testing.assert_allclose(np.ravel(stats[name]), wanted, atol=1e-9)
    median = np.quantile(channels, 0.5, axis=0)
    np.testing.assert_allclose(np.ravel(stats["q50"]), median, atol=0.02)
    assert stats["count"] == [36]


def test_a_continued_dataset_has_the_same_bytes(filmed: Path, tmp_path: Path) -> None:
    with writer(tmp_path / "d") as w:
        record(w, 0)
    with writer(tmp_path / "d", resume=True) as w:
        record(w, 1)
        record(w, 2)
    assert sha256(tmp_path / "d") == sha256(filmed)


def test_discarded_clips_leave_nothing(tmp_path: Path) -> None:
    with writer(tmp_path / "d") as w:
        clip = w.new_clip("images.top")
        clip.add(pictures(1, 0)[0])
        clip.discard()
        record(w, 0)
    assert len(list((tmp_path / "d").rglob("*.mp4"))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_bad_pictures_are_refused(tmp_path: Path, filmed: Path) -> None:
    with pytest.raises(UsageError, match=r"is \(48, 64, 3\) uint8, got \(4, 4, 3\)"):
        writer(tmp_path / "d").new_clip("images.top").add(np.zeros((4, 4, 3), np.uint8))
    with (
        pytest.raises(UsageError, match="12 frames has 11 pictures"),
        writer(tmp_path / "e") as w,
    ):
        w.add_episode(
            {
                "state": np.zeros((12, 2)),
                "images.top": pictures(12, 0),
                "images.left_wrist": pictures(11, 0),
            },
            np.zeros((12, 1)),
            instruction="look",
            reward=np.zeros(12),
            success=np.zeros(12, bool),
        )
    odd = {"images.top": ArraySpec(shape=(47, 64, 3), dtype="uint8")}
    with pytest.raises(UsageError, match="height and width are even"):
        DatasetWriter(
            tmp_path / "f",
            observations=odd,
            action=ArraySpec(shape=(1,)),
            control_dt=0.02,
            robot="",
        )
    with pytest.raises(UsageError, match="unknown camera"):
        read_dataset(filmed).video(0, "tip")


def test_a_cut_video_is_one_clear_line(tmp_path: Path) -> None:
    with writer(tmp_path / "d") as w:
        record(w, 0)
    data = read_dataset(tmp_path / "d")
    path = next((tmp_path / "d/videos" / TOP).rglob("*.mp4"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SandbotError, match="cannot be decoded"):
        data.video(0, "top")
    path.unlink()
    with pytest.raises(SandbotError, match="there is no video"):
        data.video(0, "top")
    assert len(data.video(0, "left_wrist")) == 12


STATE_ONLY = """
import sys
from pathlib import Path
from ml.lerobot import read_dataset
from policies.collect import collect
collect("arm-reach", "expert", episodes=1, out=Path(sys.argv[1]), noise=0, threads=1)
data = read_dataset(Path(sys.argv[1]))
assert len(data.episodes) == 1
heavy = [m for m in ("av", "imageio", "imageio_ffmpeg") if m in sys.modules]
assert not heavy, heavy
"""


def test_states_alone_import_no_video(tmp_path: Path) -> None:
    call = [sys.executable, "-c", STATE_ONLY, str(tmp_path / "d")]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
