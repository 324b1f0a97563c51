"""Wrenches that a person puts on the shown robot: short pushes and drags."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sims.task import Marker

if TYPE_CHECKING:
    from sims.env import Env

_COLOUR = (0.93, 0.20, 0.16, 0.95)
_LENGTH = 0.25
"""Of the arrow that shows a push [m]."""


@dataclass(frozen=True, kw_only=True)
class Pushing:
    """How hard the push button pushes, and how hard the mouse may pull."""

    force: float = 40.0
    """Size of the force [N]; its direction lies in the x-z plane, anew each time."""
    seconds: float = 0.15
    """How long it acts [s of simulated time]."""
    pull_force: float = 50.0
    """A drag is weakened to this [N] ..."""
    pull_torque: float = 20.0
    """... and this [N m]: the spring that a viewer hangs on the mouse is stiffer the
    less its point can move, without bound at a joint's axis."""


class Pushes:
    """The wrenches in force, by body, and until when."""

    def __init__(self, env: "Env", config: Pushing) -> None:
        """Nothing is pushed yet."""
        self._env, self._config = env, config
        self._directions = np.random.default_rng(0)
        self._wrenches: dict[str, tuple[np.ndarray, int | None]] = {}

    def __bool__(self) -> bool:
        """Whether a body is being pushed."""
        return any(wrench.any() for wrench, _ in self._wrenches.values())

    def clear(self) -> None:
        """Forget all; for after a reset, which takes the wrenches off the bodies."""
        self._wrenches.clear()

    def push(self, ticks: int, body: str | None, force: np.ndarray | None) -> None:
        """Push for :class:`Pushing`'s time, from tick ``ticks`` on.

        Args:
            ticks: now.
            body: whose centre of mass is pushed; None: the one that bears the tip.
            force: (3,) [N], world axes; None: the configured size, in a new direction.
        """
        if force is None:
            angle = self._directions.uniform(0, 2 * np.pi)
            direction = np.array([np.cos(angle), 0.0, np.sin(angle)])
            force = self._config.force * direction
        wrench = np.concatenate([force, np.zeros(3)])
        lasts = max(1, round(self._config.seconds / self._env.control_dt))
        self._wrenches[body or self._tip_body()] = (wrench, ticks + lasts)

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

        A drag has none, since viewers draw it themselves.
        """
        arrows = []
        for body, (wrench, until) in self._wrenches.items():
            force = wrench[:3]
            size = float(np.linalg.norm(force))
            if until is not None and size > 1e-6:
                head = self._centre(body, shown)
                ends = np.stack([head - force / size * _LENGTH, head])
                arrow = Marker(kind="arrow", points=ends, size=0.014, rgba=_COLOUR)
                arrows.append(arrow)
        return arrows

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

    def _tip_body(self) -> str:
        """The body that bears the robot's tip, else the last one that a motor moves."""
        import mujoco

        from assets import ROBOTS

        model = self._env.engine.model
        robot = ROBOTS.get(self._env.task.robot)
        if robot is not None:
            site = model.site(robot().tip)
            return model.body(int(site.bodyid[0])).name
        joints = [
            int(joint)
            for joint, kind in zip(
                model.actuator_trnid[:, 0], model.actuator_trntype, strict=True
            )
            if kind == mujoco.mjtTrn.mjTRN_JOINT
        ]
        last = max(joints, default=-1)
        return model.body(int(model.jnt_bodyid[last])).name
