"""The task: keep the pole upright, and the cart near the middle of its rail.

The pole starts up to 0.15 rad off, at rest. Solved when after 5 s it has been within
0.05 rad of upright, and the cart within 0.2 m of the middle, for the last second. A
pole that leans by more than 0.6 rad has fallen, which ends the episode.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from assets import load_model
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs, assign, namespace, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.randomization import (
    Push,
    Randomization,
    joint_damping,
    link_mass,
    motor_strength,
)
from sims.task import Marker, TaskDefaults, TaskState
from sims.tasks.rewards import tolerance

if TYPE_CHECKING:
    import mujoco

UPRIGHT, MIDDLE = 0.05, 0.2
"""What counts as balanced: lean [rad] and place [m]."""
FALLEN = 0.6
"""[rad]"""
HOLD = 1.0
"""How long it has to be balanced at the end [s]."""


@dataclass
class BalanceState(TaskState):
    """The task's memory, an array with a row for each environment."""

    held: Array
    """(num_envs,) control steps on end that it has been balanced."""


class CartPoleBalance(TaskDefaults):
    """See the module's top, and `sims.task.Task` for what each method is for."""

    name = "cart-pole-balance"
    gym_id = "example/CartPoleBalance-v0"
    description = "keep the pole upright and the cart near the middle for 5 s"
    robot = "cart-pole"
    scene = "free"
    expert = "cart-pole-lqr"
    substeps = 10
    max_steps = 250

    @cached_property
    def model(self) -> "mujoco.MjModel":
        """The nominal model."""
        return load_model(self.robot, self.scene)

    @cached_property
    def control_dt(self) -> float:
        """[s]"""
        return self.substeps * float(self.model.opt.timestep)

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """What a policy sees."""
        names = ("place", "lean", "speed", "lean_speed")
        units = ("m", "rad", "m/s", "rad/s")
        return {"state": ArraySpec(shape=(4,), names=names, units=units)}

    @cached_property
    def action_spec(self) -> ArraySpec:
        """What a policy does: push the cart."""
        return ArraySpec(
            shape=(1,), low=(-10.0,), high=(10.0,), names=("push",), units=("N",)
        )

    @cached_property
    def randomizations(self) -> dict[str, Randomization]:
        """What varies; each range is relative to the nominal model."""
        return {
            "none": Randomization(),
            "train": Randomization(
                fields=(
                    link_mass(0.8, 1.2),
                    joint_damping(0.5, 1.5),
                    motor_strength(0.9, 1.1),
                ),
                observation_noise=0.002,
                push=Push(body="cart", force=(0.0, 3.0), axes=(0, 1)),
            ),
            "gap": Randomization(
                fields=(
                    link_mass(1.25, 1.5),
                    joint_damping(2.0, 3.0),
                    motor_strength(0.75, 0.85),
                ),
                observation_noise=0.004,
                action_delay=(1, 1),
            ),
        }

    def new_state(self, engine: Engine) -> BalanceState:
        return BalanceState(
            steps=zeros(engine.qpos, dtype=int), held=zeros(engine.qpos, dtype=int)
        )

    def reset(
        self, engine: Engine, state: BalanceState, where: Mask, draws: Draws
    ) -> None:
        qpos, rest = zeros(engine.qpos, 2), zeros(engine.qpos, 2)
        qpos[:, 0] = draws.uniform("place", -0.3, 0.3)
        qpos[:, 1] = draws.uniform("lean", -0.15, 0.15)
        engine.reset(where, qpos, rest)
        assign(state.held, 0, where)

    def advance(self, engine: Engine, state: BalanceState, action: Array) -> None:
        engine.ctrl[:] = action
        engine.step(self.substeps)
        state.steps += 1
        place, lean = engine.qpos[:, 0], engine.qpos[:, 1]
        state.held += 1
        state.held *= (abs(lean) < UPRIGHT) & (abs(place) < MIDDLE)

    def observe(self, engine: Engine, state: BalanceState) -> Obs:
        xp = namespace(engine.qpos)
        return {"state": xp.concat([engine.qpos, engine.qvel], axis=1)}

    def reward(self, engine: Engine, state: BalanceState) -> dict[str, Array]:
        place, lean = abs(engine.qpos).T
        return {
            "upright": 0.8 * tolerance(lean, upper=UPRIGHT, margin=0.3),
            "middle": 0.2 * tolerance(place, upper=MIDDLE, margin=1.0),
        }

    def terminated(self, engine: Engine, state: BalanceState) -> Mask:
        return abs(engine.qpos[:, 1]) > FALLEN

    def success(self, engine: Engine, state: BalanceState) -> Mask:
        done = state.steps >= self.max_steps
        return done & (state.held >= round(HOLD / self.control_dt))

    def metrics(self, engine: Engine, state: BalanceState) -> dict[str, Array]:
        return {"lean [rad]": engine.qpos[:, 1], "place [m]": engine.qpos[:, 0]}

    def markers(self, state: BalanceState, env: int) -> list[Marker]:
        middle = np.array([[0.0, 0.0, 0.3]])
        return [Marker(kind="sphere", points=middle, size=0.05)]
