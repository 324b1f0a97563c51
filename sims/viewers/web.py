"""MuJoCo Studio's web viewer around our own loop.

Studio runs a viewer thread that serves a page and builds the panel
(:mod:`sims.viewers.panel`), while this thread steps a
:class:`~sims.viewers.loop.Session` and hands over what to draw. Page and panel only
send messages; all of them are obeyed here, in :class:`_Commands`, so that reset
restarts the episode and the policy, and a drag of the mouse becomes a wrench in the
engine, whichever engine it is. Studio's own handlers would call ``mj_resetData`` and
write into the data.

Studio 4.0 listens on every network interface, with no option and no authentication, so
the listening socket is made here, on 127.0.0.1, and handed to it in place of its own.
"""

import gc
import getpass
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from mujoco.studio import (
    launch_web,
    messages,
    plugin,
    viewer_handle,
    viewer_protocol,
    web_viewer,
)
from mujoco.studio.web import web_server

from assets.errors import SandbotError, UsageError
from sims.viewers.loop import Session
from sims.viewers.panel import CommandEvent, Panel, StatusSnapshot
from sims.viewers.stage import Stage

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 8080, 100
"""Where the search for a free port starts, and how many are tried."""
FRAME = 1 / 60
"""Time between two pictures [s of wall clock]."""
_START = 30.0
"""Longest wait for Studio to come up [s]."""

log = logging.getLogger(__name__)


class _Commands(plugin.SimPlugin):
    """Obeys the page, on the thread that steps the session."""

    def __init__(self, session: Session, stage: Stage) -> None:
        self._session, self._stage = session, stage

    @messages.handler
    def _on_command(self, event: CommandEvent) -> bool:
        self._session.attempt(event.run)
        return True

    @messages.handler
    def _on_reset(self, event: messages.ResetEvent) -> bool:
        self._session.reset()
        return True

    @messages.handler
    def _on_single_step(self, event: messages.SingleStepEvent) -> bool:
        self._session.single_step()
        return True

    @messages.handler
    def _on_perturb(self, event: messages.PerturbSnapshot) -> bool:
        self._stage.data.xfrc_applied[:] = event.state.reshape(-1, 6)
        self._session.drag(self._stage.pulls())
        return True


def watch(
    session: Session,
    *,
    port: int | None = None,
    notify: Callable[[str], None] = log.info,
    stop: threading.Event | None = None,
) -> str:
    """Show a session in a browser until it is finished or interrupted.

    Args:
        session: stepped by this call.
        port: to serve on; None or 0: the first free one from 8080 on.
        notify: called with each line that a person should read.
        stop: ends the call when set, for tests.

    Returns:
        The address it was served at.

    Raises:
        UsageError: no such port.
        SandbotError: the port is in use, or the viewer does not start.
    """
    sock = bind(port)
    address = f"http://localhost:{sock.getsockname()[1]}/"
    task = session.env.task
    stage = Stage(session.env.engine.model, task.robot, task.scene)
    stage.update(*session.snapshot())
    panel = Panel(session)
    handle = _launch(sock, session, stage, panel)
    try:
        for line in banner(sock.getsockname()[1]):
            notify(line)
        _loop(handle, session, stage, notify, stop or threading.Event())
    except KeyboardInterrupt:
        log.info("interrupted")
    finally:  # an exception that leaves Studio running ends in a segmentation fault
        handle.close()
        panel.viewer = None
        del handle
        gc.collect()  # Studio's context, which is global, ends with its last reference
    return address


def _loop(
    handle: viewer_handle.ViewerHandle,
    session: Session,
    stage: Stage,
    notify: Callable[[str], None],
    stop: threading.Event,
) -> None:
    model, error = stage.model, None
    while handle.is_running() and not session.finished and not stop.is_set():
        start = time.perf_counter()
        session.advance(FRAME)
        if stage.update(*session.snapshot()):
            model = stage.copy_model()
        handle.sync(model, stage.data)
        handle.send_to_viewer(
            StatusSnapshot(
                status=session.status(),
                markers=tuple(session.markers()),
                curves=session.curves.view(session.shown),
            )
        )
        if session.error not in (None, error):
            notify(f"paused: {session.error}")
        error = session.error
        time.sleep(max(0.001, start + FRAME - time.perf_counter()))


def bind(port: int | None) -> socket.socket:
    """A socket that listens on 127.0.0.1.

    Args:
        port: None or 0: the first free one from 8080 on.

    Raises:
        UsageError: not a port.
        SandbotError: in use, or not allowed.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(
            f"a port lies within 1..65535, got {port}; leave it out for a free one"
        )
    reason: OSError | None = None
    for candidate in [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, candidate))
            sock.listen()
            return sock
        except OSError as error:
            sock.close()
            reason = error
    tried = (
        f"port {port}" if port else f"ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1}"
    )
    raise SandbotError(
        f"cannot serve the viewer on {HOST}, {tried}: {reason and reason.strerror}. "
        "Another viewer may be running: choose another --port, or leave it out for "
        "a free one."
    )


def banner(port: int) -> list[str]:
    """What to tell a person: the address, and how to reach it from elsewhere."""
    return [
        f"viewer: http://localhost:{port}/  (Ctrl+C to quit)",
        f"from another machine: ssh -L {port}:{HOST}:{port} "
        f"{getpass.getuser()}@{socket.gethostname()}",
    ]


def _launch(
    sock: socket.socket, session: Session, stage: Stage, panel: Panel
) -> viewer_handle.ViewerHandle:
    """Start Studio on our socket; its lines on stdout go to the log."""

    def our_socket(host: str, port: int = 0) -> socket.socket:
        return sock

    web_viewer.print = _print_to_log  # pyright: ignore[reportAttributeAccessIssue]
    logging.getLogger("WebServer").setLevel(logging.WARNING)
    config = viewer_protocol.ViewerConfig(title="sandbot", gfx="web")
    theirs = web_server.bind_public_socket
    web_server.bind_public_socket = our_socket
    try:
        handle = launch_web.launch(config, plugins=[panel, _Commands(session, stage)])
        deadline = time.monotonic() + _START
        while not panel.started.wait(0.05):
            if not handle.is_running() or time.monotonic() > deadline:
                handle.close()
                raise SandbotError(
                    "MuJoCo Studio's web viewer did not start; run with --viewer video"
                )
    finally:
        web_server.bind_public_socket = theirs
    return handle


def _print_to_log(*words: Any, **_: Any) -> None:
    log.debug("%s", " ".join(map(str, words)))
