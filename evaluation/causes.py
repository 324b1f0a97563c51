"""Why do two engines part? Measured, by steps from equal states.

Between the frame in which a body's difference passes a tenth of the tolerance and the
one in which it passes the whole, nine tenths of it arise. From equal states of these
frames both engines take one step (:mod:`evaluation.resync`). The differences that such
steps make, in the direction of the one that is to be explained, are summed; then
friction, contact, servos, and joints' limits and friction are removed one after the
other in both engines. The cause is the layer with which most of the sum goes. What
stays when all are gone is the dynamics of bare bodies: masses, gravity, damping, and
how they are integrated.

What goes with a layer need not be that layer's own: friction differs, too, where the
force that presses does, or where what sticks is held otherwise, and then counts as
contact (:func:`roughness`); and servos that
exert the same torque in the same state move another mass otherwise, which counts as
dynamics (:data:`SAME_TORQUE`).

The sum need not be the whole difference: one that is there grows or fades by itself.
Its part is told as :attr:`Cause.explained`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence import Evidence
from evaluation.instruments import Instruments, Reading
from evaluation.one_step import LAYERS, Stepped, fields_of
from evaluation.partings import Parting, Tolerances
from evaluation.resync import resync
from evaluation.side_by_side import Sides

if TYPE_CHECKING:
    from sims.task import Task

FRAMES = 8
"""The most frames that are looked at, spread evenly over those that count."""
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
    """What these steps add up to, as a fraction of the difference."""


@dataclass(frozen=True, kw_only=True)
class Owned:
    """What part of a layer's share is its own, in [0, 1]."""

    friction: float
    servo: float


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
    frames = [looked_at(parting) for parting in partings]
    pairs = zip(partings, frames, strict=True)
    where = [(t, parting.env) for parting, own in pairs for t in own]
    synced = resync(task, instruments, engines, sides, where, tolerances)
    causes, begin = [], 0
    slick = [
        instruments.coefficients(fields_of(track, where)["geom_friction"])
        for track in (sides.first, sides.second)
    ]
    for parting, own in zip(partings, frames, strict=True):
        rows = slice(begin, begin + len(own))
        steps = synced.whole[0].at(rows), synced.whole[1].at(rows)
        made = synced.made[:, rows, parting.body]
        slips = np.any(
            [
                step.reading.friction > SLIPS * mu[rows] * step.reading.normal
                for step, mu in zip(steps, slick, strict=True)
            ],
            axis=0,
        )
        causes.append(_cause(instruments, labels(engines), parting, steps, made, slips))
        begin = rows.stop
    return causes


def _cause(
    instruments: Instruments,
    names: tuple[str, str],
    parting: Parting,
    steps: tuple[Stepped, Stepped],
    made: np.ndarray,
    slips: np.ndarray,
) -> Cause:
    """One parting's cause.

    Args:
        instruments: of the scene.
        names: of the engines.
        parting: what is to be explained.
        steps: of both engines, with all the physics, one row for each frame.
        made: (layers + 1, frames, 6) by the steps, after so many removals.
        slips: (frames, pairs) whether each slips in one of them.
    """
    body = instruments.bodies[parting.body]
    one, two = steps
    near = instruments.pairs_of(body)
    owned = Owned(
        friction=roughness(one.reading, two.reading, slips, near),
        servo=float(differing(one.torque, two.torque)),
    )
    shares, kind, worst, explained = weigh(made, owned, parting)
    evidence = Evidence(
        instruments=instruments,
        engines=names,
        body=body,
        readings=[step.reading.at(worst) for step in steps],
        torques=[step.torque[worst] for step in steps],
        qpos=one.qpos[worst],
    )
    place, measured = evidence.tell(kind)
    return Cause(
        kind=kind,
        where=place,
        measured=measured,
        shares=shares,
        explained=explained,
    )


def weigh(
    made: np.ndarray, owned: Owned, parting: Parting
) -> tuple[dict[str, float], str, int, float]:
    """What part of a difference goes with which layer.

    Args:
        made: (layers + 1, frames, 6) by one step, after so many removals.
        owned: what of two layers is their own.
        parting: with the difference that is to be explained.

    Returns:
        The shares, the cause, the frame that makes most of it, and the part that all
        steps together make of the difference.
    """
    size = float(np.linalg.norm(parting.offset))
    along = made @ (parting.offset / size)
    sums = np.abs(along.mean(axis=1))
    gone = np.maximum(np.append(sums[:-1] - sums[1:], sums[-1]), 0.0)
    _hand_on(gone, 0, 1, 1 - owned.friction)
    _hand_on(gone, 2, -1, 1 - owned.servo)
    kinds = (*LAYERS, REST)
    worst = int(np.argmax(np.abs(along[0])))
    if not made[0].any():
        return dict.fromkeys(kinds, 0.0), "growth", worst, 0.0
    shares = gone / gone.sum() if gone.any() else gone
    steps = parting.frame - min(parting.begins, parting.frame - 1)
    explained = float(along[0].mean() * steps / size)
    by_name = {kind: float(s) for kind, s in zip(kinds, shares, strict=True)}
    return by_name, kinds[int(np.argmax(gone))], worst, explained


def looked_at(parting: Parting) -> list[int]:
    """Frames from which steps are taken."""
    last = parting.frame - 1
    frames = np.linspace(min(parting.begins, last), last, FRAMES).round().astype(int)
    return np.unique(frames).tolist()


def _hand_on(gone: np.ndarray, source: int, target: int, part: float) -> None:
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
