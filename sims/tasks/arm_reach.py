"""ArmReach: bring the tip to a point, and keep it there.

Targets lie anywhere the arm reaches; the start is random. Solved when the tip has been
within 2 cm of the target for half a second on end, at any time within the 4 s. The
observation has the target's position, and no solution of the inverse kinematics;
cameras see a ball there, which can be reached into.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, Obs, assign, namespace, zeros
from sims.dials import vector
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.arm import ArmState, ArmTask, point, random_posture, reachable_radii
from sims.tasks.rewards import tolerance

RADIUS = 0.02
"""How near counts [m]."""
HOLD = 0.5
"""For how long [s]."""
BALL = 0.05
"""Radius of what cameras see at the target [m]."""


@dataclass
class ArmReachState(ArmState):
    """Memory of ArmReach."""

    target: Array
    """(num_envs, 2) x, z relative to the shoulder [m]."""
    held: Array
    """(num_envs,) control steps on end within reach of the target."""
    distance: Array
    """(num_envs,) of the tip from the target [m]."""


class ArmReach(ArmTask):
    """See the module's top."""

    name = "arm-reach"
    gym_id = "sandbot/ArmReach-v0"
    description = "bring the tip within 2 cm of a point for 0.5 s, within 4 s"
    expert = "computed-torque"
    max_steps = 400
    commands = ("target_x", "target_z")
    command_units = ("m", "m")
    dials = vector("target", ("target x", "target z"), "m", -0.75, 0.75)

    def new_state(self, engine: Engine) -> ArmReachState:
        return ArmReachState(
            **self.memory(engine),
            target=zeros(engine.qpos, 2),
            held=zeros(engine.qpos, dtype=int),
            distance=zeros(engine.qpos),
        )

    def reset(
        self, engine: Engine, state: ArmReachState, where: Mask, draws: Draws
    ) -> None:
        self.place(engine, where, *random_posture(draws))
        inner, outer = reachable_radii()
        # uniform over the area of the annulus
        xp = namespace(draws.keys)
        radius = xp.sqrt(draws.uniform("target_radius", inner**2, outer**2))
        angle = draws.uniform("target_angle", -np.pi, np.pi)
        target = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        assign(state.target, target, where)
        assign(state.held, 0, where)
        assign(state.solved, False, where)
        assign(state.distance, self._distance(engine, state), where)

    def advance(self, engine: Engine, state: ArmReachState, action: Array) -> None:
        self.act(engine, state, action)
        state.distance = self._distance(engine, state)
        state.held += 1
        state.held *= state.distance < RADIUS
        state.solved |= state.held >= round(HOLD / self.control_dt)

    def observe(self, engine: Engine, state: ArmReachState) -> Obs:
        obs = self.sensed(engine)
        obs[:, 8:10] = state.target
        return {"state": obs}

    def reward(self, engine: Engine, state: ArmReachState) -> dict[str, Array]:
        # the second half is for the last centimetres, where the first is flat
        near = tolerance(state.distance, upper=RADIUS, margin=0.3)
        precise = tolerance(state.distance, upper=RADIUS / 2, margin=0.05)
        return {"near": 0.5 * near, "precise": 0.5 * precise}

    def metrics(self, engine: Engine, state: ArmReachState) -> dict[str, Array]:
        return {"tip_error [m]": state.distance}

    def markers(self, state: ArmReachState, env: int) -> list[Marker]:
        return [
            Marker(kind="sphere", points=point(*state.target[env])[None], size=RADIUS)
        ]

    def sights(self, state: ArmReachState, env: int) -> list[Marker]:
        place = point(*state.target[env])[None]
        return [
            Marker(kind="sphere", points=place, size=BALL, rgba=(0.1, 0.6, 0.25, 1.0))
        ]

    def _distance(self, engine: Engine, state: ArmReachState) -> Array:
        x, z = self.tip(engine)
        xp = namespace(x)
        return xp.hypot(x - state.target[:, 0], z - state.target[:, 1])
