"""Both leaders of one robot, in the robot's frame."""

import numpy as np

from policies.aloha.script import Arm, Pose
from policies.teleop.leader import LeaderArm
from sims.tasks.aloha import JOINTS, SIDES


class LeaderPair:
    """A leader for each arm; the robot's frame is that of its arms' bases."""

    def __init__(self, arms: dict[str, Arm]) -> None:
        """Both stand at the start.

        Args:
            arms: of the robot, by side; where they stand, the leaders seem to.
        """
        self._arms = arms
        self.leaders = {side: LeaderArm() for side in SIDES}
        """By side, each in the frame of its base."""

    def grip(self, side: str) -> Pose:
        """Where a leader's grip is."""
        return self._arms[side].in_world(*self.leaders[side].grip)

    def follower(self, side: str, state: np.ndarray) -> Pose:
        """Where the follower's grip is seen.

        Args:
            side: which arm.
            state: (14 or more,) what the robot senses.
        """
        first = 7 * SIDES.index(side)
        return self._arms[side].grip(state[first : first + len(JOINTS)])

    def pull(
        self, side: str, position: np.ndarray, rotation: np.ndarray, opening: float
    ) -> np.ndarray:
        """Let a hand hold a leader for one control step.

        Args:
            side: which arm.
            position: (3,) where the hand wants the grip [m].
            rotation: (3, 3) how it wants it turned.
            opening: of the trigger, 0 to 1.

        Returns:
            (7,) what the leader reads then: the follower's targets.
        """
        leader = self.leaders[side]
        leader.pull(*self._arms[side].in_base(position, rotation), opening)
        return leader.reading
