"""AlohaHandover: a box of random size goes from one hand to the other.

The box lies on either half of the table, turned by up to 30 degrees; the hand on that
side takes it and hands it over. Its size is drawn per episode and is the physics' own:
mass and inertia are those of a box of 300 kg/m^3. Strictly solved: the other hand alone
holds it aloft for half a second.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, assign, host, namespace, sent, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.randomization import FieldTerm, Randomization
from sims.tasks.aloha import AlohaState, AlohaTask, upright

DENSITY = 300.0
"""[kg/m^3]"""
SIZES = ((0.04, 0.06), (0.012, 0.028), (0.015, 0.028))
"""Ranges of half the length, width and height [m]."""


def _size(axis: int) -> FieldTerm:
    return FieldTerm(
        name=f"box_{'xyz'[axis]}",
        parts=(("geom_size", axis),),
        elements=("box",),
        low=SIZES[axis][0],
        high=SIZES[axis][1],
        operation="set",
    )


@dataclass
class HandoverState(AlohaState):
    """Memory of AlohaHandover."""

    to_left: Array
    """(num_envs,) bool: whether the left hand is the one to end with the box."""
    size: Array
    """(num_envs, 3) half the length, width and height of the box [m]."""


class AlohaHandover(AlohaTask):
    """See the module's top."""

    name = "aloha-handover"
    gym_id = "sandbot/AlohaHandover-v0"
    description = "hand the box over from one arm to the other"
    scene = "handover"
    expert = "aloha-script"
    max_steps = 400
    objects = ("box",)
    stages = ("touched", "lifted", "both_hold", "receiver_alone")
    variation = Randomization(fields=tuple(_size(axis) for axis in range(3)))

    def new_state(self, engine: Engine) -> HandoverState:
        return HandoverState(
            **self.memory(engine),
            to_left=zeros(engine.qpos, dtype=bool),
            size=zeros(engine.qpos, 3),
        )

    def environment_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names, units = super().environment_names()
        more = ("box_half_x", "box_half_y", "box_half_z", "target_is_left")
        return names + more, (*units, "m", "m", "m", "1")

    def instructions(self, state: HandoverState) -> list[str]:
        hands = ("left to the right", "right to the left")
        return [f"hand the box from the {hands[int(to)]} arm" for to in state.to_left]

    def reset(
        self, engine: Engine, state: HandoverState, where: Mask, draws: Draws
    ) -> None:
        box = int(self.model.geom("box").id)
        size = host(engine.get_field("geom_size"))[:, box]
        assign(state.size, sent(size, state.size), where)
        assign(state.to_left, draws.uniform("side") < 0.5, where)
        self._weigh(engine, size, host(where))
        super().reset(engine, state, where, draws)

    def _weigh(self, engine: Engine, size: np.ndarray, where: np.ndarray) -> None:
        """Give the box the mass and inertia of its size; on the host, as fields are."""
        body = int(self.model.body("box").id)
        mass = DENSITY * 8 * size.prod(axis=1)
        square = size**2
        masses = host(engine.get_field("body_mass"))
        masses[:, body] = mass
        inertias = host(engine.get_field("body_inertia"))
        inertias[:, body] = (
            mass[:, None] / 3 * (square.sum(axis=1, keepdims=True) - square)
        )
        engine.set_field("body_mass", masses, where)
        engine.set_field("body_inertia", inertias, where)

    def place(self, draws: Draws) -> Array:
        xp = namespace(draws.keys)
        side = xp.where(draws.uniform("side") < 0.5, 1.0, -1.0)
        x = side * draws.uniform("box_x_place", 0.05, 0.17)
        y = draws.uniform("box_y_place", 0.42, 0.58)
        yaw = draws.uniform("box_yaw", -np.pi / 6, np.pi / 6)
        return upright(xp.stack([x, y, xp.full_like(x, 0.05)], axis=1), yaw)[:, None]

    def surroundings(self, engine: Engine, state: HandoverState) -> Array:
        poses = super().surroundings(engine, state)
        xp = namespace(poses)
        return xp.concat([poses, state.size, state.to_left[:, None]], axis=1)

    def conditions(self, engine: Engine, state: HandoverState) -> list[Mask]:
        left, any_left = self.pinched(engine, "left", "box")
        right, any_right = self.pinched(engine, "right", "box")
        aloft = ~self.touches(engine, "table", "box")
        xp = namespace(left)
        gives = xp.where(state.to_left, right, left)
        touches = xp.where(state.to_left, any_right, any_left)
        takes = xp.where(state.to_left, left, right)
        return [
            touches,
            gives & aloft,
            takes & touches & aloft,
            takes & ~touches & aloft,
        ]
