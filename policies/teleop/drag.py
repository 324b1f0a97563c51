"""The mouse pulls an arm, and its hand goes along.

A viewer hangs a spring on the body under the mouse, and tells its wrench. Here it does
not act on the robot: it steers the hand of that arm by admittance, force to velocity
and torque to turning, up to the speeds that a hand is allowed. What moves the robot is
then the leader's reading as with every input, and a recording replays.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from policies.teleop.keys import SILENCE
from policies.teleop.wish import MOVE, TURN, Twist, View, Wish, clipped
from sims.tasks.aloha import SIDES

if TYPE_CHECKING:
    from sims.arrays import Obs

FORCE, TORQUE = 8.0, 0.8
"""At which a hand goes at its fastest [N], [N m]."""
HELP = (
    ("Ctrl right drag", "pull an arm along"),
    ("Ctrl left drag", "twist its hand"),
)


class Drag:
    """See the module's top; a :class:`~policies.teleop.wish.Source`."""

    help = HELP

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is pulled.

        Args:
            clock: seconds, for tests.
        """
        self._clock = clock
        self._wrenches: dict[str, np.ndarray] = {}
        self._when = 0.0

    def begin(self, obs: "Obs") -> None:
        """Nothing to forget."""

    def pull(self, wrenches: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The mouse pulls, until told otherwise.

        Args:
            wrenches: by body, (6,): force [N], torque [N m], in the world.

        Returns:
            Those on other things than arms.
        """
        sides = {body: _side(body) for body in wrenches}
        self._wrenches = {
            side: wrenches[body] for body, side in sides.items() if side is not None
        }
        self._when = self._clock()
        return {body: wrenches[body] for body in wrenches if sides[body] is None}

    def read(self, view: View) -> Wish:
        """Of the pull as it is now."""
        if self._clock() - self._when > SILENCE:
            return Wish()
        yaw = view.base[2]
        to_robot = np.array(
            [[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
        )
        hands = {}
        for side, wrench in self._wrenches.items():
            force, torque = to_robot @ wrench[:3], to_robot @ wrench[3:]
            if force.any():  # what a pull beside the centre of mass twists is not meant
                torque = np.zeros(3)
            hands[side] = Twist(
                velocity=clipped(force * MOVE / FORCE, MOVE),
                turning=clipped(torque * TURN / TORQUE, TURN),
            )
        return Wish(hands=hands)


def _side(body: str) -> str | None:
    """Of which arm a body is a part; None: of none."""
    return next((side for side in SIDES if body.startswith(f"{side}/")), None)
