"""HumanoidReach: bring a hand to one point after another, and stay on both feet.

Four targets follow one another, 3 s each, in an episode of 12 s; each is for the left
or for the right hand, and stands still in the world. Targets lie around the hand's own
shoulder, where it is while the robot stands in its posture: 0.25 to 0.45 m away, from
20 degrees inwards of straight ahead to 80 outwards, from 50 degrees down to 40 up. The
arm is 0.43 m long, so that the farther ones need the waist, too, and balance.

Solved: no fall, and each target reached before the next: its palm within 5 cm of it for
half a second on end. Who stands still fails: no target is where the palms hang.

The group ``state`` is told where the target is from the pelvis and from the palm, along
the heading, to the left of it and up, and which hand it is for. With a robot's encoders
the one follows from the other; whoever learns is spared the arm's kinematics.

The curriculum draws targets nearer to where the palms hang: at level 0 a quarter of the
way. The level sinks, too, after an episode in which none was reached.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from sims.arrays import (
    Array,
    Chosen,
    Mask,
    copied,
    empty,
    like,
    maybe,
    namespace,
    pick,
    zeros,
)
from sims.dials import vector
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.humanoid import HumanoidState, HumanoidTask
from sims.tasks.humanoid_body import LEGS
from sims.tasks.humanoid_feet import SIDES
from sims.tasks.rewards import tolerance

TARGETS = 4
_EACH = np.arange(TARGETS)
EACH = 3.0
"""How long a target is there [s]."""
RADIUS = 0.05
"""How near counts [m]."""
HOLD = 0.5
"""For how long on end [s]."""
FAR = (0.25, 0.45)
"""From the shoulder [m]."""
OUTWARDS = (-20.0, 80.0)
"""From straight ahead [degrees]."""
UP = (-50.0, 40.0)
"""From the horizontal [degrees]."""
NEAREST = 0.25
"""Share of the way from a hanging palm to its target, at level 0."""


@dataclass
class HumanoidReachState(HumanoidState):
    """Memory of HumanoidReach; targets are in the frame in which the robot started: on
    the ground below the pelvis, x along its heading."""

    start: Array
    """(num_envs, 4) of that frame: x and y [m], cosine and sine of its heading."""
    goal: Array
    """(num_envs, 3) the present target [m]."""
    hand: Array
    """(num_envs,) int64 which hand it is for: 0 left, 1 right."""
    goals: Array
    """(num_envs, TARGETS, 3) the episode's."""
    hands: Array
    """(num_envs, TARGETS) int64 likewise."""
    palms: Array
    """(num_envs, 2, 3) of both hands, in the world [m]."""
    held: Array
    """(num_envs,) int64: control steps on end that the palm has been near."""
    reached: Array
    """(num_envs, TARGETS) bool: which have been."""


class HumanoidReach(HumanoidTask):
    """See the module's top."""

    name = "humanoid-reach"
    gym_id = "sandbot/HumanoidReach-v0"
    description = "bring a hand within 5 cm of four points in turn, on both feet"
    max_steps = 600
    commands = (
        ("target_ahead", "m"),
        ("target_aside", "m"),
        ("target_up", "m"),
        ("target_hand_ahead", "m"),
        ("target_hand_aside", "m"),
        ("target_hand_up", "m"),
        ("target_left", "1"),
        ("target_right", "1"),
    )
    secrets = (("time_held", "s"), ("time_to_go", "s"))
    flipped = ("target_aside", "target_hand_aside")
    dials = vector(
        "goal", ("target ahead", "target aside", "target up"), "m", -0.6, 1.4
    )
    weights: ClassVar[dict[str, float]] = {
        "near": 0.45,
        "upright": 0.15,
        "still": 0.1,
        "legs": 0.1,
        "smooth": 0.1,
        "effort": 0.05,
        "alive": 0.05,
    }

    @cached_property
    def reach(self) -> np.ndarray:
        """(29,) waist and arms reach as far as they can, legs as elsewhere [rad]."""
        legs = np.arange(len(self.joints)) < LEGS
        return np.where(legs, super().reach, self.farthest)

    @cached_property
    def _hanging(self) -> tuple[np.ndarray, np.ndarray]:
        """(2, 3) each: shoulders and palms in the posture [m]."""
        import mujoco

        data = mujoco.MjData(self.model)
        mujoco.mj_resetDataKeyframe(self.model, data, self.model.key("stand").id)
        mujoco.mj_kinematics(self.model, data)
        shoulders = [data.body(f"{side}_shoulder_roll").xpos for side in SIDES]
        palms = [data.site(f"{side}_palm").xpos for side in SIDES]
        return np.array(shoulders), np.array(palms)

    @cached_property
    def _period(self) -> int:
        """Control steps of a target."""
        return round(EACH / self.control_dt)

    def new_state(self, engine: Engine) -> HumanoidReachState:
        return HumanoidReachState(
            **self.memory(engine),
            start=zeros(engine.qpos, 4),
            goal=zeros(engine.qpos, 3),
            hand=zeros(engine.qpos, dtype=int),
            goals=zeros(engine.qpos, TARGETS, 3),
            hands=zeros(engine.qpos, TARGETS, dtype=int),
            palms=zeros(engine.qpos, 2, 3),
            held=zeros(engine.qpos, dtype=int),
            reached=zeros(engine.qpos, TARGETS, dtype=bool),
        )

    def reset(
        self, engine: Engine, state: HumanoidReachState, where: Mask, draws: Draws
    ) -> None:
        chosen = Chosen(where)
        self._draw_targets(state, chosen, chosen.draws(draws))
        chosen.put(state.held, 0)
        chosen.put(state.reached, False)
        self.place(engine, state, where, draws)
        chosen.put(state.start[:, :2], chosen.of(state.place)[:, :2])
        chosen.put(state.start[:, 2:], chosen.of(state.heading))
        self._see_palms(engine, state)

    def _draw_targets(
        self, state: HumanoidReachState, chosen: Chosen, drawn: Draws
    ) -> None:
        many = (TARGETS,)
        hands, xp = drawn.uniform("hand", 0, 2, many), namespace(drawn.keys)
        hands = xp.astype(hands, xp.int64)
        # uniform over the shell's volume, as far as distance goes
        low, high = FAR
        distance = xp.cbrt(drawn.uniform("distance", low**3, high**3, many))
        outwards = xp.deg2rad(drawn.uniform("outwards", *OUTWARDS, many))
        lowest, highest = np.sin(np.radians(UP)).tolist()
        rise = drawn.uniform("rise", lowest, highest, many)
        level = xp.sqrt(1 - rise * rise)
        side = xp.where(hands == 0, 1.0, -1.0)
        away = (level * xp.cos(outwards), side * level * xp.sin(outwards), rise)
        shoulders, palms = (like(places, rise)[hands] for places in self._hanging)
        goals = shoulders + distance[:, :, None] * xp.stack(away, axis=2)
        share = NEAREST + (1 - NEAREST) * self.ease(state, chosen)[:, None, None]
        chosen.put(state.goals, palms + share * (goals - palms))
        chosen.put(state.hands, hands)
        chosen.put(state.goal, chosen.of(state.goals)[:, 0])
        chosen.put(state.hand, hands[:, 0])

    def remember(self, engine: Engine, state: HumanoidReachState) -> None:
        """Judge the control step by the target that was there, then go on."""
        self._see_palms(engine, state)
        state.held += 1
        state.held *= self.distance(state) < RADIUS
        xp = namespace(state.steps)
        which = xp.minimum((state.steps - 1) // self._period, TARGETS - 1)
        done = state.held >= round(HOLD / self.control_dt)
        state.reached |= done[:, None] & (which[:, None] == like(_EACH, which))
        due = (state.steps % self._period == 0) & (state.steps < self.max_steps)
        if maybe(due):
            chosen, new = Chosen(due), xp.minimum(which + 1, TARGETS - 1)
            chosen.put(state.held, 0)
            chosen.put(state.goal, chosen.of(pick(state.goals, new)))
            chosen.put(state.hand, chosen.of(pick(state.hands, new)))

    def _see_palms(self, engine: Engine, state: HumanoidReachState) -> None:
        for side, name in enumerate(SIDES):
            state.palms[:, side] = engine.sensor(f"{name}_palm_position")

    def target_place(self, state: HumanoidReachState) -> Array:
        """(num_envs, 3) the present target in the world [m]."""
        x, y, cos, sin = state.start.T
        ahead, aside, up = state.goal.T
        return namespace(x).stack(
            [x + cos * ahead - sin * aside, y + sin * ahead + cos * aside, up], axis=1
        )

    def offset(self, state: HumanoidReachState) -> Array:
        """(num_envs, 3) from the hand's palm to the target, in the world [m]."""
        return self.target_place(state) - pick(state.palms, state.hand)

    def distance(self, state: HumanoidReachState) -> Array:
        """(num_envs,) the length of that [m]."""
        x, y, z = self.offset(state).T
        return namespace(x).sqrt(x * x + y * y + z * z)

    def told(self, state: HumanoidReachState) -> Array:
        cos, sin = state.heading.T
        out = empty(state.height, 8)
        parts = (self.target_place(state) - state.place, self.offset(state))
        for column, (x, y, z) in zip((0, 3), (part.T for part in parts), strict=True):
            out[:, column] = cos * x + sin * y
            out[:, column + 1] = cos * y - sin * x
            out[:, column + 2] = z
        out[:, 6], out[:, 7] = state.hand == 0, state.hand == 1
        return out

    def hidden(self, state: HumanoidReachState) -> Array:
        left = self._period - state.steps % self._period
        return namespace(left).stack([state.held, left], axis=1) * self.control_dt

    def term_near(self, engine: Engine, state: HumanoidReachState) -> Array:
        """The palm is at the target."""
        return tolerance(self.distance(state), upper=0.02, margin=0.4)

    def outcomes(self, engine: Engine, state: HumanoidReachState) -> dict[str, Mask]:
        """So far: no fall, and whether each target has been reached."""
        reached = {
            f"target_{i + 1}": copied(state.reached[:, i]) for i in range(TARGETS)
        }
        return {"upright": ~state.fallen, **reached}

    def success(self, engine: Engine, state: HumanoidReachState) -> Mask:
        """Whether it stands at the end, and has reached all."""
        ended = state.steps >= self.max_steps
        return ended & ~state.fallen & state.reached.all(axis=1)

    def mastered(self, state: HumanoidReachState) -> Mask:
        return ~state.fallen & state.reached.all(axis=1)

    def missed(self, state: HumanoidReachState) -> Mask:
        return ~state.reached.any(axis=1)

    def metrics(self, engine: Engine, state: HumanoidReachState) -> dict[str, Array]:
        return {
            "hand_error [m]": self.distance(state),
            "reached": state.reached.sum(axis=1) * 1.0,
        }

    def markers(self, state: HumanoidReachState, env: int) -> list[Marker]:
        """The target, as large as counts, green while the palm is in it; and the way
        from the palm."""
        place = self.target_place(state)[env]
        palm = state.palms[env, state.hand[env]]
        inside = state.held[env] > 0
        rgba = (0.2, 0.75, 0.3, 0.6) if inside else (0.95, 0.43, 0.11, 0.5)
        return [
            Marker(kind="sphere", points=place[None], size=RADIUS, rgba=rgba),
            Marker(kind="line", points=np.array([palm, place]), size=0.004, rgba=rgba),
        ]

    def sights(self, state: HumanoidReachState, env: int) -> list[Marker]:
        place = self.target_place(state)[env][None]
        rgba = (0.1, 0.6, 0.25, 1.0) if state.hand[env] else (0.15, 0.35, 0.8, 1.0)
        return [Marker(kind="sphere", points=place, size=RADIUS, rgba=rgba)]
