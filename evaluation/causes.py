"""Why do two engines part? Measured, by steps from equal states.

Between the frame in which a body's difference passes a tenth of the tolerance and the
one in which it passes the whole, nine tenths of it arise. From equal states of these
frames both engines take one step (:mod:`evaluation.resync`). The differences that such
steps make, along the one that is to be explained, are summed in size; then friction,
contact, servos, and joints' limits and friction are removed one after the other in both
engines. The cause is the layer with which most of the sum goes. What stays when all are
gone is the dynamics of bare bodies: masses, gravity, damping, and how they are
integrated.

What goes with a layer need not be that layer's own: friction differs, too, where the
force that presses does, or where what sticks is held otherwise, and then counts as
contact (:func:`roughness`); and servos that exert the same torque in the same state
move another mass otherwise, which counts as dynamics (:data:`SAME_TORQUE`). Where the
torques do differ, servos are removed first, since contact hands on what they do.

With its signs the sum need not be the whole difference, since one that is there grows
or fades by itself, and blows go both ways. Its part is told as :attr:`Cause.explained`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence import Evidence
from evaluation.instruments import Instruments, Reading
from evaluation.one_step import LAYERS, Stepped, fields_of
from evaluation.partings import Parting, Tolerances
from evaluation.resync import Where, resync
from evaluation.side_by_side import Sides

if TYPE_CHECKING:
    from sims.task import Task

FRAMES = 8
"""The most frames that are looked at, spread evenly over those that count."""
SERVO_FIRST = ("servo", "friction", "contact", "limit")
"""The order where servos exert other torques in the same state."""
SLIPS = 0.8
"""Of the greatest friction that the normal force allows: what has more of it slips."""
SAME_TORQUE = 1e-3
"""Relative; a smaller difference of torques from the same state is none."""
REST = "dynamics"
CAUSES = (*LAYERS, REST, "start", "breakdown", "growth")
"""All that can be said. "start": they do not begin alike. "breakdown": the physics of
one broke down. "growth": from equal states both do the same, to the bit."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What was found."""

    kind: str
    """One of :data:`CAUSES`."""
    where: str
    """The pair of bodies, or the joint."""
    measured: str
    """The figures that say so, in words."""
    shares: dict[str, float]
    """By layer, and the rest: how much of what steps from equal states make goes with
    it; they add up to 1."""
    explained: float
    """What these steps add up to, signs counted, as a fraction of the difference. Above
    1: something pulls back; below 0: the difference grows by itself, or swings."""


@dataclass(frozen=True, kw_only=True)
class Owned:
    """What part of a layer's share is its own, in [0, 1]."""

    friction: float
    servo: float


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """What :func:`weigh` finds."""

    kind: str
    shares: dict[str, float]
    """See :class:`Cause`."""
    frame: int
    """Which of the frames makes most of the difference."""
    explained: float
    """See :class:`Cause`."""


def labels(engines: tuple[str, str]) -> tuple[str, str]:
    """What two engines are called beside each other, one engine twice, too."""
    if engines[0] != engines[1]:
        return engines
    return f"first {engines[0]}", f"second {engines[1]}"


def explain(
    task: "Task",
    instruments: Instruments,
    engines: tuple[str, str],
    sides: Sides,
    partings: list[Parting],
    tolerances: Tolerances,
) -> list[Cause]:
    """The cause of each parting.

    Args:
        task: what is done.
        instruments: of the scene.
        engines: names of the two.
        sides: what they did.
        partings: after frame 0, of episodes that did not break down.
        tolerances: by which differences are measured.
    """
    if not partings:
        return []
    told = _explain(task, instruments, engines, sides, partings, tolerances, LAYERS)
    strong = [i for i, cause in enumerate(told) if cause is None]
    again = [partings[i] for i in strong]
    if again:
        others = _explain(
            *(task, instruments, engines, sides, again, tolerances, SERVO_FIRST)
        )
        for i, cause in zip(strong, others, strict=True):
            told[i] = cause
    return [cause for cause in told if cause is not None]


def _explain(
    task: "Task",
    instruments: Instruments,
    engines: tuple[str, str],
    sides: Sides,
    partings: list[Parting],
    tolerances: Tolerances,
    order: tuple[str, ...],
) -> list[Cause | None]:
    """The causes in one order of removal; None: it wants the servos first."""
    frames = [looked_at(parting) for parting in partings]
    pairs = zip(partings, frames, strict=True)
    where = [(t, parting.env) for parting, own in pairs for t in own]
    synced = resync(task, instruments, engines, sides, where, tolerances, order)
    slips = _slipping(instruments, sides, where, synced.whole)
    causes, begin = [], 0
    for parting, own in zip(partings, frames, strict=True):
        rows = slice(begin, begin + len(own))
        begin = rows.stop
        steps = synced.whole[0].at(rows), synced.whole[1].at(rows)
        body = instruments.bodies[parting.body]
        servos = instruments.servos(body)
        strong = differing(*(step.torque[:, servos] for step in steps))
        if strong and order != SERVO_FIRST:
            causes.append(None)
            continue
        readings = steps[0].reading, steps[1].reading
        rough = roughness(*readings, slips[rows], instruments.pairs_of(body))
        owned = Owned(friction=rough, servo=float(strong))
        made = synced.made[:, rows, parting.body]
        verdict = weigh(made, order, owned, parting)
        causes.append(_cause(instruments, labels(engines), parting, steps, verdict))
    return causes


def _slipping(
    instruments: Instruments,
    sides: Sides,
    where: Where,
    steps: tuple[Stepped, Stepped],
) -> np.ndarray:
    """(rows, pairs) which pairs slip in one of the engines, or nearly."""
    slips = []
    for track, step in zip((sides.first, sides.second), steps, strict=True):
        mu = instruments.coefficients(fields_of(track, where)["geom_friction"])
        slips.append(step.reading.friction > SLIPS * mu * step.reading.normal)
    return slips[0] | slips[1]


def _cause(
    instruments: Instruments,
    names: tuple[str, str],
    parting: Parting,
    steps: tuple[Stepped, Stepped],
    weighed: Weighed,
) -> Cause:
    """One parting's cause, with its figures from the frame that makes most of it."""
    at = weighed.frame
    evidence = Evidence(
        instruments=instruments,
        engines=names,
        body=instruments.bodies[parting.body],
        readings=[step.reading.at(at) for step in steps],
        torques=[step.torque[at] for step in steps],
        qpos=steps[0].qpos[at],
    )
    place, measured = evidence.tell(weighed.kind)
    return Cause(
        kind=weighed.kind,
        where=place,
        measured=measured,
        shares=weighed.shares,
        explained=weighed.explained,
    )


def weigh(
    made: np.ndarray, order: tuple[str, ...], owned: Owned, parting: Parting
) -> Weighed:
    """What part of a difference goes with which layer.

    Args:
        made: (layers + 1, frames, 6) by one step, after so many removals.
        order: of the removals.
        owned: what of two layers is their own.
        parting: with the difference that is to be explained.
    """
    size = float(np.linalg.norm(parting.offset))
    along = made @ (parting.offset / size)
    sums = np.abs(along).mean(axis=1)
    drops = np.maximum(np.append(sums[:-1] - sums[1:], sums[-1]), 0.0)
    gone = dict(zip((*order, REST), drops.tolist(), strict=True))
    _hand_on(gone, "friction", "contact", 1 - owned.friction)
    _hand_on(gone, "servo", REST, 1 - owned.servo)
    total = sum(gone.values())
    steps = parting.frame - min(parting.begins, parting.frame - 1)
    kinds = (*LAYERS, REST)
    return Weighed(
        kind=max(kinds, key=lambda kind: gone[kind]) if made[0].any() else "growth",
        shares={kind: gone[kind] / total if total > 0 else 0.0 for kind in kinds},
        frame=int(np.argmax(np.abs(along[0]))),
        explained=float(along[0].mean() * steps / size),
    )


def looked_at(parting: Parting) -> list[int]:
    """Frames from which steps are taken."""
    last = parting.frame - 1
    frames = np.linspace(min(parting.begins, last), last, FRAMES).round().astype(int)
    return np.unique(frames).tolist()


def _hand_on(gone: dict[str, float], source: str, target: str, part: float) -> None:
    """Count a part of one layer's share as another's."""
    moved = part * gone[source]
    gone[source] -= moved
    gone[target] += moved


def differing(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether torques (..., nu) from the same states differ beyond rounding."""
    apart = np.abs(second - first)
    return bool((apart > SAME_TORQUE * np.abs(first).max(initial=0.0)).any())


def roughness(
    first: Reading, second: Reading, slips: np.ndarray, pairs: list[int]
) -> float:
    """How much of a difference in friction is not due to the force that presses.

    With the ratio r of friction to normal force N, the friction of the two differs by
    mean(N) times the difference of r, which is friction's own, and by mean(r) times the
    difference of N. Pairs that slip in neither, or touch in one engine alone, have no
    friction of their own: they stick, and what holds them is the contact.

    Args:
        first: (..., pairs).
        second: (..., pairs).
        slips: (..., pairs) which of them slip.
        pairs: indices of those that count.

    Returns:
        In [0, 1].
    """
    n1, n2 = (one.normal[..., pairs] for one in (first, second))
    f1, f2 = (one.friction[..., pairs] for one in (first, second))
    touch = (n1 > 0) & (n2 > 0)
    r1, r2 = (
        np.divide(f, n, out=np.zeros_like(n), where=touch)
        for f, n in ((f1, n1), (f2, n2))
    )
    own = np.abs(r2 - r1) * (n1 + n2) / 2 * slips[..., pairs]
    pressed = np.abs(n2 - n1) * (r1 + r2) / 2
    others = np.where(touch & slips[..., pairs], pressed, np.abs(f2 - f1))
    total = own.sum() + others.sum()
    return float(own.sum() / total) if total > 0 else 1.0
