"""A humanoid that is carried: its motion is given, whatever physics would make of it.

So that what a task makes of a walk, a slide or a hop can be tested before anybody can
walk. Poses, contacts and sensors are the engine's: each control step it is put where
the motion says, its soles half a millimetre deep in the floor where a foot stands.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

import sims
from sims.engine import Engine
from sims.tasks.humanoid import HumanoidTask
from sims.tasks.humanoid_walk import HumanoidWalk

make_env: Any = sims.make_env
"""Untyped: tests reach into the tasks' own state."""


def started(task: HumanoidTask, num_envs: int = 1, **given: Any) -> Any:
    """An environment after its first reset."""
    env = make_env(task, num_envs=num_envs, **given)
    env.reset()
    return env


def still(env: Any) -> np.ndarray:
    """The action that holds the posture."""
    return np.zeros((env.num_envs, 29))


def everywhere(env: Any) -> np.ndarray:
    """All environments."""
    return np.ones(env.num_envs, bool)


LINK = 0.30
"""From hip to knee, and from knee to ankle [m]."""
HIP, SOLE = 0.06, 0.06
"""Of the hips below the pelvis, and of the soles below the ankles [m]."""
LOWER = 0.02
"""By how much the pelvis is lower than in the posture, to reach farther [m]."""
DEPTH = 0.0005
"""Of a standing sole in the floor [m]."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How the pelvis and both feet move along x."""

    speed: float = 0.5
    """Of the pelvis [m/s]."""
    lift: tuple[float, float] = (0.06, 0.06)
    """How high left and right foot swing [m]."""
    planted: bool = True
    """Whether a standing foot stays where it is, or moves along with the pelvis."""
    shift: float = 0.5
    """How much later the right foot swings, in strides."""
    raised: tuple[float, float] = (0.0, 0.0)
    """How much higher left and right foot are all the time [m]."""
    period: float = 0.8
    swing: float = 0.4
    """Of the stride."""

    def foot(self, side: int, time: float) -> tuple[float, float]:
        """x relative to the pelvis and height of a sole [m]."""
        phase = (time / self.period + side * self.shift) % 1.0
        u = min(phase / self.swing, 1.0)
        height = self.lift[side] * (1 - np.cos(2 * np.pi * u)) / 2
        height += self.raised[side] - DEPTH
        if not self.planted:
            return 0.0, height
        # in strides: a cycloid ahead, which starts and ends at rest in the world, then
        # back under the pelvis; its middle is where the stance's is
        ahead = u - np.sin(2 * np.pi * u) / (2 * np.pi) - phase + (self.swing - 1) / 2
        return self.speed * self.period * ahead, height


def leg(x: float, z: float) -> tuple[float, float, float]:
    """Hip pitch, knee and ankle pitch that put the ankle at x, z from the hip, the sole
    level [rad]."""
    reach = np.hypot(x, z)
    assert reach < 2 * LINK, "too far for the leg"
    knee = 2 * np.arccos(reach / (2 * LINK))
    hip = np.arctan2(-x, -z) - knee / 2
    return hip, knee, -(hip + knee)


def pose(task: HumanoidWalk, motion: Motion, time: float) -> np.ndarray:
    """(nq,) of the robot."""
    qpos = task.model.key("stand").qpos.copy()
    qpos[0], qpos[2] = motion.speed * time, task.stature - LOWER
    for side in range(2):
        x, height = motion.foot(side, time)
        place = 7 + 6 * side
        hip, knee, ankle = leg(x, height + SOLE + HIP - qpos[2])
        qpos[[place, place + 3, place + 4]] = hip, knee, ankle
    return qpos


class Carried(HumanoidWalk):
    """HumanoidWalk, environment by environment along a motion, for 10 s."""

    max_steps = 500

    def __init__(self, motions: list[Motion]) -> None:
        super().__init__()
        self.motions = motions

    def move(self, engine: Engine, state: Any) -> None:
        time = (state.steps[0] + 1) * self.control_dt
        qpos = np.array([pose(self, m, time) for m in self.motions])
        after = np.array([pose(self, m, time + 1e-4) for m in self.motions])
        qvel = np.zeros((len(qpos), self.model.nv))
        for row, here, there in zip(qvel, qpos, after, strict=True):
            mujoco.mj_differentiatePos(self.model, row, 1e-4, here, there)
        engine.reset(np.ones(len(qpos), bool), qpos, qvel)


class Posed(HumanoidWalk):
    """HumanoidWalk that is put into a pose instead of time that passes."""

    def __init__(self, change: Callable[[np.ndarray], None]) -> None:
        super().__init__()
        self.change = change

    def move(self, engine: Engine, state: Any) -> None:
        qpos = self.model.key("stand").qpos.copy()
        self.change(qpos)
        where = np.ones(engine.num_envs, bool)
        engine.reset(where, qpos, np.zeros(self.model.nv))
