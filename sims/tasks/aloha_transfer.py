"""AlohaTransferCube: the right hand takes a cube up, the left hand takes it over.

Ranges, length and stages are gym-aloha's (Zhao et al. 2023, arXiv:2304.13705, table I).
Its success asks that the left finger of the left gripper touches the cube while the
cube is off the table; the right hand may still hold it. Strictly solved is only what is
held by the left hand alone for half a second.
"""

from dataclasses import dataclass

from sims.arrays import Array, Mask, assign, namespace, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.tasks.aloha import AlohaState, AlohaTask, upright

MIDDLE = 0.5
"""Between the front and the back of the table: y of the arms' feet [m]."""


@dataclass
class TransferState(AlohaState):
    """Memory of AlohaTransferCube."""

    front: Array
    """(num_envs,) bool: whether the left hand took the cube at the front ..."""
    back: Array
    """... or at the back."""


class AlohaTransferCube(AlohaTask):
    """See the module's top."""

    name = "aloha-transfer-cube"
    gym_id = "sandbot/AlohaTransferCube-v0"
    description = "pick up the cube with the right arm and hand it to the left arm"
    scene = "transfer"
    expert = "aloha-script"
    max_steps = 400
    published = True
    objects = ("cube",)
    stages = ("touched", "lifted", "both_hold", "left_alone")

    def new_state(self, engine: Engine) -> TransferState:
        return TransferState(
            **self.memory(engine),
            front=zeros(engine.qpos, dtype=bool),
            back=zeros(engine.qpos, dtype=bool),
        )

    def reset(
        self, engine: Engine, state: TransferState, where: Mask, draws: Draws
    ) -> None:
        super().reset(engine, state, where, draws)
        assign(state.front, False, where)
        assign(state.back, False, where)

    def advance(self, engine: Engine, state: TransferState, action: Array) -> None:
        super().advance(engine, state, action)
        new = state.now[:, 2] & ~(state.front | state.back)
        front = engine.pose("cube")[0][:, 1] < MIDDLE
        state.front |= new & front
        state.back |= new & ~front

    def outcomes(self, engine: Engine, state: TransferState) -> dict[str, Mask]:
        """And where the cube was handed over, which tells strategies apart."""
        ways = {"way_front": state.front, "way_back": state.back}
        return super().outcomes(engine, state) | ways

    def place(self, draws: Draws) -> Array:
        x = draws.uniform("cube_x", 0.0, 0.2)
        y = draws.uniform("cube_y", 0.4, 0.6)
        xp = namespace(x)
        return upright(xp.stack([x, y, xp.full_like(x, 0.05)], axis=1))[:, None]

    def conditions(self, engine: Engine, state: AlohaState) -> list[Mask]:
        left, _ = self.pinched(engine, "left", "cube")
        right, any_right = self.pinched(engine, "right", "cube")
        aloft = ~self.touches(engine, "table", "cube")
        both = left & any_right & aloft
        return [any_right, right & aloft, both, left & ~any_right & aloft]

    def benchmark(self, engine: Engine, state: AlohaState) -> Mask:
        touched = self.touches(engine, "left/left_finger", "cube")
        return touched & ~self.touches(engine, "table", "cube")
