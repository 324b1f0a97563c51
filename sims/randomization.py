"""Domain randomisation: frozen tables of what is drawn, from which range, and when.

A :class:`Randomization` is data. Field terms vary the physics, always relative to the
nominal model, so that nothing accumulates (:mod:`sims.field_randomizer`); sensor terms,
noise and delays vary what the policy sees and when it acts (:mod:`sims.sensing`); task
terms are numbers that a task asks for; pushes come at intervals. Every draw is keyed by
(term, environment, episode), and by a counter where it is repeated within an episode,
see :mod:`sims.draws`. ``docs/randomization.md`` lists the terms.

Tobin et al. 2017 (arXiv:1703.06907) for the idea, Peng et al. 2018 (arXiv:1710.06537)
for dynamics.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assets.errors import UsageError, unknown
from sims.terms import (
    FieldTerm,
    InertiaTerm,
    Push,
    SensorTerm,
    TaskTerm,
    check_range,
)

if TYPE_CHECKING:
    from sims.image_randomization import ImageTerm

Terms = tuple[FieldTerm | InertiaTerm, ...]


@dataclass(frozen=True, kw_only=True)
class Randomization:
    """All that varies between episodes, and within them. Empty: nothing does."""

    fields: Terms = ()
    observation_noise: float = 0.0
    """Standard deviation of the Gaussian noise on each sensed element [its unit]."""
    sensors: tuple[SensorTerm, ...] = ()
    """Noise and bias of some elements."""
    action_delay: tuple[int, int] = (0, 0)
    """Range of the control steps by which actions come late, drawn per episode."""
    observation_delay: tuple[int, int] = (0, 0)
    """Range of the control steps by which sensed elements are old, per episode."""
    push: Push | None = None
    task: tuple[TaskTerm, ...] = ()
    """Numbers of the task itself."""
    images: tuple["ImageTerm", ...] = ()
    """What varies in the pictures of cameras, see :mod:`sims.image_randomization`."""

    def __post_init__(self) -> None:
        if self.observation_noise < 0:
            raise UsageError(
                f"observation_noise is not negative, got {self.observation_noise:g}"
            )
        for name in ("action_delay", "observation_delay"):
            low, high = getattr(self, name)
            check_range(name, low, high)
            if low < 0:
                raise UsageError(f"{name} is not negative, got {low}")
        for kind in _TABLES:
            names = [term.name for term in getattr(self, kind)]
            for name in names:
                if names.count(name) > 1:
                    raise UsageError(
                        f"two of the {kind} terms are called {name!r} and would share "
                        f"their draws: give each a name= of its own"
                    )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that varies here, for :meth:`without`."""
        tables = [term.name for kind in _TABLES for term in getattr(self, kind)]
        nothing = Randomization()
        return (
            *tables,
            *(n for n in _SINGLE if getattr(self, n) != getattr(nothing, n)),
        )

    def without(self, name: str) -> "Randomization":
        """This randomisation with one of :attr:`names` left out.

        Raises:
            UsageError: there is none of that name.
        """
        if name not in self.names:
            raise unknown("term of this randomisation", name, self.names)
        if name in _SINGLE:
            return replace(self, **{name: getattr(Randomization(), name)})
        left = {
            kind: tuple(term for term in getattr(self, kind) if term.name != name)
            for kind in _TABLES
        }
        return replace(self, **left)

    def over(self, base: "Randomization") -> "Randomization":
        """This profile on top of a task's own variation; equal names replace."""
        both = {
            kind: _over(getattr(self, kind), getattr(base, kind)) for kind in _TABLES
        }
        return replace(self, **both)


_TABLES = ("fields", "sensors", "task", "images")
_SINGLE = ("observation_noise", "action_delay", "observation_delay", "push")


def _over(terms: tuple[Any, ...], base: tuple[Any, ...]) -> tuple[Any, ...]:
    """Terms on top of others; equal names replace."""
    names = {term.name for term in terms}
    return tuple(term for term in base if term.name not in names) + terms


def link_mass(low: float, high: float, *elements: str) -> FieldTerm:
    """Mass and inertia together, so that the inertia stays physical; a factor."""
    return FieldTerm(
        name="link_mass",
        parts=(("body_mass", None), ("body_inertia", None)),
        low=low,
        high=high,
        elements=elements,
    )


def centre_of_mass(x: float, y: float, z: float, *elements: str) -> InertiaTerm:
    """Where the centre of mass is; up to so far along each axis of the body [m]."""
    return InertiaTerm(name="centre_of_mass", shift=(x, y, z), elements=elements)


def inertia(low: float, high: float, shear: float, *elements: str) -> InertiaTerm:
    """How far a body's mass reaches along its principal axes, a factor, and how far
    these lean; mass and centre stay."""
    return InertiaTerm(
        name="inertia", stretch=(low, high), shear=shear, elements=elements
    )


def armature(low: float, high: float, *elements: str) -> FieldTerm:
    """Inertia of the motors, as seen from their joints; a factor."""
    return FieldTerm(
        name="armature",
        parts=(("dof_armature", None),),
        low=low,
        high=high,
        elements=elements,
    )


def joint_damping(low: float, high: float, *elements: str) -> FieldTerm:
    """Viscous friction of joints; a factor."""
    return FieldTerm(
        name="joint_damping",
        parts=(("dof_damping", None),),
        low=low,
        high=high,
        elements=elements,
    )


def joint_friction(low: float, high: float, *elements: str) -> FieldTerm:
    """Dry friction of joints; its size [N m | N]."""
    return FieldTerm(
        name="joint_friction",
        parts=(("dof_frictionloss", None),),
        low=low,
        high=high,
        operation="set",
        elements=elements,
    )


def friction(low: float, high: float, *elements: str) -> FieldTerm:
    """Coefficient of sliding friction of geoms, one draw for all."""
    return FieldTerm(
        name="friction",
        parts=(("geom_friction", 0),),
        low=low,
        high=high,
        operation="set",
        elements=elements,
        shared=True,
    )


def motor_strength(low: float, high: float, *elements: str) -> FieldTerm:
    """All that actuators give, and their limits with it: torque per unit of control of
    motors; gains and torque limit of servos, whose rest stays where it was; a factor.
    """
    return FieldTerm(
        name="motor_strength",
        parts=(
            ("actuator_gainprm", 0),
            ("actuator_biasprm", None),
            ("actuator_forcerange", None),
        ),
        low=low,
        high=high,
        elements=elements,
    )


def position_gain(low: float, high: float, *elements: str) -> FieldTerm:
    """Kp of position servos; a factor."""
    return FieldTerm(
        name="position_gain",
        parts=(("actuator_gainprm", 0), ("actuator_biasprm", 1)),
        low=low,
        high=high,
        elements=elements,
    )


def velocity_gain(low: float, high: float, *elements: str) -> FieldTerm:
    """Kd of position servos; a factor."""
    return FieldTerm(
        name="velocity_gain",
        parts=(("actuator_biasprm", 2),),
        low=low,
        high=high,
        elements=elements,
    )


def gravity(low: float, high: float) -> FieldTerm:
    """Strength of gravity; a factor."""
    return FieldTerm(
        name="gravity", parts=(("opt.gravity", None),), low=low, high=high, shared=True
    )


def encoder_bias(size: float, *elements: str) -> SensorTerm:
    """What is added to joint angles that are sensed; up to so much, either way
    [rad | m]."""
    return SensorTerm(name="encoder_bias", elements=elements, bias=(-size, size))


def sensor_noise(name: str, size: float, *elements: str) -> SensorTerm:
    """Noise of some sensed elements; its standard deviation, in their unit."""
    return SensorTerm(name=name, elements=elements, noise=size)


def roughness(low: float, high: float) -> TaskTerm:
    """Height of a terrain's bumps [m]."""
    return TaskTerm(name="roughness", low=low, high=high)
