"""Which viewer opens, and playing without one."""

import socket
import subprocess
import sys

import pytest

from assets import SandbotError, UsageError
from sims import make_env
from sims.viewers import PlaySummary, choose, native, play, video
from tests.sims.viewer_fakes import Swing


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def env():
    env = make_env("arm-reach", num_envs=2)
    yield env
    env.close()


def test_auto_takes_the_page_where_there_is_no_display(no_display):
    viewer, why = choose("auto")
    assert viewer == "web" and why and "neither DISPLAY nor WAYLAND_DISPLAY" in why
    assert choose("video") == ("video", None)


def test_auto_takes_the_window_where_there_is_one(monkeypatch):
    monkeypatch.setattr(native, "display_problem", lambda: None)
    assert choose("auto") == ("native", None)


def test_a_display_that_does_not_answer_is_no_display(
    no_display, monkeypatch, tmp_path
):
    monkeypatch.setenv("DISPLAY", ":987")
    assert native.display_problem() == "the display does not answer (DISPLAY=:987)"
    monkeypatch.setenv("DISPLAY", "nonsense")
    assert "does not answer" in (native.display_problem() or "")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-9")
    assert "WAYLAND_DISPLAY=wayland-9" in (native.display_problem() or "")


def test_a_display_that_answers_and_opens_no_window_is_found_out(
    no_display, monkeypatch, tmp_path
):
    """Whatever answers, another process has to open a window there."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "wayland-1"))
        listening.listen()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-1")
        monkeypatch.setattr(native, "_PROBE", "raise SystemExit('no GLX')")
        assert native.display_problem() == (
            "the display cannot open an OpenGL window (no GLX)"
        )


def test_a_window_without_a_display_is_an_error_and_not_the_end(tmp_path):
    """In a new process, which MuJoCo itself would end without an exception."""
    script = (
        "import os\n"
        "os.environ.pop('DISPLAY', None); os.environ.pop('WAYLAND_DISPLAY', None)\n"
        "from sims import make_env\n"
        "from sims.viewers import play\n"
        "from tests.sims.viewer_fakes import Swing\n"
        "env = make_env('arm-reach')\n"
        "try:\n"
        "    play(env, Swing(env), viewer='native')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "SandbotError no window: there is no display" in done.stdout
    assert "--viewer web" in done.stdout


def test_playing_without_a_viewer(env):
    told = []
    summary = play(
        env,
        Swing(env),
        viewer="none",
        episodes=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert isinstance(summary, PlaySummary)
    assert (summary.viewer, summary.episodes, summary.steps) == ("none", 2, 400)
    assert summary.seconds == pytest.approx(4.0) and summary.wall < 4.0
    assert summary.successes == 0 and summary.output is None and summary.error is None
    assert told[-1] == (400, 400)
    assert play(env, Swing(env), viewer="none").steps == 2 * env.max_steps


def test_playing_a_video(env, tmp_path):
    notes = []
    out = tmp_path / "arm.mp4"
    summary = play(
        env, Swing(env), viewer="video", out=out, steps=4, notify=notes.append
    )
    assert out.stat().st_size > 0 and summary.output == str(out)
    assert notes == [f"video: {out}"]


def test_what_is_to_be_shown_is_shown_from_the_start(env, monkeypatch):
    seen = []

    def record(session, out, progress):
        session.tick()
        seen.append((session.contacts.on, session.curves.on))
        return out

    monkeypatch.setattr(video, "record", record)
    for show in ((), ("contacts",), ("curves", "contacts")):
        play(env, Swing(env), viewer="video", steps=1, show=show)
    assert seen == [(False, False), (True, False), (True, True)]


def test_with_nobody_watching_a_failing_policy_is_an_error(env):
    policy = Swing(env)
    policy.fails = True
    with pytest.raises(SandbotError, match="policy failed after 0 steps: ValueError"):
        play(env, policy, viewer="none", steps=5)


def test_wrong_calls_say_what_is_allowed(env):
    with pytest.raises(UsageError, match=r"unknown viewer 'natvie'.*'native'"):
        play(env, Swing(env), viewer="natvie")
    with pytest.raises(UsageError, match=r"unknown thing to show 'contcts'. Did you"):
        play(env, Swing(env), viewer="none", show=("contcts",))
    with pytest.raises(UsageError, match="speed is one of"):
        play(env, Swing(env), viewer="none", speed=3)
