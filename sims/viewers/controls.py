"""Parts of the web viewer's panel: what is told, pushed, shown and chosen.

Each function builds some widgets from the last status, and says by ``do`` what a person
asks of the session; see :mod:`sims.viewers.panel`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mujoco.studio.dear_imgui import dear_imgui as imgui

from sims.viewers.loop import Session
from sims.viewers.pace import SPEEDS, speed_text
from sims.viewers.pushes import LONGEST, Pushing
from sims.viewers.status import Status

Do = Callable[[Callable[[Session], Any]], None]
"""Has the session do something, soon and on its own thread."""
_CLAMP = int(imgui.SliderFlags.AlwaysClamp)
"""Also for a number that is typed in, by Ctrl and a click."""
_LIGHT = imgui.Vec4(1.0, 0.85, 0.4, 1.0)
_WIDTH = 220.0
"""Of a slider [pixels]."""
_GAP = 4.0
"""Between a box and its slider [pixels]."""


def build_told_gui(status: Status, do: Do) -> None:
    """A slider for each number that the task tells the robot; a tick: it is held."""
    if not status.told:
        return
    imgui.SeparatorText("told to the robot")
    box = imgui.GetFrameHeight() + _GAP
    for setting in status.told:
        dial, held = setting.dial, setting.drawn is not None
        name, value = dial.name, setting.value
        ticked, hold = imgui.Checkbox(f"###hold {name}", held)
        if ticked:
            _hold(do, name, value if hold else None)
        drawn = f"{value if setting.drawn is None else setting.drawn:.3g}"
        imgui.SetItemTooltip(
            f"Held by you until you untick it;\ndrawn: {drawn} {dial.unit}"
            if held
            else "Tick, or move the slider,\nto tell the robot a value of yours"
        )
        imgui.SameLine(0, _GAP)
        imgui.SetNextItemWidth(_WIDTH - box)
        if held:
            imgui.PushStyleColor(imgui.Col.Text, _LIGHT)
        moved, value = imgui.SliderFloat(
            name, value, dial.low, dial.high, f"%.2f {dial.unit}", _CLAMP
        )
        if held:
            imgui.PopStyleColor()
        if moved:
            _hold(do, name, min(max(value, dial.low), dial.high))


def _hold(do: Do, name: str, value: float | None) -> None:
    def act(session: Session) -> None:
        if value is None:
            session.env.holds.release(session.shown, name)
        else:
            session.env.holds.hold(session.shown, name, value)

    do(act)


def build_push_gui(status: Status, bodies: list[str], do: Do) -> None:
    """How hard, how long, where to and where at the push button pushes."""
    push, hardest = status.push, status.hardest
    chosen: dict[str, Any] = {}
    moved, force = imgui.SliderFloat(
        "force", push.force or 0.0, hardest / 50, hardest, "%.0f N", _CLAMP
    )
    if moved:
        chosen["force"] = force
    moved, seconds = imgui.SliderFloat(
        "duration", push.seconds, 0.02, LONGEST, "%.2f s", _CLAMP
    )
    if moved:
        chosen["seconds"] = seconds
    ticked, anew = imgui.Checkbox("a new direction each time", push.azimuth is None)
    if ticked:
        chosen["azimuth"] = None if anew else 0.0
    if push.azimuth is not None:
        moved, azimuth = imgui.SliderFloat(
            "azimuth", push.azimuth, -180, 180, "%.0f deg", _CLAMP
        )
        imgui.SetItemTooltip("Where to, in the floor's plane:\n0 along x, 90 along y")
        if moved:
            chosen["azimuth"] = azimuth
        moved, elevation = imgui.SliderFloat(
            "elevation", push.elevation, -90, 90, "%.0f deg", _CLAMP
        )
        if moved:
            chosen["elevation"] = elevation
    if push.body in bodies:
        moved, index = imgui.Combo("body", bodies.index(push.body), bodies)
        if moved:
            chosen["body"] = bodies[index]
    if chosen:
        do(lambda session: _configure(session, chosen))


def _configure(session: Session, chosen: dict[str, Any]) -> None:
    config: Pushing = replace(session.pushes.config, **chosen)
    session.pushes.configure(config)


def build_looks_gui(status: Status, do: Do) -> None:
    """What else is shown: contact forces, curves."""
    label = f"contact forces, 10 cm = {status.unit_force:g} N"
    ticked, _ = imgui.Checkbox(f"{label}###contacts", status.contacts)
    if ticked:
        do(lambda session: session.contacts.toggle())
    imgui.SetItemTooltip(
        "Arrows from the contact points: the force\non the body that moves (F)"
    )
    imgui.SameLine()
    ticked, _ = imgui.Checkbox("curves", status.curves)
    if ticked:
        do(lambda session: session.curves.toggle())
    imgui.SetItemTooltip("Reward, its terms and metrics over time (G)")


def build_choices_gui(status: Status, views: list[str | None], do: Do) -> None:
    """Speed, camera, and which environment."""
    index = SPEEDS.index(status.speed)
    moved, index = imgui.SliderInt(
        "speed", index, 0, len(SPEEDS) - 1, speed_text(status.speed)
    )
    if moved:
        do(lambda session: session.set_speed(SPEEDS[index]))
    names = [view or "free" for view in views]
    chosen, camera = imgui.Combo("camera", views.index(status.camera), names)
    if chosen:
        do(lambda session: session.views.choose(views[camera]))
    if status.num_envs > 1:
        _build_environment_gui(status, do)


def _build_environment_gui(status: Status, do: Do) -> None:
    count = status.num_envs
    moved, env = imgui.SliderInt(
        "environment", status.env + 1, 1, count, f"%d of {count}", _CLAMP
    )
    imgui.SetItemTooltip("Ctrl and a click: type a number")
    if moved:
        do(lambda session: session.show(env - 1))
    if imgui.Button("Best"):
        do(lambda session: session.fleet.show_best())
    imgui.SetItemTooltip("The one with the most reward\nover the last second (Home)")
    imgui.SameLine()
    if imgui.Button("Worst"):
        do(lambda session: session.fleet.show_worst())
    imgui.SetItemTooltip("The one with the least reward\nover the last second (End)")
    imgui.SameLine()
    imgui.BeginDisabled(status.fallen is None)
    if imgui.Button("Fallen"):
        do(lambda session: session.fleet.show_ended())
    imgui.EndDisabled()
    which = "none yet" if status.fallen is None else f"{status.fallen + 1}"
    imgui.SetItemTooltip(
        f"The one whose episode was cut short last:\n{which}; R shows how (\\)"
    )
