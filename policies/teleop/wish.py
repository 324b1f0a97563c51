"""What a person wants of the hands just now, whatever they steer with.

Every input (:mod:`~policies.teleop.keys`, :mod:`~policies.teleop.gamepad`,
:mod:`~policies.teleop.drag`) looks at a :class:`View` and answers with a
:class:`Wish`: for each hand how fast it is to move and turn, and how far to open. The
robot's frame is the world's, or that of the base where the robot has wheels.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from policies.aloha.script import Pose

if TYPE_CHECKING:
    from sims.arrays import Obs

MOVE, TURN = 0.2, 0.9
"""The fastest that a hand is moved [m/s] and turned [rad/s]."""
GRIP = 2.0
"""The fastest that it opens, in whole openings [1/s]."""
DRIVE = np.array([0.4, 0.8])
"""The fastest that a base is driven [m/s] and turned [rad/s]."""
KEEP, DISCARD, REDO = "keep", "discard", "redo"
"""What may be requested for the present episode."""


@dataclass(frozen=True, kw_only=True)
class HandView:
    """One hand, as its person sees it."""

    grip: Pose
    """Where the follower's grip is, in the robot's frame."""
    target: Pose
    """Where the hand would come to rest if it were let go now."""
    opening: float
    """How far it is wanted open, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What an input may look at."""

    hands: dict[str, HandView]
    """By side."""
    active: tuple[str, ...]
    """Sides that are steered."""
    axes: np.ndarray
    """(3, 3), columns: to the right, away from the person, up; in the robot's frame."""
    base: np.ndarray
    """(3,) the robot's frame in the world: x, y [m], yaw [rad]."""


@dataclass(kw_only=True)
class Twist:
    """One hand's wish."""

    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """(3,) of the grip, in the robot's frame [m/s]."""
    turning: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """(3,) angular velocity, in the robot's frame [rad/s]."""
    grip: float = 0.0
    """How fast it opens [1/s]."""
    opening: float | None = None
    """To which it opens by itself from now on; None: as before."""

    def __add__(self, other: "Twist") -> "Twist":
        """Both at once; where both name an opening, the other's."""
        return Twist(
            velocity=self.velocity + other.velocity,
            turning=self.turning + other.turning,
            grip=self.grip + other.grip,
            opening=self.opening if other.opening is None else other.opening,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is wanted."""
        moves = self.velocity.any() or self.turning.any() or self.grip
        return not moves and self.opening is None


@dataclass(kw_only=True)
class Wish:
    """All that is wanted."""

    hands: dict[str, Twist] = field(default_factory=dict)
    """By side."""
    drive: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """(2,) of the base: along its heading [m/s], turning [rad/s]."""
    next_hand: bool = False
    """Whether the next hand is to be steered."""
    requests: tuple[str, ...] = ()
    """Of :data:`KEEP`, :data:`DISCARD`, :data:`REDO`."""

    def __add__(self, other: "Wish") -> "Wish":
        """Both at once."""
        hands = dict(self.hands)
        for side, twist in other.hands.items():
            hands[side] = hands[side] + twist if side in hands else twist
        return Wish(
            hands=hands,
            drive=self.drive + other.drive,
            next_hand=self.next_hand or other.next_hand,
            requests=self.requests + other.requests,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is to move."""
        return all(t.idle for t in self.hands.values()) and not self.drive.any()


class Source(Protocol):
    """Something that a person steers with."""

    help: tuple[tuple[str, str], ...]
    """What it offers: how, and what it does."""

    def begin(self, obs: "Obs") -> None:
        """An episode starts with these observations."""
        ...

    def read(self, view: View) -> Wish:
        """What is wanted now; called once in each control period."""
        ...


def turn_axes(rotation: np.ndarray) -> np.ndarray:
    """About what a hand rolls, tilts up and turns to the left, (3, 3) in columns.

    It rolls about where it points and turns about the vertical, and so a person finds
    both whatever the hand's posture. It tilts about the horizontal axis across; where
    it points straight down, about that across its fingers.

    Args:
        rotation: (3, 3) of the gripper, x where it points, y across the fingers.
    """
    points, up = rotation[:, 0], np.array([0.0, 0.0, 1.0])
    across = np.cross(points, up)
    if np.linalg.norm(across) < 0.2:
        across = -rotation[:, 1] * [1, 1, 0]
    return np.stack([points, across / np.linalg.norm(across), up], axis=1)


def clipped(vector: np.ndarray, length: float) -> np.ndarray:
    """The vector, or one of that length in its direction if it is longer."""
    return vector * min(1.0, length / max(float(np.linalg.norm(vector)), 1e-12))
