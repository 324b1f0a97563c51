"""Who takes part in a session besides the environment and the policy.

A viewer knows no teleoperation and no recording; it has a *guest*, which is told what
happens, may hold the next step back, is handed the keys that are held and the mouse's
pulls, and brings buttons, lines of text and shapes of its own. The :class:`Guest` here
wants nothing of all that, and a session with it is one without.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sims.task import Marker

if TYPE_CHECKING:
    from sims.arrays import Array, Obs
    from sims.env import Step
    from sims.viewers.loop import Session

NEXT, RESET, REPEAT = "next", "reset", "repeat"
"""Why an episode starts: the last one is over and so is the pause after it; a person
asked for another one; a person asked for the same one again."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something that a person may ask of a session, by a button or a key."""

    label: str
    """On the button."""
    keys: tuple[str, ...]
    """Names of the keys, as in :data:`KEY_NAMES`; a viewer's own meaning of them rests
    meanwhile."""
    does: str
    """What it does, in a few words."""
    tooltip: str
    """What it does, in one line."""
    run: "Callable[[Session], Any]"
    """Does it, on the thread of the session."""


LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
ARROWS = ("UpArrow", "DownArrow", "LeftArrow", "RightArrow")
KEY_NAMES = (*LETTERS, *ARROWS, "Enter", "Delete", "Backspace", "LeftShift")
"""Keys that a guest may have, whichever viewer there is."""


class Guest:
    """See the module's top; every method may be overridden."""

    commands: tuple[Command, ...] = ()
    """Buttons and keys, beside the viewer's own."""
    keys: frozenset[str] = frozenset()
    """Keys of which it wants to know for how long they are held."""
    help: tuple[tuple[str, str], ...] = ()
    """What these do: keys, and what for."""
    pushable = True
    """Whether the robot and things may be pushed and pulled by a person."""
    paced = False
    """Whether time passes as on a clock even where nobody watches."""

    @property
    def finished(self) -> bool:
        """Whether the session is to end now."""
        return False

    def start(self, why: str) -> dict[str, Any]:
        """An episode is about to start.

        Args:
            why: :data:`NEXT`, :data:`RESET` or :data:`REPEAT`.

        Returns:
            Arguments of :meth:`sims.env.Env.reset`; not used for the same one again.
        """
        return {}

    def begin(self, obs: "Obs") -> None:
        """An episode has started with these observations."""

    def tick(self, session: "Session") -> None:
        """A control period begins, be it a step or a part of a pause."""

    def ready(self) -> bool:
        """Whether the next step may be taken; else the world stands still."""
        return True

    def act(self, obs: "Obs", action: "Array") -> "Array":
        """What is executed where the policy answered observations with an action."""
        return action

    def stepped(self, outcome: "Step") -> None:
        """That was executed."""

    def ended(self) -> None:
        """The shown episode is over; the pause after it begins."""

    def hold(self, keys: frozenset[str]) -> None:
        """These of :attr:`keys` are held down, until told otherwise."""

    def drag(self, wrenches: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The mouse pulls bodies, until told otherwise; see :meth:`Session.drag`.

        Returns:
            Those that the guest does not take, so that these bodies are pulled.
        """
        return wrenches

    def lines(self) -> tuple[str, ...]:
        """What to tell the person now."""
        return ()

    def markers(self) -> list[Marker]:
        """What to draw beside the scene."""
        return []
