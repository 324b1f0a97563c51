"""How two engines drift apart over time: differences by group of bodies
(:func:`evaluation.partings.body_groups`), and terms of the reward in both."""

from typing import TYPE_CHECKING

import numpy as np

from controllers import so3
from evaluation.instruments import Instruments
from evaluation.partings import body_groups
from evaluation.side_by_side import Sides, Track

if TYPE_CHECKING:
    import mujoco

Curves = dict[str, dict[str, np.ndarray]]
"""By figure, then by line: (steps, n); NaN after an episode's end."""
DISTANCE = "distance of bodies [m]"
ANGLE = "angle between bodies [rad]"
SPEED = "difference of joints' velocities [rad/s, m/s]"
TORQUE = "difference of servos' torques [N m, N]"
FORCE = "difference of contact forces [N]"
APART = (DISTANCE, ANGLE, SPEED, TORQUE, FORCE)
"""Figures of differences: the largest of the group."""
TERM = "reward: "
"""How the name of a figure begins that shows a term in both engines."""


def curves(
    instruments: Instruments, sides: Sides, count: int, names: tuple[str, str]
) -> Curves:
    """All figures of the first ``count`` episodes.

    Args:
        instruments: of the scene.
        sides: what the engines did.
        count: how many environments count.
        names: what the engines are called.
    """
    first, second = sides.first, sides.second
    one, two = first.reading, second.reading
    turns = so3.from_quaternion(two.quaternion), so3.from_quaternion(one.quaternion)
    distance = np.linalg.norm(two.position - one.position, axis=-1)[1:]
    angle = np.linalg.norm(so3.error(*turns), axis=-1)[1:]
    speed = np.abs(second.qvel - first.qvel)[1:]
    servo = np.abs(torques(instruments, second) - torques(instruments, first))
    force = np.abs(two.normal - one.normal)[1:]
    model = instruments.model
    groups = {
        instruments.bodies[index]: name
        for name, members in body_groups(instruments).items()
        for index in members
    }
    by_dof = [groups.get(int(b), "") for b in model.dof_bodyid]
    by_servo = [groups.get(_driven(model, i), "") for i in range(model.nu)]
    bodies = [groups[b] for b in instruments.bodies]
    figures = {
        DISTANCE: _largest(distance, bodies),
        ANGLE: _largest(angle, bodies),
        SPEED: _largest(speed, by_dof),
        TORQUE: _largest(servo, by_servo),
        FORCE: _by_pair(instruments, force, groups),
    }
    for name in first.terms:
        terms = first.terms[name], second.terms[name]
        figures[TERM + name] = dict(zip(names, terms, strict=True))
    return {
        figure: {line: _ended(rows, sides, count) for line, rows in lines.items()}
        for figure, lines in figures.items()
        if lines
    }


def joined(parts: list[Curves]) -> Curves:
    """The curves of several batches side by side."""
    longest = max(len(r) for part in parts for ls in part.values() for r in ls.values())

    def padded(rows: np.ndarray) -> np.ndarray:
        missing = ((0, longest - len(rows)), (0, 0))
        return np.pad(rows, missing, constant_values=np.nan)

    return {
        figure: {
            line: np.concatenate([padded(p[figure][line]) for p in parts], axis=1)
            for line in lines
        }
        for figure, lines in parts[0].items()
    }


def torques(instruments: Instruments, track: Track) -> np.ndarray:
    """(steps, n, nu) what the servos exert in each frame after the start, by their law
    and the engine's fields [N m, N]."""
    import copy

    import mujoco

    from sims.engine import default_field

    model = copy.copy(instruments.model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    data = mujoco.MjData(model)
    steps, n = len(track.acts), track.qpos.shape[1]
    found = np.zeros((steps, n, model.nu))
    for env in range(n):
        fields = None
        for t, acts in enumerate(track.acts):
            if acts.fields is not fields:
                fields = acts.fields
                for name, values in fields.items():
                    default_field(model, name)[:] = values[env]
            data.qpos[:], data.qvel[:] = track.qpos[t + 1, env], track.qvel[t + 1, env]
            data.ctrl[:] = acts.ctrl[-1, env]
            mujoco.mj_fwdPosition(model, data)
            mujoco.mj_fwdVelocity(model, data)
            mujoco.mj_fwdActuation(model, data)
            found[t, env] = data.actuator_force
    return found


def _largest(values: np.ndarray, groups: list[str]) -> dict[str, np.ndarray]:
    """(steps, n, items) to the largest of each group, (steps, n)."""
    labels = np.array(groups)
    names = [name for name in dict.fromkeys(groups) if name]
    return {name: values[..., labels == name].max(axis=-1) for name in names}


def _by_pair(
    instruments: Instruments, force: np.ndarray, groups: dict[int, str]
) -> dict[str, np.ndarray]:
    """The largest difference of the pairs that have a body in each group."""
    lines = {}
    for name in dict.fromkeys(groups.values()):
        own = [any(groups.get(b) == name for b in pair) for pair in instruments.pairs]
        if any(own):
            lines[name] = force[..., own].max(axis=-1)
    return lines


def _driven(model: "mujoco.MjModel", actuator: int) -> int:
    """Id of the body that an actuator's joint moves."""
    return int(model.jnt_bodyid[model.actuator_trnid[actuator, 0]])


def _ended(rows: np.ndarray, sides: Sides, count: int) -> np.ndarray:
    """(steps, count) with NaN where an episode has ended."""
    running = np.arange(len(rows))[:, None] < sides.lengths[None, :count]
    return np.where(running, rows[:, :count], np.nan)
