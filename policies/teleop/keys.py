"""Keys that are held move the hand that is steered.

A viewer says which keys are down (:meth:`Keys.hold`), and as long as it says so the
hand moves. What must happen once, such as closing the gripper, happens when a key goes
down. A viewer that falls silent has let go after :data:`SILENCE`; one whose page was
closed with a key down goes on saying so, which is why no key counts for longer than
:data:`LONGEST`, in which a hand crosses the table.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from policies.teleop.wish import DRIVE, MOVE, TURN, Twist, View, Wish, turn_axes

if TYPE_CHECKING:
    from sims.arrays import Obs

MOVES = {
    "D": (0, 1),
    "A": (0, -1),
    "W": (1, 1),
    "S": (1, -1),
    "E": (2, 1),
    "Q": (2, -1),
}
"""By key: along which of the person's axes (right, away, up), and which way."""
TURNS = {
    "O": (0, 1),
    "U": (0, -1),
    "I": (1, 1),
    "K": (1, -1),
    "J": (2, 1),
    "L": (2, -1),
}
"""By key: about which of :func:`~policies.teleop.wish.turn_axes`, and which way."""
DRIVES = {
    "UpArrow": (0, 1),
    "DownArrow": (0, -1),
    "LeftArrow": (1, 1),
    "RightArrow": (1, -1),
}
"""By key: along the base's heading or about it, and which way."""
GRIPPER, HAND, FINE = "F", "H", "LeftShift"
SLOW = 0.25
"""What :data:`FINE` makes of the speed."""
SILENCE = 0.5
"""[s of wall clock]"""
LONGEST = 6.0
"""[s of wall clock]"""
HELP = (
    ("W S", "away, back"),
    ("A D", "left, right"),
    ("Q E", "down, up"),
    ("I K", "tilt up, down"),
    ("J L", "turn left, right"),
    ("U O", "roll"),
    ("F", "close, open the gripper"),
    ("H", "other hand, or both"),
    ("Shift", "slowly"),
)
DRIVE_HELP = ("arrows", "drive the base")


class Keys:
    """See the module's top; a :class:`~policies.teleop.wish.Source`."""

    def __init__(
        self, *, drives: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is held.

        Args:
            drives: whether there is a base to drive.
            clock: seconds, for tests.
        """
        self.names = frozenset({*MOVES, *TURNS, GRIPPER, HAND, FINE})
        """Keys that mean something."""
        self.names |= frozenset(DRIVES if drives else ())
        self.help = (*HELP, DRIVE_HELP) if drives else HELP
        self._clock = clock
        self._held: frozenset[str] = frozenset()
        self._when = 0.0
        self._since: dict[str, float] = {}
        self._pressed: set[str] = set()

    def begin(self, obs: "Obs") -> None:
        """What was pressed before does not count."""
        self._pressed.clear()

    def hold(self, keys: frozenset[str]) -> None:
        """These keys are down, until told otherwise."""
        keys, now = keys & self.names, self._clock()
        fresh = keys - (frozenset() if self._silent() else self._held)
        self._pressed |= fresh
        self._since = {k: now if k in fresh else self._since[k] for k in keys}
        self._held, self._when = keys, now

    def read(self, view: View) -> Wish:
        """Of the keys that are down, and those that went down."""
        pressed, self._pressed = self._pressed, set()
        held = self._now()
        slow = SLOW if FINE in held else 1.0
        move = slow * MOVE * _along(MOVES, held, 3)
        turn = slow * TURN * _along(TURNS, held, 3)
        return Wish(
            hands={
                side: Twist(
                    velocity=view.axes @ move,
                    turning=turn_axes(view.hands[side].target.rotation) @ turn,
                    opening=_toggled(view, side) if GRIPPER in pressed else None,
                )
                for side in view.active
            },
            drive=slow * DRIVE * _along(DRIVES, held, 2),
            next_hand=HAND in pressed,
        )

    def _now(self) -> frozenset[str]:
        """The keys that are down, as far as is known."""
        if self._silent():
            return frozenset()
        latest = self._clock() - LONGEST
        return frozenset(k for k in self._held if self._since[k] >= latest or k == FINE)

    def _silent(self) -> bool:
        """Whether nobody has said for a while what is down."""
        return self._clock() - self._when > SILENCE


def _along(
    meanings: dict[str, tuple[int, int]], held: frozenset[str], size: int
) -> np.ndarray:
    """(size,) sum of what the held keys mean."""
    total = np.zeros(size)
    for key, (axis, sign) in meanings.items():
        total[axis] += sign * (key in held)
    return total


def _toggled(view: View, side: str) -> float:
    """Open if a hand is wanted closed, else closed."""
    return 0.0 if view.hands[side].opening > 0.5 else 1.0
