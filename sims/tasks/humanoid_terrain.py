"""HumanoidTerrain: walk as commanded over rough ground, slopes and stairs.

The ground is one field of tiles, of five kinds on six levels (:mod:`assets.terrain`):
bumps up to 0.1 m, slopes up to 0.3, steps up to 0.1 m, each up or down. An episode
starts at the middle of a tile, whose kind and level are drawn, facing anywhere. All
heights are above the ground below; a sole's is the least of its corners and middle.
Commands, clock and steps are HumanoidWalk's. Solved, counting from the third second on:

- no fall in 20 s;
- at least 80% of the way that the commands ask for, in their direction [m];
- its turning differs from the command by less than 0.3 rad/s in the mean;
- both feet lift by 3 cm in turn, with at most 1.5 s from one step to the next.

Who stands still fails. Velocities at each moment, and slips, are not judged here: who
climbs a step slows down, and an edge below a sole turns.

**Scan.** ``privileged`` has the ground's height at 35 places around the robot, along
its heading, relative to the ground below the pelvis. The group ``state``, and so the
policy, does not: nothing on this robot measures it. A policy has to feel its way, and
lift its feet; the critic knows what comes.

**Curriculum**: the level of :mod:`~sims.tasks.humanoid` also chooses the tile's, as the
whole part of level / 2, and at its top every level is drawn, as in the task itself. It
rises after an episode without a fall over at least 80% of the way, and sinks after less
than half of it, or an early fall. (The idea is that of Rudin et al. 2022,
arXiv:2109.11978.)

The number ``roughness`` of the profiles is the bumps' height where there are bumps, and
chooses slopes and steps of the same level elsewhere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from assets.terrain import KINDS, LEVELS, ROUGHNESS, centres
from sims.arrays import Array, Chosen, Mask, copied, like, namespace, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.ground import Ground
from sims.tasks.humanoid import TOP
from sims.tasks.humanoid_walk import GRACE, HumanoidWalk, HumanoidWalkState

ENOUGH = 0.8
"""Share of the commanded way."""
LITTLE = 0.5
"""Below this share the curriculum's level sinks."""
TURN_ERROR = 0.3
"""[rad/s]"""
START = 0.2
"""Largest distance from a tile's centre along x and y [m]."""
AHEAD = np.linspace(-0.4, 0.8, 7)
"""Of the scan, along the heading [m]."""
ASIDE = np.linspace(-0.4, 0.4, 5)
"""Of the scan, to the left of it [m]."""
SCAN = tuple(a.ravel() for a in np.meshgrid(AHEAD, ASIDE, indexing="ij"))
"""(35,) each, of all of its places."""
CENTRES = centres()


def _name(ahead: float, aside: float) -> str:
    """Of a place of the scan; left and right as the mirror knows them."""
    side = "left" if aside > 0 else "right" if aside < 0 else "middle"
    return f"ground_{ahead:+.1f}_{side}_{abs(aside):.1f}"


@dataclass
class HumanoidTerrainState(HumanoidWalkState):
    """Memory of HumanoidTerrain."""

    tile: Array
    """(num_envs, 2) int64: level and kind of the one it started on."""
    scan: Array
    """(num_envs, 35) the ground around, above that below the pelvis [m]."""
    walked: Array
    """(num_envs,) way in the commands' direction [m]."""
    due: Array
    """(num_envs,) what they asked for [m]."""


class HumanoidTerrain(HumanoidWalk):
    """See the module's top."""

    name = "humanoid-terrain"
    gym_id = "sandbot/HumanoidTerrain-v0"
    description = "walk as commanded over rough ground, slopes and stairs for 20 s"
    scene = "terrain"
    parameters = ("roughness",)
    secrets = tuple((_name(x, y), "m") for x in AHEAD for y in ASIDE)
    weights: ClassVar[dict[str, float]] = {
        "velocity": 0.3,
        "turning": 0.15,
        "clock": 0.25,
        "upright": 0.1,
        "height": 0.05,
        "smooth": 0.06,
        "arms": 0.05,
        "effort": 0.04,
    }

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self.model, "floor")

    def ground(self, x: Any, y: Any) -> Any:
        return self._ground(x, y)

    def clearances(self, engine: Engine, middles: Array, lowest: Array) -> Array:
        """(num_envs, 2): how high the soles' corners and middles are at least."""
        corners = self.feet.corners(engine)
        xp = namespace(corners)
        points = xp.concat([corners, middles[:, :, None]], axis=2)
        x, y, z = (points[:, :, :, axis] for axis in range(3))
        return xp.min(z - self.ground(x, y), axis=2)

    def new_state(self, engine: Engine) -> HumanoidTerrainState:
        return HumanoidTerrainState(
            **vars(super().new_state(engine)),
            tile=zeros(engine.qpos, 2, dtype=int),
            scan=zeros(engine.qpos, len(self.secrets)),
            walked=zeros(engine.qpos),
            due=zeros(engine.qpos),
        )

    def reset(
        self, engine: Engine, state: HumanoidTerrainState, where: Mask, draws: Draws
    ) -> None:
        for way in (state.walked, state.due):
            Chosen(where).put(way, 0.0)
        super().reset(engine, state, where, draws)
        self._look_around(state)

    def begin(
        self, state: HumanoidTerrainState, chosen: Chosen, drawn: Draws
    ) -> tuple[Any, Any]:
        """Near the centre of a tile, on its platform."""
        share = drawn.within("roughness", 0.0, ROUGHNESS) / ROUGHNESS
        xp = namespace(share)
        level = xp.minimum(xp.astype(share * LEVELS, xp.int64), LEVELS - 1)
        if self.curriculum:
            reached = chosen.of(state.level)
            level = xp.where(reached < TOP, reached // 2, level)
        kind = drawn.integers("ground_kind", 0, len(KINDS) - 1)
        chosen.put(state.tile[:, 0], level)
        chosen.put(state.tile[:, 1], kind)
        off = drawn.uniform("start", -START, START, (2,))
        x, y = (like(CENTRES, off)[level, kind] + off).T
        return x, y

    def remember(self, engine: Engine, state: HumanoidTerrainState) -> None:
        vx, vy = state.command[:, 0], state.command[:, 1]
        xp = namespace(vx)
        speed = xp.sqrt(vx * vx + vy * vy)
        along = vx * state.velocity[:, 0] + vy * state.velocity[:, 1]
        counts = self.control_dt * (state.steps > round(GRACE / self.control_dt))
        state.walked += counts * along / xp.maximum(speed, 1e-9)
        state.due += counts * speed
        super().remember(engine, state)
        self._look_around(state)

    def _look_around(self, state: HumanoidTerrainState) -> None:
        cos, sin = state.heading[:, 0, None], state.heading[:, 1, None]
        ahead, aside = (like(places, cos) for places in SCAN)
        x, y = state.place[:, 0, None], state.place[:, 1, None]
        around = self.ground(
            x + cos * ahead - sin * aside, y + sin * ahead + cos * aside
        )
        state.scan[:] = around - self.ground(x, y)

    def hidden(self, state: HumanoidTerrainState) -> Array:
        return state.scan

    def outcomes(self, engine: Engine, state: HumanoidTerrainState) -> dict[str, Mask]:
        """So far: no fall, the way, turning, steps in turn."""
        known = super().outcomes(engine, state)
        return {
            "upright": known["upright"],
            "far": state.walked >= ENOUGH * state.due,
            "turns": state.errors[:, 1] < TURN_ERROR * state.counted,
            "steps": known["steps"],
        }

    def mastered(self, state: HumanoidTerrainState) -> Mask:
        return ~state.fallen & (state.walked >= ENOUGH * state.due)

    def missed(self, state: HumanoidTerrainState) -> Mask:
        return state.walked < LITTLE * state.due

    def metrics(self, engine: Engine, state: HumanoidTerrainState) -> dict[str, Array]:
        return {
            **super().metrics(engine, state),
            "level": state.tile[:, 0] * 1.0,
            "walked [m]": copied(state.walked),
            "due [m]": copied(state.due),
        }
