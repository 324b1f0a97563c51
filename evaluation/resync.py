"""Both engines from equal states, once with all the physics, and with ever less of it.

One of the two, the *host*, is followed along its own course, with a run-up, so that it
has its memory; the other is put into the host's states. The host is the one that
depends more on its memory: that is measured, by steps from states of its own. Where
both do alike, as one engine twice, both are put into the state before the run-up,
which then is part of the step: what they lack is the same.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evaluation.instruments import Instruments
from evaluation.one_step import (
    LAYERS,
    Stepped,
    fields_of,
    joined,
    keeps_memory,
    moments,
    one_step,
)
from evaluation.partings import Tolerances, offset
from evaluation.side_by_side import Sides, Track
from sims.registry import find_engine

if TYPE_CHECKING:
    from sims.engines import EngineEntry
    from sims.task import Task

RUN_UP = 2
"""Control steps, where as many come before."""
FORGETS = 1e-3
"""An engine that misses a recorded state of its own by more has a memory
[tolerances]."""
TRIED = 12
"""Rows by which the host is chosen."""
Where = list[tuple[int, int]]
"""(control step, environment) of each row."""


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What both did in one step from equal states, one row for each moment."""

    whole: tuple[Stepped, Stepped]
    """With all the physics, in the engines' order."""
    made: np.ndarray
    """(layers + 1, rows, bodies, 6): the difference that the step made, with all the
    physics and after each removal, see :func:`evaluation.partings.offset`."""


def resync(
    task: "Task",
    instruments: Instruments,
    engines: tuple[str, str],
    sides: Sides,
    where: Where,
    tolerances: Tolerances,
    order: tuple[str, ...] = LAYERS,
) -> Synced:
    """Take the steps.

    Args:
        task: what is done.
        instruments: of the scene.
        engines: names of the two.
        sides: what they did.
        where: the moments.
        tolerances: by which differences are measured.
        order: in which the layers are removed; each removal keeps the earlier ones.
    """
    entries = [find_engine(task, name)[1] for name in engines]
    tracks = sides.first, sides.second
    some = where[:: -(-len(where) // TRIED)]
    lost = [
        _forgets(entry, instruments, track, some, tolerances)
        for entry, track in zip(entries, tracks, strict=True)
    ]
    host = 0 if lost[0] > lost[1] else 1
    longest = RUN_UP if max(lost) > FORGETS else 0
    alike = max(lost) <= 2 * min(lost)
    run_ups = np.array([min(t, longest) for t, _ in where])
    parts = [
        _layers(
            *(entries, instruments, tracks, host),
            *([where[i] for i in np.flatnonzero(run_ups == run_up)], int(run_up)),
            *(order, alike),
        )
        for run_up in np.unique(run_ups)
    ]
    back = np.argsort(np.argsort(run_ups, kind="stable"))
    layers = [
        [joined(rows).at(back) for rows in zip(*pairs, strict=True)]
        for pairs in zip(*parts, strict=True)
    ]
    made = [offset(one.reading, two.reading, tolerances) for one, two in layers]
    return Synced(whole=(layers[0][0], layers[0][1]), made=np.stack(made))


def _layers(
    entries: "list[EngineEntry]",
    instruments: Instruments,
    tracks: tuple[Track, Track],
    host: int,
    where: Where,
    run_up: int,
    order: tuple[str, ...],
    alike: bool,
) -> list[tuple[Stepped, Stepped]]:
    """Both engines' steps by what is removed, in the engines' order."""
    guest = 1 - host
    given = moments(tracks[host], where, run_up)
    if alike:
        given = replace(given, warm=0)
    start: Stepped | None = None
    layers = []
    for removed in (order[:count] for count in range(len(order) + 1)):
        cold = given if start is None else given.cold(start.qpos, start.qvel)
        warm = given if keeps_memory(removed) else cold
        own = one_step(entries[host], instruments, warm, removed)
        start = start or own
        visit = given.cold(start.qpos, start.qvel).within(
            fields_of(tracks[guest], where)
        )
        other = one_step(entries[guest], instruments, visit, removed)
        layers.append((own, other) if host == 0 else (other, own))
    return layers


def _forgets(
    entry: "EngineEntry",
    instruments: Instruments,
    track: Track,
    where: Where,
    tolerances: Tolerances,
) -> float:
    """How far a step from a recorded state leads from the recorded one [tolerances]."""
    again = one_step(entry, instruments, moments(track, where)).reading
    steps, envs = np.array(where).T
    recorded = track.reading.at((steps + 1, envs))
    return float(np.abs(offset(recorded, again, tolerances)).max())
