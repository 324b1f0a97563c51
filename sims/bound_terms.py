"""Terms that know which rows of a scene's model fields they vary, and how to draw.

A term names fields and elements; here they become indices, once, when an environment is
made. To apply a bound term is to put its draw on top of values that are nominal, or
that other terms have been put on already.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets.errors import UsageError, unknown
from sims.draws import Draws
from sims.engine import default_field
from sims.inertia import sheared, stretched
from sims.physical import check_simple
from sims.terms import FieldTerm, InertiaTerm

if TYPE_CHECKING:
    import mujoco

Values = dict[str, np.ndarray]
"""By model field, (num_envs, *shape of the field)."""

_OBJECTS = {
    "actuator": "actuator",
    "body": "body",
    "dof": "joint",
    "geom": "geom",
    "jnt": "joint",
}


class Bound(Protocol):
    """A term that knows the rows of a scene's fields which it varies."""

    @property
    def term(self) -> FieldTerm | InertiaTerm:
        """What it binds."""
        ...

    touched: dict[str, np.ndarray]
    """By model field, (*shape of the field) bool: what it may change."""

    def apply(
        self, values: Values, draws: Draws, counter: np.ndarray | None = None
    ) -> None:
        """Draw, and put it on top of the values.

        Args:
            values: of the environments, changed in place.
            draws: of the same environments.
            counter: (num_envs,) of the draws within the episode.
        """
        ...


class BoundField:
    """A :class:`~sims.randomization.FieldTerm`."""

    def __init__(self, model: "mujoco.MjModel", term: FieldTerm):
        """Find its rows.

        Raises:
            UsageError: an element that the scene does not have, or nothing to vary.
        """
        self.term = term
        self.touched: dict[str, np.ndarray] = {}
        self._parts: list[tuple[str, tuple]] = []
        rows = {
            field: find_rows(model, field, term.elements) for field, _ in term.parts
        }
        self._count = 1 if term.shared else len(rows[term.parts[0][0]])
        for field, component in term.parts:
            default = default_field(model, field)
            index = (rows[field],) if component is None else (rows[field], component)
            if term.operation == "scale" and not default[index].any():
                continue  # a multiple of nothing
            self._parts.append((field, (slice(None), *index)))
            mask = self.touched.setdefault(field, np.zeros(default.shape, bool))
            mask[index] = True
        if not self._parts:
            raise UsageError(
                f"{term.name}: {', '.join(field for field, _ in term.parts)} is 0 in "
                f"this scene for all that it scales: leave it out, or let it 'set' or "
                f"'add'"
            )

    def apply(
        self, values: Values, draws: Draws, counter: np.ndarray | None = None
    ) -> None:
        """See :meth:`Bound.apply`."""
        term = self.term
        shape = (self._count,)
        drawn = _sample(term.distribution, draws, term.name, term, shape, counter)
        for field, index in self._parts:
            target = values[field][index]
            shaped = drawn.reshape(drawn.shape + (1,) * (target.ndim - drawn.ndim))
            if term.operation == "scale":
                values[field][index] = target * shaped
            elif term.operation == "add":
                values[field][index] = target + shaped
            else:
                values[field][index] = shaped


class BoundInertia:
    """An :class:`~sims.randomization.InertiaTerm`."""

    def __init__(self, model: "mujoco.MjModel", term: InertiaTerm):
        """Find its bodies.

        Raises:
            UsageError: an element that the scene does not have, or nothing to vary.
        """
        self.term = term
        bodies = find_rows(model, "body_mass", term.elements)
        moves = model.body_weldid[bodies] != 0
        self._bodies = bodies[moves & (model.body_mass[bodies] > 0)]
        weighs = term.mass != (1.0, 1.0)
        self._turns = term.shear > 0
        self._bends = self._turns or term.stretch != (1.0, 1.0)
        varied = {
            "body_mass": weighs,
            "body_ipos": any(term.shift),
            "body_inertia": weighs or self._bends,
            "body_iquat": self._turns,
        }
        self.touched: dict[str, np.ndarray] = {}
        for field, so in varied.items():
            if so:
                mask = np.zeros(default_field(model, field).shape, bool)
                mask[self._bodies] = True
                self.touched[field] = mask
        if not self.touched or not len(self._bodies):
            raise UsageError(
                f"{term.name}: give a range of mass, shift, stretch or shear, and "
                f"bodies that move and have mass"
            )
        moved = np.zeros(model.nbody, bool)
        moved[self._bodies] = "body_ipos" in self.touched or self._turns
        check_simple(model, moved)

    def apply(
        self, values: Values, draws: Draws, counter: np.ndarray | None = None
    ) -> None:
        """See :meth:`Bound.apply`."""
        term, bodies = self.term, self._bodies
        shape = (len(bodies), 3)
        if "body_mass" in self.touched:
            mass = draws.uniform(f"{term.name}:mass", *term.mass, shape[:1], counter)
            values["body_mass"][:, bodies] *= mass
            values["body_inertia"][:, bodies] *= mass[..., None]
        if "body_ipos" in self.touched:
            most = np.array(term.shift)
            shift = draws.uniform(f"{term.name}:shift", -most, most, shape, counter)
            values["body_ipos"][:, bodies] += shift
        if not self._bends:
            return
        low, high = np.log(term.stretch)
        drawn = draws.uniform(f"{term.name}:stretch", low, high, shape, counter)
        stretch, moments = np.exp(drawn), values["body_inertia"][:, bodies]
        if self._turns:
            most = term.shear
            shear = draws.uniform(f"{term.name}:shear", -most, most, shape, counter)
            turns = values["body_iquat"]
            moments, turns[:, bodies] = sheared(
                moments, turns[:, bodies], stretch, shear
            )
        else:
            moments = stretched(moments, stretch)
        values["body_inertia"][:, bodies] = moments


def bind(model: "mujoco.MjModel", term: FieldTerm | InertiaTerm) -> Bound:
    """Bind a term to a scene.

    Raises:
        UsageError: an element that the scene does not have, or nothing to vary.
    """
    if isinstance(term, InertiaTerm):
        return BoundInertia(model, term)
    return BoundField(model, term)


def _sample(
    distribution: str,
    draws: Draws,
    name: str,
    term: FieldTerm,
    shape: tuple[int, ...],
    counter: np.ndarray | None,
) -> np.ndarray:
    """(num_envs, *shape): a term's draws."""
    low, high = term.low, term.high
    if distribution == "log_uniform":
        return np.exp(draws.uniform(name, np.log(low), np.log(high), shape, counter))
    if distribution == "gaussian":
        from scipy.special import ndtr, ndtri

        share = draws.uniform(name, ndtr(-2.0), ndtr(2.0), shape, counter)
        return 0.5 * (low + high) + 0.25 * (high - low) * ndtri(share)
    return draws.uniform(name, low, high, shape, counter)


def find_rows(
    model: "mujoco.MjModel", field: str, elements: tuple[str, ...]
) -> np.ndarray:
    """Rows of a field that belong to the named elements, or all of them.

    Args:
        model: of the scene.
        field: its name.
        elements: names, or patterns with ``*`` and ``?``; empty: all.

    Raises:
        UsageError: none of that name, or none that fits; the message lists them.
    """
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
    rows: list[int] = []
    for pattern in elements:
        fitting = [i for name, i in ids.items() if fnmatchcase(name, pattern)]
        if not fitting:
            raise unknown(f"{kind} in the model", pattern, filter(None, ids))
        rows += [i for i in fitting if i not in rows]
    if prefix == "dof":
        return np.concatenate(
            [np.flatnonzero(model.dof_jntid == joint) for joint in rows]
        )
    return np.array(rows)
