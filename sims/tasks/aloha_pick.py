"""AlohaPick: put the named object into the named bowl.

"Put the red cube in the left bowl": the sentence, drawn from :data:`TEMPLATES`, names
one of four cubes and one of two bowls; in ``environment_state`` the same is said by
one-hot commands, for policies without language. Two cylinders of the cubes' colours lie
about, too, and no sentence names them.

Solved is an episode in which the named cube lies in the named bowl, still, let go of,
and alone (no other object in either bowl), for half a second. Whatever else came into a
bowl on the way is the outcome ``misplaced``.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, assign
from sims.draws import Draws
from sims.engine import Engine
from sims.randomization import FieldTerm, Randomization
from sims.tasks.aloha import SIDES, AlohaState, AlohaTask, upright

COLOURS = ("red", "green", "blue", "yellow")
CUBES = tuple(f"{colour}_cube" for colour in COLOURS)
DISTRACTORS = ("red_cylinder", "blue_cylinder")
BOWLS = tuple(f"{side}_bowl" for side in SIDES)
TEMPLATES = (
    "put the {colour} cube in the {side} bowl",
    "place the {colour} block into the bowl on the {side}",
    "pick up the {colour} cube and drop it in the {side} bowl",
    "move the {colour} cube to the {side} bowl",
    "the {colour} cube belongs in the {side} bowl",
    "take the {colour} block and put it into the {side} bowl",
    "drop the {colour} cube into the bowl on the {side} side",
    "could you put the {colour} cube in the {side} bowl?",
    "find the {colour} cube, then place it in the {side} bowl",
    "in the {side} bowl, please, put the {colour} block",
)
"""Sentences; a block is a cube."""
CELLS = np.array([(x, y) for x in (-0.09, 0.0, 0.09) for y in (0.34, 0.43, 0.52)])
"""Where objects may lie, at most one in each [m]; a hand fits between two of them."""
JITTER, TURN = 0.006, 0.2
"""How far from its cell's middle an object lies [m], how far it is turned [rad]."""
RADIUS, RIM = 0.055, 0.05
"""Of a bowl: what is nearer to its middle, and lower, lies in it [m]."""
STILL = 0.05
"""Below this speed an object lies [m/s]."""
LIFTED = 0.04
"""Height of an object that is off the table [m]."""


def parse_instruction(sentence: str) -> tuple[str, str]:
    """Colour and side that a sentence names, such as ("red", "left")."""
    words = set(sentence.replace("?", " ").replace(",", " ").split())
    (colour,) = words & set(COLOURS)
    (side,) = words & set(SIDES)
    return colour, side


def _bowl_place(axis: int) -> FieldTerm:
    return FieldTerm(
        name=f"bowl_{'xy'[axis]}",
        parts=(("body_pos", axis),),
        elements=BOWLS,
        low=-0.015,
        high=0.015,
        operation="add",
    )


@dataclass
class PickState(AlohaState):
    """Memory of AlohaPick."""

    target: Array
    """(num_envs,) index of the named cube."""
    bowl: Array
    """(num_envs,) index of the named bowl."""
    template: Array
    """(num_envs,) index of the sentence."""
    misplaced: Array
    """(num_envs,) bool: whether something else came into a bowl."""


class AlohaPick(AlohaTask):
    """See the module's top."""

    name = "aloha-pick"
    gym_id = "sandbot/AlohaPick-v0"
    description = "put the named cube into the named bowl"
    scene = "pick"
    expert = "aloha-script"
    max_steps = 400
    objects = CUBES + DISTRACTORS
    stages = ("touched", "lifted", "over_the_bowl", "placed")
    variation = Randomization(fields=(_bowl_place(0), _bowl_place(1)))

    def new_state(self, num_envs: int) -> PickState:
        return PickState(
            **self.memory(num_envs),
            target=np.zeros(num_envs, np.int64),
            bowl=np.zeros(num_envs, np.int64),
            template=np.zeros(num_envs, np.int64),
            misplaced=np.zeros(num_envs, bool),
        )

    def environment_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names, units = super().environment_names()
        bowls = tuple(f"{bowl}_{axis}" for bowl in BOWLS for axis in "xy")
        commands = tuple(f"target_{name}" for name in CUBES + BOWLS)
        more = ("m",) * len(bowls) + ("1",) * len(commands)
        return names + bowls + commands, units + more

    def instructions(self, state: PickState) -> list[str]:
        chosen = zip(state.template, state.target, state.bowl, strict=True)
        return [
            TEMPLATES[how].format(colour=COLOURS[what], side=SIDES[where])
            for how, what, where in chosen
        ]

    def reset(
        self, engine: Engine, state: PickState, where: Mask, draws: Draws
    ) -> None:
        super().reset(engine, state, where, draws)
        assign(state.target, draws.integers("target", 0, len(CUBES) - 1), where)
        assign(state.bowl, draws.integers("bowl", 0, len(BOWLS) - 1), where)
        last = len(TEMPLATES) - 1
        assign(state.template, draws.integers("template", 0, last), where)
        assign(state.misplaced, False, where)

    def place(self, draws: Draws) -> np.ndarray:
        """Each in a cell of its own: the cells in a drawn order."""
        order = np.argsort(draws.uniform("cells", shape=(len(CELLS),)), axis=1)
        count = len(self.objects)
        places = CELLS[order[:, :count]]
        places = places + draws.uniform("jitter", -JITTER, JITTER, (count, 2))
        height = np.full((*places.shape[:2], 1), 0.02)
        yaw = draws.uniform("yaw", -TURN, TURN, (count,))
        return upright(np.concatenate([places, height], axis=2), yaw)

    def surroundings(self, engine: Engine, state: PickState) -> Array:
        cubes = np.eye(len(CUBES))[state.target]
        bowls = np.eye(len(BOWLS))[state.bowl]
        places = [engine.pose(bowl)[0][:, :2] for bowl in BOWLS]
        poses = super().surroundings(engine, state)
        return np.concatenate([poses, *places, cubes, bowls], axis=1)

    def advance(self, engine: Engine, state: PickState, action: Array) -> None:
        super().advance(engine, state, action)
        state.misplaced |= self._others(engine, state)

    def conditions(self, engine: Engine, state: PickState) -> list[Mask]:
        rows = np.arange(engine.num_envs)
        touched = self._touched(engine)[rows, state.target]
        named = self._offsets(engine)[rows, state.target, state.bowl]
        over = np.linalg.norm(named[:, :2], axis=1) < RADIUS
        inside = self._inside(engine)[rows, state.target, state.bowl]
        dof = self._object_dofs[state.target]
        speed = np.linalg.norm(engine.qvel[rows[:, None], dof], axis=1)
        alone = ~self._others(engine, state)
        return [
            touched,
            touched & (named[:, 2] > LIFTED),
            over & touched & (named[:, 2] > LIFTED),
            inside & ~touched & (speed < STILL) & alone,
        ]

    def outcomes(self, engine: Engine, state: PickState) -> dict[str, Mask]:
        return super().outcomes(engine, state) | {"misplaced": state.misplaced}

    @property
    def _object_dofs(self) -> np.ndarray:
        """(objects, 3): of qvel, how each moves along."""
        starts = [int(self.model.joint(name).dofadr[0]) for name in self.objects]
        return np.array(starts)[:, None] + np.arange(3)

    def _touched(self, engine: Engine) -> np.ndarray:
        """(num_envs, cubes) bool: by either hand."""
        hands = [
            [self.touches(engine, f"{side}/gripper", cube) for cube in CUBES]
            for side in SIDES
        ]
        return np.asarray(np.array(hands).any(axis=0)).T

    def _offsets(self, engine: Engine) -> np.ndarray:
        """(num_envs, objects, bowls, 3): from each bowl's middle to each object [m]."""
        objects = engine.qpos[:, self._object_columns].reshape(
            engine.num_envs, len(self.objects), 7
        )[..., :3]
        bowls = np.stack([engine.pose(bowl)[0] for bowl in BOWLS], axis=1)
        return objects[:, :, None] - bowls[:, None]

    def _inside(self, engine: Engine) -> np.ndarray:
        """(num_envs, objects, bowls) bool"""
        offsets = self._offsets(engine)
        near = np.linalg.norm(offsets[..., :2], axis=-1) < RADIUS
        return near & (offsets[..., 2] < RIM)

    def _others(self, engine: Engine, state: PickState) -> np.ndarray:
        """(num_envs,) bool: whether a bowl holds anything that was not asked for."""
        inside = self._inside(engine)
        rows = np.arange(engine.num_envs)
        inside[rows, state.target, state.bowl] = False
        return np.asarray(inside.any(axis=(1, 2)))
