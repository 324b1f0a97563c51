"""``sandbot diverge``: the same actions in two engines, where they part, and why."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.errors import UsageError
from sandbot.options import (
    Batched,
    Executed,
    Integer,
    MaybeInteger,
    MaybeName,
    MaybePath,
    Name,
    Names,
    Networked,
    Number,
    Seeded,
    TaskOrEnv,
    parse,
)

if TYPE_CHECKING:
    from rich.table import Table

    from evaluation.divergence import Comparison
    from evaluation.recorded import RecordedActions

SHOWN = 12
"""Episodes of the table in the terminal; all are in --out's."""


@dataclass(frozen=True, kw_only=True)
class Options(Seeded, Batched, TaskOrEnv, Networked, Executed):
    """Play the same actions in two engines; say where they part, by what, and why.

    A policy acts in the first engine; the second gets the same actions. A cause is
    measured: both engines take a step from the same state, with and without friction,
    contact, servos and limits of joints. With --out also divergence.json and a page.
    """

    policy: MaybeName = None
    """A name, or the folder of a checkpoint; the task's expert by default. "random"
    draws by --seed."""
    data: MaybePath = None
    """Folder of a dataset of the task, whose actions are executed in a policy's place;
    it brings its own episodes, seed and randomisation."""
    engine: Names = ("mujoco", "bullet")
    """Two physics engines, or one twice."""
    randomize: Name = "none"
    """What varies between episodes, in both alike: none, train or gap."""
    episodes: Integer = 10
    """How many; of a dataset the first ones."""
    steps: MaybeInteger = None
    """Control steps of each episode at most; by default the task's."""
    position_tolerance: Number = 1e-3
    """From where on a body, or a sliding joint, is apart [m]."""
    angle_tolerance: Number = 1e-2
    """From where on a body's orientation, or a hinge, is apart [rad]."""
    out: MaybePath = None
    """Folder for divergence.json and divergence.html."""


def run(arguments: Sequence[str]) -> int:
    """Parse, compare, print, and write the page."""
    options = parse(Options, "diverge", arguments)
    from evaluation.divergence_page import write_comparison
    from evaluation.files import writable_folder

    if options.out is not None:
        writable_folder(options.out)
    comparison = _compare(options)
    _print(comparison)
    if options.out is not None:
        command = shlex.join(["sandbot", "diverge", *arguments])
        page, figures = write_comparison(options.out, comparison, command)
        print(f"page: {page}\nfigures: {figures}")
    return 0


def _compare(options: Options) -> "Comparison":
    """Run it, under a progress bar."""
    from tqdm import tqdm

    from evaluation.divergence import diverge
    from evaluation.partings import Tolerances

    task = options.find_task()
    with tqdm(unit="step", unit_scale=True, disable=None, leave=False) as bar:
        return diverge(
            task.name,
            _actor(options, task.name),
            options.engine,
            randomize=options.randomize,
            episodes=options.episodes,
            steps=options.steps,
            seed=options.seed,
            tolerances=Tolerances(
                position=options.position_tolerance, angle=options.angle_tolerance
            ),
            num_envs=options.num_envs,
            device=options.device,
            execution=options.execution(),
            progress=bar.update,
        )


def _actor(options: Options, task: str) -> "str | RecordedActions":
    """What acts."""
    if options.data is None:
        return "expert" if options.policy is None else options.policy
    from pathlib import Path

    from evaluation.recorded import RecordedActions

    if options.policy is not None:
        raise UsageError(
            "--policy and --data both say what acts, and both were given: leave one out"
        )
    recorded = RecordedActions(Path(options.data), options.episodes)
    if recorded.task != task:
        raise UsageError(
            f"{options.data} holds actions of {recorded.task}, and {task} was asked for"
        )
    return recorded


def _print(comparison: "Comparison") -> None:
    """Where each episode parts, and what that does to the reward."""
    from evaluation.divergence_page import counts_text, earliest
    from sandbot.tables import make_console

    console = make_console()
    console.print(_episodes(comparison))
    if comparison.parted:
        console.print(_groups(comparison))
    console.print(_terms(comparison))
    first, second = comparison.labels
    parted, count = len(comparison.parted), len(comparison.episodes)
    line = f"{comparison.task}, {first} and {second}: {parted} of {count} episodes part"
    if summary := earliest(comparison):
        line += (
            f", first after {summary['time']:.2f} s (median), by "
            f"{counts_text(summary['bodies'])}: {counts_text(summary['causes'])}"
        )
    console.print(line)


def _episodes(comparison: "Comparison") -> "Table":
    """Where the first group of each of the first episodes parts."""
    from evaluation.divergence_page import length_text
    from sandbot.tables import make_table

    table = make_table(
        *(">episode", ">frame", ">time", "body", ">off by", "cause", "where"),
        "measured, in one step from the same state",
    )
    for verdict in comparison.episodes[:SHOWN]:
        if not verdict.parts:
            most = length_text(verdict.largest_distance)
            words = "never beyond the tolerance"
            table.add_row(str(verdict.episode), "", "", "", most, "", "", words)
            continue
        part = verdict.parts[0]
        table.add_row(
            str(verdict.episode),
            str(part.frame),
            f"{part.time:.2f} s",
            part.body,
            length_text(part.distance),
            part.cause.kind,
            part.cause.where,
            part.cause.measured,
        )
    return table


def _groups(comparison: "Comparison") -> "Table":
    """When and why each group of bodies parts, over all episodes."""
    from evaluation.divergence_page import counts_text, groups
    from sandbot.tables import make_table

    table = make_table("group", ">parts in", ">median time", "by body", "cause")
    for row in groups(comparison):
        table.add_row(
            row.group,
            f"{row.parted} of {len(comparison.episodes)}",
            f"{row.time:.2f} s",
            counts_text(row.bodies),
            counts_text(row.causes),
        )
    return table


def _terms(comparison: "Comparison") -> "Table":
    """The terms of the reward, means over all episodes."""
    from evaluation.divergence_page import terms
    from sandbot.tables import make_table

    table = make_table(
        *("reward", *(f">{name}" for name in comparison.labels)),
        *(">difference", ">where they part", ">summed"),
    )
    for row in terms(comparison):
        at = "" if row.at_frame is None else f"{row.at_frame:+.4f}"
        figures = (f"{x:.4f}" for x in (row.first, row.second, row.apart))
        table.add_row(row.name, *figures, at, f"{row.total:+.3f}")
    return table
