"""What the tasks of the humanoid share: observation, action, start, falling, reward.

An action has a number in [-1, 1] for each joint: how far its servo's target is to lie
from the posture "stand". 0 stands; 1 is :data:`~sims.tasks.humanoid_body.PITCHING` for
a joint that pitches and :data:`~sims.tasks.humanoid_body.OTHERS` for one that rolls or
yaws, or the farther of the joint's two limits where that is nearer (where a task's arms
must reach everything, they have the limit). Targets stay within the limits.

Seo et al. 2025 (arXiv:2512.01996) give the policies of FastSAC all of the way to the
limits. These servos are stiffer than theirs: 0.3 rad off the target is already all that
a hip can pull, where its limit is 2.2 rad away. Spanning that, the spread of an
untrained policy fells the robot within two seconds, and what it then learns first is to
jerk from one end to the other; with the shorter span it stands while it tries, and
walks after a third of the updates.

A target goes :data:`FOLLOW` of the way to where the action wants it in each control
step, and at most at the speed that the scene gives each servo. Actions that jump then
do not make the servos jump, and since the targets are observed, nothing is hidden.

The group ``state`` is what the robot senses and is told: gyroscope, the direction of
gravity, encoders, its servos' targets, the task's command. ``privileged`` is what only
a simulation knows, for a critic: it comes without noise and delay, and a policy that is
to leave the simulation must do without. Nothing in either depends on where the robot
is, or which way it faces. :attr:`HumanoidTask.mirror` says what the robot's mirror
image senses and does.

What is measured once per control step, such as heights and slips of the soles, lies in
the state, for reward, success, observation and markers to share (:mod:`humanoid_sight
<sims.tasks.humanoid_sight>`).

A reward is a table of weights, which sum to 1, over named terms in [0, 1]: a term
``upright`` is the method ``term_upright``. All are 0 from a fall on. The robot has
fallen once it leans by more than 60 degrees or its pelvis is less than 0.4 m above the
ground, and that ends the episode.

**Curriculum**, for training: ``HumanoidWalk(curriculum=True)``. Each environment has a
level of 0 (easy) to 10 (the task itself), which outlives resets and is saved with the
state. When an episode runs to its end and the task's ``mastered`` says yes, the level
rises by one; when the robot falls in the first half of an episode, it sinks by one.
Each task says what the level does to its draws. Levels depend on an environment's own
past alone. Without it, as everywhere but in training, every episode is the task itself.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from sims.arrays import (
    Array,
    Chosen,
    Mask,
    Obs,
    assign,
    copied,
    empty,
    like,
    namespace,
    tiled,
    zeros,
)
from sims.draws import Draws
from sims.engine import Engine
from sims.observation import PRIVILEGED
from sims.randomization import Randomization
from sims.task import Marker
from sims.tasks.humanoid_body import LEGS, HumanoidBody
from sims.tasks.humanoid_profiles import GAP, TRAIN
from sims.tasks.humanoid_sight import Sight, look, new_sight
from sims.tasks.rewards import tolerance

LEANING = float(np.cos(np.radians(60)))
"""Cosine of the largest lean [1]."""
LOWEST = 0.4
"""Of the pelvis above the ground [m]."""
TOP = 10
"""The level that is the task itself."""
FOLLOW = 0.5
"""Part of the way to what the action wants that a target goes in a control step."""


@dataclass
class HumanoidState(Sight):
    """Shared by the humanoid's tasks."""

    action: Array
    """(num_envs, 29) the last."""
    previous: Array
    """(num_envs, 29) the one before."""
    target: Array
    """(num_envs, 29) of the servos [rad]."""
    fallen: Array
    """(num_envs,) bool: at some time."""
    level: Array
    """(num_envs,) int64 of the curriculum; it outlives resets."""


class HumanoidTask(HumanoidBody):
    """Base of the humanoid's tasks; see :class:`sims.task.Task` for the methods."""

    pushed = True
    """Whether the profiles' pushes come, too."""
    weights: ClassVar[dict[str, float]]
    """By the name of a term."""

    def __init__(self, *, curriculum: bool = False):
        """Nothing is loaded yet.

        Args:
            curriculum: whether levels rise from 0; else all are at the top.
        """
        self.curriculum = curriculum

    @cached_property
    def randomizations(self) -> dict[str, Randomization]:
        """By profile, of which a task takes what concerns it."""
        profiles = {"none": Randomization(), "train": TRAIN, "gap": GAP}
        return {
            name: replace(
                profile,
                push=profile.push if self.pushed else None,
                task=tuple(t for t in profile.task if t.name in self.parameters),
            )
            for name, profile in profiles.items()
        }

    def memory(self, engine: Engine) -> dict[str, Array]:
        """The fields of :class:`HumanoidState`, for a subclass's constructor."""
        beside, size = engine.qpos, len(self.joints)
        level = zeros(beside, dtype=int)
        level += 0 if self.curriculum else TOP
        return {
            **new_sight(engine),
            "action": zeros(beside, size),
            "previous": zeros(beside, size),
            "target": zeros(beside, size) + like(self.posture, beside),
            "fallen": zeros(beside, dtype=bool),
            "level": level,
        }

    def place(
        self, engine: Engine, state: HumanoidState, where: Mask, draws: Draws
    ) -> None:
        """Put the robot near its posture, feet on the ground, nearly at rest.

        Legs keep the posture, so that the soles lie flat; the rest is drawn around it.
        In NumPy only the chosen environments cost anything.
        """
        chosen = Chosen(where)
        drawn, spread = chosen.draws(draws), self._spread
        off = drawn.uniform("posture", -spread, spread, spread.shape)
        angles, yaw, speed = off[:, :-3], off[:, -3], off[:, -2:]
        xp, start = namespace(off), tiled(self._stand, off)
        start[:, 7:] += angles
        start[:, 3], start[:, 6] = xp.cos(yaw / 2), xp.sin(yaw / 2)
        x, y = self.begin(state, chosen, drawn)
        start[:, 0], start[:, 1] = x, y
        start[:, 2] += self.ground(x, y)
        qpos, qvel = copied(engine.qpos), zeros(engine.qpos, engine.qvel.shape[1])
        chosen.put(qpos, start)
        chosen.put(qvel[:, :2], speed)
        engine.reset(where, qpos, qvel)
        for targets in (engine.ctrl, state.target):
            assign(targets, like(self.posture, targets), where)
        for values in (state.action, state.previous, state.fallen):
            chosen.put(values, 0)
        look(self, engine, state)

    @cached_property
    def _stand(self) -> np.ndarray:
        """(nq,) the posture's."""
        return self.model.key("stand").qpos.copy()

    @cached_property
    def _spread(self) -> np.ndarray:
        """(32,) how far starts lie around it: joints [rad], yaw [rad], velocity along x
        and y [m/s]. One array, since one draw of many numbers is quicker than many."""
        angles = np.where(np.arange(len(self.joints)) < LEGS, 0.0, 0.1)
        return np.concatenate([angles, [np.pi, 0.05, 0.05]])

    def begin(
        self, state: HumanoidState, chosen: Chosen, drawn: Draws
    ) -> tuple[Any, Any]:
        """x and y where episodes start [m]: the middle of the world.

        Args:
            state: of all environments.
            chosen: the n that start.
            drawn: their random numbers, a batch of n.

        Returns:
            Two arrays (n,), or numbers.
        """
        return 0.0, 0.0

    def ground(self, x: Any, y: Any) -> Any:
        """Height of the ground at places in the world [m]: flat.

        Args:
            x: any shape [m].
            y: likewise.

        Returns:
            Heights of that shape, or a number.
        """
        return 0.0

    def clearances(self, engine: Engine, middles: Array, lowest: Array) -> Array:
        """(num_envs, 2): heights of the soles above the ground [m].

        Args:
            engine: the world.
            middles: (num_envs, 2, 3) of the soles, in the world.
            lowest: (num_envs, 2) height of each sole's lowest corner, likewise.
        """
        return lowest - self.ground(middles[:, :, 0], middles[:, :, 1])

    def command(self, engine: Engine, state: HumanoidState, action: Array) -> None:
        """Move the servos' targets."""
        target, xp = state.target, namespace(state.target)
        posture, reach = like(self.posture, target), like(self.reach, target)
        most = like(self.largest_move, target)
        low, high = (like(limit, target) for limit in self.limits)
        state.previous[:] = state.action
        state.action[:] = xp.clip(action, -1.0, 1.0)
        move = FOLLOW * (posture + reach * state.action - target)
        move = xp.minimum(xp.maximum(move, -most), most)
        target[:] = xp.clip(target + move, low, high)
        engine.ctrl[:] = target

    def advance(self, engine: Engine, state: HumanoidState, action: Array) -> None:
        """Command the servos for one control step, look, and remember."""
        self.command(engine, state, action)
        self.move(engine, state)
        state.steps += 1
        look(self, engine, state)
        before = copied(state.fallen)
        state.fallen |= state.gravity[:, 2] > -LEANING
        state.fallen |= state.height < LOWEST
        self.remember(engine, state)
        if self.curriculum:
            self._grade(state, before)

    def move(self, engine: Engine, state: HumanoidState) -> None:
        """Let time pass: one control step."""
        engine.step(self.substeps)

    def remember(self, engine: Engine, state: HumanoidState) -> None:
        """What a task keeps in mind at the end of a control step: nothing more."""

    def mastered(self, state: HumanoidState) -> Mask:
        """(num_envs,) whether episodes that have run to their end were good enough for
        the next level."""
        return ~state.fallen

    def missed(self, state: HumanoidState) -> Mask:
        """(num_envs,) whether episodes that have run to their end were so bad that the
        level sinks: none."""
        return zeros(state.steps, dtype=bool)

    def ease(self, state: HumanoidState, chosen: Chosen) -> Array:
        """(n,) how far some environments are on the way to the task itself, 0 .. 1."""
        return chosen.of(state.level) / TOP

    def _grade(self, state: HumanoidState, before: Mask) -> None:
        """Move the level where an episode ends with this step."""
        ends = (state.steps == self.max_steps) & ~state.fallen
        falls = state.fallen & ~before & (2 * state.steps < self.max_steps)
        rises = ends & self.mastered(state)
        falls |= ends & self.missed(state)
        xp = namespace(state.level)
        falls = xp.astype(falls, xp.int64)
        state.level[:] = xp.clip(state.level + rises - falls, 0, TOP)

    def observe(self, engine: Engine, state: HumanoidState) -> Obs:
        """Both groups."""
        n, num, beside = len(self.joints), engine.num_envs, state.height
        sensed = empty(beside, self.obs_spec["state"].size)
        sensed[:, 0:3] = engine.sensor("imu_gyro")
        sensed[:, 3:6] = state.gravity
        sensed[:, 6 : 6 + n] = engine.qpos[:, 7:]
        sensed[:, 6 + n : 6 + 2 * n] = engine.qvel[:, 6:]
        sensed[:, 6 + 2 * n : 6 + 3 * n] = state.target
        if self.commands:
            sensed[:, 6 + 3 * n :] = self.told(state)
        known = empty(beside, self.obs_spec[PRIVILEGED].size)
        known[:, 0:3] = state.velocity
        known[:, 3] = state.height
        known[:, 4:6] = state.soles
        known[:, 6:8] = state.slips
        known[:, 8:14] = state.forces.reshape(num, 6)
        if self.secrets:
            known[:, 14:] = self.hidden(state)
        return {"state": sensed, PRIVILEGED: known}

    def told(self, state: HumanoidState) -> Array:
        """(num_envs, n): the values of :attr:`commands`."""
        return zeros(state.height, 0)

    def hidden(self, state: HumanoidState) -> Array:
        """(num_envs, n): the values of :attr:`secrets`."""
        return zeros(state.height, 0)

    def reward(self, engine: Engine, state: HumanoidState) -> dict[str, Array]:
        """The weighted terms."""
        up = ~state.fallen
        return {
            name: share * getattr(self, f"term_{name}")(engine, state) * up
            for name, share in self.weights.items()
        }

    def term_alive(self, engine: Engine, state: HumanoidState) -> Array:
        """1, until it falls."""
        return zeros(state.height) + 1.0

    def term_upright(self, engine: Engine, state: HumanoidState) -> Array:
        """The pelvis does not lean."""
        x, y = state.gravity[:, 0], state.gravity[:, 1]
        return tolerance(namespace(x).sqrt(x * x + y * y), upper=0.05, margin=0.5)

    def term_height(self, engine: Engine, state: HumanoidState) -> Array:
        """The pelvis is as high as in the posture."""
        off = abs(state.height - self.stature)
        return tolerance(off, upper=0.03, margin=0.15)

    def term_arms(self, engine: Engine, state: HumanoidState) -> Array:
        """Waist and arms keep the posture."""
        away = engine.qpos[:, 7 + LEGS :] - like(self.posture, engine.qpos)[LEGS:]
        return tolerance(rms(away), upper=0.1, margin=0.6)

    def term_legs(self, engine: Engine, state: HumanoidState) -> Array:
        """Legs keep the posture."""
        away = engine.qpos[:, 7 : 7 + LEGS] - like(self.posture, engine.qpos)[:LEGS]
        return tolerance(rms(away), upper=0.1, margin=0.6)

    def term_smooth(self, engine: Engine, state: HumanoidState) -> Array:
        """Actions do not jump."""
        return tolerance(rms(state.action - state.previous), upper=0.01, margin=0.2)

    def term_effort(self, engine: Engine, state: HumanoidState) -> Array:
        """Servos pull with little of what they can."""
        return tolerance(rms(self.load(engine)), upper=0.1, margin=0.5)

    def term_still(self, engine: Engine, state: HumanoidState) -> Array:
        """The pelvis is at rest."""
        x, y, z = state.velocity.T
        speed = namespace(x).sqrt(x * x + y * y + z * z)
        return tolerance(speed, upper=0.05, margin=0.6)

    def terminated(self, engine: Engine, state: HumanoidState) -> Mask:
        """After a fall."""
        return copied(state.fallen)

    def outcomes(self, engine: Engine, state: HumanoidState) -> dict[str, Mask]:
        """Whether it has not fallen."""
        return {"upright": ~state.fallen}

    def markers(self, state: HumanoidState, env: int) -> list[Marker]:
        """None."""
        return []


def rms(values: Array) -> Array:
    """(num_envs,) root mean square of each row."""
    xp = namespace(values)
    return xp.sqrt(xp.mean(values * values, axis=1))
