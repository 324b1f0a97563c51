"""AlohaPegInsertion: each hand takes one part from the table, peg goes into socket.

Ranges, length and sizes are gym-aloha's (Zhao et al. 2023, arXiv:2304.13705, table I).
Its success asks that the peg touches the pin inside of the socket, at any moment; the
contact flickers while the hands hold both, and a blow counts as much as a fit. Strictly
solved is a peg that sits in the socket: its end 15 of the 20 mm deep between the walls,
both parts in their hands and off the table, for half a second.
"""

import numpy as np

from sims.arrays import Array, Mask, like, namespace
from sims.draws import Draws
from sims.engine import Engine
from sims.tasks.aloha import AlohaState, AlohaTask, upright

PEG_HALF = 0.06
"""Half the peg's length [m]."""
ENDS = np.array([[PEG_HALF, 0, 0], [-PEG_HALF, 0, 0]])
"""In the peg's axes [m]."""
SOCKET_HALF = (0.06, 0.018)
"""Half the socket's length, and half its width inside [m]."""
DEPTH = 0.015
"""How deep a peg that sits is at least [m]; the pin stops it at 0.02."""


class AlohaPegInsertion(AlohaTask):
    """See the module's top."""

    name = "aloha-peg-insertion"
    gym_id = "sandbot/AlohaPegInsertion-v0"
    description = "insert the peg in the right hand into the socket in the left hand"
    scene = "insertion"
    expert = "aloha-script"
    max_steps = 400
    published = True
    objects = ("peg", "socket")
    stages = ("touched_both", "lifted_both", "met", "inserted")

    def place(self, draws: Draws) -> Array:
        peg_x = draws.uniform("peg_x", 0.1, 0.2)
        socket_x = draws.uniform("socket_x", -0.2, -0.1)
        y = draws.uniform("part_y", 0.4, 0.6, (2,))
        xp = namespace(peg_x)
        z = xp.full_like(peg_x, 0.05)
        places = [[peg_x, y[:, 0], z], [socket_x, y[:, 1], z]]
        return upright(xp.stack([xp.stack(part, axis=1) for part in places], axis=1))

    def conditions(self, engine: Engine, state: AlohaState) -> list[Mask]:
        left, any_left = self.pinched(engine, "left", "socket")
        right, any_right = self.pinched(engine, "right", "peg")
        aloft = ~(
            self.touches(engine, "table", "peg")
            | self.touches(engine, "table", "socket")
        )
        inserted = self.depth(engine) >= DEPTH
        return [
            any_left & any_right,
            left & right & aloft,
            self.touches(engine, "socket", "peg") & aloft,
            inserted & left & right & aloft,
        ]

    def benchmark(self, engine: Engine, state: AlohaState) -> Mask:
        return self.touches(engine, "pin", "peg")

    def depth(self, engine: Engine) -> Array:
        """(num_envs,) how far an end of the peg is inside of the socket [m]."""
        peg, R_peg = _frame(*engine.pose("peg"))
        socket, R_socket = _frame(*engine.pose("socket"))
        xp = namespace(peg)
        ends = peg[:, None] + xp.einsum("nij,kj->nki", R_peg, like(ENDS, R_peg))
        inside = xp.einsum("nji,nkj->nki", R_socket, ends - socket[:, None])
        length, width = SOCKET_HALF
        between = (abs(inside[..., 1:]) < width).all(-1)
        depth = length - abs(inside[..., 0])
        return xp.max(xp.where(between, xp.maximum(depth, 0.0), 0.0), axis=1)

    def metrics(self, engine: Engine, state: AlohaState) -> dict[str, Array]:
        return super().metrics(engine, state) | {"depth [m]": self.depth(engine)}


def _frame(position: Array, quat: Array) -> tuple[Array, Array]:
    """Position (n, 3) and rotation (n, 3, 3) of poses."""
    from controllers.so3 import from_quaternion

    return position, from_quaternion(quat)
