"""What other packages add, through entry points: robots, tasks, policies.

A package names a function under a group in its ``pyproject.toml``, such as

    [project.entry-points."sandbot.tasks"]
    cart-pole-balance = "example_robot.balance:CartPoleBalance"

and it is imported when it is first called. So a package that is broken breaks its own
names and no other: whoever asks for one of them gets one line that says whose it is
and why, and lists leave it out with that line. A name that is taken stays with whoever
had it first, ours before all. See ``docs/adding-a-robot.md``.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from assets.errors import SandbotError

GUIDE = "docs/adding-a-robot.md"


@dataclass(frozen=True)
class Plugin:
    """A factory of another package, imported when it is called."""

    kind: str
    """What it makes: "robot", "task" or "policy"."""
    entry: EntryPoint
    check: Callable[[Any, str], str | None]
    """(what it made, its name) -> what is wrong with it, as the end of a sentence."""

    @property
    def title(self) -> str:
        """Which one of which package it is."""
        return f"the {self.kind} {self.entry.name!r} of the package {self.package!r}"

    @property
    def package(self) -> str:
        """The package that brings it."""
        return self.entry.dist.name if self.entry.dist else self.entry.module

    def __call__(self) -> Any:
        """A fresh one.

        Raises:
            SandbotError: it cannot be imported or made, or is not what it should be.
        """
        try:
            made = self.entry.load()()
        except Exception as error:  # whatever another's code may raise
            said = " ".join(str(error).split())
            raise SandbotError(
                f"{self.title} cannot be loaded: {type(error).__name__}: {said}; mend "
                f"{self.entry.value!r} there, or uninstall the package"
            ) from error
        wrong = self.check(made, self.entry.name)
        if wrong:
            raise SandbotError(f"{self.title} {wrong}; see {GUIDE}")
        return made


def find_plugins(
    group: str,
    kind: str,
    taken: Collection[str],
    check: Callable[[Any, str], str | None],
) -> dict[str, Plugin]:
    """Other packages' factories, by name; one whose name is taken is told and left out.

    Args:
        group: of entry points, such as "sandbot.tasks".
        kind: what they make, in messages.
        taken: names that exist already.
        check: see :class:`Plugin`.
    """
    found: dict[str, Plugin] = {}
    for entry in entry_points(group=group):
        plugin = Plugin(kind, entry, check)
        if entry.name in taken or entry.name in found:
            other = found.get(entry.name)
            owner = f"the package {other.package!r}" if other else "sandbot"
            tell(
                f"{plugin.title} is left out, since {owner} has a {kind} of that name: "
                f"give it another one under [project.entry-points.{group!r}]"
            )
        else:
            found[entry.name] = plugin
    return found


def working(factories: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """A fresh one of each; those that another package has broken are told, left out."""
    made = {}
    for name, factory in factories.items():
        try:
            made[name] = factory()
        except SandbotError as error:
            if not isinstance(factory, Plugin):
                raise
            tell(str(error))
    return made


def lacking(made: object, protocol: type) -> list[str]:
    """Names of a protocol that an object lacks; nothing is called or computed."""
    methods = [n for n, v in vars(protocol).items() if callable(v) and n[0] != "_"]
    return sorted({*protocol.__annotations__, *methods} - set(dir(made)))


@cache
def tell(line: str) -> None:
    """Tell a person once; without logging set up it is a line on standard error."""
    import logging  # not before there is something to tell: `sandbot --help` is quick

    logging.getLogger(__name__).warning(line)
