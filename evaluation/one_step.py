"""One control step of an engine, from a given state, with parts of the physics removed.

Both engines are put into the same state, the same acts on them, and they take one step:
what then differs was not there before. Removed one after the other are friction,
contact, servos, and joints' limits and friction; where the difference goes with one of
them, it was made by that one.

An engine that is put into a state has no memory: MuJoCo's solver starts cold, which
moves nothing beyond its tolerance; ``bullet`` lacks, for its first physics step, what
it knows of the force of a lasting contact.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.instruments import Instruments, Reading, stack
from evaluation.tape import Acts

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine
    from sims.engines import EngineEntry

LAYERS = ("friction", "contact", "servo", "limit")
"""What is removed, in this order; each removal keeps the earlier ones."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """States to start from, one row each, and what acts then."""

    qpos: np.ndarray
    """(rows, nq)"""
    qvel: np.ndarray
    """(rows, nv)"""
    ctrl: np.ndarray
    """(substeps, rows, nu)"""
    wrenches: list[dict[str, np.ndarray]]
    """By physics step, (rows, 6) by body."""
    fields: dict[str, np.ndarray]
    """(rows, ...) by name, of the engine that is to step."""

    def part(self, rows: slice) -> "Moments":
        """Some of the rows."""
        return Moments(
            qpos=self.qpos[rows],
            qvel=self.qvel[rows],
            ctrl=self.ctrl[:, rows],
            wrenches=[{b: w[rows] for b, w in one.items()} for one in self.wrenches],
            fields={name: values[rows] for name, values in self.fields.items()},
        )


def moments(
    states: tuple[np.ndarray, np.ndarray],
    driven: list[Acts],
    fielded: list[Acts],
    where: list[tuple[int, int]],
) -> Moments:
    """Rows of a track.

    Args:
        states: qpos and qvel, (steps + 1, n, ...).
        driven: acts of each step, whose ctrl and wrenches count.
        fielded: acts whose model fields count.
        where: (step, environment) of each row.
    """
    chosen = [(driven[t], n) for t, n in where]
    ctrl = np.stack([acts.ctrl[:, n] for acts, n in chosen], axis=1)
    bodies = {b for acts, _ in chosen for one in acts.wrenches for b in one}
    none = np.zeros((1 + max(n for _, n in where), 6))
    wrenches = [
        {
            body: np.stack([acts.wrenches[s].get(body, none)[n] for acts, n in chosen])
            for body in sorted(bodies)
        }
        for s in range(len(ctrl))
    ]
    fields = {
        name: np.stack([fielded[t].fields[name][n] for t, n in where])
        for name in fielded[0].fields
    }
    qpos, qvel = (np.stack([array[t, n] for t, n in where]) for array in states)
    return Moments(qpos=qpos, qvel=qvel, ctrl=ctrl, wrenches=wrenches, fields=fields)


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """What came of it, one row for each moment."""

    reading: Reading
    """Poses after the step; contact forces are means over its physics steps, and points
    the most that there were."""
    torque: np.ndarray
    """(rows, nu) of the actuators in the state from which the step starts [N, N m]."""


def one_step(
    entry: "EngineEntry", instruments: Instruments, given: Moments, removed: int = 0
) -> Stepped:
    """Take the step.

    Args:
        entry: of the engine.
        instruments: of the scene.
        given: where to start.
        removed: how many of :data:`LAYERS` are taken away.
    """
    model = without(instruments.model, removed)
    size = min(len(given.qpos), entry.default_num_envs)
    parts = []
    for begin in range(0, len(given.qpos), size):
        part = given.part(slice(begin, begin + size))
        engine = entry.make(model, len(part.qpos), threads=1)
        try:
            parts.append(_step(engine, instruments, part, removed))
        finally:
            engine.close()
    joined = {
        name: np.concatenate([getattr(p.reading, name) for p in parts])
        for name in Reading.__dataclass_fields__
    }
    torque = np.concatenate([p.torque for p in parts])
    return Stepped(reading=Reading(**joined), torque=torque)


def without(model: "mujoco.MjModel", removed: int) -> "mujoco.MjModel":
    """A copy of a model without the first so many of :data:`LAYERS`."""
    import copy

    import mujoco

    off = mujoco.mjtDisableBit
    left = copy.copy(model)
    if removed >= 1:
        left.geom_friction[:] = 0.0
        left.pair_friction[:] = 0.0
    if removed >= 2:
        left.opt.disableflags |= int(off.mjDSBL_CONTACT)
    if removed >= 3:
        left.opt.disableflags |= int(off.mjDSBL_ACTUATION)
    if removed >= 4:
        left.opt.disableflags |= int(
            off.mjDSBL_LIMIT | off.mjDSBL_FRICTIONLOSS | off.mjDSBL_EQUALITY
        )
    return left


def _step(
    engine: "Engine", instruments: Instruments, given: Moments, removed: int
) -> Stepped:
    from sims.engine import default_field

    everywhere = np.ones(engine.num_envs, bool)
    for name, values in given.fields.items():
        if removed and name == "geom_friction":
            continue
        if (values != default_field(engine.model, name)).any():
            engine.set_field(name, values, everywhere)
    engine.reset(everywhere, given.qpos, given.qvel)
    engine.ctrl[:] = given.ctrl[0]
    torque = np.array(
        [engine.snapshot(i)[1].actuator_force for i in range(engine.num_envs)]
    )
    readings, pushed = [], {}
    for ctrl, wrenches in zip(given.ctrl, given.wrenches, strict=True):
        engine.ctrl[:] = ctrl
        if wrenches is not pushed:
            for body, wrench in wrenches.items():
                engine.apply_wrench(body, wrench, everywhere)
            pushed = wrenches
        engine.step(1)
        readings.append(instruments.read(engine))
    steps = stack(readings)
    return Stepped(
        reading=Reading(
            position=steps.position[-1],
            quaternion=steps.quaternion[-1],
            points=steps.points.max(axis=0),
            normal=steps.normal.mean(axis=0),
            friction=steps.friction.mean(axis=0),
        ),
        torque=torque,
    )
