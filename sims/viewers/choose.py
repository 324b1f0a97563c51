"""Which viewer, and the one call that plays a policy in it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SandbotError, UsageError, unknown
from sims.viewers.guest import Guest
from sims.viewers.loop import Session
from sims.viewers.status import describe

if TYPE_CHECKING:
    from sims.env import Env
    from sims.policy import Policy

VIEWERS = ("auto", "native", "web", "video", "none")
SHOWN = ("contacts", "curves")
"""What else can be shown: arrows of contact forces; the reward, its terms and metrics
over time, in a window or on a page."""
DEFAULT_EPISODES = 2
"""How many lengths of an episode a video has, where nothing says when to end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PlaySummary:
    """What was played."""

    viewer: str
    """"native", "web", "video" or "none"."""
    output: str | None
    """The video's file, or the address that the page was served at."""
    episodes: int
    """Finished ones, over all environments."""
    successes: int | None
    """Of those; None: the task measures no success."""
    steps: int
    """Control steps of each environment."""
    seconds: float
    """Simulated time of each environment [s]."""
    wall: float
    """Time it took [s]."""
    error: str | None
    """Why the session stood still when the viewer was closed, if it did."""


def check_viewer(viewer: str) -> None:
    """See that there is such a viewer, without looking for a display.

    Raises:
        UsageError: there is not.
    """
    if viewer not in VIEWERS:
        raise unknown("viewer", viewer, VIEWERS)


def check_shown(show: Sequence[str]) -> None:
    """See that all of that can be shown.

    Raises:
        UsageError: something cannot.
    """
    for name in show:
        if name not in SHOWN:
            raise unknown("thing to show", name, SHOWN)


def choose(viewer: str = "auto") -> tuple[str, str | None]:
    """The viewer to use, and why ``auto`` took another than a window.

    Raises:
        UsageError: unknown viewer.
    """
    check_viewer(viewer)
    if viewer != "auto":
        return viewer, None
    from sims.viewers.native import display_problem

    problem = display_problem()
    return ("web", problem) if problem else ("native", None)


def play(
    env: "Env",
    policy: "Policy",
    *,
    viewer: str = "auto",
    port: int | None = None,
    out: str | Path | None = None,
    steps: int | None = None,
    episodes: int | None = None,
    speed: float = 1.0,
    policy_name: str | None = None,
    guest: Guest | None = None,
    hold: float = 0.7,
    show: Sequence[str] = (),
    notify: Callable[[str], None] = log.info,
    progress: Callable[[int, int], None] | None = None,
) -> PlaySummary:
    """Play a policy in an environment and show it.

    Args:
        env: not closed by this call.
        policy: for as many environments as ``env`` has.
        viewer: "native" (a window), "web" (a page on 127.0.0.1), "video" (a file),
            "none" (as fast as it goes), or "auto": a window where there is a display,
            else the page; a video of an engine without a scene.
        port: of the page; None or 0: the first free one from 8080 on.
        out: file of the video, .mp4, .gif or .webp; None: the task's name, as MP4.
        steps: end after so many control steps.
        episodes: end after so many finished episodes. A window or page without either
            limit plays until it is closed; "video" and "none" for two episodes.
        speed: relative to real time, a power of two from 1/32 to 8.
        policy_name: to show.
        guest: who takes part, and says when to end; None: nobody.
        hold: for how long the end of an episode stands [s of wall clock].
        show: of :data:`SHOWN`, what is shown from the start.
        notify: called with each line that a person should read.
        progress: called with (done, expected) while a video is made or "none" runs.

    Raises:
        UsageError: something that is not allowed; the message says what is.
        SandbotError: the viewer cannot be opened, or, with nobody watching ("video",
            "none"), the policy failed.
    """
    check_shown(show)
    name, why = choose(viewer)
    if env.engine.model is None and name in ("native", "web"):
        name, why = _without_scene(env, viewer), None
        notify(f"{env.task.name} is not simulated by MuJoCo: a video shows it instead.")
    endless = steps is None and episodes is None and guest is None
    if name in ("video", "none") and endless:
        steps = DEFAULT_EPISODES * env.max_steps
    session = Session(
        env,
        policy,
        policy_name=policy_name,
        speed=speed,
        steps=steps,
        episodes=episodes,
        guest=guest,
        hold=hold,
    )
    session.contacts.on, session.curves.on = ("contacts" in show, "curves" in show)
    if why:
        notify(f"no window here: {why}. Showing a web page instead.")
    start = time.perf_counter()
    output = _show(session, name, port, out, notify, progress)
    measured = session.status().success is not None
    return PlaySummary(
        viewer=name,
        output=output,
        episodes=session.episodes,
        successes=session.successes if measured else None,
        steps=session.steps,
        seconds=session.steps * env.control_dt,
        wall=time.perf_counter() - start,
        error=session.error,
    )


def _show(
    session: Session,
    viewer: str,
    port: int | None,
    out: str | Path | None,
    notify: Callable[[str], None],
    progress: Callable[[int, int], None] | None,
) -> str | None:
    """Run the viewer; returns the file or the address."""
    if viewer == "native":
        from sims.viewers import native

        native.watch(session)
        return None
    if viewer == "web":
        from sims.viewers import web

        return web.watch(session, port=port, notify=notify)
    _raise_failure(session)
    if viewer == "video":
        from sims.viewers.video import record

        name = session.env.task.name.replace("/", "-").replace(":", "-")
        path = record(session, out or f"{name}.mp4", progress=progress)
        notify(f"video: {path}")
        return str(path)
    while not session.finished:
        if session.guest.paced:
            session.advance()
            time.sleep(session.env.control_dt / 4)
        else:
            session.tick()
        _raise_failure(session)
        if progress is not None:
            progress(session.steps, max(session.steps, session.limit or 0))
    return None


def _without_scene(env: "Env", viewer: str) -> str:
    """The viewer for an engine without a scene, in place of a window or a page.

    Raises:
        UsageError: a window or a page was asked for.
    """
    if viewer != "auto":
        raise UsageError(
            f"--viewer {viewer} shows scenes of MuJoCo, and {env.task.name} has none: "
            f"watch it with --viewer video"
        )
    return "video"


def _raise_failure(session: Session) -> None:
    if session.failure is not None:
        raise SandbotError(
            f"the policy failed after {session.steps} steps: "
            f"{describe(session.failure)}"
        ) from session.failure
