"""HumanoidStand: stay upright for 20 s, whoever pushes.

Pushes act on the trunk, horizontally, for 0.05 s each; their number and times, their
directions and sizes up to 200 N are drawn per episode. Solved: no fall in 20 s. The
posture "stand" alone, under its stiff servos, survives a single push from many sides,
but not all of an episode's: to stay up the robot has to give way, or to step.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sims.arrays import Array, Mask, assign
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.humanoid import HumanoidState, HumanoidTask
from sims.tasks.rewards import tolerance

DURATION = 0.05
"""Of a push [s]."""
FORCE = (50.0, 200.0)
"""Range of its size [N]."""
PAUSE = (0.5, 1.5)
"""From the start of one to the start of the next [s]."""
MOST = 40
"""Pushes in an episode, if all pauses are the shortest."""


@dataclass
class HumanoidStandState(HumanoidState):
    """Memory of HumanoidStand."""

    begins: Array
    """(num_envs, MOST) int64: control steps at which pushes begin."""
    pushes: Array
    """(num_envs, MOST, 2) their forces along x and y [N]."""
    force: Array
    """(num_envs, 2) that acts at the end of the control step [N]."""


class HumanoidStand(HumanoidTask):
    """See the module's top."""

    name = "humanoid-stand"
    gym_id = "sandbot/HumanoidStand-v0"
    description = "stay upright for 20 s under pushes of up to 200 N from any side"
    max_steps = 1000
    pushed = False
    secrets = (("push_x", "N"), ("push_y", "N"))
    weights: ClassVar[dict[str, float]] = {
        "alive": 0.2,
        "upright": 0.2,
        "still": 0.15,
        "height": 0.1,
        "legs": 0.1,
        "posture": 0.1,
        "smooth": 0.1,
        "effort": 0.05,
    }

    def new_state(self, num_envs: int) -> HumanoidStandState:
        return HumanoidStandState(
            **self.memory(num_envs),
            begins=np.zeros((num_envs, MOST), np.int64),
            pushes=np.zeros((num_envs, MOST, 2)),
            force=np.zeros((num_envs, 2)),
        )

    def reset(
        self, engine: Engine, state: HumanoidStandState, where: Mask, draws: Draws
    ) -> None:
        self.place(engine, state, where, draws)
        pauses = draws.uniform("push_pauses", *PAUSE, (MOST,))
        begins = np.round(np.cumsum(pauses, axis=1) / self.control_dt)
        size = draws.uniform("push_sizes", *FORCE, (MOST,))
        angle = draws.uniform("push_angles", -np.pi, np.pi, (MOST,))
        pushes = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=2)
        assign(state.begins, begins.astype(np.int64), where)
        assign(state.pushes, pushes, where)
        assign(state.force, 0.0, where)

    def move(self, engine: Engine, state: HumanoidStandState) -> None:
        """One control step. A push may end within it, and is a whole number of physics
        steps long."""
        length = round(DURATION / engine.dt)
        force, left = self._push(state, length)
        self._apply(engine, state, force)
        partial = length % self.substeps
        if (left == partial).any():
            engine.step(partial)
            force = np.where((left == partial)[:, None], 0.0, force)
            self._apply(engine, state, force)
            engine.step(self.substeps - partial)
        else:
            engine.step(self.substeps)

    def _push(self, state: HumanoidStandState, length: int) -> tuple[Array, Array]:
        """The force (num_envs, 2) that acts now, and physics steps left of it."""
        rows = np.arange(len(state.steps))
        begun = (state.begins <= state.steps[:, None]).sum(axis=1)
        which = np.maximum(begun - 1, 0)
        age = (state.steps - state.begins[rows, which]) * self.substeps
        left = np.where(begun > 0, np.maximum(length - age, 0), 0)
        return np.where((left > 0)[:, None], state.pushes[rows, which], 0.0), left

    def _apply(self, engine: Engine, state: HumanoidStandState, force: Array) -> None:
        changed = (force != state.force).any(axis=1)
        if changed.any():
            wrench = np.zeros((engine.num_envs, 6))
            wrench[:, :2] = force
            engine.apply_wrench("torso", wrench, changed)
            assign(state.force, force, changed)

    def terms(self, engine: Engine, state: HumanoidStandState) -> dict[str, Array]:
        speed = np.sqrt((engine.qvel[:, :3] ** 2).sum(axis=1))
        still = tolerance(speed, upper=0.05, margin=0.6)
        return super().terms(engine, state) | {"still": still}

    def hidden(self, state: HumanoidStandState) -> Array:
        return state.force

    def success(self, engine: Engine, state: HumanoidStandState) -> Mask:
        """Whether it has stood to the end."""
        return (state.steps >= self.max_steps) & ~state.fallen

    def metrics(self, engine: Engine, state: HumanoidStandState) -> dict[str, Array]:
        return {
            "pelvis_height [m]": engine.qpos[:, 2].copy(),
            "push [N]": np.hypot(state.force[:, 0], state.force[:, 1]),
        }

    def markers(self, state: HumanoidStandState, env: int) -> list[Marker]:
        """None: a state knows forces, and not where the robot is."""
        return []
