"""The web viewer, in a real browser that a person could have opened."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets import SandbotError, UsageError
from sims import make_env
from sims.viewers.loop import Session
from sims.viewers.web import HOST, banner, bind, watch
from tests.sims.viewer_browser import Browser, wait_for
from tests.sims.viewer_fakes import Swing
from tests.sims.viewer_server import Server


def listening_addresses(pid):
    """(address, port) in hexadecimal of each socket on which a process listens."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(link)
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


def test_only_this_machine_can_connect():
    with Server() as server:
        found = listening_addresses(server.pid)
        assert server.port in {port for _, port in found}
        assert {address for address, _ in found} == {"0100007F"}, "not 127.0.0.1"
        assert server.notes == banner(server.port)
        assert f"ssh -L {server.port}:127.0.0.1:{server.port} " in server.notes[1]


def test_a_port_in_use_is_one_clear_error():
    env = make_env("arm-reach")
    session = Session(env, Swing(env))
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SandbotError, match=rf"port {port}: Address already in use"):
            watch(session, port=port)
    with pytest.raises(UsageError, match=r"1\.\.65535, got 70000"):
        watch(session, port=70000)
    with bind(None) as first, bind(0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
        assert first.getsockname()[0] == second.getsockname()[0] == HOST
    env.close()


def test_an_exception_in_the_simulation_ends_in_its_message():
    """And not in the segmentation fault of a viewer that was left running."""
    script = (
        "from sims import make_env\n"
        "from sims.viewers.loop import Session\n"
        "from sims.viewers.web import watch\n"
        "from tests.sims.viewer_fakes import Swing\n"
        "env = make_env('arm-reach')\n"
        "session = Session(env, Swing(env))\n"
        "def broken():\n"
        "    if session.steps > 10:\n"
        "        raise RuntimeError('the engine broke')\n"
        "    return env.engine.snapshot()\n"
        "session.snapshot = broken\n"
        "watch(session)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("RuntimeError: the engine broke")


def test_a_person_watches_pauses_resets_and_sees_an_error(tmp_path):
    """Judged by the joint angles in the engine, never by pixels."""
    with Server() as server, Browser(tmp_path / "profile") as browser:

        def moves():
            start = server.qpos
            time.sleep(0.4)
            return server.qpos != start

        def comes_to_move(when):
            start = server.qpos  # on a busy machine it may take a moment
            wait_for(lambda: server.qpos != start, 10, f"motion {when}")

        comes_to_move("before the page is open")
        browser.open(f"http://localhost:{server.port}/")
        wait_for(
            lambda: browser.evaluate("!!document.querySelector('canvas')"), 30, "page"
        )
        # it may not listen yet
        press(browser, ("p", "KeyP", 80), lambda: server.pushing, wait=5)
        comes_to_move("in the page")

        press(browser, (" ", "Space", 32), lambda: server.paused)
        time.sleep(0.1)
        assert not moves(), "pause does not stop the arm"
        assert server.time > 0.0

        resets = server.resets
        press(browser, BACKSPACE, lambda: server.resets > resets)
        assert server.time == 0.0 and server.paused

        steps = server.steps
        press(browser, ("ArrowRight", "ArrowRight", 39), lambda: server.steps > steps)
        assert server.steps == steps + 1 and server.paused
        press(browser, ("]", "BracketRight", 221), lambda: server.shown == 1)
        press(browser, ("-", "Minus", 189), lambda: server.speed == 0.5)
        press(browser, ("c", "KeyC", 67), lambda: server.camera == "side")

        repeat(lambda: browser.drag(*SLIDER), lambda: server.held[0], "slider", 20)
        assert server.held == [True, False] and -0.75 <= server.told[0] <= 0.75
        press(browser, ("f", "KeyF", 70), lambda: server.contacts)
        press(browser, ("g", "KeyG", 71), lambda: server.curves)
        press(browser, ("[", "BracketLeft", 219), lambda: server.shown == 0)
        assert server.held == [False, False], "held where it was not set"

        server.tell("fail")
        press(browser, (" ", "Space", 32), lambda: server.error)
        assert server.paused and server.error == "ValueError: told to fail"
        wait_for(lambda: len(server.notes) > 2, 10, "the message")
        assert server.notes[2] == "paused: ValueError: told to fail"
        assert not moves()

        server.tell("heal")
        press(browser, (" ", "Space", 32), lambda: not server.paused)
        assert server.error is None
        comes_to_move("after the error")


BACKSPACE = ("Backspace", "Backspace", 8)


SLIDER = (80, 321), (180, 321)
"""Of the first number that the robot is told; from the left, from the top [pixels]."""


def press(browser, key, done, wait=60):
    """Press a key; again only where that does no harm, since a busy page is late."""
    repeat(lambda: browser.press(*key), done, key[1], wait)


def repeat(act, done, name, wait):
    """Do it, and again every ``wait`` seconds for a minute, until it shows."""
    for _ in range(60 // wait):
        act()
        try:
            wait_for(done, wait, name)
            return
        except TimeoutError:
            continue
    raise TimeoutError(f"{name}: a minute did nothing")
