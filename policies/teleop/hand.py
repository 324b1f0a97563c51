"""A scripted hand that is not a machine: tremor, drift, and an eye on the follower.

It follows the waypoints of a task's script as a person would with a leader arm. On top
of the path come a physiological tremor (6 to 12 Hz, some tenths of a millimetre, a few
milliradians: the range that studies of unsupported hands report) and a slow drift of a
millimetre or so. Where the follower is not where it should be, the hand makes up for
it, slowly, as a person does who watches the robot and not the leader.
"""

from dataclasses import dataclass

import numpy as np

from planners.waypoints import through
from policies.aloha.script import START_OPENING, Waypoint


@dataclass(frozen=True, kw_only=True)
class HandNoise:
    """How unsteady a hand is."""

    tremor: float = 0.3e-3
    """Standard deviation of the tremor on each axis [m]."""
    tremor_band: tuple[float, float] = (6.0, 12.0)
    """Frequencies of the tremor [Hz]."""
    turn_tremor: float = 3e-3
    """Standard deviation of the tremor about each axis [rad]."""
    drift: float = 1.0e-3
    """Standard deviation of the drift on each axis [m]."""
    drift_time: float = 1.5
    """Over which the drift forgets itself [s]."""


GAIN, REACH = 1.5, 0.04
"""How fast the hand makes up for the follower's error [1/s], and by how much [m]."""


class Hand:
    """One hand's path through an episode."""

    def __init__(
        self,
        waypoints: list[Waypoint],
        start: tuple[np.ndarray, np.ndarray],
        control_dt: float,
        noise: HandNoise,
        rng: np.random.Generator,
    ) -> None:
        """Lay out the path.

        Args:
            waypoints: of the script; none: the hand stays.
            start: position (3,) [m] and rotation (3, 3) where it begins.
            control_dt: time between two moments [s].
            noise: how unsteady it is.
            rng: for all that it draws.
        """
        from scipy.spatial.transform import Rotation, Slerp

        end = waypoints[-1].time if waypoints else control_dt
        at = np.arange(1, round(end / control_dt) + 1) * control_dt
        times = np.array([0.0, *(w.time for w in waypoints)])
        places = np.array([start[0], *(w.position for w in waypoints)])
        turns = np.array([start[1], *(w.rotation for w in waypoints)])
        openings = np.array([START_OPENING, *(w.opening for w in waypoints)])
        if not waypoints:
            times, places, turns = np.array([0, end]), places[[0, 0]], turns[[0, 0]]
            openings = openings[[0, 0]]
        rows = np.concatenate([places, openings[:, None]], axis=1)
        path = through(times, rows, at)
        share = through(times, np.arange(len(times))[:, None], at)[:, 0]
        self.positions = path[:, :3]
        """(steps, 3) where the grip should be [m]."""
        self.openings = path[:, 3]
        slerp = Slerp(np.arange(len(times)), Rotation.from_matrix(turns))
        self._rotations = slerp(np.clip(share, 0, len(times) - 1))
        self._noise, self._dt = noise, control_dt
        self._unsteady = _unsteady(len(at), control_dt, noise, rng)
        self._makes_up = np.zeros(3)

    def at(
        self, step: int, follower: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Where the hand wants the leader's grip.

        Args:
            step: of the episode; beyond the path's end the end counts.
            follower: (3,) where the follower's grip is seen [m].

        Returns:
            Position (3,) [m], rotation (3, 3), opening.
        """
        from scipy.spatial.transform import Rotation

        step = min(step, len(self.positions) - 1)
        seen = self.positions[step] - follower
        change = GAIN * self._dt * seen
        self._makes_up = np.clip(self._makes_up + change, -REACH, REACH)
        along, about = np.split(self._unsteady[step], 2)
        rotation = Rotation.from_rotvec(about) * self._rotations[step]
        position = self.positions[step] + self._makes_up + along
        return position, rotation.as_matrix(), float(self.openings[step])


def _unsteady(
    steps: int, dt: float, noise: HandNoise, rng: np.random.Generator
) -> np.ndarray:
    """(steps, 6) tremor and drift, along [m] and about [rad]."""
    time = np.arange(steps)[:, None, None] * dt
    waves = 4
    frequency = rng.uniform(*noise.tremor_band, (1, 6, waves))
    phase = rng.uniform(0, 2 * np.pi, (1, 6, waves))
    tremor = np.sin(2 * np.pi * frequency * time + phase).sum(axis=2)
    tremor *= np.sqrt(2 / waves)
    tremor[:, :3] *= noise.tremor
    tremor[:, 3:] *= noise.turn_tremor
    keep = np.exp(-dt / noise.drift_time)
    drift = noise.drift * rng.standard_normal((steps, 3))
    for step in range(1, steps):
        fresh = np.sqrt(1 - keep**2) * drift[step]
        drift[step] = keep * drift[step - 1] + fresh
    tremor[:, :3] += drift
    return tremor
