"""Where do two courses part? The first frame beyond a tolerance, by group of bodies."""

from dataclasses import dataclass

import numpy as np

from controllers import so3
from evaluation.instruments import Instruments, Reading
from evaluation.side_by_side import Sides

BEGINS = 0.1
"""Of the tolerance: from here on a difference is to be explained."""


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """From where on two engines count as apart."""

    position: float = 1e-3
    """Of a body, and of a sliding joint [m]."""
    angle: float = 1e-2
    """Of a body's orientation, and of a hinge [rad]."""


@dataclass(frozen=True, kw_only=True)
class Parting:
    """Where one group of bodies parts in one episode."""

    env: int
    """Column of the sides."""
    group: str
    body: int
    """That is farthest off, in tolerances; index among the instruments' bodies."""
    begins: int
    """The last frame before in which the body's difference is below :data:`BEGINS`."""
    frame: int
    """The first in which a body of the group is beyond the tolerance."""
    offset: np.ndarray
    """(6,) of the body there, see :func:`offset`."""


def offset(first: Reading, second: Reading, tolerances: Tolerances) -> np.ndarray:
    """How far each body is from where it is in the first, in tolerances.

    Returns:
        (..., bodies, 6): of position, then of orientation, world axes.
    """
    turned = so3.from_quaternion(second.quaternion)
    turn = so3.error(turned, so3.from_quaternion(first.quaternion))
    moved = second.position - first.position
    return np.concatenate(
        [moved / tolerances.position, turn / tolerances.angle], axis=-1
    )


def find_partings(
    instruments: Instruments, sides: Sides, tolerances: Tolerances, env: int
) -> list[Parting]:
    """Where each group that parts does so in one episode, the earliest first."""
    frames = int(sides.lengths[env]) + 1
    first, second = (
        track.reading.at((slice(frames), env)) for track in (sides.first, sides.second)
    )
    apart = offset(first, second, tolerances)
    halves = np.linalg.norm(apart.reshape(*apart.shape[:-1], 2, 3), axis=-1)
    sizes = halves.max(axis=-1)
    found = []
    for group, members in body_groups(instruments).items():
        beyond = np.flatnonzero((sizes[:, members] > 1.0).any(axis=1))
        if not len(beyond):
            continue
        frame = int(beyond[0])
        body = members[int(np.argmax(sizes[frame, members]))]
        small = np.flatnonzero(sizes[:frame, body] < BEGINS)
        parting = Parting(
            env=env,
            group=group,
            body=body,
            begins=int(small[-1]) if len(small) else 0,
            frame=frame,
            offset=apart[frame, body],
        )
        found.append((frame, -sizes[frame, body], parting))
    return [parting for *_, parting in sorted(found, key=lambda one: one[:2])]


def body_groups(instruments: Instruments) -> dict[str, list[int]]:
    """Groups of the instruments' bodies, by name.

    Each kinematic tree is one: a robot's arm, an object. Where there is one tree only,
    its branches are.
    """
    model = instruments.model
    roots = {int(model.body_rootid[b]) for b in instruments.bodies}
    groups: dict[str, list[int]] = {}
    for index, body in enumerate(instruments.bodies):
        head = body
        while head not in roots:
            above = int(model.body_parentid[head])
            if len(roots) == 1 and above in roots:
                break
            head = above
        groups.setdefault(model.body(head).name, []).append(index)
    return groups
