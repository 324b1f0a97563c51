"""Domain randomisation: frozen tables of what is drawn, from which range, and when.

A :class:`Randomization` is data. Field terms vary the physics at each reset, always
relative to the nominal model, so that nothing accumulates; sensing terms vary what the
policy sees and when it acts; pushes come at intervals. Every draw is keyed by (term,
environment, episode), see :mod:`sims.draws`.

Tobin et al. 2017 (arXiv:1703.06907) for the idea, Peng et al. 2018 (arXiv:1710.06537)
for dynamics.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import Mask
from sims.draws import Draws
from sims.engine import FIELDS, default_field

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine
    from sims.image_randomization import ImageTerm

_OBJECTS = {
    "actuator": "actuator",
    "body": "body",
    "dof": "joint",
    "geom": "geom",
    "jnt": "joint",
}


@dataclass(frozen=True, kw_only=True)
class FieldTerm:
    """One quantity of the physics, drawn at each reset."""

    name: str
    """Key of its draws; a term of a profile replaces the task's of the same name."""
    parts: tuple[tuple[str, int | None], ...]
    """Model fields that share the draw, each with a component of its rows, or None."""
    low: float
    high: float
    operation: Literal["scale", "add", "set"] = "scale"
    """How the draw acts on the nominal value."""
    elements: tuple[str, ...] = ()
    """Names of the bodies, joints, geoms or actuators; empty: all of them."""
    distribution: Literal["uniform", "log_uniform"] = "uniform"
    shared: bool = False
    """Whether one draw serves all elements."""

    def __post_init__(self) -> None:
        for field, _ in self.parts:
            if field not in FIELDS:
                raise unknown(f"model field in the term {self.name!r}", field, FIELDS)
        _check_range(self.name, self.low, self.high)
        if self.distribution == "log_uniform" and self.low <= 0:
            raise UsageError(
                f"{self.name}: a log-uniform range lies above 0, got {self.low:g}"
            )
        if self.operation == "scale" and self.low < 0:
            raise UsageError(f"{self.name}: a scale is not negative, got {self.low:g}")


@dataclass(frozen=True, kw_only=True)
class Push:
    """A horizontal force on a body, again and again."""

    body: str
    force: tuple[float, float]
    """Range of its size [N]."""
    duration: float = 0.1
    """How long each lasts [s]."""
    interval: float = 1.0
    """From the start of one to the start of the next [s]; the phase is drawn."""
    axes: tuple[int, int] = (0, 2)
    """World axes of the plane in which its direction is drawn."""


@dataclass(frozen=True, kw_only=True)
class Randomization:
    """All that varies between episodes. Empty: nothing does."""

    fields: tuple[FieldTerm, ...] = ()
    observation_noise: float = 0.0
    """Standard deviation of the Gaussian noise on each sensed element [its unit]."""
    action_delay: tuple[int, int] = (0, 0)
    """Range of the control steps by which actions come late, drawn per episode."""
    observation_delay: tuple[int, int] = (0, 0)
    """Range of the control steps by which sensed elements are old, per episode."""
    push: Push | None = None
    images: tuple["ImageTerm", ...] = ()
    """What varies in the pictures of cameras, see :mod:`sims.image_randomization`."""

    def __post_init__(self) -> None:
        if self.observation_noise < 0:
            raise UsageError(
                f"observation_noise is not negative, got {self.observation_noise:g}"
            )
        for name in ("action_delay", "observation_delay"):
            low, high = getattr(self, name)
            _check_range(name, low, high)
            if low < 0:
                raise UsageError(f"{name} is not negative, got {low}")

    def over(self, base: "Randomization") -> "Randomization":
        """This profile on top of a task's own variation; equal names replace."""
        return replace(
            self,
            fields=_over(self.fields, base.fields),
            images=_over(self.images, base.images),
        )


def _over(terms: tuple[Any, ...], base: tuple[Any, ...]) -> tuple[Any, ...]:
    """Terms on top of others; equal names replace."""
    names = {term.name for term in terms}
    return tuple(term for term in base if term.name not in names) + terms


def _check_range(name: str, low: float, high: float) -> None:
    if not low <= high:
        raise UsageError(
            f"{name}: a range runs from low to high, got {low:g} .. {high:g}"
        )


def link_mass(low: float, high: float, *elements: str) -> FieldTerm:
    """Mass and inertia together, so that the inertia stays physical; a factor."""
    return FieldTerm(
        name="link_mass",
        parts=(("body_mass", None), ("body_inertia", None)),
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
    """Torque per unit of control of motors; a factor."""
    return FieldTerm(
        name="motor_strength",
        parts=(("actuator_gainprm", 0),),
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


class FieldRandomizer:
    """The field terms of a randomisation, bound to an engine's model."""

    def __init__(self, model: "mujoco.MjModel", terms: tuple[FieldTerm, ...]):
        """Resolve names to rows.

        Raises:
            UsageError: an element that the model does not have.
        """
        self._terms = terms
        self._plan: dict[str, list[tuple[FieldTerm, int | None]]] = {}
        self._rows = {
            (term.name, field): _rows(model, field, term.elements)
            for term in terms
            for field, _ in term.parts
        }
        for term in terms:
            for field, component in term.parts:
                self._plan.setdefault(field, []).append((term, component))

    def reset(self, engine: "Engine", where: Mask, draws: Draws) -> None:
        """Draw every term anew for some environments."""
        factors = {
            term.name: self._draw(term, draws, engine.num_envs) for term in self._terms
        }
        for field, entries in self._plan.items():
            default = default_field(engine.model, field).astype(float)
            values = np.repeat(default[None], engine.num_envs, axis=0)
            for term, component in entries:
                rows = self._rows[term.name, field]
                index = (slice(None), rows)
                if component is not None:
                    index += (component,)
                drawn = factors[term.name]
                target = values[index]
                drawn = drawn.reshape(drawn.shape + (1,) * (target.ndim - drawn.ndim))
                values[index] = _combine(term.operation, target, drawn)
            engine.set_field(field, values, where)

    def _draw(self, term: FieldTerm, draws: Draws, num_envs: int) -> np.ndarray:
        """(num_envs, number of elements or 1)."""
        field = term.parts[0][0]
        count = 1 if term.shared else len(self._rows[term.name, field])
        low, high = term.low, term.high
        if term.distribution == "log_uniform":
            return np.exp(draws.uniform(term.name, np.log(low), np.log(high), (count,)))
        return draws.uniform(term.name, low, high, (count,))


def _combine(operation: str, nominal: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    if operation == "scale":
        return nominal * drawn
    if operation == "add":
        return nominal + drawn
    return np.broadcast_to(drawn, nominal.shape)


def _rows(model: "mujoco.MjModel", field: str, elements: tuple[str, ...]) -> np.ndarray:
    """Rows of a field that belong to the named elements, or all of them."""
    size = len(default_field(model, field))
    if not elements:
        return np.arange(size)
    prefix = field.split("_")[0]
    if prefix not in _OBJECTS:
        raise UsageError(f"{field} has no named elements, got {', '.join(elements)}")
    kind = _OBJECTS[prefix]
    count = {"joint": model.njnt, "actuator": model.nu}.get(kind)
    count = getattr(model, f"n{kind}") if count is None else count
    ids = {getattr(model, kind)(i).name: i for i in range(count)}
    for name in elements:
        if name not in ids:
            raise unknown(f"{kind} in the model", name, filter(None, ids))
    rows = [ids[name] for name in elements]
    if prefix == "dof":
        return np.concatenate(
            [np.flatnonzero(model.dof_jntid == joint) for joint in rows]
        )
    return np.array(rows)
