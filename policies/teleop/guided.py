"""A hand that velocities guide: the person's own, behind keys, sticks and mouse.

It gathers speed and loses it over a fraction of a second, as hands do; what is recorded
then has no jumps. It never runs far ahead of what it moves: not of the leader's grip,
whose joints may be at their ends, nor of the follower's, which the table may hold up.
Whoever steers against an end need not steer all the way back.
"""

import numpy as np

from policies.aloha.script import START_OPENING, Pose
from policies.teleop.leader import turn_to_go
from policies.teleop.wish import GRIP, MOVE, TURN, HandView, Twist, clipped

EASE = 0.1
"""Time constant of gathering speed [s]."""
LEASH, TURN_LEASH = 0.04, 0.4
"""Farthest from the leader's grip along [m] and about [rad]."""
FOLLOWER_LEASH = 0.1
"""Farthest from the follower's grip [m]."""


class GuidedHand:
    """Where a person wants one grip."""

    def __init__(self, start: Pose, control_dt: float) -> None:
        """Rest.

        Args:
            start: of the grip.
            control_dt: time between two moments [s].
        """
        self.position, self.rotation = start.position.copy(), start.rotation.copy()
        self.opening = START_OPENING
        """Now."""
        self._towards = START_OPENING
        self._dt = control_dt
        self._velocity, self._turning = np.zeros(3), np.zeros(3)
        self._keep = float(np.exp(-control_dt / EASE))

    def move(self, wish: Twist, leader: Pose, follower: Pose) -> None:
        """Go on for one control step.

        Args:
            wish: of the person.
            leader: where the leader's grip is.
            follower: where the follower's grip is.
        """
        from scipy.spatial.transform import Rotation

        fresh = 1 - self._keep
        self._velocity += fresh * (clipped(wish.velocity, MOVE) - self._velocity)
        self._turning += fresh * (clipped(wish.turning, TURN) - self._turning)
        position = self.position + self._dt * self._velocity
        for grip, leash in ((follower, FOLLOWER_LEASH), (leader, LEASH)):
            position = grip.position + clipped(position - grip.position, leash)
        self.position = position
        turned = Rotation.from_rotvec(self._dt * self._turning).as_matrix()
        ahead = clipped(turn_to_go(turned @ self.rotation, leader.rotation), TURN_LEASH)
        self.rotation = Rotation.from_rotvec(ahead).as_matrix() @ leader.rotation
        self._open(wish)

    def view(self, follower: Pose) -> HandView:
        """As its person sees it.

        Args:
            follower: where the follower's grip is.
        """
        from scipy.spatial.transform import Rotation

        coast = self._dt * self._keep / (1 - self._keep)
        turn = Rotation.from_rotvec(coast * self._turning).as_matrix()
        target = Pose(self.position + coast * self._velocity, turn @ self.rotation)
        return HandView(grip=follower, target=target, opening=self._towards)

    def _open(self, wish: Twist) -> None:
        """Open or close, at a hand's speed."""
        if wish.grip:
            changed = self.opening + self._dt * float(np.clip(wish.grip, -GRIP, GRIP))
            self._towards = float(np.clip(changed, 0.0, 1.0))
        if wish.opening is not None:
            self._towards = wish.opening
        step = GRIP * self._dt
        self.opening += float(np.clip(self._towards - self.opening, -step, step))
