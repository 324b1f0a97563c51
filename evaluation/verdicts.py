"""What is said of one episode in two engines: where it parts and why, and what that
does to the reward."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.causes import Cause, explain, labels
from evaluation.instruments import Instruments
from evaluation.partings import Parting, Tolerances, find_partings
from evaluation.side_by_side import Sides

if TYPE_CHECKING:
    from sims.task import Task


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where one group of bodies parts."""

    group: str
    """An arm, an object, see :func:`evaluation.partings.body_groups`."""
    frame: int
    """The first one beyond the tolerance; 0 is the start."""
    time: float
    """Of that frame [s]."""
    body: str
    """Of the group, that is farthest off there, in tolerances."""
    distance: float
    """How far it is off there [m]."""
    angle: float
    """How far it is turned there [rad]."""
    joint: str | None
    """Hinge or slide of the same tree that is farthest off there, in tolerances; None:
    the tree has none."""
    joint_apart: float | None
    """By how much [rad, m]."""
    cause: Cause


@dataclass(frozen=True, kw_only=True)
class TermGap:
    """One term of the reward in both engines, over one episode."""

    first: float
    """Its mean."""
    second: float
    """Its mean."""
    apart: float
    """Mean size of the difference, step by step."""
    at_frame: float | None
    """The second one's less the first's where the first bodies part; None: they do
    not."""
    total: float
    """The second one's sum less the first's."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one episode went in both engines."""

    episode: int
    """Its identity."""
    steps: int
    """Control steps that were compared: those of the first engine's episode."""
    parts: list[Part]
    """Where each group of bodies parts, the earliest first; empty: none does."""
    largest_distance: float
    """Of any body, up to the end [m]."""
    terms: dict[str, TermGap]
    """Of the reward, by name."""
    solved: tuple[bool, bool] | None
    """In both engines; None: the task measures no success."""


def judge(
    task: "Task",
    instruments: Instruments,
    engines: tuple[str, str],
    sides: Sides,
    ids: np.ndarray,
    tolerances: Tolerances,
) -> list[Verdict]:
    """What is said of each of the first ``len(ids)`` environments.

    Args:
        task: what was done.
        instruments: of the scene.
        engines: names of the two.
        sides: what they did.
        ids: identities of the episodes.
        tolerances: from where on they are apart.
    """
    places = [
        find_partings(instruments, sides, tolerances, env) for env in range(len(ids))
    ]
    causes = {
        id(parting): _at_once(sides, parting, instruments, labels(engines))
        for row in places
        for parting in row
    }
    asked = [p for row in places for p in row if causes[id(p)] is None]
    told = explain(task, instruments, engines, sides, asked, tolerances)
    causes |= {id(parting): cause for parting, cause in zip(asked, told, strict=True)}
    verdicts = []
    for env, row in enumerate(places):
        parts = [
            _part(task, instruments, sides, parting, cause, tolerances)
            for parting in row
            if (cause := causes[id(parting)]) is not None
        ]
        verdicts.append(_verdict(sides, int(ids[env]), env, parts))
    return verdicts


def _at_once(
    sides: Sides, parting: Parting, instruments: Instruments, names: tuple[str, str]
) -> Cause | None:
    """The cause where it needs no measuring."""
    at = parting.frame, parting.env
    broken = [
        name
        for name, track in zip(names, (sides.first, sides.second), strict=True)
        if track.broken[at]
    ]
    if broken:
        kind, measured = (
            "breakdown",
            f"the physics broke down in {' and '.join(broken)}",
        )
    elif parting.frame == 0:
        kind, measured = "start", "the episode does not begin alike in both"
    else:
        return None
    return Cause(
        kind=kind,
        where=instruments.names[parting.body],
        measured=measured,
        shares={},
        explained=1.0,
    )


def _part(
    task: "Task",
    instruments: Instruments,
    sides: Sides,
    parting: Parting,
    cause: Cause,
    tolerances: Tolerances,
) -> Part:
    joint, by = _joint(instruments, sides, parting, tolerances)
    halves = np.linalg.norm(parting.offset.reshape(2, 3), axis=1)
    return Part(
        group=parting.group,
        frame=parting.frame,
        time=parting.frame * task.control_dt,
        body=instruments.names[parting.body],
        distance=float(halves[0] * tolerances.position),
        angle=float(halves[1] * tolerances.angle),
        joint=joint,
        joint_apart=by,
        cause=cause,
    )


def _joint(
    instruments: Instruments, sides: Sides, parting: Parting, tolerances: Tolerances
) -> tuple[str | None, float | None]:
    """The hinge or slide that is farthest off where a group parts."""
    import mujoco

    model = instruments.model
    joints = instruments.joints(instruments.bodies[parting.body])
    if not joints:
        return None, None
    at = parting.frame, parting.env, model.jnt_qposadr[joints]
    apart = np.abs(sides.second.qpos[at] - sides.first.qpos[at])
    slides = model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_SLIDE
    scale = np.where(slides, tolerances.position, tolerances.angle)
    farthest = int(np.argmax(apart / scale))
    return model.joint(joints[farthest]).name, float(apart[farthest])


def _verdict(sides: Sides, episode: int, env: int, parts: list[Part]) -> Verdict:
    """Put the parts and what they did to the episode together."""
    steps = int(sides.lengths[env])
    first, second = (
        track.reading.position[: steps + 1, env]
        for track in (sides.first, sides.second)
    )
    solved = None
    if sides.first.success is not None and sides.second.success is not None:
        solved = bool(sides.first.success[env]), bool(sides.second.success[env])
    gaps = {}
    for name, rows in sides.first.terms.items():
        one, two = rows[:steps, env], sides.second.terms[name][:steps, env]
        step = max(parts[0].frame - 1, 0) if parts else None
        gaps[name] = TermGap(
            first=float(one.mean()),
            second=float(two.mean()),
            apart=float(np.abs(two - one).mean()),
            at_frame=None if step is None else float(two[step] - one[step]),
            total=float((two - one).sum()),
        )
    return Verdict(
        episode=episode,
        steps=steps,
        parts=parts,
        largest_distance=float(np.linalg.norm(second - first, axis=-1).max(initial=0)),
        terms=gaps,
        solved=solved,
    )
