"""``sandbot train``: learn a policy. The algorithm comes first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from assets.errors import UsageError, unknown
from sandbot.options import Flag, PathName, TaskOption, parse

if TYPE_CHECKING:
    from ml.training import TrainingResult


def run(arguments: Sequence[str]) -> int:
    """Run the algorithm that the first argument names."""
    if not arguments:
        raise UsageError(
            f"sandbot train wants an algorithm: {', '.join(ALGORITHMS)}. "
            "sandbot train bc --help lists its options."
        )
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help"):
        print("usage: sandbot train ALGORITHM [OPTIONS]\n")
        for algorithm, (description, _) in ALGORITHMS.items():
            print(f"  {algorithm:9}{description}")
        print("\nsandbot train ALGORITHM --help explains its options.")
        return 0
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name][1](rest)


def _bc(arguments: Sequence[str]) -> int:
    """Behaviour cloning."""
    from policies.bc import BCConfig, train

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Clone demonstrations: a network learns the demonstrator's actions.

        The folder of the run becomes the checkpoint; metrics.jsonl and TensorBoard's
        files are in it. Training may be interrupted at any moment: the same command
        with --resume goes on to the same weights, to the bit.
        """

        data: PathName
        """Folder of a dataset that sandbot collect wrote."""
        task: TaskOption
        """The dataset must be of it."""
        out: PathName
        """Folder of the run."""
        resume: Flag = False
        """Go on with the training in --out."""
        overwrite: Flag = False
        """Let a training in --out make way."""
        config: Annotated[BCConfig, tyro.conf.arg(name="")] = field(
            default_factory=BCConfig
        )
        """What is learned, and how."""

    options = parse(Options, "train bc", arguments, flat=True)
    result = train(
        data=Path(options.data),
        task=options.task,
        out=Path(options.out),
        config=options.config,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    _say(options.out, options.task, result)
    return 0


def _say(out: str, task: str, result: "TrainingResult") -> None:
    print(
        f"{out}: {result.steps} steps in {result.seconds:.0f} s, validation loss "
        f"{result.validation_loss:.2e} at step {result.best_step}\n"
        f"how good it is: sandbot eval {task} --policy {out}"
    )


ALGORITHMS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "bc": ("behaviour cloning of recorded demonstrations", _bc),
}
"""By name: one line, and what runs it."""
