"""A person operates the robot: inputs move hands, hands pull leaders, it follows.

Whatever a person steers with, it moves a hand that holds a leader arm by the grip
(:mod:`~policies.teleop.leader`), and the followers' targets are the leaders' readings,
with nothing added: where gravity lets a follower sag (4 to 5 mm), the person sees it
and makes up for it.

As a policy, so that whatever plays and records policies serves a person as well; of one
environment, since a person has two hands.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from policies.aloha.fetch import SPEEDING_UP
from policies.aloha.script import make_arms
from policies.teleop.guided import GuidedHand
from policies.teleop.pair import LeaderPair
from policies.teleop.wish import DRIVE, Source, Twist, View, Wish
from sims.task import Marker
from sims.tasks.aloha import SIDES, AlohaTask

if TYPE_CHECKING:
    from ml.spec import ArraySpec
    from sims.arrays import Array, Mask, Obs
    from sims.task import Task

STEERED = (("right",), ("left",), ("left", "right"))
"""Which hands may be steered at a time, in the order of choosing."""
AWAY = {"aloha": (0.0, 1.0, 0.0), "mobile-aloha": (1.0, 0.0, 0.0)}
"""By robot: where its person looks, in the robot's frame."""
_ACTIVE, _RESTING = (0.1, 0.9, 0.35, 0.9), (0.95, 0.75, 0.2, 0.5)
_POINTER = 0.09
"""Length of the arrow that shows where a hand points [m]."""


def drivable() -> list[str]:
    """Names of the tasks that a person can operate."""
    from assets.plugins import working
    from sims import TASKS

    tasks = working(TASKS).items()
    return [name for name, task in tasks if isinstance(task, AlohaTask)]


def has_base(task: "Task") -> bool:
    """Whether a task's robot has a base to drive."""
    return task.action_spec.size > 14


class Operator:
    """See the module's top; a :class:`sims.policy.Policy`."""

    name = "operator"

    def __init__(self, task: "Task", num_envs: int, sources: Sequence[Source]) -> None:
        """Take the leaders in hand.

        Args:
            task: of ALOHA.
            num_envs: 1.
            sources: with which the person steers, all at once.

        Raises:
            UsageError: another task, or more environments.
        """
        if not isinstance(task, AlohaTask):
            raise UsageError(
                f"a person can operate ALOHA's arms, not {task.name}: choose one of "
                f"{', '.join(drivable())}"
            )
        if num_envs != 1:
            raise UsageError(f"a person operates one environment, got {num_envs}")
        self.obs_spec: dict[str, ArraySpec] = {"state": task.obs_spec["state"]}
        self.action_spec, self.control_dt = task.action_spec, task.control_dt
        self.sources = tuple(sources)
        self.active = STEERED[0]
        """Sides that are steered."""
        away = np.array(AWAY[task.robot])
        up = np.array([0.0, 0.0, 1.0])
        self._axes = np.stack([np.cross(away, up), away, up], axis=1)
        self._has_base = has_base(task)
        self._low, self._high = (x.astype(float) for x in task.action_spec.limits())
        self._arms = make_arms(task)
        self.reset()

    def reset(self, where: "Mask | None" = None) -> None:
        """Start again, the leaders at the robot's start."""
        self.leaders = LeaderPair(self._arms)
        self.hands = {
            side: GuidedHand(self.leaders.grip(side), self.control_dt) for side in SIDES
        }
        """By side."""
        self._followers = {side: self.leaders.grip(side) for side in SIDES}
        self._base, self._drive = np.zeros(3), np.zeros(2)
        self._wish: Wish | None = None

    def begin(self, obs: "Obs") -> None:
        """An episode has started with these observations."""
        self._see(obs)
        for source in self.sources:
            source.begin(obs)

    def poll(self) -> Wish:
        """Ask all inputs; what they want together is done by the next :meth:`act`."""
        view = self.view()
        wish = sum((source.read(view) for source in self.sources), Wish())
        if wish.next_hand:
            following = STEERED.index(self.active) + 1
            self.active = STEERED[following % len(STEERED)]
        self._wish = wish
        return wish

    def act(self, obs: "Obs") -> "Array":
        """Joint targets [rad], openings, and a base's velocities; (1, 14 or 16)."""
        self._see(obs)
        wish = self._wish or self.poll()
        self._wish = None
        parts = [self._pull(side, wish.hands.get(side, Twist())) for side in SIDES]
        if self._has_base:
            parts.append(self._go(wish.drive))
        return np.clip(np.concatenate(parts), self._low, self._high)[None]

    def view(self) -> View:
        """What the inputs may look at."""
        return View(
            hands={s: self.hands[s].view(self._followers[s]) for s in SIDES},
            active=self.active,
            axes=self._axes,
            base=self._base,
        )

    def markers(self) -> list[Marker]:
        """Where each hand wants its grip and points, the steered in green."""
        shapes = []
        for side, hand in self.hands.items():
            colour = _ACTIVE if side in self.active else _RESTING
            ends = np.stack(
                [hand.position, hand.position + _POINTER * hand.rotation[:, 0]]
            )
            ends = self._in_world(ends)
            shapes += [
                Marker(kind="sphere", points=ends[:1], size=0.014, rgba=colour),
                Marker(kind="arrow", points=ends, size=0.007, rgba=colour),
            ]
        return shapes

    def _see(self, obs: "Obs") -> None:
        """Look at the robot."""
        state = np.asarray(obs["state"], float)[0]
        self._followers = {side: self.leaders.follower(side, state) for side in SIDES}
        if self._has_base:
            self._base = state[14:17]

    def _pull(self, side: str, wish: Twist) -> np.ndarray:
        """(7,): what one leader reads after its hand moved it."""
        hand = self.hands[side]
        hand.move(wish, self.leaders.grip(side), self._followers[side])
        return self.leaders.pull(side, hand.position, hand.rotation, hand.opening)

    def _go(self, drive: np.ndarray) -> np.ndarray:
        """(2,) of the base, no faster changed than its motors manage."""
        limit = SPEEDING_UP * self.control_dt
        wanted = np.clip(drive, -DRIVE, DRIVE)
        self._drive = self._drive + np.clip(wanted - self._drive, -limit, limit)
        return self._drive

    def _in_world(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the robot's frame in the world."""
        x, y, yaw = self._base
        cosine, sine = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        return points @ turn.T + [x, y, 0]
