"""``sandbot data``: look at datasets, examine, merge, split and replay them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from assets.errors import UsageError, unknown
from sandbot.options import Flag, Integer, MaybeInteger, MaybePath, Number, parse

if TYPE_CHECKING:
    from ml.lerobot.check import Report
    from ml.lerobot.edit import Written

Dataset = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
Datasets = Annotated[
    tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATASET")
]
Paths = Annotated[tuple[str, ...], tyro.conf.arg(metavar="PATH")]
Numbers = tuple[Integer, ...]
Fractions = tuple[Number, ...]
Ranges = Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIRST:END")]


def run(arguments: Sequence[str]) -> int:
    """Find the sub-command and run it."""
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = ["usage: sandbot data COMMAND DATASET ... [OPTIONS]", ""]
        lines += [f"  {name:8}{text}" for name, (text, _) in COMMANDS.items()]
        lines += ["", "sandbot data COMMAND --help explains a command's options."]
        print("\n".join(lines))
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown("command of sandbot data", name, COMMANDS)
    return COMMANDS[name][1](rest)


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw episodes as curves and video, in one page that needs nothing else."""

    dataset: Dataset
    """Folder of a dataset."""
    episodes: Numbers = ()
    """Which to draw, such as: 0 1 5. The first six by default."""
    out: MaybePath = None
    """The page's file; <dataset>.html beside the dataset by default."""


def _show(arguments: Sequence[str]) -> int:
    options = parse(Show, "data show", arguments)
    from evaluation.dataset_page import write_page

    folder = Path(options.dataset)
    beside = folder.resolve().with_name(f"{folder.resolve().name}.html")
    page = write_page(folder, options.episodes, Path(options.out or beside))
    print(f"{page.path}: {len(page.episodes)} episodes drawn")
    for warning in page.warnings:
        print(f"no video: {warning}")
    return 0


@dataclass(frozen=True, kw_only=True)
class Check:
    """Look for what a training would swallow without a word; exit code 1 if found.

    Any dataset in the LeRobot v3 layout may be examined, a damaged one, too.
    """

    dataset: Dataset
    """Folder of a dataset."""
    videos: Flag = True
    """Decode the videos, which takes most of the time."""


def _check(arguments: Sequence[str]) -> int:
    options = parse(Check, "data check", arguments)
    from ml.lerobot.check import check

    report = check(Path(options.dataset), videos=options.videos)
    _print_report(report, options.videos)
    return 1 if report.findings else 0


def _print_report(report: "Report", videos: bool) -> None:
    from ml.lerobot.check import CHECKS
    from sandbot.tables import make_console, make_table

    table = make_table("check", "looks for", ">found")
    for name, text in CHECKS.items():
        found = report.count(name)
        table.add_row(name, text, str(found) if found else "-")
    make_console().print(table)
    for finding in report.findings:
        where = "" if finding.episode is None else f" episode {finding.episode}"
        where += "" if finding.frame is None else f" frame {finding.frame}"
        print(f"{finding.check}:{where and where + ':'} {finding.text}")
    looked = f"{report.episodes} episodes, {report.frames} frames"
    looked += f", {report.videos} videos decoded" if videos else ", videos not decoded"
    verdict = f"{len(report.findings)} found" if report.findings else "nothing found"
    print(f"{report.folder}: {looked}: {verdict}")


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Put the episodes of several datasets of the same features into a new one."""

    datasets: Datasets
    """Folders, two or more."""
    out: Annotated[str, tyro.conf.arg(metavar="PATH")]
    """Folder of the new dataset."""
    overwrite: Flag = False
    """Let a dataset in --out make way."""


def _merge(arguments: Sequence[str]) -> int:
    options = parse(Merge, "data merge", arguments)
    from ml.lerobot.edit import merge

    folders = [Path(folder) for folder in options.datasets]
    _say(merge(folders, Path(options.out), overwrite=options.overwrite))
    return 0


@dataclass(frozen=True, kw_only=True)
class Split:
    """Put episodes of a dataset into new ones: by share, by number or by success."""

    dataset: Dataset
    """Folder of a dataset."""
    out: Paths
    """Folders of the new ones, as many as there are parts."""
    parts: Fractions = ()
    """Fractions, such as: 0.8 0.2."""
    seed: MaybeInteger = None
    """Of who goes where with --parts; left out: in their order."""
    episodes: Ranges = ()
    """Ranges without their end, such as: 0:40 40:50."""
    by_success: Flag = False
    """Those that ended in success, and those that did not."""
    overwrite: Flag = False
    """Let datasets in --out make way."""


def _split(arguments: Sequence[str]) -> int:
    options = parse(Split, "data split", arguments)
    from ml.lerobot import edit, read_dataset

    if bool(options.parts) + bool(options.episodes) + options.by_success != 1:
        raise UsageError("give one of --parts, --episodes and --by-success")
    if options.seed is not None and not options.parts:
        raise UsageError("--seed draws who goes where with --parts, and with it alone")
    data = read_dataset(Path(options.dataset))
    if options.parts:
        count = len(data.episodes)
        parts = edit.by_fractions(count, options.parts, options.seed)
    elif options.episodes:
        parts = edit.by_ranges(options.episodes)
    else:
        parts = edit.by_success(data)
    outs = [Path(out) for out in options.out]
    for written in edit.split(data, parts, outs, overwrite=options.overwrite):
        _say(written)
    return 0


def _say(written: "Written") -> None:
    print(f"{written.folder}: {written.episodes} episodes, {written.frames} frames")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Execute the recorded actions again from their seeds, and compare the states.

    Exit code 1 if a bit differs. Datasets of sandbot collect note all it takes.
    """

    dataset: Dataset
    """Folder of a dataset."""
    episodes: Numbers = ()
    """Which; all by default."""
    num_envs: MaybeInteger = None
    """Environments side by side; the result does not depend on it."""


def _replay(arguments: Sequence[str]) -> int:
    options = parse(Replay, "data replay", arguments)
    from evaluation.replay import NUM_ENVS, other_versions, replay
    from ml.lerobot import read_dataset

    folder = Path(options.dataset)
    found = replay(folder, options.episodes, num_envs=options.num_envs or NUM_ENVS)
    for one in found:
        if not one.same:
            print(
                f"episode {one.episode} frame {one.frame}: {one.feature} differs, in "
                f"the episode by {one.error:.3g} at most"
            )
    same = sum(one.same for one in found)
    frames = sum(one.frames for one in found)
    print(
        f"{folder}: {same} of {len(found)} episodes are the same bits, {frames} frames"
    )
    if same < len(found) and (lines := other_versions(read_dataset(folder))):
        print(f"recorded with other versions: {'; '.join(lines)}")
    return 0 if same == len(found) else 1


COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "show": ("one page with episodes as curves and video", _show),
    "check": ("NaN, gaps, frozen frames, wrong rates, clipped actions ...", _check),
    "merge": ("several datasets into one", _merge),
    "split": ("one dataset into several", _split),
    "replay": ("recorded actions from their seeds give the same states?", _replay),
}
"""By name: one line, and what runs it."""
