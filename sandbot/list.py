"""``sandbot list``: what there is, each with one line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbot.options import parse

if TYPE_CHECKING:
    from assets.robots import Robot


@dataclass(frozen=True, kw_only=True)
class Options:
    """Robots, tasks, engines, controllers, policies and algorithms, one line each."""


def run(arguments: Sequence[str]) -> int:
    """Print a table for each kind."""
    parse(Options, "list", arguments)
    from rich.text import Text

    from sandbot.tables import make_console, make_table

    table = make_table("name", "description", header=False)
    first = True
    for title, lines in _sections():
        if not first:
            table.add_row("", "")
        first = False
        table.add_row(Text(title, style="bold"), "")
        for name, description in lines:
            table.add_row(f"  {name}", Text(description))
    make_console().print(table)
    return 0


def _robot(robot: "Robot") -> str:
    """Its description, and the cameras through which it sees."""
    if not robot.cameras:
        return robot.description
    return f"{robot.description} (cameras {', '.join(robot.cameras)})"


def _sections() -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """Titles, each with names and descriptions."""
    from assets import ROBOTS
    from assets.plugins import working
    from policies import POLICIES
    from policies.learners import INTERACTIVE, LEARNERS
    from policies.pretrained import all_pretrained
    from policies.rl.algorithms import ALGORITHMS
    from sims import ENGINES, TASKS
    from sims.gym_mujoco import GYM_TASKS

    robots, tasks = working(ROBOTS).values(), working(TASKS | GYM_TASKS).values()
    controllers = {n: e for n, e in POLICIES.items() if e.tasks is not None}
    others = {n: e for n, e in POLICIES.items() if e.tasks is None}
    yield "robots", [(r.name, _robot(r)) for r in robots]
    yield "tasks", [(t.name, f"{t.description} ({t.gym_id})") for t in tasks]
    yield "engines", [(name, e.description) for name, e in ENGINES.items()]
    yield (
        "controllers",
        [
            (name, f"{entry.description} ({', '.join(entry.tasks or ())})")
            for name, entry in controllers.items()
        ],
    )
    yield (
        "policies",
        [(name, entry.description) for name, entry in others.items()]
        + [
            ("FOLDER", "a checkpoint that sandbot train wrote"),
        ],
    )
    yield (
        "algorithms of sandbot train",
        [
            (name, description)
            for name, (_, description) in (LEARNERS | INTERACTIVE | ALGORITHMS).items()
        ],
    )
    trained = [
        (kind, f"{(LEARNERS | ALGORITHMS)[kind][1]} ({task})")
        for task, found in all_pretrained().items()
        for kind in found
    ]
    if trained:
        yield "trained policies that come along", trained
