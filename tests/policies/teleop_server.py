"""Teleoperation in a web viewer, in a process of its own that tells what happens.

Run as ``python -m tests.policies.teleop_server FOLDER`` it serves the transfer task,
recorded to that folder, and prints a line of JSON 20 times a second until it reads
"quit". :class:`TeleopServer` is the other end.
"""

import json
import sys
import threading
import time
from pathlib import Path

from tests.sims.viewer_server import Server


class TeleopServer(Server):
    """The process; a context manager that insists on a clean exit."""

    module = "tests.policies.teleop_server"


def main() -> None:
    """Serve, tell, obey."""
    from policies.teleop.cockpit import Cockpit
    from policies.teleop.operator import Operator
    from policies.teleop.teleoperate import Recording, open_inputs
    from sims import make_env
    from sims.viewers.loop import Session
    from sims.viewers.web import watch

    env = make_env("aloha-transfer-cube")
    env.max_steps = 30_000  # drawn in software, all takes its time
    operator = Operator(
        env.task, 1, list(open_inputs(["keys", "drag"], env.task).values())
    )
    stop, notes = threading.Event(), []
    recording = Recording(Path(sys.argv[1]), 30, 0, "none", False, (), (640, 480))
    with recording.open(env, False, False, notes.append) as take:
        assert take is not None
        session = Session(env, operator, guest=Cockpit(operator, take), hold=60.0)

        def tell() -> None:
            while not stop.is_set():
                status = session.status()
                line = {
                    "notes": list(notes),
                    "lines": status.lines,
                    "time": status.time,
                    "hands": {
                        s: h.position.tolist() for s, h in operator.hands.items()
                    },
                    "active": operator.active,
                    "opening": operator.hands["right"].opening,
                    "state": env.engine.qpos[0].tolist(),
                    "cube": env.engine.pose("cube")[0][0].tolist(),
                    "kept": take.kept,
                    "discarded": take.discarded,
                    "paused": status.paused,
                    "error": status.error,
                }
                print(json.dumps(line), flush=True)
                time.sleep(0.05)

        def obey() -> None:
            for word in sys.stdin:
                if word.strip() == "quit":
                    break
            stop.set()

        for work in (tell, obey):
            threading.Thread(target=work, daemon=True).start()
        watch(session, notify=notes.append, stop=stop)
    env.close()


if __name__ == "__main__":
    main()
