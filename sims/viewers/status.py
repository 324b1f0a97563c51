"""What a viewer says about a session, as a plain value."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sims.dials import Setting
from sims.viewers.pace import speed_text
from sims.viewers.pushes import Pushing

if TYPE_CHECKING:
    from sims.viewers.loop import Session


@dataclass(frozen=True, kw_only=True)
class Status:
    """A moment of a session; safe to hand to another thread."""

    task: str
    policy: str
    engine: str
    env: int
    num_envs: int
    camera: str | None
    """One of :meth:`~sims.viewers.views.Views.names`."""
    paused: bool
    pushing: bool
    speed: float
    """Target real-time factor."""
    achieved: float
    """Achieved real-time factor over the last second; 0 while paused."""
    time: float
    """Since the episode's start [s]."""
    length: float
    """Of an episode [s]."""
    success: bool | None
    """Of the shown environment so far; None: the task measures no success."""
    ended: bool
    """The shown episode is over and stands for a moment."""
    episodes: int
    """Finished ones, over all environments."""
    successes: int
    error: str | None
    """Why the session paused by itself, in one line."""
    lines: tuple[str, ...] = ()
    """What the session's guest has to say."""
    told: tuple[Setting, ...] = ()
    """What the task tells the shown robot, and which of it a person holds."""
    push: Pushing = field(default_factory=Pushing)
    """How the push button pushes, its force and its body filled in."""
    hardest: float = 0.0
    """The most that a push should have [N]."""
    contacts: bool = False
    """Contact forces are drawn."""
    unit_force: float = 0.0
    """A contact force whose arrow is 10 cm long [N]."""
    curves: bool = False
    """Curves are shown."""
    fallen: int | None = None
    """The environment that was terminated last, if any was."""

    def line(self) -> str:
        """All of it in one line of text."""
        state = "paused" if self.paused else f"{speed_text(self.achieved)} real time"
        parts = [
            f"{self.task} · {self.policy} · {self.engine}",
            f"{self.time:4.1f} s",
            f"{state} (target {speed_text(self.speed)})",
        ]
        if self.num_envs > 1:
            parts.insert(1, f"environment {self.env + 1}/{self.num_envs}")
        if self.success is not None:
            parts.append(f"{self.successes}/{self.episodes} episodes succeeded")
        told = [s for s in self.told if s.drawn is not None]
        if told:
            values = (f"{s.dial.name} {s.value:g} {s.dial.unit}" for s in told)
            parts.append(f"held: {', '.join(values)}")
        if self.contacts:
            parts.append(f"contact forces: 10 cm = {self.unit_force:g} N")
        parts[1:1] = self.lines
        if self.error:
            parts.append(self.error)
        return "  |  ".join(parts)


def status_of(session: "Session") -> Status:
    """What there is to say about a session now."""
    env, shown, success = session.env, session.shown, session.success
    pushes = session.pushes
    return Status(
        task=env.task.name,
        policy=session.policy_name,
        engine=env.engine.name,
        env=shown,
        num_envs=env.num_envs,
        camera=session.views.chosen,
        paused=session.paused,
        pushing=bool(pushes),
        speed=session.speed,
        achieved=session.achieved,
        time=float(env.state.steps[shown]) * env.control_dt,
        length=env.max_steps * env.control_dt,
        success=None if success is None else bool(success[shown]),
        ended=session.held,
        episodes=session.episodes,
        successes=session.successes,
        error=session.error,
        lines=session.guest.lines(),
        told=env.holds.settings(shown),
        push=replace(pushes.config, force=pushes.force, body=pushes.body),
        hardest=pushes.hardest,
        contacts=session.contacts.on,
        unit_force=session.contacts.unit_force,
        curves=session.curves.on,
        fallen=session.fleet.ended,
    )


def describe(error: BaseException) -> str:
    """An exception in one line: "ValueError: shapes do not match"."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name
