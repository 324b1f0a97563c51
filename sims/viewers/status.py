"""What a viewer says about a session, as a plain value."""

from dataclasses import dataclass

from sims.viewers.pace import speed_text


@dataclass(frozen=True, kw_only=True)
class Status:
    """A moment of a session; safe to hand to another thread."""

    task: str
    policy: str
    engine: str
    env: int
    num_envs: int
    camera: str | None
    """None: the free camera."""
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
        parts[1:1] = self.lines
        if self.error:
            parts.append(self.error)
        return "  |  ".join(parts)


def describe(error: BaseException) -> str:
    """An exception in one line: "ValueError: shapes do not match"."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name
