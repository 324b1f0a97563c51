"""``sandbot COMMAND ...``: finds the command, and turns errors into one line.

Nothing heavy is imported before the command is known, so that ``sandbot --help`` is
there at once. Exit codes: 0 done, 1 could not be done, 2 wrong call, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from assets.errors import SandbotError, UsageError, unknown

COMMANDS = {
    "list": "robots, tasks, engines, controllers and policies, each with one line",
    "play": "watch a policy: sandbot play arm-reach",
    "teleop": "operate by hand, recorded: sandbot teleop aloha-transfer-cube",
    "collect": "record demonstrations: sandbot collect arm-reach --out data/arm",
    "data": "show, check, merge, split or replay a dataset: sandbot data show data/arm",
    "train": "learn a policy: sandbot train bc --data data/arm --task arm-reach",
    "eval": "judge policies in engines: sandbot eval arm-reach --policy runs/bc",
    "diverge": "same actions, two engines: where they part: sandbot diverge arm-press",
    "doctor": "what this machine has, and what to install",
}
"""By name; the module of the same name has ``run(arguments) -> exit code``."""

EPILOG = "sandbot COMMAND --help explains a command's options."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: what follows the program's name; None: of this process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.get("RANK", "0") != "0":  # of torchrun's processes the first talks
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(error, 2)
    except SandbotError as error:
        return _fail(error, 1)
    except KeyboardInterrupt as stop:
        print(file=sys.stderr)
        if str(stop):  # how to go on
            complain(stop)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    if not arguments:
        print(_help(), file=sys.stderr)
        return 2
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(f"sandbot {version('sandbot')}")
        return 0
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    return import_module(f"sandbot.{name}").run(rest)


def _help() -> str:
    lines = ["usage: sandbot COMMAND [OPTIONS]", ""]
    lines += ["One robot, one task, one policy, several physics engines.", ""]
    lines += [f"  {name:9}{text}" for name, text in COMMANDS.items()]
    return "\n".join([*lines, "", EPILOG])


def complain(message: object) -> None:
    """Print a message on standard error, in one line."""
    print(f"sandbot: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(error: SandbotError, code: int) -> int:
    complain(error)
    return code


if __name__ == "__main__":
    sys.exit(main())
