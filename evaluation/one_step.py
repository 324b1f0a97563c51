"""One control step of an engine, from a given state, with parts of the physics removed.

Both engines are put into the same state, the same acts on them, and they take one step:
what then differs was not there before. Removed one after the other are friction,
contact, servos, and joints' limits and friction; where the difference goes with one of
them, it was made by that one.

An engine that is put into a state has no memory. MuJoCo's solver starts cold, which
moves nothing beyond its tolerance. But ``bullet`` knows the force of a lasting contact
from the step before, and without that a standing robot sinks by a quarter of a
millimetre. So an engine may have a run-up: it is put into an earlier state of its own,
and gets to the one in question by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.instruments import Instruments, Reading, stack

if TYPE_CHECKING:
    import mujoco

    from evaluation.side_by_side import Track
    from sims.engine import Engine
    from sims.engines import EngineEntry

LAYERS = ("friction", "contact", "servo", "limit")
"""What can be removed, in the usual order."""
_ZERO = {
    "friction": ("geom_friction",),
    "servo": ("actuator_gainprm", "actuator_biasprm"),
}
"""Model fields that are zero where a layer is removed."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """States to start from, one row each, and what acts from then on."""

    qpos: np.ndarray
    """(rows, nq)"""
    qvel: np.ndarray
    """(rows, nv)"""
    ctrl: np.ndarray
    """(physics steps, rows, nu)"""
    wrenches: list[dict[str, np.ndarray]]
    """By physics step, (rows, 6) by body."""
    fields: dict[str, np.ndarray]
    """(rows, ...) by name, of the engine that is to step."""
    warm: int = 0
    """Physics steps of the run-up; the others are the control step that counts."""

    def part(self, rows: slice) -> "Moments":
        """Some of the rows."""
        return replace(
            self,
            qpos=self.qpos[rows],
            qvel=self.qvel[rows],
            ctrl=self.ctrl[:, rows],
            wrenches=[{b: w[rows] for b, w in one.items()} for one in self.wrenches],
            fields={name: values[rows] for name, values in self.fields.items()},
        )

    def cold(self, qpos: np.ndarray, qvel: np.ndarray) -> "Moments":
        """The control step that counts alone, from states where the run-up ends."""
        return replace(
            self,
            qpos=qpos,
            qvel=qvel,
            ctrl=self.ctrl[self.warm :],
            wrenches=self.wrenches[self.warm :],
            warm=0,
        )

    def within(self, fields: dict[str, np.ndarray]) -> "Moments":
        """The same with other model fields."""
        return replace(self, fields=fields)


def moments(track: "Track", where: list[tuple[int, int]], run_up: int = 0) -> Moments:
    """Rows of what an engine did.

    Args:
        track: all of it.
        where: (control step, environment) of each row.
        run_up: control steps before, at most as many as come before each row.
    """
    frames = range(-run_up, 1)
    acts = [[track.acts[t + i] for i in frames] for t, _ in where]
    envs = [n for _, n in where]
    ctrl = np.stack(
        [
            np.concatenate([one.ctrl[:, n] for one in row])
            for row, n in zip(acts, envs, strict=True)
        ],
        axis=1,
    )
    pushes = [[w for one in row for w in one.wrenches] for row in acts]
    bodies = sorted({b for row in pushes for one in row for b in one})
    none = np.zeros((1 + max(envs), 6))
    wrenches = [
        {
            body: np.stack(
                [row[s].get(body, none)[n] for row, n in zip(pushes, envs, strict=True)]
            )
            for body in bodies
        }
        for s in range(len(ctrl))
    ]
    qpos, qvel = (
        np.stack([array[t - run_up, n] for t, n in where])
        for array in (track.qpos, track.qvel)
    )
    fields = fields_of(track, where)
    warm = len(ctrl) - len(acts[0][-1].ctrl)
    return Moments(
        qpos=qpos, qvel=qvel, ctrl=ctrl, wrenches=wrenches, fields=fields, warm=warm
    )


def fields_of(track: "Track", where: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """The model fields of an engine, (rows, ...) by name."""
    return {
        name: np.stack([track.acts[t].fields[name][n] for t, n in where])
        for name in track.acts[0].fields
    }


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """What came of it, one row for each moment."""

    qpos: np.ndarray
    """(rows, nq) from where the step that counts starts."""
    qvel: np.ndarray
    """(rows, nv)"""
    reading: Reading
    """Poses after the step; contact forces are means over its physics steps, and points
    the most that there were."""
    torque: np.ndarray
    """(rows, nu) of the actuators where it starts [N, N m]."""

    def at(self, index: Any) -> "Stepped":
        """Some rows, or one."""
        return Stepped(
            qpos=self.qpos[index],
            qvel=self.qvel[index],
            reading=self.reading.at(index),
            torque=self.torque[index],
        )


def one_step(
    entry: "EngineEntry",
    instruments: Instruments,
    given: Moments,
    removed: Sequence[str] = (),
) -> Stepped:
    """Take the step.

    Args:
        entry: of the engine.
        instruments: of the scene.
        given: where to start.
        removed: which of :data:`LAYERS` are. After a run-up only those can be for which
            :func:`keeps_memory`.
    """
    assert not given.warm or keeps_memory(removed)
    zero = [field for layer in removed for field in _ZERO.get(layer, ())]
    model = without(instruments.model, removed)
    size = min(len(given.qpos), entry.default_num_envs)
    parts = []
    for begin in range(0, len(given.qpos), size):
        part = given.part(slice(begin, begin + size))
        engine = entry.make(model, len(part.qpos), threads=1)
        try:
            parts.append(_step(engine, instruments, part, zero))
        finally:
            engine.close()
    return joined(parts)


def joined(parts: Sequence[Stepped]) -> Stepped:
    """The rows of several."""
    reading = {
        name: np.concatenate([getattr(p.reading, name) for p in parts])
        for name in Reading.__dataclass_fields__
    }
    rows = {
        name: np.concatenate([getattr(p, name) for p in parts])
        for name in ("qpos", "qvel", "torque")
    }
    return Stepped(reading=Reading(**reading), **rows)


def keeps_memory(removed: Sequence[str]) -> bool:
    """Whether layers can be removed from an engine that is on its way."""
    return all(layer in _ZERO for layer in removed)


def without(model: "mujoco.MjModel", removed: Sequence[str]) -> "mujoco.MjModel":
    """A copy of a model without contact, or limits and friction of joints."""
    import copy

    import mujoco

    off = mujoco.mjtDisableBit
    left = copy.copy(model)
    if "contact" in removed:
        left.opt.disableflags |= int(off.mjDSBL_CONTACT)
    if "limit" in removed:
        left.opt.disableflags |= int(
            off.mjDSBL_LIMIT | off.mjDSBL_FRICTIONLOSS | off.mjDSBL_EQUALITY
        )
    return left


def _step(
    engine: "Engine", instruments: Instruments, given: Moments, zero: list[str]
) -> Stepped:
    from sims.engine import default_field

    everywhere = np.ones(engine.num_envs, bool)
    for name, values in given.fields.items():
        if (values != default_field(engine.model, name)).any():
            engine.set_field(name, values, everywhere)
    engine.reset(everywhere, given.qpos, given.qvel)
    for s in range(given.warm):
        _act(engine, given, s)
        engine.step(1)
    for field in zero:
        engine.set_field(field, np.zeros(()), everywhere)
    starts = np.array(engine.qpos, float), np.array(engine.qvel, float)
    engine.ctrl[:] = given.ctrl[given.warm]
    forces = (engine.snapshot(i)[1].actuator_force for i in range(engine.num_envs))
    torque = np.array([force.copy() for force in forces])
    readings = []
    for s in range(given.warm, len(given.ctrl)):
        _act(engine, given, s)
        engine.step(1)
        readings.append(instruments.read(engine))
    steps = stack(readings)
    reading = Reading(
        position=steps.position[-1],
        quaternion=steps.quaternion[-1],
        points=steps.points.max(axis=0),
        normal=steps.normal.mean(axis=0),
        friction=steps.friction.mean(axis=0),
    )
    return Stepped(qpos=starts[0], qvel=starts[1], reading=reading, torque=torque)


def _act(engine: "Engine", given: Moments, step: int) -> None:
    """Let act what acts in a physics step."""
    engine.ctrl[:] = given.ctrl[step]
    for body, wrench in given.wrenches[step].items():
        engine.apply_wrench(body, wrench, np.ones(engine.num_envs, bool))
