"""How long until a person sees the expert move in the browser.

python -m benchmarks.play [--task aloha-transfer-cube]

Starts ``sandbot play`` as a user does, opens its address in a headless Chromium that is
running already, and follows the pictures that the page shows, as they are shown, until
two on end both have a scene and differ in it: then the robot is there and moves. Taking
screenshots would draw the page again for each, and take longer than what is measured.
The last picture is kept where --picture says.
"""

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.record import record
from tests.sims.viewer_browser import Browser, wait_for

BAR = 10.0
"""[s]"""
CHANGED = 0.001
"""Share of the scene's pixels that differ when something moves."""
LEVELS = 40
"""By how much such a pixel differs, of 255; compression changes less."""
DRAWN = 10.0
"""Standard deviation of the scene's pixels, of 255, when something is drawn there; an
empty page has none, and its coming and going is no motion."""


LONGEST = 120.0
"""What is not seen by then is not seen [s]."""


class Watched(Browser):
    """A page whose pictures are followed as they are shown."""

    def pictures(self) -> Iterator[tuple[float, bytes]]:
        """When each was shown [s since the epoch], and the picture, a JPEG."""
        wait_for(self._start, 30, "the page to be there")
        while True:
            message = json.loads(self._socket.recv())
            if message.get("method") != "Page.screencastFrame":
                continue
            frame = message["params"]
            self.call("Page.screencastFrameAck", sessionId=frame["sessionId"])
            yield frame["metadata"]["timestamp"], base64.b64decode(frame["data"])

    def _start(self) -> bool:
        try:
            self.call("Page.startScreencast", format="jpeg", quality=90)
        except AssertionError:  # the page is only just loading
            return False
        return True


def main() -> None:
    """Start, wait, print, record."""
    parser = argparse.ArgumentParser(description="time until the expert is seen")
    parser.add_argument("--task", default="aloha-transfer-cube")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    times = [_once(options.task, options.picture) for _ in range(options.rounds)]
    for seconds in times:
        print(f"{options.task}: the robot moves in the page after {seconds:.1f} s")
    worst = max(times)
    bar = {
        "what": f"`sandbot play {options.task}`: seconds until it moves in the browser",
        "figure": worst,
        "bar": f"<= {BAR:g}",
        "met": worst <= BAR,
    }
    load = os.getloadavg()[0]
    path = record("play", {"seconds": times, "load_average": load, "bars": [bar]})
    print(f"wrote {path.relative_to(path.parents[2])}")


def _once(task: str, picture: Path | None) -> float:
    """Seconds from the command to the first motion."""
    # the browser's children may still write when it has ended
    room = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with room as folder:
        browser = Watched(Path(folder))
        with browser, _played(task) as (process, began):
            browser.open(_address(process))
            seconds = _first_motion(browser, began)
            if picture is not None:
                time.sleep(3)
                browser.screenshot(picture)
    return seconds


@contextmanager
def _played(task: str) -> "Iterator[tuple[subprocess.Popen[str], float]]":
    """The command, and when it was given [s since the epoch]; ended afterwards."""
    began = time.time()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "sandbot", "play", task, "--viewer", "web"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, began
    finally:
        process.terminate()
        process.wait(20)


def _first_motion(browser: Watched, began: float) -> float:
    """Seconds from ``began`` to the first picture that shows the robot elsewhere."""
    before = None
    for shown, picture in browser.pictures():
        if shown - began > LONGEST:
            break
        after = _scene(picture)
        if after.std() < DRAWN:
            before = None
            continue
        moved = before is not None and np.abs(after - before).max(-1) > LEVELS
        if np.mean(moved) > CHANGED:
            browser.call("Page.stopScreencast")
            return shown - began
        before = after
    raise TimeoutError(f"nothing moved in the page for {LONGEST:g} s")


def _address(process: subprocess.Popen) -> str:
    """What the command prints that begins with http."""
    assert process.stdout is not None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http"):
                return word
    raise RuntimeError("sandbot play printed no address")


def _scene(picture: bytes) -> np.ndarray:
    """The middle of a picture of the page, away from panels; (height, width, 3)."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    return pixels[height // 4 : -height // 4, width // 3 : -width // 3]


if __name__ == "__main__":
    main()
