"""Videos: what is in the file, and that nothing is left behind."""

from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from assets import SandbotError, UsageError
from sims import make_env
from sims.viewers.loop import Session
from sims.viewers.video import record
from tests.sims.viewer_fakes import Swing


@pytest.fixture
def session():
    env = make_env("arm-reach", num_envs=2)
    yield Session(env, Swing(env), steps=40)
    env.close()


def test_an_mp4_shows_the_arm_moving(session, tmp_path):
    told = []
    path = record(
        session,
        tmp_path / "new" / "arm.mp4",
        width=160,
        height=120,
        quality="fast",
        progress=lambda done, total: told.append((done, total)),
    )
    frames = iio.imread(path, plugin="FFMPEG")
    assert frames.shape == (13, 120, 160, 3)
    moved = np.abs(frames[-1].astype(int) - frames[0]).max(axis=2) > 60
    assert 50 < moved.sum() < 0.3 * moved.size
    assert iio.immeta(path, plugin="FFMPEG")["fps"] == 30
    assert iio.immeta(path, plugin="FFMPEG")["codec"] == "h264"
    assert told[0] == (1, 13) and told[-1] == (13, 13)
    assert [file.name for file in path.parent.iterdir()] == ["arm.mp4"]


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_moving_pictures_for_a_page(session, tmp_path, ending):
    path = record(session, tmp_path / f"a{ending}", width=64, height=48, quality="fast")
    film: Any
    with Image.open(path) as film:
        assert film.n_frames == 11 and film.size == (64, 48)
        first = np.array(film.convert("RGB"))
        film.seek(10)
        assert (np.array(film.convert("RGB")) != first).any()


def test_half_speed_is_twice_as_long(tmp_path):
    env = make_env("arm-reach")
    session = Session(env, Swing(env), steps=20, speed=0.5)
    path = record(session, tmp_path / "a.mp4", width=32, height=32, quality="fast")
    assert len(iio.imread(path, plugin="FFMPEG")) == 13
    env.close()


def test_a_failing_policy_leaves_no_file(session, tmp_path):
    session.policy.fails = True
    with pytest.raises(SandbotError, match=r"policy failed after 0 .*told to fail"):
        record(session, tmp_path / "a.mp4", width=32, height=32, quality="fast")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_one_clear_error(session, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "a.mp4").mkdir()
    for place in (tmp_path / "file" / "a.mp4", tmp_path / "a.mp4"):
        with pytest.raises(
            SandbotError, match=r"cannot write the video .*another --out"
        ):
            record(session, place)
    assert session.steps == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "file"]


def test_wrong_calls_say_what_is_allowed(session, tmp_path):
    with pytest.raises(UsageError, match=r"'\.mp5'. Did you mean '\.mp4'"):
        record(session, tmp_path / "a.mp5")
    with pytest.raises(UsageError, match="sides are even, got 33 x 32"):
        record(session, tmp_path / "a.mp4", width=33, height=32)
    endless = Session(session.env, session.policy)
    with pytest.raises(UsageError, match="needs an end"):
        record(endless, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []
