"""``sandbot eval``: how good, how sure, does it transfer?"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.errors import UsageError
from sandbot.options import (
    Batched,
    Executed,
    Flag,
    Integer,
    MaybeNumber,
    MaybePath,
    Names,
    Networked,
    Seeded,
    TaskOrEnv,
    parse,
)

if TYPE_CHECKING:
    from rich.console import Console

    from evaluation.compare import Gap
    from evaluation.results import Row


@dataclass(frozen=True, kw_only=True)
class Options(Seeded, Batched, TaskOrEnv, Networked, Executed):
    """Run policies in engines under randomisations, on the same episodes, and judge.

    Prints success rates with n and 95% Wilson intervals, and the gap between engines
    with McNemar's exact test; for an environment that reports no success, the mean
    return with its 95% interval (Student's t). With --report also results.json and a
    page with curves and videos.
    """

    policy: Names = ("expert",)
    """Names or checkpoint folders, one or more."""
    engine: Names | None = None
    """Physics engines, one or more; mujoco by default. An environment of Gymnasium
    brings its own."""
    randomize: Names = ("none",)
    """What varies between episodes: none, train, gap; one or more."""
    episodes: Integer = 200
    """Of each policy in each engine under each randomisation."""
    report: MaybePath = None
    """Folder for results.json and index.html."""
    min_success: MaybeNumber = None
    """Exit with code 1 if the lowest success rate is under this, 0 to 1."""
    no_videos: Flag = False
    """Leave the videos out of the report."""
    diverge: Flag = False
    """With two engines and --report: also a page of where the first two part under the
    first policy's actions, and why, as sandbot diverge makes it."""


def run(arguments: Sequence[str]) -> int:
    """Parse, evaluate, print, and write the report."""
    options = parse(Options, "eval", arguments)
    if options.min_success is not None and not 0 <= options.min_success <= 1:
        raise UsageError(
            f"--min-success is a fraction from 0 to 1, got {options.min_success:g}"
        )
    engines = options.engine or ()
    if options.diverge and (len(engines) < 2 or options.report is None):
        raise UsageError(
            "--diverge makes a page of --report about two engines: give both, such as "
            "--engine mujoco bullet --report out/"
        )
    from evaluation.cards import update_cards
    from evaluation.compare import gaps
    from evaluation.files import writable_folder
    from evaluation.report import write_report
    from evaluation.results import rows

    if options.report is not None:
        writable_folder(options.report)
    command = shlex.join(["sandbot", "eval", *arguments])
    results = _evaluate(options)
    table = rows(results, command)
    _print(table, gaps(results))
    update_cards(table)
    if options.report is not None:
        page = _diverge(options, command) if options.diverge else None
        written = write_report(
            options.report,
            results,
            command,
            videos=not options.no_videos,
            divergence=page,
        )
        if written.warning:
            print(written.warning)
        print(f"report: {written.page}\nfigures: {written.results}")
    return _verdict(table, options.min_success)


def _evaluate(options: Options) -> list:
    """All combinations, under one progress bar."""
    from tqdm import tqdm

    from evaluation.rollout import evaluate

    engines = 1 if options.engine is None else len(options.engine)
    combinations = len(options.policy) * engines * len(options.randomize)
    with tqdm(unit="step", unit_scale=True, disable=None, leave=False) as bar:

        def start(policy: str, engine: str, profile: str, steps: int) -> None:
            bar.total = steps * combinations
            bar.set_description(f"{policy}, {engine}, {profile}")

        return evaluate(
            options.find_task().name,
            options.policy,
            engines=options.engine,
            randomize=options.randomize,
            episodes=options.episodes,
            seed=options.seed,
            num_envs=options.num_envs,
            device=options.device,
            execution=options.execution(),
            on_start=start,
            progress=bar.update,
        )


def _diverge(options: Options, command: str) -> str:
    """Write the page of where the first two engines part; its name."""
    from tqdm import tqdm

    from evaluation.divergence import EPISODES, diverge
    from evaluation.divergence_page import write_comparison

    assert options.engine is not None and options.report is not None
    with tqdm(unit="step", unit_scale=True, disable=None, leave=False) as bar:
        comparison = diverge(
            options.find_task().name,
            options.policy[0],
            options.engine[:2],
            randomize=options.randomize[0],
            episodes=min(options.episodes, EPISODES),
            seed=options.seed,
            num_envs=options.num_envs,
            device=options.device,
            execution=options.execution(),
            progress=bar.update,
        )
    return write_comparison(options.report, comparison, command)[0].name


def _print(table: "Sequence[Row]", pairs: "Sequence[Gap]") -> None:
    """The rows and the gaps as tables."""
    from evaluation.report import p_text
    from evaluation.results import return_interval_text
    from sandbot.tables import make_console, make_table

    console = make_console()
    measured = [row for row in table if row["success_rate"] is not None]
    others = [row for row in table if row["success_rate"] is None]
    columns = ("policy", "randomize", "engine")
    if measured:
        published = any("benchmark_success_rate" in row for row in measured)
        titles = (">benchmark's", ">95% interval") if published else ()
        success = make_table(*columns, ">success", ">95% interval", *titles, ">n")
        for row in measured:
            both = ("", "benchmark_") if published else ("",)
            rates = [text for prefix in both for text in _rate(row, prefix)]
            success.add_row(*(row[column] for column in columns), *rates, str(row["n"]))
        console.print(success)
        _print_outcomes(console, measured)
    if others:
        returns = make_table(*columns, ">mean return", ">95% interval", ">n")
        for row in others:
            returns.add_row(
                *(row[column] for column in columns),
                f"{row['mean_return']:.1f}",
                return_interval_text(row),
                str(row["n"]),
            )
        console.print(returns)
        console.print(f"{others[0]['task']} reports no success: its return is shown.")
    if not pairs:
        return
    gap = make_table("policy", "randomize", "engines", ">difference", ">p (McNemar)")
    for pair in pairs:
        gap.add_row(
            pair.policy,
            pair.randomize,
            f"{pair.first} -> {pair.second}",
            f"{100 * pair.difference:+.1f} points",
            p_text(pair.p_value),
        )
    console.print(gap)


def _rate(row: "Row", prefix: str) -> tuple[str, str]:
    """A rate and its interval, as people write them."""
    low, high = row[f"{prefix}ci_low"], row[f"{prefix}ci_high"]
    return f"{row[f'{prefix}success_rate']:.1%}", f"{low:.1%} - {high:.1%}"


def _print_outcomes(console: "Console", table: "Sequence[Row]") -> None:
    """How far the episodes came, and what share of the actions was clipped."""
    from sandbot.tables import make_table

    names = list(dict.fromkeys(name for row in table for name in row["outcomes"]))
    if not names:
        return
    columns = ("policy", "randomize", "engine")
    titles = (f">{name.replace('_', ' ')}" for name in names)
    stages = make_table(*columns, *titles, ">clipped actions")
    for row in table:
        rates = [f"{row['outcomes'][name]['success_rate']:.1%}" for name in names]
        stages.add_row(*(row[c] for c in columns), *rates, f"{row['clipped']:.2%}")
    console.print(stages)


def _verdict(table: "Sequence[Row]", least: float | None) -> int:
    """1 if the lowest row is under what was asked for."""
    if least is None:
        return 0
    if any(row["success_rate"] is None for row in table):
        raise UsageError(
            f"--min-success {least:g} has nothing to be held against: "
            f"{table[0]['task']} reports no success; leave it out, and read the "
            f"mean return"
        )
    lowest = min(table, key=lambda row: row["success_rate"])
    if lowest["success_rate"] >= least:
        return 0
    from sandbot.main import complain

    complain(
        f"{lowest['policy']} succeeds in {lowest['success_rate']:.1%} "
        f"({lowest['engine']}, {lowest['randomize']}), under --min-success {least:g}"
    )
    return 1
