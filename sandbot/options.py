"""Options of the commands: each is declared once, so that it means the same everywhere.

A command's options are a frozen dataclass that inherits what it takes from here;
:func:`parse` is tyro over it, with its errors turned into our one line.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from assets.errors import UsageError

Options = TypeVar("Options")


def _integer(words: list[str]) -> int:
    try:
        return int(words[0])
    except ValueError:
        raise ValueError(
            f"wants an integer, such as 0 or 42, got {words[0]!r}"
        ) from None


def _number(words: list[str]) -> float:
    try:
        return float(words[0])
    except ValueError:
        raise ValueError(
            f"wants a number, such as 1 or 0.5, got {words[0]!r}"
        ) from None


def _image_size(words: list[str]) -> tuple[int, int]:
    width, cross, height = words[0].lower().partition("x")
    if cross and width.isdecimal() and height.isdecimal() and int(width) * int(height):
        return int(width), int(height)
    raise ValueError(
        f"wants width x height in pixels, such as 320x240, got {words[0]!r}"
    )


def _spec(metavar: str, convert: Any) -> PrimitiveConstructorSpec:
    """How tyro reads one word into a number, and writes a default."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=convert,
        is_instance=lambda value: value is None or isinstance(value, int | float | str),
        str_from_instance=lambda value: ["-" if value is None else str(value)],
    )


ImageSize = Annotated[
    tuple[int, int],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="WIDTHxHEIGHT",
        instance_from_str=_image_size,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [f"{value[0]}x{value[1]}"],
    ),
]
Integer = Annotated[int, _spec("INT", _integer)]
MaybeInteger = Annotated[int | None, _spec("INT", _integer)]
Number = Annotated[float, _spec("NUMBER", _number)]
MaybeNumber = Annotated[float | None, _spec("NUMBER", _number)]
_PLAIN = {int: _spec("INT", _integer), float: _spec("NUMBER", _number)}
Name = Annotated[str, tyro.conf.arg(metavar="NAME")]
Names = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")]
PathName = Annotated[str, tyro.conf.arg(metavar="PATH")]
MaybePath = Annotated[str | None, _spec("PATH", lambda words: words[0])]
MaybeName = Annotated[str | None, _spec("NAME", lambda words: words[0])]
Flag = tyro.conf.FlagCreatePairsOff[bool]
TaskName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
TaskOption = Annotated[str, tyro.conf.arg(metavar="TASK")]


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """What a run can be repeated by."""

    seed: Integer = 0
    """Of everything that is drawn; the same seed gives the same run."""


@dataclass(frozen=True, kw_only=True)
class OneWorld(Seeded):
    """One engine and one randomisation."""

    engine: MaybeName = None
    """Physics engine, mujoco by default; `sandbot list` shows them. An environment of
    Gymnasium brings its own."""
    randomize: Name = "none"
    """What varies between episodes: none, train or gap."""


@dataclass(frozen=True, kw_only=True)
class TaskOrEnv:
    """What is to be done."""

    task: TaskName = ""
    """`sandbot list` shows them."""
    env: MaybeName = None
    """A Gymnasium id in place of a task: Reacher-v5, module:Name-v0, or one of ours,
    such as sandbot/ArmReach-v0. Its actions must be continuous."""

    def find_task(self) -> Any:
        """The task that was asked for, fresh.

        Raises:
            UsageError: none, two, or an unknown one.
        """
        from sims import TASKS, make_task
        from sims.registry import make_gym_task

        if bool(self.task) == bool(self.env):
            given = "both were" if self.task else "neither was"
            raise UsageError(
                f"give a task or --env with a Gymnasium id; {given} given. "
                f"Tasks: {', '.join(sorted(TASKS))}."
            )
        if not self.env:
            return make_task(self.task)
        return make_gym_task(self.env)


@dataclass(frozen=True, kw_only=True)
class Networked:
    """Where networks run."""

    device: Name = "cpu"
    """Of networks: cpu, cuda, cuda:<index>, or auto: a GPU where there is one."""


@dataclass(frozen=True, kw_only=True)
class Imitated:
    """The folder of the run becomes the checkpoint; metrics.jsonl and TensorBoard's
    files are in it. Training may be interrupted at any moment: the same command with
    --resume goes on to the same weights, to the bit.
    """

    data: PathName
    """Folder of a dataset: of sandbot collect, or any in the LeRobot v3 layout."""
    task: MaybeName = None
    """That the dataset must be of; by default the one that it names itself. A dataset
    that names none is learned from all the same."""
    env: MaybeName = None
    """A Gymnasium id in a task's place."""
    out: PathName
    """Folder of the run."""
    resume: Flag = False
    """Go on with the training in --out."""
    overwrite: Flag = False
    """Let a training in --out make way."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """The folder of the run becomes the checkpoint; the labels, a LeRobot dataset, and
    each round's training are in it. It may be interrupted at any moment: the same
    command with --resume goes on to the same weights, to the bit.
    """

    task: TaskOption
    """In whose environment the learner acts."""
    expert: Name = "expert"
    """Policy that labels, a function of the observation; by default the task's own."""
    out: PathName
    """Folder of the run."""
    resume: Flag = False
    """Go on with the run in --out."""
    overwrite: Flag = False
    """Let a run in --out make way."""


@dataclass(frozen=True, kw_only=True)
class Trying:
    """The folder of the run becomes the checkpoint, with the policy that did best in
    evaluations on the way; metrics.jsonl and TensorBoard's files are in it. Training
    may be interrupted at any moment: the same command with --resume goes on, on the CPU
    to the same bits. It ends at --steps, --minutes or --stop-at, whichever comes first.

    Some tasks have settings of their own: give --task (and --engine) before --help, and
    the defaults shown are those.
    """

    task: MaybeName = None
    """What is to be learned; `sandbot list` shows them."""
    env: MaybeName = None
    """A Gymnasium id in a task's place."""
    engine: MaybeName = None
    """Physics engine: mujoco by default, bullet, or warp for thousands of worlds on a
    GPU."""
    out: PathName
    """Folder of the run."""
    resume: Flag = False
    """Go on with the training in --out; one that has ended, with more --steps or
    --minutes."""
    overwrite: Flag = False
    """Let a training in --out make way."""


@dataclass(frozen=True, kw_only=True)
class Watching:
    """The folder of the run becomes the checkpoint. No reward of the task is read."""

    data: PathName
    """Folder of the expert's demonstrations, of sandbot collect."""
    out: PathName
    """Folder of the run."""
    overwrite: Flag = False
    """Let a run in --out make way."""


@dataclass(frozen=True, kw_only=True)
class Executed:
    """How a network's chunks of actions are executed."""

    execute: MaybeInteger = None
    """Actions of a predicted chunk that are executed before the network looks again; by
    default as its checkpoint says, here and below."""
    ensemble: MaybeNumber = None
    """Temporal ensembling: it looks at every step, and all predictions for a moment are
    averaged, the i-th oldest with weight exp(-this i). Below 0: none."""
    sampling_steps: MaybeInteger = None
    """Steps from noise to actions, of a diffusion or flow policy."""
    delay: Integer = 0
    """Control steps from a look until its chunk is there."""
    real_time: Flag = False
    """Make each new chunk continue the actions that are executed meanwhile (real-time
    chunking), with a diffusion or flow policy."""

    def execution(self) -> Any:
        """These choices for :func:`policies.make_policy`; None: none were made."""
        from policies.execution import Execution

        chosen = Execution(
            execute=self.execute,
            ensemble=self.ensemble,
            sampling_steps=self.sampling_steps,
            delay=self.delay,
            real_time=self.real_time,
        )
        return None if chosen == Execution() else chosen


@dataclass(frozen=True, kw_only=True)
class Batched:
    """How work is spread."""

    num_envs: MaybeInteger = None
    """Environments side by side; results do not depend on it."""


def parse(
    kind: type[Options], command: str, arguments: Sequence[str], *, flat: bool = False
) -> Options:
    """Read a command's options.

    Args:
        kind: a dataclass.
        command: its name, for the help text.
        arguments: what follows the name.
        flat: whether fields of dataclasses within it are options of their own name.

    Raises:
        UsageError: they cannot be read.
        SystemExit: after ``--help``.
    """
    from contextlib import nullcontext

    try:
        from tyro._errors import on_parse_error
    except ImportError:  # private to tyro: without it, its own message in a box
        guard = nullcontext()
    else:
        guard = on_parse_error(lambda event: _refuse(event, kind, command))
    with guard:
        return tyro.cli(
            kind,
            prog=f"sandbot {command}",
            args=list(arguments),
            config=(tyro.conf.OmitArgPrefixes,) if flat else (),
            registry=_registry(),
        )


def _registry() -> tyro.constructors.ConstructorRegistry:
    """Numbers of the rooms' own dataclasses are read as ours are."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def _(info: tyro.constructors.PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
        return _PLAIN.get(info.type)  # pyright: ignore[reportArgumentType]

    return registry


def _refuse(event: Any, kind: Any, command: str) -> None:
    """Raise our error for one of tyro's."""
    way_out = f"sandbot {command} --help lists the options."
    tokens = getattr(event, "tokens", None) or getattr(
        event, "unrecognized_tokens", None
    )
    if tokens:
        given = tokens[0].split("=")[0].split()[0]
        close = difflib.get_close_matches(given, list(_names(kind)), n=1, cutoff=0.6)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(f"unknown option {' '.join(tokens)!r}.{hint} {way_out}")
    if missing := getattr(event, "missing_arguments", None):
        names = ", ".join(_display(one.arg) for one in missing)
        raise UsageError(f"sandbot {command} wants {names}. {way_out}")
    argument = getattr(event, "argument", None)
    name = "" if argument is None else f"{_display(argument)} "
    text = getattr(event, "message", None)
    if text is None:
        value = getattr(event, "offending_value", None) or getattr(event, "value", None)
        text = "wants a value" if value is None else f"cannot be {value!r}"
        if choices := getattr(event, "choices", None):
            text += f", only {' or '.join(choices)}"
    raise UsageError(f"{name}{text}. {way_out}")


def _names(kind: Any) -> Iterator[str]:
    """All options as they are typed, those of dataclasses within, too."""
    for one in fields(kind):
        inner = getattr(one.type, "__origin__", one.type)  # of what is annotated
        if is_dataclass(inner):
            yield from _names(inner)
        else:
            yield f"--{one.name.replace('_', '-')}"


def _display(argument: Any) -> str:
    """An option as it is typed."""
    flags = getattr(argument.lowered, "name_or_flags", None)
    if argument.is_positional() or not flags:
        return str(argument.lowered.metavar)
    return str(flags[-1])
