"""Contact forces of the shown environment as arrows, to a scale that is stated.

Each arrow begins at the contact point and shows the force on the one of the two bodies
that can move, or on the lighter of two that can. Forces are the engine's own: MuJoCo's
and Warp's as their solver has them at the shown state, Bullet's as of its last step.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from sims.task import Marker

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine

MOST = 100
"""Of many contacts the strongest are drawn."""
UNIT = 0.1
"""Length of an arrow to which the scale refers [m]."""
_LEAST = 0.004
"""Shorter arrows are left out [m]."""
_WEIGHT = 0.5
"""About how long the arrow of the moving bodies' weight is [m]."""
_COLOUR = (0.98, 0.62, 0.12, 0.95)


class ContactArrows:
    """What :class:`~sims.viewers.loop.Session` draws where contact forces are shown."""

    def __init__(self, engine: "Engine") -> None:
        """Hidden at first.

        Args:
            engine: whose contacts.
        """
        self.on = False
        """Whether they are drawn; nothing is computed otherwise."""
        self.unit_force = round_force(weight(engine.model) * UNIT / _WEIGHT)
        """The force of an arrow of :data:`UNIT` length [N]."""
        self._engine = engine

    def toggle(self) -> None:
        """Draw them, or do not."""
        self.on = not self.on

    def markers(self, env: int) -> list[Marker]:
        """An arrow for each contact of an environment, the strongest first."""
        if not self.on:
            return []
        per_newton = UNIT / self.unit_force
        arrows = []
        for contact in self._engine.contacts(env):
            ends = np.stack([contact.pos, contact.pos])
            second = _moves(self._engine.model, contact.geoms)
            ends[1] += contact.force * (per_newton if second else -per_newton)
            length = float(np.linalg.norm(ends[1] - ends[0]))
            if length > _LEAST:
                arrows.append((length, ends))
        arrows.sort(key=lambda arrow: -arrow[0])
        return [
            Marker(kind="arrow", points=ends, size=0.008, rgba=_COLOUR)
            for _, ends in arrows[:MOST]
        ]


def _moves(model: "mujoco.MjModel", geoms: tuple[int, int]) -> bool:
    """Whether the force on the second of two geoms is to be drawn."""
    first, second = (_mass(model, geom) for geom in geoms)
    return second <= first


def _mass(model: "mujoco.MjModel", geom: int) -> float:
    """Of a geom's body; infinite where it is fixed in the world [kg]."""
    if geom < 0:
        return 0.0
    body = int(model.geom_bodyid[geom])
    return float(model.body_mass[body]) if model.body_weldid[body] else math.inf


def weight(model: "mujoco.MjModel | None") -> float:
    """Of all bodies that can move [N]; 1 where there are none."""
    if model is None:
        return 1.0
    mass = float(model.body_mass[model.body_weldid > 0].sum())
    return mass * 9.81 or 1.0


def round_force(force: float) -> float:
    """The nearest of 1, 2, 5, 10, 20, 50 ... [N]."""
    whole = 10.0 ** math.floor(math.log10(force))
    choices = [factor * whole for factor in (1, 2, 5, 10)]
    return min(choices, key=lambda choice: abs(math.log(choice / force)))
