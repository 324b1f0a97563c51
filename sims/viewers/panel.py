"""The panel, the keys and the mouse of the web viewer.

Runs on Studio's viewer thread and never touches the session: it shows the last
:class:`StatusSnapshot` and sends :class:`CommandEvent` and Studio's own events.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco.studio import (
    messages,
    plugin,
    ux,  # pyright: ignore[reportAttributeAccessIssue]
)
from mujoco.studio.app import inputs
from mujoco.studio.dear_imgui import dear_imgui as imgui

from sims.markers import marker_geoms
from sims.task import Marker
from sims.viewers.controls import (
    build_choices_gui,
    build_looks_gui,
    build_push_gui,
    build_told_gui,
)
from sims.viewers.curves import CurvesView
from sims.viewers.graphs import CurvesWindow
from sims.viewers.guest import Command
from sims.viewers.loop import Session
from sims.viewers.pace import speed_text
from sims.viewers.status import Status

KEYS = (
    ("Space", "pause, play"),
    (".", "single step"),
    ("Right", "single step"),
    ("Backspace", "next episode"),
    ("R", "same episode again"),
    ("+ -", "speed"),
    ("P", "push"),
    ("F", "contact forces"),
    ("G", "curves"),
    ("[ ]", "environment"),
    ("Home End", "best, worst environment"),
    ("\\", "fallen environment"),
    ("C", "camera"),
    ("Ctrl + right drag", "pull the body under the mouse"),
)
"""What a person may press, where no guest has other uses for it."""
_SHIFT = int(imgui.Key.Shift)
_ACTS: tuple[tuple[tuple[Any, ...], Callable[[Session], Any]], ...] = (
    ((imgui.Key.Space,), Session.toggle),
    ((imgui.Key.RightArrow, imgui.Key.Period), Session.single_step),
    ((imgui.Key.Backspace,), Session.reset),
    ((imgui.Key.R,), Session.repeat),
    ((imgui.Key.Equal, int(imgui.Key.Equal) | _SHIFT), Session.faster),
    ((imgui.Key.Minus,), lambda session: session.faster(-1)),
    ((imgui.Key.P,), Session.push),
    ((imgui.Key.LeftBracket,), lambda session: session.show(session.shown - 1)),
    ((imgui.Key.RightBracket,), lambda session: session.show(session.shown + 1)),
    ((imgui.Key.Home,), lambda session: session.fleet.show_best()),
    ((imgui.Key.End,), lambda session: session.fleet.show_worst()),
    ((imgui.Key.Backslash,), lambda session: session.fleet.show_ended()),
    ((imgui.Key.F,), lambda session: session.contacts.toggle()),
    ((imgui.Key.G,), lambda session: session.curves.toggle()),
    ((imgui.Key.C,), lambda session: session.views.next()),
)
"""What the keys of :data:`KEYS` do."""
_BUTTONS = (
    Command(
        label="Reset",
        does="next episode",
        keys=("Backspace",),
        tooltip="Next episode; the policy starts afresh",
        run=Session.reset,
    ),
    Command(
        label="Repeat",
        does="same episode again",
        keys=("R",),
        tooltip="The same episode again",
        run=Session.repeat,
    ),
    Command(
        label="Push",
        does="push",
        keys=("P",),
        tooltip="A short push, as set below",
        run=Session.push,
    ),
)
_WIDTH = 330.0
_BELOW = 60.0
"""What stays free below the panel and above, for the status line [pixels]."""
_COLUMN = 135.0
"""Where what a key does is written, beside the key [pixels]."""
_GREEN = imgui.Vec4(0.16, 0.62, 0.33, 1.0)
_BLUE = imgui.Vec4(0.22, 0.48, 0.82, 1.0)
_LIGHT = imgui.Vec4(1.0, 0.85, 0.4, 1.0)
_PLAIN = imgui.Vec4(0.9, 0.9, 0.9, 1.0)
_RED = imgui.Vec4(0.96, 0.42, 0.36, 1.0)


@dataclass(frozen=True)
class StatusSnapshot(messages.Snapshot):
    """From the session to the panel: what to show."""

    status: Status
    markers: tuple[Marker, ...]
    curves: CurvesView | None


@dataclass(frozen=True)
class CommandEvent(messages.Event):
    """From the panel to the session: what to do with it."""

    run: Callable[[Session], Any]


class Panel(plugin.ViewerPlugin):
    """See the module's top."""

    def __init__(self, session: Session) -> None:
        guest = session.guest
        self.started = threading.Event()
        """Set when the page is being served."""
        self._views, self._bodies = session.views, session.pushes.bodies()
        self._last: StatusSnapshot | None = None
        self._camera = session.views.chosen
        self._curves = CurvesWindow()
        self._ux = ux.UxState()
        self._pulling = False
        self._commands, self._pushable = guest.commands, guest.pushable
        self._steers = {name: getattr(imgui.Key, name) for name in sorted(guest.keys)}
        self._held: frozenset[str] = frozenset()
        self._help = guest.help
        taken = {*guest.keys, *(key for c in guest.commands for key in c.keys)}
        self._taken = {int(getattr(imgui.Key, name)) for name in taken}
        """Keys of the viewer whose own meaning rests."""

    @messages.handler
    def _on_viewer_init(self, event: plugin.ViewerInitEvent) -> None:
        ux.setup_theme(ux.GuiTheme.DARK)
        io = imgui.GetIO()  # else a browser that connects at once meets no font
        io.BackendFlags = int(io.BackendFlags) | int(
            imgui.BackendFlags.RendererHasTextures
        )
        self.started.set()

    @messages.handler
    def _on_post_model(self, event: messages.PostModelEvent) -> None:
        self._look(self._camera)

    @messages.handler
    def _on_status(self, event: StatusSnapshot) -> bool:
        if self._last is None or event.status.camera != self._camera:
            self._look(event.status.camera)
        self._last = event
        return True

    @messages.handler
    def _on_update(self, event: messages.UpdateEvent) -> None:
        viewer = self.viewer
        self._grasp()
        inputs.handle_mouse_events(
            viewer.model,
            viewer.data,
            viewer.camera,
            viewer.vis_options,
            viewer.perturb,
            self._ux,
            move_camera=viewer.client_camera is None,
        )
        self._pull()
        listens = not imgui.GetIO().WantCaptureKeyboard
        if listens:
            self._keys()
        self._hold(listens)
        if self._last is not None:
            viewer.extra_geoms[:] = marker_geoms(self._last.markers)

    @messages.handler
    def _on_build_gui(self, event: messages.BuildGuiEvent) -> None:
        if self._last is not None:
            self._build_panel_gui(self._last.status)
            self._build_line_gui(self._last.status)
            if self._last.status.curves:
                self._curves.build_gui(self._last.curves)

    def _do(self, run: Callable[[Session], Any]) -> None:
        self.viewer.send_to_sim(CommandEvent(run))

    def _look(self, camera: str | None) -> None:
        """Look through one of the session's views."""
        self._camera = camera
        viewer = self.viewer
        body, fixed = self._views.followed(camera), self._views.cameras
        mujoco.mjv_defaultFreeCamera(viewer.model, viewer.camera)
        if body is not None:
            index = ux.TRACKING_CAMERA_IDX
            viewer.camera.trackbodyid = viewer.model.body(body).id
        elif camera in fixed:
            index = fixed.index(camera)
        else:
            index = ux.TUMBLE_CAMERA_IDX
        self._ux.camera_index = ux.set_camera(viewer.model, viewer.camera, index)
        viewer.camera_index = self._ux.camera_index

    def _grasp(self) -> None:
        """Take hold of the body under the mouse, where Ctrl and a button go down."""
        io, viewer = imgui.GetIO(), self.viewer
        size, mouse = io.DisplaySize, io.MousePos
        buttons = (imgui.MouseButton.Left, imgui.MouseButton.Right)
        if io.WantCaptureMouse or not io.KeyCtrl or min(size.x, size.y) <= 0:
            return
        if not any(imgui.IsMouseClicked(button) for button in buttons):
            return
        picked = ux.Pick(
            viewer.model,
            viewer.data,
            viewer.camera,
            mouse.x / size.x,
            mouse.y / size.y,
            size.x / size.y,
            viewer.vis_options,
        )
        viewer.perturb.select = max(picked.body, 0)
        if picked.body > 0:
            offset = np.array(picked.point, float) - viewer.data.xpos[picked.body]
            rotation = np.array(viewer.data.xmat[picked.body]).reshape(3, 3)
            viewer.perturb.localpos = rotation.T @ offset

    def _pull(self) -> None:
        """Send a drag of the mouse as wrenches on bodies, for the session to apply."""
        viewer = self.viewer
        pulling = bool(viewer.perturb.active) and viewer.perturb.select > 0
        if pulling or self._pulling:
            viewer.data.xfrc_applied[:] = 0.0
            if pulling:
                mujoco.mjv_applyPerturbForce(viewer.model, viewer.data, viewer.perturb)
            viewer.send_to_sim(
                messages.PerturbSnapshot(
                    state=np.array(viewer.data.xfrc_applied).ravel(),
                    state_sig=int(mujoco.mjtState.mjSTATE_XFRC_APPLIED),
                )
            )
        self._pulling = pulling

    def _keys(self) -> None:
        """Do what the keys that go down say."""
        pressed = imgui.IsKeyChordPressed
        for keys, run in _ACTS:
            if any(pressed(key) for key in keys if int(key) not in self._taken):
                self._do(run)
        for command in self._commands:
            if any(pressed(getattr(imgui.Key, key)) for key in command.keys):
                self._do(command.run)

    def _hold(self, listens: bool) -> None:
        """Tell which of the guest's keys are held; again and again while any is."""
        held = frozenset(
            name
            for name, key in self._steers.items()
            if listens and imgui.IsKeyDown(key)
        )
        if held or self._held:
            self._do(lambda session: session.hold(held))
        self._held = held

    def _build_panel_gui(self, status: Status) -> None:
        imgui.SetNextWindowPos(imgui.Vec2(16, 16), int(imgui.Cond.FirstUseEver))
        imgui.SetNextWindowSize(imgui.Vec2(_WIDTH, 0), int(imgui.Cond.FirstUseEver))
        room = max(imgui.GetIO().DisplaySize.y - _BELOW, 200.0)
        imgui.SetNextWindowSizeConstraints(imgui.Vec2(0, 0), imgui.Vec2(2000, room))
        flags = imgui.WindowFlags
        imgui.Begin("panel", flags=int(flags.AlwaysAutoResize) | int(flags.NoTitleBar))
        imgui.PushItemWidth(_WIDTH - 110)
        imgui.SeparatorText(f"sandbot: {status.task}")
        imgui.TextUnformatted(f"policy {status.policy}, engine {status.engine}")
        imgui.Spacing()
        self._build_buttons_gui(status)
        for index, line in enumerate(status.lines):
            imgui.TextColored(_LIGHT if index == 0 else _PLAIN, line)
        build_choices_gui(status, self._views.names(), self._do)
        self._build_episode_gui(status)
        build_looks_gui(status, self._do)
        build_told_gui(status, self._do)
        if self._pushable and imgui.TreeNode("Push settings"):
            build_push_gui(status, self._bodies, self._do)
            imgui.TreePop()
        if status.error:
            imgui.Separator()
            imgui.PushStyleColor(imgui.Col.Text, _RED)
            imgui.TextWrapped(status.error)
            imgui.PopStyleColor()
        imgui.SetNextItemOpen(bool(self._help), int(imgui.Cond.FirstUseEver))
        if imgui.TreeNode("Keys"):
            self._build_keys_gui()
            imgui.TreePop()
        imgui.PopItemWidth()
        imgui.End()

    def _build_buttons_gui(self, status: Status) -> None:
        if imgui.Button(f"{'Play' if status.paused else 'Pause'}###play"):
            self._do(Session.toggle)
        imgui.SameLine()
        if imgui.Button("Step"):
            self._do(Session.single_step)
        for command in (*self._commands, *self._own_buttons()):
            imgui.SameLine()
            if imgui.Button(command.label):
                self._do(command.run)
            imgui.SetItemTooltip(f"{command.tooltip} ({', '.join(command.keys)})")

    def _own_buttons(self) -> Iterator[Command]:
        """The viewer's, but for those whose key the guest has taken."""
        for button in _BUTTONS:
            free = int(getattr(imgui.Key, button.keys[0])) not in self._taken
            if free and (button.run is not Session.push or self._pushable):
                yield button

    def _build_keys_gui(self) -> None:
        """The guest's keys, its commands', and the viewer's that are left."""
        rows = [*self._help, *((" ".join(c.keys), c.does) for c in self._commands)]
        rows += [row for row in KEYS if row[0] not in self._gone()]
        for keys, does in rows:
            imgui.TextUnformatted(keys)
            imgui.SameLine(_COLUMN)
            imgui.TextUnformatted(does)

    def _gone(self) -> set[str]:
        """Rows of :data:`KEYS` that do not hold with this guest."""
        gone = set() if self._pushable else {"P", "Ctrl + right drag"}
        names = {row: "RightArrow" if row == "Right" else row for row, _ in KEYS}
        keys = {r: getattr(imgui.Key, name, None) for r, name in names.items()}
        return gone | {r for r, k in keys.items() if k and int(k) in self._taken}

    def _build_episode_gui(self, status: Status) -> None:
        colour = _GREEN if status.success else _BLUE
        imgui.PushStyleColor(imgui.Col.PlotHistogram, colour)
        imgui.ProgressBar(
            min(status.time / status.length, 1.0),
            imgui.Vec2(_WIDTH - 110, 0),
            f"{status.time:.2f} / {status.length:g} s",
        )
        imgui.PopStyleColor()
        imgui.SameLine()
        imgui.TextUnformatted("episode")
        if status.paused:
            imgui.TextUnformatted("paused")
        else:
            imgui.TextUnformatted(
                f"{status.achieved:.2f} x real time (target {speed_text(status.speed)})"
            )
        if status.success is not None:
            if status.success:
                imgui.TextColored(_GREEN, "success")
            else:
                imgui.TextUnformatted("failed" if status.ended else "not solved yet")
            imgui.SameLine()
            imgui.TextDisabled(
                f"({status.successes} of {status.episodes} episodes succeeded)"
            )

    def _build_line_gui(self, status: Status) -> None:
        """The status line, along the lower edge of the page."""
        size = imgui.GetIO().DisplaySize
        flags = imgui.WindowFlags
        imgui.SetNextWindowPos(imgui.Vec2(0, size.y), 0, imgui.Vec2(0, 1))
        imgui.SetNextWindowSize(imgui.Vec2(size.x, 0))
        imgui.SetNextWindowBgAlpha(0.6)
        imgui.Begin("##line", flags=int(flags.NoDecoration) | int(flags.NoInputs))
        imgui.TextUnformatted(status.line())
        imgui.End()
