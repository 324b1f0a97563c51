"""A web viewer in a process of its own, which tells what happens on its side.

Run as a program it serves ``arm-reach``, prints a line of JSON 20 times a second, and
obeys "fail", "heal" and "quit" on its standard input. :class:`Server` is the other end.
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any, Self

from tests.sims.viewer_browser import wait_for


class Server:
    """The process; a context manager that insists on a clean exit."""

    module = "tests.sims.viewer_server"
    """What the process runs."""

    def __init__(self, *arguments: str) -> None:
        """Start it and wait for the address.

        Args:
            arguments: of the process.
        """
        self.last: dict[str, Any] = {}
        """The latest line."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            wait_for(lambda: self.last.get("notes"), 30, "the viewer")
        except TimeoutError:
            self._process.kill()
            raise RuntimeError(self._process.communicate()[1]) from None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Of the page."""
        return int(self.last["notes"][0].split("localhost:")[1].split("/")[0])

    def tell(self, word: str) -> None:
        """Send "fail", "heal" or "quit"."""
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)

    def __getattr__(self, name: str) -> Any:
        """The latest value of that name."""
        try:
            return self.last[name]
        except KeyError:
            raise AttributeError(name) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            self.tell("quit")
            code = self._process.wait(30)
        finally:
            self._process.kill()
        assert kind is not None or code == 0, f"the viewer ended with code {code}"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.last = json.loads(line)


def main() -> None:
    """Serve, tell, obey."""
    from sims import make_env
    from sims.viewers.loop import Session
    from sims.viewers.web import watch
    from tests.sims.viewer_fakes import Swing

    env = make_env("arm-reach", num_envs=2)
    policy = Swing(env)
    session, stop, notes = Session(env, policy), threading.Event(), []

    def tell() -> None:
        while not stop.is_set():
            resets, steps = policy.resets, session.steps
            status = session.status()  # last, so that it is no older than these
            line = {
                "notes": list(notes),
                "qpos": env.engine.qpos[0].tolist(),
                "resets": resets,
                "steps": steps,
                "paused": status.paused,
                "pushing": status.pushing,
                "time": status.time,
                "shown": status.env,
                "speed": status.speed,
                "camera": status.camera,
                "contacts": status.contacts,
                "curves": status.curves,
                "told": [setting.value for setting in status.told],
                "held": [setting.drawn is not None for setting in status.told],
                "error": status.error,
            }
            print(json.dumps(line), flush=True)
            time.sleep(0.05)

    def obey() -> None:
        for word in sys.stdin:
            policy.fails = {"fail": True, "heal": False}.get(word.strip(), policy.fails)
            if word.strip() == "quit":
                break
        stop.set()

    for work in (tell, obey):
        threading.Thread(target=work, daemon=True).start()
    watch(session, notify=notes.append, stop=stop)


if __name__ == "__main__":
    main()
