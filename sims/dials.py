"""Numbers that a task tells its robot, and that a person may set while watching.

A task offers dials: a velocity command, a target, a set force. Each is an
element of the task's state, drawn at the reset or as time goes by. :class:`Holds` keeps
a person's value in place of the drawn one, in one environment, until it is released:
observation, reward and success then follow the held value, and the task need not know.

The drawn value is remembered. A task that draws anew while a dial is held changes what
is remembered, not what is told; so after a release the environment is told what it
would have been told anyway, and every other environment keeps its bits.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.errors import UsageError, unknown
from sims.arrays import Mask

if TYPE_CHECKING:
    from sims.task import TaskState


@dataclass(frozen=True, kw_only=True)
class Dial:
    """One number of a task's state that a person may set."""

    name: str
    """What it is, such as "forward"."""
    unit: str
    low: float
    """Least that a person may set, in ``unit``."""
    high: float
    """Most, likewise."""
    field: str
    """Of the state: an array (num_envs,) or (num_envs, n)."""
    column: int | None = None
    """Of an array (num_envs, n)."""

    def read(self, state: "TaskState", env: int) -> float:
        """The value in an environment."""
        return float(getattr(state, self.field)[self._place(env)])

    def write(self, state: "TaskState", env: int, value: float) -> None:
        """Set it there."""
        getattr(state, self.field)[self._place(env)] = value

    def _place(self, env: int) -> Any:
        return env if self.column is None else (env, self.column)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A dial as it stands in one environment."""

    dial: Dial
    value: float
    """What the robot is told."""
    drawn: float | None
    """What it would be told, where a person holds the dial; None: nobody does."""


class Holds:
    """The dials that a person holds; false where there are none."""

    def __init__(self, dials: tuple[Dial, ...], state: "TaskState") -> None:
        """Nothing is held.

        Args:
            dials: of the task.
            state: the environment's, live.
        """
        self._dials = {dial.name: dial for dial in dials}
        self._state = state
        self._held: dict[tuple[int, str], tuple[float, float]] = {}

    def __bool__(self) -> bool:
        """Whether any dial is held anywhere."""
        return bool(self._held)

    def settings(self, env: int) -> tuple[Setting, ...]:
        """Every dial as it stands in an environment."""
        return tuple(
            Setting(
                dial=dial,
                value=dial.read(self._state, env),
                drawn=self._held.get((env, name), (None, None))[1],
            )
            for name, dial in self._dials.items()
        )

    def hold(self, env: int, name: str, value: float) -> None:
        """Tell an environment this value from now on.

        Raises:
            UsageError: no such dial, or a value beyond its range.
        """
        dial = self._find(name)
        if not dial.low <= value <= dial.high:
            raise UsageError(
                f"{name} lies within {dial.low:g} and {dial.high:g} {dial.unit}, "
                f"got {value:g}"
            )
        now = dial.read(self._state, env)
        drawn = self._held[env, name][1] if (env, name) in self._held else now
        dial.write(self._state, env, value)
        # as the state rounds it, so that apply sees whether it was drawn anew
        self._held[env, name] = dial.read(self._state, env), drawn

    def release(self, env: int, name: str | None = None) -> None:
        """Tell an environment what is drawn again.

        Args:
            env: which.
            name: of the dial; None: all of them.

        Raises:
            UsageError: no such dial.
        """
        if name is not None:
            self._find(name)
        for key in [key for key in self._held if key[0] == env]:
            if name in (None, key[1]):
                self._dials[key[1]].write(self._state, env, self._held.pop(key)[1])

    def apply(self) -> None:
        """The task has advanced: put the held values back where it drew anew."""
        for (env, name), (value, _) in self._held.items():
            dial = self._dials[name]
            now = dial.read(self._state, env)
            if now != value:
                self._held[env, name] = value, now
                dial.write(self._state, env, value)

    def begin(self, where: Mask) -> None:
        """Episodes start in some environments, and what is held there stays so."""
        for (env, name), (value, _) in self._held.items():
            if bool(where[env]):
                dial = self._dials[name]
                self._held[env, name] = value, dial.read(self._state, env)
                dial.write(self._state, env, value)

    def undo(self, state: "TaskState") -> None:
        """Make a copy of the state what it would be with nothing held."""
        for (env, name), (_, drawn) in self._held.items():
            self._dials[name].write(state, env, drawn)

    def _find(self, name: str) -> Dial:
        if name not in self._dials:
            raise unknown("dial", name, self._dials)
        return self._dials[name]


def vector(
    field: str, names: tuple[str, ...], unit: str, low: float, high: float
) -> tuple[Dial, ...]:
    """A dial for each column of a field, all of one range."""
    return tuple(
        Dial(name=name, unit=unit, low=low, high=high, field=field, column=column)
        for column, name in enumerate(names)
    )
