"""A window on this machine's display: ``mujoco.viewer.launch_passive`` around our loop.

Where no window can be opened, MuJoCo ends the process with code 1 and no exception. So
:func:`display_problem` looks first, and has another process open a hidden window.

The window's own keys keep their meaning where they do not touch the simulation. It
shows a :class:`~sims.viewers.stage.Stage`, so that its reset and its mouse write into
nothing that is simulated; a drag of the mouse becomes a wrench in the engine.
"""

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from assets.errors import SandbotError
from sims.viewers.guest import LETTERS, Guest
from sims.viewers.loop import Session
from sims.viewers.stage import Stage
from sims.viewers.views import Views

FRAME = 1 / 60
"""Time between two pictures [s of wall clock]."""
KEYS: dict[int, Callable[[Session], Any]] = {
    32: Session.toggle,
    46: Session.single_step,
    262: Session.single_step,
    259: Session.reset,
    82: Session.repeat,
    61: Session.faster,
    334: Session.faster,
    45: lambda session: session.faster(-1),
    333: lambda session: session.faster(-1),
    80: Session.push,
    91: lambda session: session.show(session.shown - 1),
    93: lambda session: session.show(session.shown + 1),
    268: lambda session: session.fleet.show_best(),
    269: lambda session: session.fleet.show_worst(),
    92: lambda session: session.fleet.show_ended(),
    67: lambda session: session.views.next(),
    70: lambda session: session.contacts.toggle(),
    71: lambda session: session.curves.toggle(),
}
"""By GLFW's key code: space, period, right arrow, backspace, R, = and keypad +, - and
keypad -, P, [, ], Home, End, backslash, C, F, G."""
NAMES = {
    **{ord(letter): letter for letter in LETTERS},
    **{257: "Enter", 259: "Backspace", 261: "Delete", 340: "LeftShift"},
    **{262: "RightArrow", 263: "LeftArrow", 264: "DownArrow", 265: "UpArrow"},
}
"""Names of a guest's keys, by GLFW's key code."""
MOMENT = 0.3
"""For how long a key counts as held that was pressed [s of wall clock]: MuJoCo's window
tells that a key goes down, not that it is still down."""
HELP = (
    "space pause\n. step\nbackspace reset\nR repeat\n"
    "+ - speed\nP push\nF contact forces\nG curves\n[ ] env\n"
    "Home End best, worst\n\\ fallen\nC camera"
)
_PROBE = """
import glfw
assert glfw.init()
glfw.window_hint(glfw.VISIBLE, 0)
window = glfw.create_window(64, 64, "sandbot", None, None)
assert window
glfw.make_context_current(window)
glfw.terminate()
"""


def display_problem() -> str | None:
    """Why no window can be opened here, or None if one can."""
    system = platform.system()
    if system == "Darwin" and not os.environ.get("MJPYTHON_BIN"):
        return "on macOS a window needs the program to be run by mjpython"
    if system == "Linux":
        problem = _unreachable_display()
        if problem:
            return problem
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"opening a window on the display failed: {error}"
    if probe.returncode:
        last = (probe.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"the display cannot open an OpenGL window ({last})"
    return None


def _unreachable_display() -> str | None:
    """Why neither X11 nor Wayland answers, or None if one does."""
    x11, wayland = os.environ.get("DISPLAY"), os.environ.get("WAYLAND_DISPLAY")
    if not x11 and not wayland:
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    if x11 and _x11_answers(x11):
        return None
    if wayland:
        folder = Path(os.environ.get("XDG_RUNTIME_DIR", "/"))
        if _connects(socket.AF_UNIX, str(folder / wayland)):
            return None
    named = " and ".join(
        f"{name}={value}"
        for name, value in (("DISPLAY", x11), ("WAYLAND_DISPLAY", wayland))
        if value
    )
    return f"the display does not answer ({named})"


def _x11_answers(display: str) -> bool:
    """Whether an X server accepts connections at ``[host]:number[.screen]``."""
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if not number.isdigit():
        return False
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return any(_connects(socket.AF_UNIX, place) for place in (path, f"\0{path}"))
    return _connects(socket.AF_INET, (host, 6000 + int(number)))


def _connects(family: int, place: Any) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(2.0)
            sock.connect(place)
    except OSError:
        return False
    return True


def watch(session: Session) -> None:
    """Show a session in a window until it is finished, or the window is closed.

    Raises:
        SandbotError: no window can be opened; the message says why.
    """
    problem = display_problem()
    if problem:
        raise SandbotError(f"no window: {problem}. Use --viewer web or --viewer video.")
    import mujoco.viewer

    task = session.env.task
    stage = Stage(session.env.engine.model, task.robot, task.scene)
    stage.update(*session.snapshot())
    pressed: SimpleQueue[int] = SimpleQueue()  # keys arrive on the window's thread
    viewer = mujoco.viewer.launch_passive(
        stage.model,
        stage.data,
        key_callback=pressed.put,
        show_left_ui=False,
        show_right_ui=False,
    )
    try:
        looking: Any = "unset"
        presses = Presses(session.guest)
        flags = _Flags(viewer)
        while viewer.is_running() and not session.finished:
            start = time.perf_counter()
            flags.restore(everything=bool(session.guest.keys))
            if _obey(session, pressed, presses):
                looking = "unset"  # the window may have changed its camera by itself
            session.advance(FRAME)
            _draw(viewer, session, stage)
            if looking != session.views.chosen:
                looking = session.views.chosen
                _look(viewer, stage, session.views)
            viewer.sync()
            time.sleep(max(0.001, start + FRAME - time.perf_counter()))
    except KeyboardInterrupt:
        pass
    finally:
        viewer.close()


class Presses:
    """Keys of a guest, each held for a moment after it was pressed."""

    def __init__(
        self, guest: Guest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is held.

        Args:
            guest: whose keys.
            clock: seconds, for tests.
        """
        self._guest, self._clock = guest, clock
        self._until: dict[str, float] = {}
        self._commands = {key: c.run for c in guest.commands for key in c.keys}

    def press(self, session: Session, code: int) -> bool:
        """A key goes down; returns whether it is one of the guest's."""
        name = NAMES.get(code, "")
        if name in self._commands:
            self._commands[name](session)
        elif name in self._guest.keys:
            if self._until.pop(name, None) is not None:
                self.hold(session)  # let go first, so that it goes down once more
            self._until[name] = self._clock() + MOMENT
            self.hold(session)
        return name in self._commands or name in self._guest.keys

    def hold(self, session: Session) -> None:
        """Tell which keys are held now; once per frame."""
        now = self._clock()
        self._until = {k: end for k, end in self._until.items() if end > now}
        if self._guest.keys:
            session.hold(frozenset(self._until))


class _Flags:
    """How the window draws, which its own keys would change while a person steers; and
    what F and G would switch besides: contact forces of its own, which know no motors,
    and fog."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._drawn = viewer.opt.flags.copy(), viewer.user_scn.flags.copy()
        self._groups = viewer.opt.geomgroup.copy(), viewer.opt.sitegroup.copy()
        self._shown = viewer.opt.frame, viewer.opt.label

    def restore(self, everything: bool = True) -> None:
        """As at the start."""
        import mujoco

        viewer = self._viewer
        with viewer.lock():
            viewer.opt.flags[mujoco.mjtVisFlag.mjVIS_CONTACTFORCE] = 0
            fog = mujoco.mjtRndFlag.mjRND_FOG
            viewer.user_scn.flags[fog] = self._drawn[1][fog]
            if not everything:
                return
            viewer.opt.flags[:], viewer.user_scn.flags[:] = self._drawn
            viewer.opt.geomgroup[:], viewer.opt.sitegroup[:] = self._groups
            viewer.opt.frame, viewer.opt.label = self._shown


def _obey(session: Session, pressed: "SimpleQueue[int]", presses: Presses) -> bool:
    """Do what the keys say; returns whether one was ours."""
    ours = False
    while True:
        try:
            code = pressed.get_nowait()
        except Empty:
            presses.hold(session)
            return ours
        act = KEYS.get(code)
        if presses.press(session, code):
            ours = True
        elif act is not None:
            act(session)
            ours = True


def _draw(viewer: Any, session: Session, stage: Stage) -> None:
    """Hand over the state, the markers and the status; take the mouse's pull."""
    import mujoco

    from sims.markers import draw_markers

    with viewer.lock():
        stage.data.xfrc_applied[:] = 0.0
        if viewer.perturb.active:
            mujoco.mjv_applyPerturbForce(stage.model, stage.data, viewer.perturb)
        session.drag(stage.pulls())
        stage.update(*session.snapshot())
        viewer.user_scn.ngeom = 0
        draw_markers(viewer.user_scn, session.markers())
    _draw_curves(viewer, session)
    font, place = mujoco.mjtFontScale.mjFONTSCALE_150, mujoco.mjtGridPos
    status = session.status().line().replace("  |  ", "\n")
    viewer.set_texts(
        [
            (font, place.mjGRID_TOPLEFT, status, ""),
            (font, place.mjGRID_BOTTOMLEFT, _help(session.guest), ""),
        ]
    )


def _draw_curves(viewer: Any, session: Session) -> None:
    """A figure in the lower right corner, where the curves are on."""
    import mujoco

    from sims.viewers.figure import curves_figure

    view = session.curves.view(session.shown)
    if view is None or viewer.viewport is None:
        viewer.clear_figures()
        return
    width, height = viewer.viewport.width, viewer.viewport.height
    wide, high = width * 2 // 5, height * 2 // 5
    place = mujoco.MjrRect(width - wide, 0, wide, high)
    viewer.set_figures((place, curves_figure(view)))


def _help(guest: Guest) -> str:
    """What the keys do, the guest's first."""
    rows = [f"{keys} {does}" for keys, does in guest.help]
    rows += [f"{', '.join(c.keys)} {c.label}" for c in guest.commands]
    taken = {key for c in guest.commands for key in c.keys} | guest.keys
    gone = {"Backspace": "backspace reset", "R": "R repeat"}
    gone |= {"F": "F contact forces", "G": "G curves", "C": "C camera"}
    own = [r for r in HELP.split("\n") if r not in {gone.get(k) for k in taken}]
    return "\n".join(rows + [r for r in own if guest.pushable or r != "P push"])


def _look(viewer: Any, stage: Stage, views: Views) -> None:
    """Look through the chosen view."""
    import mujoco

    from sims.render import find_camera

    body = views.followed(views.chosen)
    view = find_camera(stage.model, views.chosen if body is None else None)
    if body is not None:
        view.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        view.trackbodyid = stage.model.body(body).id
    with viewer.lock():
        viewer.cam.type = view.type
        viewer.cam.fixedcamid = view.fixedcamid
        viewer.cam.trackbodyid = view.trackbodyid
        if view.type != mujoco.mjtCamera.mjCAMERA_FIXED:
            viewer.cam.lookat[:] = view.lookat
            viewer.cam.distance = view.distance
            viewer.cam.azimuth = view.azimuth
            viewer.cam.elevation = view.elevation
