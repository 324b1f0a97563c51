"""ArmPress: touch a wall, and hold a set force against it.

The wall is a plate on a spring. Its place, its stiffness and its friction are drawn per
episode, under every profile, and none of them is told; the set force is. Solved when
the contact force, as the engine itself reports it, stays within 5% RMS of the set force
over the last 2 s of the 5 s.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, Obs, assign, namespace, zeros
from sims.dials import Dial
from sims.draws import Draws
from sims.engine import Engine
from sims.randomization import FieldTerm, Randomization, friction
from sims.task import Marker
from sims.tasks.arm import ArmState, ArmTask, elbow_posture, point
from sims.tasks.rewards import tolerance

LIMIT = 0.05
"""Largest error that counts as held, RMS, as a fraction of the set force."""
JUDGED = 2.0
"""The last so many seconds count."""

WALL = Randomization(
    fields=(
        FieldTerm(
            name="wall_position",
            parts=(("body_pos", 0),),
            elements=("wall_mount",),
            low=-0.08,
            high=0.08,
            operation="add",
        ),
        FieldTerm(
            name="wall_stiffness",
            parts=(("jnt_stiffness", None),),
            elements=("wall",),
            low=10e3,
            high=40e3,
            operation="set",
            distribution="log_uniform",
        ),
        friction(0.5, 1.5, "tip", "wall"),
    )
)
"""Where the wall stands [m], how stiff it is [N/m], how rough."""


@dataclass
class ArmPressState(ArmState):
    """Memory of ArmPress."""

    target: Array
    """(num_envs,) set force [N]"""
    force: Array
    """(num_envs,) contact force that presses the wall [N]"""
    square: Array
    """(num_envs,) sum of squared errors that count [N^2]"""


class ArmPress(ArmTask):
    """See the module's top."""

    name = "arm-press"
    gym_id = "sandbot/ArmPress-v0"
    description = "touch a wall and hold a set force within 5% RMS for 2 s"
    scene = "wall"
    expert = "impedance"
    max_steps = 500
    commands = ("force", "target_force")
    command_units = ("N", "N")
    variation = WALL
    dials = (Dial(name="set force", unit="N", low=5.0, high=20.0, field="target"),)

    def new_state(self, engine: Engine) -> ArmPressState:
        return ArmPressState(
            **self.memory(engine),
            target=zeros(engine.qpos),
            force=zeros(engine.qpos),
            square=zeros(engine.qpos),
        )

    def reset(
        self, engine: Engine, state: ArmPressState, where: Mask, draws: Draws
    ) -> None:
        x = draws.uniform("start_x", 0.22, 0.36)
        z = draws.uniform("start_z", -0.25, 0.25)
        angles = elbow_posture(x, z, draws.uniform("elbow", -1, 1))
        self.place(engine, where, angles)
        assign(state.target, draws.uniform("target_force", 5.0, 20.0), where)
        assign(state.force, self._force(engine), where)
        assign(state.square, 0.0, where)
        assign(state.solved, False, where)

    def advance(self, engine: Engine, state: ArmPressState, action: Array) -> None:
        self.act(engine, state, action)
        state.force = self._force(engine)
        judged = round(JUDGED / self.control_dt)
        error = state.force - state.target
        state.square += (state.steps > self.max_steps - judged) * error * error
        state.solved = (state.steps >= self.max_steps) & (
            state.square <= judged * (LIMIT * state.target) ** 2
        )

    def observe(self, engine: Engine, state: ArmPressState) -> Obs:
        obs = self.sensed(engine)
        obs[:, 8] = state.force
        obs[:, 9] = state.target
        return {"state": obs}

    def reward(self, engine: Engine, state: ArmPressState) -> dict[str, Array]:
        return {"force": tolerance(self._error(state), upper=LIMIT, margin=0.95)}

    def metrics(self, engine: Engine, state: ArmPressState) -> dict[str, Array]:
        return {"force_error [fraction]": self._error(state), "force [N]": state.force}

    def markers(self, state: ArmPressState, env: int) -> list[Marker]:
        return [
            Marker(
                kind="arrow",
                points=np.stack(
                    [point(0.25, 0.62), point(0.25 + state.force[env] / 50, 0.62)]
                ),
                size=0.008,
                rgba=(0.9, 0.35, 0.1, 0.9),
            ),
            Marker(
                kind="arrow",
                points=np.stack(
                    [point(0.25, 0.58), point(0.25 + state.target[env] / 50, 0.58)]
                ),
                size=0.008,
            ),
        ]

    def _force(self, engine: Engine) -> Array:
        """(num_envs,) how hard the tip presses the wall along +x [N]."""
        along = -engine.sensor("wall_contact")[:, 0]
        return namespace(along).maximum(along, 0.0)

    def _error(self, state: ArmPressState) -> Array:
        return abs(state.force - state.target) / state.target
