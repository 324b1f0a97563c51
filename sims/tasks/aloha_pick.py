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
from functools import cached_property

import numpy as np

from sims.arrays import Array, Mask, assign, like, namespace, pick, zeros
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
_THINGS, _BOWLS = np.arange(len(CUBES + DISTRACTORS)), np.arange(len(BOWLS))
_ONE_CUBE, _ONE_BOWL = np.eye(len(CUBES)), np.eye(len(BOWLS))
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

    def new_state(self, engine: Engine) -> PickState:
        return PickState(
            **self.memory(engine),
            target=zeros(engine.qpos, dtype=int),
            bowl=zeros(engine.qpos, dtype=int),
            template=zeros(engine.qpos, dtype=int),
            misplaced=zeros(engine.qpos, dtype=bool),
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

    def place(self, draws: Draws) -> Array:
        """Each in a cell of its own: the cells in a drawn order."""
        xp, count = namespace(draws.keys), len(self.objects)
        order = xp.argsort(draws.uniform("cells", shape=(len(CELLS),)), axis=1)
        jitter = draws.uniform("jitter", -JITTER, JITTER, (count, 2))
        places = like(CELLS, jitter)[order[:, :count]] + jitter
        height = xp.full_like(places[:, :, :1], 0.02)
        yaw = draws.uniform("yaw", -TURN, TURN, (count,))
        return upright(xp.concat([places, height], axis=2), yaw)

    def surroundings(self, engine: Engine, state: PickState) -> Array:
        poses = super().surroundings(engine, state)
        cubes = like(_ONE_CUBE, poses)[state.target]
        bowls = like(_ONE_BOWL, poses)[state.bowl]
        places = [engine.pose(bowl)[0][:, :2] for bowl in BOWLS]
        return namespace(poses).concat([poses, *places, cubes, bowls], axis=1)

    def advance(self, engine: Engine, state: PickState, action: Array) -> None:
        super().advance(engine, state, action)
        state.misplaced |= self._others(engine, state)

    def conditions(self, engine: Engine, state: PickState) -> list[Mask]:
        xp, qvel = namespace(engine.qvel), engine.qvel
        touched = pick(self._touched(engine), state.target)
        named = pick(pick(self._offsets(engine), state.target), state.bowl)
        over = xp.linalg.vector_norm(named[:, :2], axis=1) < RADIUS
        inside = pick(pick(self._inside(engine), state.target), state.bowl)
        dofs = like(self._object_dofs, qvel)
        speed = xp.linalg.vector_norm(pick(qvel[:, dofs], state.target), axis=1)
        alone = ~self._others(engine, state)
        return [
            touched,
            touched & (named[:, 2] > LIFTED),
            over & touched & (named[:, 2] > LIFTED),
            inside & ~touched & (speed < STILL) & alone,
        ]

    def outcomes(self, engine: Engine, state: PickState) -> dict[str, Mask]:
        return super().outcomes(engine, state) | {"misplaced": state.misplaced}

    @cached_property
    def _object_dofs(self) -> np.ndarray:
        """(objects, 3): of qvel, how each moves along."""
        starts = [int(self.model.joint(name).dofadr[0]) for name in self.objects]
        return np.array(starts)[:, None] + np.arange(3)

    def _touched(self, engine: Engine) -> Array:
        """(num_envs, cubes) bool: by either hand."""
        left, right = (
            [self.touches(engine, f"{side}/gripper", cube) for cube in CUBES]
            for side in SIDES
        )
        either = [a | b for a, b in zip(left, right, strict=True)]
        return namespace(either[0]).stack(either, axis=1)

    def _offsets(self, engine: Engine) -> Array:
        """(num_envs, objects, bowls, 3): from each bowl's middle to each object [m]."""
        columns = like(self._object_columns, engine.qpos)
        objects = engine.qpos[:, columns].reshape(
            engine.num_envs, len(self.objects), 7
        )[..., :3]
        places = [engine.pose(bowl)[0] for bowl in BOWLS]
        bowls = namespace(objects).stack(places, axis=1)
        return objects[:, :, None] - bowls[:, None]

    def _inside(self, engine: Engine) -> Array:
        """(num_envs, objects, bowls) bool"""
        offsets = self._offsets(engine)
        norm = namespace(offsets).linalg.vector_norm
        near = norm(offsets[..., :2], axis=-1) < RADIUS
        return near & (offsets[..., 2] < RIM)

    def _others(self, engine: Engine, state: PickState) -> Mask:
        """(num_envs,) bool: whether a bowl holds anything that was not asked for."""
        inside = self._inside(engine)
        things, bowls = (like(each, state.target) for each in (_THINGS, _BOWLS))
        asked = (things == state.target[:, None])[:, :, None] & (
            bowls == state.bowl[:, None]
        )[:, None]
        return (inside & ~asked).any(axis=2).any(axis=1)
