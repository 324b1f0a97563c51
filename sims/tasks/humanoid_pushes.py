"""Pushes that are the task: in HumanoidPush they last longer than in HumanoidStand.

A push is a horizontal force on the trunk, at its centre of mass, that lasts a whole
number of physics steps; it may end within a control step. Pauses between pushes, their
sizes and directions are drawn per episode.

The curriculum grows the hardest push: from the weakest one at level 0 to the hardest of
the task at the top. The level rises after an episode without a fall.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import (
    Array,
    Chosen,
    Mask,
    assign,
    copied,
    maybe,
    namespace,
    pick,
    zeros,
)
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.humanoid import HumanoidState, HumanoidTask

TRUNK = "torso"
SHOWN = 0.4
"""For how long a push is shown from its begin [s]."""
HEIGHT = 0.25
"""Of the trunk's middle above the pelvis's, where pushes are drawn [m]."""
THICK = 0.13
"""From the trunk's middle to where an arrow ends [m]."""
LENGTH = 0.003
"""Of a push's arrow [m/N]."""
COLOUR = (0.93, 0.20, 0.16, 0.9)


@dataclass
class PushedState(HumanoidState):
    """Memory of pushes."""

    begins: Array
    """(num_envs, n) int64: control steps at which pushes begin."""
    pushes: Array
    """(num_envs, n, 2) their forces along the world's x and y [N]."""
    force: Array
    """(num_envs, 2) that acts, or has just ended [N]."""


class PushedTask(HumanoidTask):
    """Base of both; see the module's top."""

    pushed = False
    secrets = (("push_x", "N"), ("push_y", "N"))
    flipped = ("push_y",)
    duration: float
    """Of a push [s]."""
    sizes: tuple[float, float] = (50.0, 200.0)
    """Range of the force [N]."""
    pauses: tuple[float, float]
    """Range of the time from the begin of one push to the begin of the next [s]."""

    @property
    def most(self) -> int:
        """Pushes in an episode, if all pauses are the shortest."""
        return round(self.max_steps * self.control_dt / self.pauses[0])

    def new_state(self, engine: Engine) -> PushedState:
        return PushedState(
            **self.memory(engine),
            begins=zeros(engine.qpos, self.most, dtype=int),
            pushes=zeros(engine.qpos, self.most, 2),
            force=zeros(engine.qpos, 2),
        )

    def reset(
        self, engine: Engine, state: PushedState, where: Mask, draws: Draws
    ) -> None:
        chosen = Chosen(where)
        drawn, many = chosen.draws(draws), (self.most,)
        pauses = drawn.uniform("push_pauses", *self.pauses, many)
        xp = namespace(pauses)
        begins = xp.round(xp.cumulative_sum(pauses, axis=1) / self.control_dt)
        low, high = self.sizes
        hardest = low + (high - low) * self.ease(state, chosen)
        size = drawn.uniform("push_sizes", low, hardest[:, None], many)
        angle = drawn.uniform("push_angles", -np.pi, np.pi, many)
        chosen.put(state.begins, xp.astype(begins, xp.int64))
        chosen.put(state.pushes[:, :, 0], size * xp.cos(angle))
        chosen.put(state.pushes[:, :, 1], size * xp.sin(angle))
        chosen.put(state.force, 0.0)
        self.place(engine, state, where, draws)

    def move(self, engine: Engine, state: PushedState) -> None:
        """One control step. Pushes that end within it end at the same physics step,
        since all begin with a control step."""
        length = round(self.duration / engine.dt)
        force, left = self._push(state, length)
        self._apply(engine, state, force)
        partial = length % self.substeps
        ends = left == partial
        if partial and maybe(ends):
            engine.step(partial)
            rest = namespace(force).where(ends[:, None], 0.0, force)
            self._apply(engine, state, rest)
            engine.step(self.substeps - partial)
        else:
            engine.step(self.substeps)

    def _push(self, state: PushedState, length: int) -> tuple[Array, Array]:
        """The force (num_envs, 2) that acts now, and physics steps left of it."""
        which, age = self._last(state)
        xp = namespace(age)
        left = xp.where(age >= 0, xp.maximum(length - age * self.substeps, 0), 0)
        force = pick(state.pushes, which)
        return xp.where((left > 0)[:, None], force, 0.0), left

    def _last(self, state: PushedState) -> tuple[Array, Array]:
        """(num_envs,) each: the push that has begun last, and how many control steps
        ago; negative: none has."""
        begun = (state.begins <= state.steps[:, None]).sum(axis=1)
        which = namespace(begun).maximum(begun - 1, 0)
        return which, state.steps - pick(state.begins, which)

    def _apply(self, engine: Engine, state: PushedState, force: Array) -> None:
        changed = (force != state.force).any(axis=1)
        if maybe(changed):
            wrench = zeros(engine.qpos, 6)
            wrench[:, :2] = force
            engine.apply_wrench(TRUNK, wrench, changed)
            assign(state.force, force, changed)

    def hidden(self, state: PushedState) -> Array:
        """The force, by the heading."""
        (cos, sin), (x, y) = state.heading.T, state.force.T
        xp = namespace(state.force)
        return xp.stack([cos * x + sin * y, cos * y - sin * x], axis=1)

    def success(self, engine: Engine, state: PushedState) -> Mask:
        """Whether it has stood to the end."""
        return (state.steps >= self.max_steps) & ~state.fallen

    def metrics(self, engine: Engine, state: PushedState) -> dict[str, Array]:
        (x, y), xp = state.force.T, namespace(state.force)
        return {
            "pelvis_height [m]": copied(state.height),
            "speed [m/s]": xp.hypot(state.velocity[:, 0], state.velocity[:, 1]),
            "push [N]": xp.hypot(x, y),
        }

    def markers(self, state: PushedState, env: int) -> list[Marker]:
        """The push that acts, or did a moment ago; its arrow ends at the trunk."""
        which, age = self._last(state)
        if not 0 <= age[env] * self.control_dt < SHOWN:
            return []
        force = np.array([*state.pushes[env, which[env]], 0.0])
        size = np.linalg.norm(force)
        if size == 0:
            return []
        head = state.place[env] + [0.0, 0.0, HEIGHT] - THICK * force / size
        points = np.stack([head - LENGTH * force, head])
        return [Marker(kind="arrow", points=points, size=0.015, rgba=COLOUR)]
