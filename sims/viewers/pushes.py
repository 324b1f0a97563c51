"""Wrenches that a person puts on the shown robot: short pushes and drags.

A body has one wrench, so that a push here takes the place of one with which the task
or its randomisation pushes the same body at the same time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from sims.task import Marker
from sims.viewers.forces import weight

if TYPE_CHECKING:
    import mujoco

    from sims.env import Env

LONGEST = 1.0
"""Of a push [s]."""
_COLOUR = (0.93, 0.20, 0.16, 0.95)
_FAINT = (0.93, 0.20, 0.16, 0.35)
_LENGTHS = 0.22, 0.6
"""Of the arrow of no push, which sticks out of a body, and of the hardest one that the
panel offers [m]."""
_PREVIEW = 1.5
"""For how long a push is shown that was set, and not given yet [s of wall clock]."""


@dataclass(frozen=True, kw_only=True)
class Pushing:
    """How hard the push button pushes, and how hard the mouse may pull."""

    force: float | None = None
    """Size of the force [N]; None: two fifths of :attr:`Pushes.hardest`."""
    seconds: float = 0.15
    """How long it acts [s of simulated time]."""
    azimuth: float | None = None
    """Where to, counted from the world's x axis towards its y axis [degrees]; None: a
    new direction each time, in the floor's plane for a robot that stands on it by
    itself, else in the x-z plane."""
    elevation: float = 0.0
    """By how much it points up; not used with a new direction each time [degrees]."""
    body: str | None = None
    """Whose centre of mass is pushed; None: the one that floats, where a robot does,
    else the one that bears the tip."""
    pull_force: float = 50.0
    """A drag is weakened to this [N] ..."""
    pull_torque: float = 20.0
    """... and this [N m]: the spring that a viewer hangs on the mouse is stiffer the
    less its point can move, without bound at a joint's axis."""


class Pushes:
    """The wrenches in force, by body, and until when."""

    def __init__(
        self,
        env: "Env",
        config: Pushing,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Nothing is pushed yet.

        Args:
            env: whose shown environment is pushed.
            config: how.
            clock: seconds, for tests.

        Raises:
            UsageError: no such body, or a force or time that is none.
        """
        self._env, self._clock = env, clock
        self._model: mujoco.MjModel | None = env.engine.model
        self._directions = np.random.default_rng(0)
        self._wrenches: dict[str, tuple[np.ndarray, int | None]] = {}
        self._preview = -np.inf
        self._usual: str | None = None
        self.hardest = _ceil(weight(self._model))
        """The most that a panel offers: the robot's weight, rounded up [N]."""
        self._config = self._check(config)

    def __bool__(self) -> bool:
        """Whether a body is being pushed."""
        return any(wrench.any() for wrench, _ in self._wrenches.values())

    @property
    def config(self) -> Pushing:
        """How the push button pushes."""
        return self._config

    def configure(self, config: Pushing) -> None:
        """Push so from now on; an arrow shows for a moment how.

        Raises:
            UsageError: no such body, or a force or time that is none.
        """
        self._config = self._check(config)
        self._preview = self._clock() + _PREVIEW

    @property
    def force(self) -> float:
        """Size of a push [N]."""
        force = self._config.force
        return 0.4 * self.hardest if force is None else force

    @property
    def body(self) -> str | None:
        """Which body the push button pushes; None: there is no scene."""
        if self._model is None:
            return None
        if self._usual is None:
            self._usual = self._usual_body()
        return self._config.body or self._usual

    def bodies(self) -> list[str]:
        """Names of those that can move, and so be pushed."""
        model = self._model
        if model is None:
            return []
        moving = (i for i in range(1, model.nbody) if model.body_weldid[i])
        return [name for i in moving if (name := model.body(i).name)]

    def clear(self) -> None:
        """Forget all; for after a reset, which takes the wrenches off the bodies."""
        self._wrenches.clear()

    def push(
        self, ticks: int, body: str | None = None, force: np.ndarray | None = None
    ) -> None:
        """Push for :class:`Pushing`'s time, from tick ``ticks`` on.

        Args:
            ticks: now.
            body: whose centre of mass is pushed; None: the configured one.
            force: (3,) [N], world axes; None: the configured one.
        """
        if force is None:
            force = self.force * self._direction()
        wrench = np.concatenate([force, np.zeros(3)])
        lasts = max(1, round(self._config.seconds / self._env.control_dt))
        body = body or self.body
        if body is not None:
            self._wrenches[body] = (wrench, ticks + lasts)
        self._preview = -np.inf

    def drag(self, ticks: int, wrenches: dict[str, np.ndarray]) -> None:
        """Pull bodies until called again.

        Args:
            ticks: now.
            wrenches: by body, (6,): force [N], torque [N m]; empty: let go.
        """
        for body, (_, until) in self._wrenches.items():
            if until is None:
                self._wrenches[body] = (np.zeros(6), ticks)
        self._wrenches |= {b: (self._weaken(w), None) for b, w in wrenches.items()}

    def apply(self, ticks: int, shown: int) -> None:
        """Hand the wrenches of tick ``ticks`` to the engine, for one environment."""
        for body, (wrench, until) in list(self._wrenches.items()):
            full = np.zeros((self._env.num_envs, 6))
            where = np.ones(self._env.num_envs, bool)
            if until is not None and ticks >= until:
                del self._wrenches[body]
            else:
                full[shown] = wrench
                where = np.arange(self._env.num_envs) == shown
            self._env.engine.apply_wrench(body, full, where)

    def markers(self, shown: int) -> list[Marker]:
        """An arrow for each push, its head at the centre of mass.

        A drag has none, since viewers draw it themselves. A push of a set direction
        that was just set is shown faintly, before it is given.
        """
        arrows = [
            self._arrow(body, wrench[:3], shown, _COLOUR)
            for body, (wrench, until) in self._wrenches.items()
            if until is not None and wrench[:3].any()
        ]
        soon = self._clock() < self._preview and self._config.azimuth is not None
        if soon and not arrows and self.body is not None:
            force = self.force * self._direction()
            arrows.append(self._arrow(self.body, force, shown, _FAINT))
        return arrows

    def _check(self, config: Pushing) -> Pushing:
        for name, value, unit in (
            ("force", config.force, "N"),
            ("seconds", config.seconds, "s"),
        ):
            if value is not None and not 0 < value < np.inf:
                raise UsageError(
                    f"the {name} of a push must be above 0 {unit}, got {value:g}"
                )
        if config.body is not None and config.body not in self.bodies():
            raise unknown("body that can be pushed", config.body, self.bodies())
        return config

    def _direction(self) -> np.ndarray:
        """(3,) of the next push, of length 1."""
        config = self._config
        if config.azimuth is None:
            angle = self._directions.uniform(0, 2 * np.pi)
            across = 1 if self._floats() else 2
            direction = np.zeros(3)
            direction[[0, across]] = np.cos(angle), np.sin(angle)
            return direction
        azimuth, elevation = np.radians([config.azimuth, config.elevation])
        level = np.cos(elevation)
        return np.array(
            [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
        )

    def _arrow(
        self,
        body: str,
        force: np.ndarray,
        shown: int,
        rgba: tuple[float, float, float, float],
    ) -> Marker:
        """An arrow to a body's centre of mass."""
        size = float(np.linalg.norm(force))
        length = float(np.interp(size / self.hardest, (0, 1), _LENGTHS))
        head = self._centre(body, shown)
        ends = np.stack([head - force / size * length, head])
        return Marker(kind="arrow", points=ends, size=0.014, rgba=rgba)

    def _centre(self, body: str, shown: int) -> np.ndarray:
        """A body's centre of mass (3,) [m]."""
        position, quaternion = (
            np.asarray(part, float)[shown] for part in self._env.engine.pose(body)
        )
        offset = np.asarray(self._env.engine.model.body(body).ipos, float)
        w, axis = quaternion[0], quaternion[1:]
        turn = np.cross(axis, offset)
        return position + offset + 2 * (w * turn + np.cross(axis, turn))

    def _weaken(self, wrench: np.ndarray) -> np.ndarray:
        """The wrench (6,), or the same in the strength that is allowed."""
        force, torque = np.linalg.norm(wrench[:3]), np.linalg.norm(wrench[3:])
        worst = max(force / self._config.pull_force, torque / self._config.pull_torque)
        return wrench / max(worst, 1.0)

    def _floats(self) -> bool:
        """Whether the robot stands by itself."""
        return floating_body(self._env.engine.model) is not None

    def _usual_body(self) -> str:
        """The one that floats, the one that bears the robot's tip, or else the last
        one that a motor moves, or that moves at all."""
        from assets import ROBOTS

        model = self._env.engine.model
        root = floating_body(model)
        if root is not None:
            return model.body(root).name
        robot = ROBOTS.get(self._env.task.robot)
        if robot is not None:
            site = model.site(robot().tip)
            return model.body(int(site.bodyid[0])).name
        if not model.njnt:
            return model.body(model.nbody - 1).name  # nothing moves, and nothing will
        last = max(_driven(model), default=-1)
        return model.body(int(model.jnt_bodyid[last])).name


def _driven(model: "mujoco.MjModel") -> list[int]:
    """Joints that a motor moves."""
    import mujoco

    return [
        int(joint)
        for joint, kind in zip(
            model.actuator_trnid[:, 0], model.actuator_trntype, strict=True
        )
        if kind == mujoco.mjtTrn.mjTRN_JOINT
    ]


def floating_body(model: "mujoco.MjModel") -> int | None:
    """The body by which a driven robot floats; None: it is fixed to something.

    It floats where no motor moves it and something lets it travel: a free joint, or
    the slides of a robot that lives in a plane.
    """
    import mujoco

    travels = [int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)]
    driven = np.array(_driven(model), int)
    for root in np.unique(model.body_rootid[model.jnt_bodyid[driven]]):
        own = np.flatnonzero(model.jnt_bodyid == root)
        if (
            np.isin(model.jnt_type[own], travels).any()
            and not np.isin(own, driven).any()
        ):
            return int(root)
    return None


def _ceil(force: float) -> float:
    """The least of 1, 2, 5, 10, 20, 50 ... that is not below [N]."""
    whole = 10.0 ** np.floor(np.log10(force))
    return float(next(f * whole for f in (1, 2, 5, 10) if f * whole >= force))
