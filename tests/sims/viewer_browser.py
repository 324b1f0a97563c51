"""A headless Chromium, driven through the DevTools protocol."""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websocket

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class Browser:
    """One page; a context manager."""

    def __init__(self, folder: Path, width: int = 1000, height: int = 640) -> None:
        """Start the browser with a new profile in ``folder``."""
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            raise RuntimeError(
                "no chromium on the PATH, which this test drives: "
                "sudo apt-get install chromium"
            )
        self._process = subprocess.Popen(
            [
                program,
                *FLAGS,
                f"--user-data-dir={folder}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._count = 0
        self._socket: Any = None
        try:
            ports = folder / "DevToolsActivePort"
            wait_for(lambda: ports.exists() and ports.read_text(), 30, "the browser")
            port = int(ports.read_text().split()[0])
            listing = f"http://127.0.0.1:{port}/json"
            pages = wait_for(
                lambda: [p for p in _get_json(listing) if p["type"] == "page"],
                30,
                "a page",
            )
            self._socket = websocket.create_connection(
                pages[0]["webSocketDebuggerUrl"], timeout=60
            )
        except BaseException:
            self.close()
            raise

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, address: str) -> None:
        """Go to a page."""
        self.call("Page.enable")
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def press(self, key: str, code: str, number: int) -> None:
        """Press and release a key, as a person would."""
        self.key_down(key, code, number)
        time.sleep(0.15)
        self.key_up(key, code, number)

    def key_down(self, key: str, code: str, number: int) -> None:
        """Press a key, and hold it."""
        text = {"text": key} if len(key) == 1 else {}
        self._key("keyDown", key, code, number, **text)

    def key_up(self, key: str, code: str, number: int) -> None:
        """Release a key."""
        self._key("keyUp", key, code, number)

    def _key(self, kind: str, key: str, code: str, number: int, **more: str) -> None:
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type=kind, **common, **more)

    def control_drag(
        self, start: tuple[int, int], end: tuple[int, int], until: Callable[[], Any]
    ) -> bool:
        """Drag with Ctrl and the right button, and hold until something is so.

        Args:
            start: from the left, from the top [pixels].
            end: likewise.
            until: asked for ten seconds.

        Returns:
            Whether it came to be so.
        """
        control = {"key": "Control", "code": "ControlLeft", "windowsVirtualKeyCode": 17}
        held = {"button": "right", "buttons": 2, "modifiers": 2}
        self._mouse("mouseMoved", start, modifiers=0)
        time.sleep(1.0)
        self.call("Input.dispatchKeyEvent", type="keyDown", modifiers=2, **control)
        self._mouse("mouseMoved", start, modifiers=2)
        time.sleep(1.0)
        self._mouse("mousePressed", start, clickCount=1, **held)
        time.sleep(0.5)
        try:
            for part in range(1, 6):
                x, y = (
                    a + (b - a) * part // 5 for a, b in zip(start, end, strict=True)
                )
                self._mouse("mouseMoved", (x, y), **held)
            wait_for(until, 10, "what a drag does")
            return True
        except TimeoutError:
            return False
        finally:
            released = held | {"buttons": 0}
            self._mouse("mouseReleased", end, clickCount=1, **released)
            self.call("Input.dispatchKeyEvent", type="keyUp", **control)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag with the left button.

        Args:
            start: from the left, from the top [pixels].
            end: likewise.
        """
        held = {"button": "left", "clickCount": 1}
        self._mouse("mouseMoved", start)
        time.sleep(0.3)
        self._mouse("mousePressed", start, buttons=1, **held)
        time.sleep(0.3)
        self._mouse("mouseMoved", end, buttons=1, button="left")
        time.sleep(0.3)
        self._mouse("mouseReleased", end, buttons=0, **held)

    def _mouse(self, kind: str, place: tuple[int, int], **more: Any) -> None:
        x, y = place
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, path: Path) -> None:
        """Write a PNG of the page."""
        result = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(result["data"]))

    def close(self) -> None:
        """End the browser."""
        if self._socket is not None:
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_for(what: Callable[[], Any], seconds: float, name: str) -> Any:
    """Ask until the answer is true, and return it; TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = what()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"waited {seconds} s for {name}")


def _get_json(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)
