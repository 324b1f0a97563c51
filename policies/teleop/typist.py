"""A script that types: it moves the hands as a person does, by holding keys.

It looks at where the hands are, takes the waypoints of a task's script one after the
other, with one hand at a time, and holds the keys that lead there; near the place it
goes slowly, and makes up for what the follower lacks. It knows nothing that a person
would not see, and has no other way to the robot than the keys.
"""

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from controllers.so3 import error
from policies.aloha.script import ScriptPolicy, Waypoint
from policies.aloha.scripts import SCRIPTS
from policies.teleop.keys import FINE, GRIPPER, HAND, MOVES, TURNS, Keys
from policies.teleop.wish import View, Wish, turn_axes

if TYPE_CHECKING:
    from sims.arrays import Obs
    from sims.task import Task

NEAR, TURN_NEAR = 0.025, 0.15
"""From where on it goes slowly [m], [rad]."""
CLOSE, TURN_CLOSE = 0.0015, 0.012
"""How near the hand has to come [m], [rad] ..."""
SEEN = 0.004
"""... and the follower, so that it may go on [m]."""
MAKES_UP, REACH = 1.5, 0.03
"""How fast it makes up for the follower's error [1/s], and by how much [m]."""
PATIENCE = 5.0
"""Time after which it goes on all the same [s]."""
SQUEEZE = 0.6
"""How long a gripper is given to close or open [s]."""


class Typist(Keys):
    """See the module's top; a :class:`~policies.teleop.wish.Source`."""

    def __init__(self, task: "Task", seed: int = 0) -> None:
        """Learn the task's script.

        Args:
            task: one of those that have a script of waypoints.
            seed: of what the script draws.

        Raises:
            UsageError: the task has none.
        """
        if task.name not in SCRIPTS:
            raise UsageError(
                f"nobody wrote a script that types for {task.name}: there is one for "
                f"{', '.join(SCRIPTS)}"
            )
        self._typed_for = 0.0  # simulated: what it types does not depend on the machine
        super().__init__(clock=lambda: self._typed_for)
        self.help = (("script", "holds these keys by itself"),)
        self._scenes = ScriptPolicy(task, 1, seed, SCRIPTS[task.name])
        self._script = SCRIPTS[task.name]
        self._dt, self._seed, self._episode = task.control_dt, seed, 0
        self._left: list[tuple[str, Waypoint]] = []
        self._typed: frozenset[str] = frozenset()
        self._go_on()

    def begin(self, obs: "Obs") -> None:
        """Look at the scene, and lay out what is to be done."""
        super().begin(obs)
        rng = np.random.default_rng((self._seed, self._episode))
        hands = self._script(self._scenes.scene(obs, 0), rng)
        steps = [(side, point) for side in hands for point in hands[side]]
        self._left = sorted(steps, key=lambda step: step[1].time)
        self._episode += 1
        self._go_on()
        self._waits = True

    def read(self, view: View) -> Wish:
        """Hold keys, and be read like all keys."""
        self._typed_for += self._dt
        self._typed = self._type(view)
        self.hold(self._typed)
        return super().read(view)

    def _go_on(self) -> None:
        """The next waypoint is the first one left."""
        self._waits = False
        self._spent, self._squeezed = 0.0, 0.0
        self._makes_up = np.zeros(3)

    def _type(self, view: View) -> frozenset[str]:
        """The keys to hold now."""
        if self._waits or not self._left:  # an episode begins with all keys released
            self._waits = False
            return frozenset()
        side, point = self._left[0]
        if view.active != (side,):
            return self._tap(HAND)
        self._spent += self._dt
        keys, there = self._towards(view, side, point)
        if not there and self._spent < PATIENCE:
            return keys
        if (view.hands[side].opening > 0.5) != (point.opening > 0.5):
            self._squeezed = SQUEEZE
            return self._tap(GRIPPER)
        self._squeezed -= self._dt
        if self._squeezed > 0:
            return keys
        self._left.pop(0)
        self._go_on()
        return frozenset()

    def _tap(self, key: str) -> frozenset[str]:
        """A key that goes down and up again."""
        return frozenset() if key in self._typed else frozenset({key})

    def _towards(
        self, view: View, side: str, point: Waypoint
    ) -> tuple[frozenset[str], bool]:
        """The keys that lead to a waypoint, and whether the hand is there."""
        hand = view.hands[side]
        lacks = point.position - hand.grip.position
        move = point.position + self._makes_up - hand.target.position
        turn = error(point.rotation, hand.target.rotation)
        if np.abs(move).max() < NEAR:
            change = MAKES_UP * self._dt * lacks
            self._makes_up = np.clip(self._makes_up + change, -REACH, REACH)
        axes = turn_axes(hand.target.rotation)
        keys = _keys(MOVES, view.axes.T @ move, CLOSE)
        keys |= _keys(TURNS, np.linalg.lstsq(axes, turn)[0], TURN_CLOSE)
        near = np.abs(move).max() < NEAR and np.abs(turn).max() < TURN_NEAR
        seen = bool(np.abs(lacks).max() < SEEN)
        return (keys | {FINE} if near and keys else keys), seen and not keys


def _keys(
    meanings: dict[str, tuple[int, int]], way: np.ndarray, close: float
) -> frozenset[str]:
    """The keys that lead along a way (3,), but for what is close enough."""
    return frozenset(
        key for key, (axis, sign) in meanings.items() if sign * way[axis] > close
    )
