"""HumanoidWalk: walk as commanded, 0.3 to 1.0 m/s ahead, with steps worth the name.

A command is a velocity ahead and to the left of the robot's heading, and how fast to
turn; another is drawn every 4 to 8 s. An episode is 20 s long. Solved, counting from
the third second on:

- no fall;
- the pelvis's velocity differs from the command by less than 0.2 m/s, and its turning
  by less than 0.2 rad/s, each the mean over all control steps of the size of the
  difference at that moment (sway within a stride counts, too);
- both feet lift by 3 cm in turn (see :mod:`~sims.tasks.humanoid_gait`), with at most
  1.5 s from one step to the next;
- the feet slip, where they press the ground, by less than 2 cm per step: all of the
  way that both have slipped, over the number of steps in turn.

Who stands still, slides, hops on one leg or jumps with both fails.

The curriculum widens the commands: at level 0 straight ahead at 0.3 to 0.5 m/s. The
level rises after an episode without a fall whose velocities were as good as success
asks for.
"""

from dataclasses import dataclass
from functools import reduce
from operator import and_
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
from sims.dials import Dial
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.humanoid import HumanoidState, HumanoidTask, rms
from sims.tasks.humanoid_body import LEGS
from sims.tasks.humanoid_gait import Gait, count_steps, tick, wanted_soles
from sims.tasks.rewards import near, tolerance

AHEAD = (0.3, 1.0)
"""[m/s]"""
EASY = 0.5
"""Fastest at level 0 [m/s]."""
ASIDE = 0.2
"""Either way [m/s]."""
TURN = 0.5
"""Either way [rad/s]."""
HOLD = (4.0, 8.0)
"""How long a command stands [s]."""
GRACE = 2.0
"""Time to start before anything but a fall counts [s]."""
SPEED_ERROR = 0.2
"""[m/s]"""
TURN_ERROR = 0.2
"""[rad/s]"""
PAUSE = 1.5
"""Longest time between steps in turn [s]."""
SLIP = 0.02
"""Per step in turn [m]."""
SPEED_WIDTH = 0.5
"""Of the reward for the velocity, see :func:`~sims.tasks.rewards.near` [m/s]."""
TURN_WIDTH = 0.35
"""Of the one for turning, which sways more within a stride [rad/s]."""


@dataclass
class HumanoidWalkState(HumanoidState, Gait):
    """Memory of HumanoidWalk; what is summed up starts after the grace."""

    command: Array
    """(num_envs, 3) velocity ahead and to the left [m/s], turning [rad/s]."""
    commands: Array
    """(num_envs, n, 3) the episode's."""
    switches: Array
    """(num_envs, n) int64: control steps at which they come into force."""
    error: Array
    """(num_envs, 2) of velocity [m/s] and turning [rad/s], now."""
    errors: Array
    """(num_envs, 2) their sums."""
    counted: Array
    """(num_envs,) int64: control steps that counted."""
    turns: Array
    """(num_envs,) int64: steps in turn."""
    pause: Array
    """(num_envs,) int64: control steps since the last step in turn."""
    longest: Array
    """(num_envs,) int64: the longest of these."""
    slipped: Array
    """(num_envs,) how far both feet have slipped [m]."""


class HumanoidWalk(HumanoidTask):
    """See the module's top."""

    name = "humanoid-walk"
    gym_id = "sandbot/HumanoidWalk-v0"
    description = "walk as commanded, 0.3 to 1.0 m/s ahead, for 20 s, with real steps"
    commands = (
        ("target_ahead", "m/s"),
        ("target_aside", "m/s"),
        ("target_turning", "rad/s"),
        ("target_clock_sine", "1"),
        ("target_clock_cosine", "1"),
    )
    flipped = (
        "target_aside",
        "target_turning",
        "target_clock_sine",
        "target_clock_cosine",
    )
    dials = (
        Dial(name="ahead", unit="m/s", low=0.0, high=1.0, field="command", column=0),
        Dial(name="aside", unit="m/s", low=-0.3, high=0.3, field="command", column=1),
        Dial(
            name="turning", unit="rad/s", low=-1.0, high=1.0, field="command", column=2
        ),
    )
    weights: ClassVar[dict[str, float]] = {
        "velocity": 0.22,
        "turning": 0.22,
        "clock": 0.18,
        "grip": 0.22,
        "smooth": 0.05,
        "upright": 0.04,
        "arms": 0.04,
        "effort": 0.02,
        "height": 0.01,
    }

    @property
    def most(self) -> int:
        """Commands in an episode, if each stands for the shortest time."""
        return int(self.max_steps * self.control_dt / HOLD[0]) + 1

    def new_state(self, engine: Engine) -> HumanoidWalkState:
        beside = engine.qpos
        return HumanoidWalkState(
            **self.memory(engine),
            phase=zeros(beside),
            last=zeros(beside, dtype=int) - 1,
            raised=zeros(beside, 2, dtype=bool),
            command=zeros(beside, 3),
            commands=zeros(beside, self.most, 3),
            switches=zeros(beside, self.most, dtype=int),
            error=zeros(beside, 2),
            errors=zeros(beside, 2),
            counted=zeros(beside, dtype=int),
            turns=zeros(beside, dtype=int),
            pause=zeros(beside, dtype=int),
            longest=zeros(beside, dtype=int),
            slipped=zeros(beside),
        )

    def reset(
        self, engine: Engine, state: HumanoidWalkState, where: Mask, draws: Draws
    ) -> None:
        chosen = Chosen(where)
        drawn = chosen.draws(draws)
        self._draw_commands(state, chosen, drawn)
        chosen.put(state.phase, drawn.uniform("clock", 0, 2 * np.pi))
        chosen.put(state.last, -1)
        for values in (
            state.raised,
            state.error,
            state.errors,
            state.counted,
            state.turns,
            state.pause,
            state.longest,
            state.slipped,
        ):
            chosen.put(values, 0)
        self.place(engine, state, where, draws)

    def _draw_commands(
        self, state: HumanoidWalkState, chosen: Chosen, drawn: Draws
    ) -> None:
        # one draw of many numbers is quicker than many
        numbers = drawn.uniform("commands", shape=(4, self.most))
        ahead, aside, turn, hold = (numbers[:, i] for i in range(4))
        ease, xp = self.ease(state, chosen)[:, None], namespace(numbers)
        slowest, fastest = AHEAD
        fastest = EASY + (fastest - EASY) * ease
        commands = [
            slowest + (fastest - slowest) * ahead,
            ASIDE * ease * (2 * aside - 1),
            TURN * ease * (2 * turn - 1),
        ]
        for column, values in enumerate(commands):
            chosen.put(state.commands[:, :, column], values)
        holds = HOLD[0] + (HOLD[1] - HOLD[0]) * hold
        ends = xp.round(xp.cumulative_sum(holds, axis=1) / self.control_dt)
        chosen.put(state.switches[:, 0], 0)
        chosen.put(state.switches[:, 1:], xp.astype(ends, xp.int64)[:, :-1])
        chosen.put(state.command, chosen.of(state.commands)[:, 0])

    def remember(self, engine: Engine, state: HumanoidWalkState) -> None:
        """Judge the control step by the command that was in force, then go on."""
        xp = namespace(state.error)
        off = state.velocity[:, :2] - state.command[:, :2]
        x, y = off[:, 0], off[:, 1]
        state.error[:, 0] = xp.sqrt(x * x + y * y)
        state.error[:, 1] = xp.abs(state.turning - state.command[:, 2])
        stepped = count_steps(state, state.soles, state.standing)
        tick(state, self.control_dt)
        counts = state.steps > round(GRACE / self.control_dt)
        state.counted += counts
        state.errors += state.error * counts[:, None]
        state.turns += stepped & counts
        state.pause[:] = xp.where(stepped, 0, state.pause + counts)
        state.longest[:] = xp.maximum(state.longest, state.pause)
        slips = state.slips[:, 0] + state.slips[:, 1]
        state.slipped += slips * self.control_dt * counts
        due = state.switches == state.steps[:, None]
        if maybe(due):  # one of them, where any is
            new = pick(state.commands, xp.argmax(xp.astype(due, xp.int64), axis=1))
            chosen = Chosen(xp.any(due, axis=1))
            chosen.put(state.command, chosen.of(new))

    def told(self, state: HumanoidWalkState) -> Array:
        out, xp = empty(state.phase, 5), namespace(state.phase)
        out[:, :3] = state.command
        out[:, 3], out[:, 4] = xp.sin(state.phase), xp.cos(state.phase)
        return out

    def term_velocity(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """The pelvis is as fast as commanded."""
        return near(state.error[:, 0], width=SPEED_WIDTH, reach=0.5)

    def term_turning(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """It turns as fast as commanded."""
        return near(state.error[:, 1], width=TURN_WIDTH, reach=1.0)

    def term_clock(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """Soles are as high as the clock says."""
        off = state.soles - wanted_soles(state.phase)
        return tolerance(rms(off), upper=0.005, margin=0.03)

    def term_grip(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """Feet that press the ground do not slip: as success counts it, both feet
        together, where 0.05 m/s is as much as it allows."""
        return near(state.slips[:, 0] + state.slips[:, 1], width=0.1, reach=0.5)

    def term_smooth(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """Actions do not jump."""
        return near(rms(state.action - state.previous), width=0.1, reach=0.5)

    def term_arms(self, engine: Engine, state: HumanoidWalkState) -> Array:
        """Waist and arms keep the posture."""
        away = engine.qpos[:, 7 + LEGS :] - like(self.posture, engine.qpos)[LEGS:]
        return near(rms(away), width=0.3, reach=1.0)

    def tracks(self, state: HumanoidWalkState) -> Mask:
        """(num_envs,) whether velocities were right so far."""
        speed, turning = state.errors[:, 0], state.errors[:, 1]
        right = speed < state.counted * SPEED_ERROR
        return right & (turning < state.counted * TURN_ERROR)

    def outcomes(self, engine: Engine, state: HumanoidWalkState) -> dict[str, Mask]:
        """So far: no fall, velocities, steps in turn, no slipping."""
        return {
            "upright": ~state.fallen,
            "tracks": self.tracks(state),
            "steps": (state.longest * self.control_dt <= PAUSE) & (state.turns > 0),
            "grips": state.slipped < SLIP * state.turns,
        }

    def success(self, engine: Engine, state: HumanoidWalkState) -> Mask:
        """Whether it has walked to the end, and all was right."""
        met = self.outcomes(engine, state).values()
        return reduce(and_, met, state.steps >= self.max_steps)

    def mastered(self, state: HumanoidWalkState) -> Mask:
        return ~state.fallen & self.tracks(state)

    def metrics(self, engine: Engine, state: HumanoidWalkState) -> dict[str, Array]:
        return {
            "velocity_error [m/s]": copied(state.error[:, 0]),
            "turning_error [rad/s]": copied(state.error[:, 1]),
            "left_sole [m]": copied(state.soles[:, 0]),
            "right_sole [m]": copied(state.soles[:, 1]),
            "slip_per_step [m]": state.slipped
            / namespace(state.turns).maximum(state.turns, 1),
        }

    def markers(self, state: HumanoidWalkState, env: int) -> list[Marker]:
        """Above the head: the command in green, with the turn that it asks for in a
        second, and the velocity in blue."""
        above = state.place[env] + [0.0, 0.0, 0.75]
        ahead = np.array([*state.heading[env], 0.0])
        left = np.array([-ahead[1], ahead[0], 0.0])
        vx, vy, turn = state.command[env]
        wx, wy = state.velocity[env, :2]
        angles = turn * np.linspace(0.0, 1.0, 9)[:, None]
        arc = above + 0.25 * (np.cos(angles) * ahead + np.sin(angles) * left)
        green, blue = (0.2, 0.75, 0.3, 0.9), (0.2, 0.45, 0.95, 0.7)
        below = above - [0.0, 0.0, 0.06]
        return [
            _arrow(above, vx * ahead + vy * left, 0.014, green),
            Marker(kind="line", points=arc, size=0.008, rgba=green),
            _arrow(below, wx * ahead + wy * left, 0.010, blue),
        ]


def _arrow(
    tail: Array, velocity: Array, size: float, rgba: tuple[float, float, float, float]
) -> Marker:
    """0.6 m for 1 m/s."""
    points = np.stack([tail, tail + 0.6 * velocity])
    return Marker(kind="arrow", points=points, size=size, rgba=rgba)
