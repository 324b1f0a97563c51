"""Teleoperation in a real browser, as a person does it.

The page is drawn in software, so that a key may arrive late: what is waited for is
what the keys do, never a number of seconds.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluation.replay import replay
from ml.lerobot import read_dataset
from tests.policies.teleop_server import TeleopServer
from tests.sims.viewer_browser import Browser, wait_for
from tests.sims.viewer_server import Server

ENTER, DELETE = ("Enter", "Enter", 13), ("Delete", "Delete", 46)


PLACES = ((640, 200), (660, 190), (620, 195), (600, 250))
"""On the picture, where parts of the right arm may be [pixels]."""


def letter(name: str) -> tuple[str, str, int]:
    return name.lower(), f"Key{name}", ord(name)


def hold(browser: Browser, server: Server, key: Any, until: Callable[[], Any]) -> None:
    """Hold a key down until it shows, and let go until that shows.

    Once more if the page did not listen yet.
    """
    for _ in range(4):
        browser.key_down(*key)
        try:
            wait_for(until, 20, key[1])
            break
        except TimeoutError:
            continue
        finally:
            browser.key_up(*key)
    else:
        raise TimeoutError(f"holding {key[1]} did nothing")
    wait_for(lambda: still(server), 30, "the hands to rest")


def still(server: Server) -> bool:
    """Whether no hand moves."""
    before = server.hands
    time.sleep(0.5)
    return server.hands == before


def press(browser: Browser, key: Any, until: Callable[[], Any], what: str) -> None:
    """Press a key, once more if the page did not listen."""
    for _ in range(4):
        browser.press(*key)
        try:
            wait_for(until, 20, what)
            return
        except TimeoutError:
            continue
    raise TimeoutError(f"pressing {key[1]} did nothing: {what}")


def test_a_person_steers_keeps_discards_and_redoes(tmp_path: Path) -> None:
    out = tmp_path / "d"
    with (
        TeleopServer(str(out)) as server,
        Browser(tmp_path / "profile", 900, 620) as browser,
    ):

        def right() -> list[float]:
            return server.hands["right"]

        browser.open(f"http://localhost:{server.port}/")
        wait_for(
            lambda: browser.evaluate("!!document.querySelector('canvas')"), 30, "page"
        )
        assert server.lines[0] == "episode 1 of 30, 0.0 s, kept 0, discarded 0"
        assert server.lines[1] == "waiting for your first input" and server.time == 0
        start = right()
        hold(browser, server, letter("A"), lambda: right()[0] < start[0] - 0.02)
        assert right()[1:] == start[1:], "it went left alone"
        assert server.hands["left"] != right() and server.time > 0
        press(browser, letter("F"), lambda: server.opening > 0.9, "opening")
        press(browser, letter("H"), lambda: server.active == ["left"], "the other hand")

        press(browser, DELETE, lambda: server.discarded == 1, "discarding")
        wait_for(lambda: server.time == 0 and right() == start, 20, "a new start")
        hold(browser, server, letter("D"), lambda: server.time > 0.2)
        press(browser, ENTER, lambda: "will be kept" in server.lines[1], "the end")
        press(browser, ENTER, lambda: server.kept == 1, "keeping")
        wait_for(lambda: server.lines[1].startswith("waiting"), 20, "the next start")
        assert "episode 2 of 30, 0.0 s, kept 1" in server.lines[0]
        begun = server.cube
        hold(browser, server, letter("D"), lambda: server.time > 0.2)
        press(browser, letter("R"), lambda: server.discarded == 2, "redoing")
        wait_for(
            lambda: server.time == 0 and server.cube == begun, 20, "the same start"
        )
        assert server.error is None

        before = right()
        assert any(
            browser.control_drag(place, (800, 120), lambda: right() != before)
            for place in PLACES
        ), "the mouse pulls the right arm"
        wait_for(lambda: still(server), 30, "the hands to rest")
    data = read_dataset(out)
    assert len(data.episodes) == 1 and all(one.same for one in replay(out, threads=1))
