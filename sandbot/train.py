"""``sandbot train``: learn a policy. The algorithm comes first."""

from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from assets.errors import UsageError, unknown
from policies.learners import (
    INTERACTIVE,
    LEARNERS,
    find_interactive,
    find_learner,
)
from policies.rl.algorithms import ALGORITHMS
from sandbot.options import Asking, Imitated, Trying, Watching, parse

if TYPE_CHECKING:
    from ml.training import TrainingResult


ALL = LEARNERS | INTERACTIVE | ALGORITHMS
KINDS = {
    "from demonstrations, --data": LEARNERS,
    "by acting beside an expert, or looking for the reward": INTERACTIVE,
    "by trial and error, from a task's reward": ALGORITHMS,
}
"""What each of them learns from."""


def run(arguments: Sequence[str]) -> int:
    """Run the algorithm that the first argument names."""
    if not arguments:
        raise UsageError(
            f"sandbot train wants an algorithm: {', '.join(ALL)}. "
            "sandbot train bc --help lists its options."
        )
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help"):
        print("usage: sandbot train ALGORITHM [OPTIONS]\n")
        for what, kinds in KINDS.items():
            print(f"{what}:")
            for algorithm, (_, description) in kinds.items():
                print(f"  {algorithm:11}{description}")
            print()
        print("sandbot train ALGORITHM --help explains its options.")
        return 0
    if name in INTERACTIVE:
        return _interact(name, rest)
    if name in ALGORITHMS:
        return _try(name, rest)
    if name not in LEARNERS:
        raise unknown("algorithm", name, ALL)
    return _imitate(name, rest)


def _imitate(name: str, arguments: Sequence[str]) -> int:
    """Learn from demonstrations, by one of the algorithms."""
    from policies.imitation import train

    kind = _options(find_learner(name).config, Imitated, LEARNERS[name][1])
    options: Any = parse(kind, f"train {name}", arguments, flat=True)
    if options.task and options.env:
        raise UsageError("give --task or --env, not both")
    task = options.task or options.env
    result = train(
        options.config,
        data=Path(options.data),
        task=task,
        out=Path(options.out),
        resume=options.resume,
        overwrite=options.overwrite,
    )
    _say(options.out, task, result)
    return 0


def _interact(name: str, arguments: Sequence[str]) -> int:
    """Learn by acting and asking, or by looking for the reward."""
    trainer = find_interactive(name)
    base = Watching if trainer.watches else Asking
    kind = _options(trainer.config, base, INTERACTIVE[name][1])
    options: Any = parse(kind, f"train {name}", arguments, flat=True)
    given = {f.name: getattr(options, f.name) for f in fields(base)}
    paths = {k: Path(given[k]) for k in ("data", "out") if k in given}
    result = trainer.train(options.config, **given | paths)
    print(f"{options.out}: {result.line}")
    task = given.get("task") or "TASK"
    print(f"how good it is: sandbot eval {task} --policy {options.out}")
    return 0


def _try(name: str, arguments: Sequence[str]) -> int:
    """Learn by trial and error."""
    from policies.rl.recipes import configure
    from policies.rl.training import train
    from sims.registry import make_gym_task

    task = _peek(arguments, "--task") or _peek(arguments, "--env")
    gpu = _peek(arguments, "--engine") == "warp" and _has_gpu()
    config = configure(name, task, gpu=gpu)
    kind = _options(type(config), Trying, ALGORITHMS[name][1], config)
    options: Any = parse(kind, f"train {name}", arguments, flat=True)
    if bool(options.task) == bool(options.env):
        given = "both were" if options.task else "neither was"
        raise UsageError(f"give --task, or --env with a Gymnasium id; {given} given")
    task = options.task or options.env
    if options.env:
        make_gym_task(options.env)  # refuses what is no Gymnasium id
    result = train(
        name,
        options.config,
        task=task,
        out=Path(options.out),
        engine=options.engine,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    print(f"{options.out}: {result.line}")
    where = f"--env {task}" if options.env else task
    print(f"how good it is: sandbot eval {where} --policy {options.out}")
    return 0


def _peek(arguments: Sequence[str], option: str) -> str:
    """An option's value, before all of them are read: others' defaults hang on it."""
    for index, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else "".join(arguments[index + 1 : index + 2])
    return ""


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _options(config: type, base: type, line: str, default: Any = None) -> type:
    """The options that all of a kind have, and the algorithm's own.

    Args:
        config: the algorithm's configuration.
        base: what all of its kind are told.
        line: what it is.
        default: a configuration; None: the type's own defaults.
    """
    made_by = config if default is None else lambda: default
    made = make_dataclass(
        "Options",
        [
            (
                "config",
                Annotated[config, tyro.conf.arg(name="")],
                field(default_factory=made_by),
            )
        ],
        bases=(base,),
        frozen=True,
        kw_only=True,
    )
    made.__doc__ = f"{line[0].upper()}{line[1:]}.\n\n{base.__doc__}"
    return made


def _say(out: str, task: str | None, result: "TrainingResult") -> None:
    found = ""
    if "success" in result.figures:
        found = f", success {result.figures['success']:.0%} on the way"
    print(
        f"{out}: {result.steps} steps in {result.seconds:.0f} s, validation loss "
        f"{result.validation_loss:.2e} at step {result.best_step}{found}"
    )
    if task:
        print(f"how good it is: sandbot eval {task} --policy {out}")
