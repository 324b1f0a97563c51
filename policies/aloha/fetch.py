"""MobileAlohaFetch's expert: a list of legs, each driven until it is done.

The base goes by its observed pose: turn, then drive along the heading. Whenever it
stands, the hands play a script in the base's frame, made of where things are then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from policies.aloha.script import (
    AT_START,
    Hands,
    Scene,
    ScriptPolicy,
    Starts,
    Waypoint,
    straight,
    turned,
)

if TYPE_CHECKING:
    from sims.arrays import Array, Obs
    from sims.task import Task

AHEAD = 0.48
"""How far in front of the base's middle things are taken and put [m]."""
ASIDE = {"left": 0.22, "right": -0.22}
"""Where the arms stand across the base [m]."""
LOW, CARRY, DROP = 0.023, 0.2, 0.034
"""Heights of the grip: at the cube, on the way, where it lets go [m]."""
FAST, QUICK = 0.6, 1.2
"""The base's speed [m/s] and rate of turn [rad/s]."""
SPEEDING_UP = np.array([0.8, 3.0])
"""Limits of their rates [m/s^2], [rad/s^2]."""
CLOSE = np.array([0.004, 0.004])
"""A leg ends nearer than this [m], [rad]."""


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One thing to do: hold a heading, and come to a place along it; or a script."""

    yaw: float = 0.0
    """Heading [rad]."""
    axis: int | None = None
    """0: along x, 1: along y, None: only turn."""
    place: float = 0.0
    """Where to come to on that axis [m]."""
    grasp: bool | None = None
    """For the hands: take (True), or put (False); None: the base moves."""


@dataclass(kw_only=True)
class Trip:
    """What one environment's robot is at."""

    rng: np.random.Generator
    side: str = ""
    legs: list[Leg] = field(default_factory=list)
    arms: np.ndarray = field(default_factory=lambda: np.empty((0, 14)))
    """(steps, 14) the hands' script; its last row is held."""
    step: int = -1
    """Row of it; -1: the last, while the base moves."""
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Along [m/s], about [rad/s]."""
    starts: Starts = field(default_factory=dict)
    pitch: float = 1.0
    """Of the hand [rad]."""


class FetchPolicy(ScriptPolicy):
    """See the module's top; a :class:`sims.policy.Policy`."""

    def __init__(self, task: "Task", num_envs: int, seed: int) -> None:
        """Prepare; the arguments are :class:`ScriptPolicy`'s."""
        super().__init__(task, num_envs, seed, _nothing)
        self._trips = [Trip(rng=np.random.default_rng(0))] * num_envs

    def act(self, obs: "Obs") -> "Array":
        """Joint targets, openings, and the base's two velocities, (num_envs, 16)."""
        base = np.asarray(obs["state"], float)[:, -3:]
        action = np.empty((self.num_envs, 16))
        for i in range(self.num_envs):
            scene = self.scene(obs, i)
            if self._fresh[i]:
                self._episode[i] += 1
                self._trips[i] = self._begin(i, scene)
            action[i] = self._go(self._trips[i], scene, base[i])
        self._fresh[:] = False
        return action

    def _begin(self, index: int, scene: Scene) -> Trip:
        """Choose the hand, and lay out the legs."""
        rng = self.generator("script", index)
        values = scene.values
        side = "left" if values["cube_y"] > 0 else "right"
        near, far = AHEAD + rng.uniform(-0.02, 0.02, 2)
        across = values["tray_x"] + ASIDE[side]
        legs = [
            Leg(),
            Leg(axis=0, place=values["cube_x"] - near),
            Leg(grasp=True),
            Leg(axis=0, place=across),
            Leg(yaw=np.pi / 2),
            Leg(yaw=np.pi / 2, axis=1, place=values["tray_y"] - far),
            Leg(grasp=False),
        ]
        return Trip(rng=rng, side=side, legs=legs, arms=self.rest())

    def rest(self) -> np.ndarray:
        """(1, 14): both arms stay at their start."""
        columns = [
            self._hand(AT_START, [], np.zeros(1), side) for side in ("left", "right")
        ]
        return np.concatenate(columns, axis=1)

    def _go(self, trip: Trip, scene: Scene, base: np.ndarray) -> np.ndarray:
        """(16,): one step on, to the next leg where this one is done."""
        wanted = np.zeros(2)
        if trip.legs:
            leg = trip.legs[0]
            if leg.grasp is None:
                wanted, done = _drive(leg, base)
                done &= bool((np.abs(trip.speed) < 0.05).all())
            else:
                if trip.step < 0:
                    self._reach(trip, scene, base, leg.grasp)
                trip.step += 1
                done = trip.step >= len(trip.arms) - 1
            if done:
                trip.legs.pop(0)
                trip.step = -1
        limit = SPEEDING_UP * self.control_dt
        trip.speed = trip.speed + np.clip(wanted - trip.speed, -limit, limit)
        return np.concatenate([trip.arms[trip.step], trip.speed])

    def _reach(self, trip: Trip, scene: Scene, base: np.ndarray, grasp: bool) -> None:
        """Make the hands' script of what is where now."""
        if grasp:
            trip.pitch = np.radians(trip.rng.uniform(57, 65))
            waypoints = list(_take(trip, scene, base))
        else:
            waypoints = list(_put(trip, scene, base))
        hands: Hands = {trip.side: waypoints}
        trip.arms = self.commands(hands, trip.starts)
        posture, opening = trip.starts.get(trip.side, AT_START)
        for waypoint in waypoints:
            posture = self._arms[trip.side].posture(waypoint, posture)
            opening = waypoint.opening
        trip.starts = {trip.side: (posture, opening)}


def _drive(leg: Leg, base: np.ndarray) -> tuple[np.ndarray, bool]:
    """Velocities along and about that a leg asks for, and whether it is done."""
    turn = leg.yaw - base[2]
    along = 0.0
    if leg.axis is not None:
        along = (leg.place - base[leg.axis]) * (1 if leg.axis == 0 else np.sin(leg.yaw))
    wanted = np.clip([2.5 * along, 3.5 * turn], [-FAST, -QUICK], [FAST, QUICK])
    return wanted, bool((np.abs([along, turn]) < CLOSE).all())


def _in_base(point: np.ndarray, base: np.ndarray) -> np.ndarray:
    """A place (2,) of the world as the base sees it [m]."""
    cosine, sine = np.cos(base[2]), np.sin(base[2])
    return np.array([[cosine, sine], [-sine, cosine]]) @ (point - base[:2])


def _take(trip: Trip, scene: Scene, base: np.ndarray) -> Iterator[Waypoint]:
    """Over the cube, down, close, up, and to where it is carried."""
    cube, pace = scene.pose("cube"), trip.rng.uniform(0.9, 1.1)
    x, y = _in_base(cube.position[:2], base)
    turn = np.arctan2(cube.rotation[1, 0], cube.rotation[0, 0]) - base[2]
    turn = (turn + np.pi / 4) % (np.pi / 2) - np.pi / 4
    above = trip.rng.uniform(0.09, 0.12)
    over = Waypoint(
        time=1.2 * pace,
        position=np.array([x, y, LOW + above]),
        rotation=turned(yaw=turn, pitch=trip.pitch),
        opening=1.0,
    )
    at = over.moved(0.7 * pace, (0, 0, -above))
    shut = at.moved(0.4, opening=0.0)
    lift = shut.moved(0.7 * pace, (0, 0, CARRY - LOW))
    yield from (over, at, shut)
    yield from straight(shut, lift)


def _put(trip: Trip, scene: Scene, base: np.ndarray) -> Iterator[Waypoint]:
    """Over the tray, down, open, up."""
    values, pace = scene.values, trip.rng.uniform(0.9, 1.1)
    tray = np.array([values["tray_x"], values["tray_y"]])
    x, y = _in_base(tray + trip.rng.uniform(-0.02, 0.02, 2), base)
    over = Waypoint(
        time=1.0 * pace,
        position=np.array([x, y, CARRY]),
        rotation=turned(pitch=trip.pitch),
        opening=0.0,
    )
    down = over.moved(0.9 * pace, (0, 0, DROP - CARRY))
    let_go = down.moved(0.35, opening=1.0)
    yield over
    yield from straight(over, down)
    yield let_go
    yield from straight(let_go, let_go.moved(0.6 * pace, (0, 0, 0.1)))


def _nothing(scene: Scene, rng: np.random.Generator) -> Hands:
    return {}
