"""What a table of randomisation is made of: a frozen term for each thing that varies.

Field terms and inertia terms vary the physics, sensor terms what is sensed, task terms
a number of the task; a push is a force. :mod:`sims.randomization` has the table, and
functions that make the usual terms.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from assets.errors import UsageError, unknown
from sims.engine import FIELDS

When = Literal["start", "reset", "interval", "step"]
"""Once per environment; at each reset; again and again within an episode; at each
control step."""
Operation = Literal["scale", "add", "set"]
Distribution = Literal["uniform", "log_uniform", "gaussian"]
"""Of a draw between two limits. "gaussian" has its mean between them, and each lies two
standard deviations away, where it is cut off."""


@dataclass(frozen=True, kw_only=True)
class FieldTerm:
    """One quantity of the physics."""

    name: str
    """Key of its draws; a term of a profile replaces the task's of the same name."""
    parts: tuple[tuple[str, int | None], ...]
    """Model fields that share the draw, each with a component of its rows, or None."""
    low: float
    high: float
    operation: Operation = "scale"
    """How the draw acts on the nominal value."""
    elements: tuple[str, ...] = ()
    """Names of the bodies, joints, geoms or actuators, or patterns such as "*_knee";
    empty: all of them."""
    distribution: Distribution = "uniform"
    shared: bool = False
    """Whether one draw serves all elements."""
    when: When = "reset"
    """When it is drawn."""
    interval: float = 0.0
    """From one draw to the next, where ``when`` is "interval" [s]; the first comes at a
    time that is drawn."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError(f"{self.name}: parts names at least one model field")
        for field, _ in self.parts:
            if field not in FIELDS:
                raise unknown(f"model field in the term {self.name!r}", field, FIELDS)
        check_range(self.name, self.low, self.high)
        _check_choice(self.name, "operation", self.operation, Operation)
        _check_choice(self.name, "distribution", self.distribution, Distribution)
        _check_when(self.name, self.when, self.interval)
        if self.distribution == "log_uniform" and self.low <= 0:
            raise UsageError(
                f"{self.name}: a log-uniform range lies above 0, got {self.low:g}"
            )
        if self.operation == "scale" and self.low < 0:
            raise UsageError(f"{self.name}: a scale is not negative, got {self.low:g}")


@dataclass(frozen=True, kw_only=True)
class InertiaTerm:
    """Mass, centre of mass and inertia of bodies, together and always physical.

    The body's mass is stretched, sheared and shifted as a whole, and scaled; see
    :mod:`sims.inertia` for the formulas.
    """

    name: str = "inertia"
    mass: tuple[float, float] = (1.0, 1.0)
    """Range of the factor of mass and inertia."""
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far the centre of mass moves at most, either way, along each of the body's
    axes [m]."""
    stretch: tuple[float, float] = (1.0, 1.0)
    """Range of the factor by which the body's mass reaches farther along each of its
    principal axes; drawn log-uniformly."""
    shear: float = 0.0
    """How far its principal axes lean at most, either way: tangents of angles."""
    elements: tuple[str, ...] = ()
    """Names or patterns of bodies, of which those count that move and have mass; empty:
    all of them."""
    when: When = "reset"
    interval: float = 0.0
    """As in :class:`FieldTerm`."""

    def __post_init__(self) -> None:
        for what in ("mass", "stretch"):
            low, high = getattr(self, what)
            check_range(f"{self.name}: {what}", low, high)
            if low <= 0:
                raise UsageError(
                    f"{self.name}: a factor of {what} lies above 0, got {low:g}"
                )
        if min(*self.shift, self.shear) < 0:
            raise UsageError(
                f"{self.name}: shift and shear are sizes, either way, and not "
                f"negative, got {self.shift} and {self.shear:g}"
            )
        _check_when(self.name, self.when, self.interval)


@dataclass(frozen=True, kw_only=True)
class SensorTerm:
    """What is wrong with some of the sensed elements of observations."""

    name: str
    """Key of its draws."""
    elements: tuple[str, ...]
    """Names of the elements, or patterns such as "*_angle"."""
    noise: float | None = None
    """Standard deviation of Gaussian noise at each control step, in the elements' unit;
    it replaces :attr:`Randomization.observation_noise` there. Of several terms the last
    counts. None: this term has nothing to say."""
    bias: tuple[float, float] = (0.0, 0.0)
    """Range of what is added to each element, in its unit."""
    when: Literal["start", "reset"] = "reset"
    """When the bias is drawn."""

    def __post_init__(self) -> None:
        check_range(self.name, *self.bias)
        if self.noise is not None and self.noise < 0:
            raise UsageError(f"{self.name}: noise is not negative, got {self.noise:g}")
        _check_choice(self.name, "when", self.when, Literal["start", "reset"])


@dataclass(frozen=True, kw_only=True)
class TaskTerm:
    """A number that a task asks for by name, see :meth:`sims.draws.Draws.within`."""

    name: str
    """One of the task's ``parameters``."""
    low: float
    high: float

    def __post_init__(self) -> None:
        check_range(self.name, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Push:
    """A horizontal force on a body, again and again."""

    body: str
    force: tuple[float, float] | None = None
    """Range of its size [N]."""
    impulse: tuple[float, float] | None = None
    """In place of the force: range of force times duration [N s]."""
    duration: float = 0.1
    """How long each lasts [s]."""
    interval: float = 1.0
    """From the start of one to the start of the next [s]; the phase is drawn."""
    axes: tuple[int, int] = (0, 2)
    """World axes of the plane in which its direction is drawn."""

    def __post_init__(self) -> None:
        given = [range_ for range_ in (self.force, self.impulse) if range_ is not None]
        if len(given) != 1:
            raise UsageError(
                f"a push has either a force or an impulse, got force={self.force} and "
                f"impulse={self.impulse}"
            )
        check_range("push", *given[0])


def check_range(name: str, low: float, high: float) -> None:
    if not low <= high:
        raise UsageError(
            f"{name}: a range runs from low to high, got {low:g} .. {high:g}"
        )


def _check_choice(name: str, what: str, given: str, allowed: Any) -> None:
    if given not in get_args(allowed):
        raise unknown(f"{what} of the term {name!r}", given, get_args(allowed))


def _check_when(name: str, when: str, interval: float) -> None:
    _check_choice(name, "when", when, When)
    if (when == "interval") != (interval > 0):
        raise UsageError(
            f"{name}: interval= is for when='interval', and above 0 s there; got "
            f"{interval:g} s with when={when!r}"
        )
