"""Draws the field terms of a randomisation, and writes them into an engine.

What is written is always the nominal model with every term's present draw on it, in the
order of the table. A draw is a function of its key (term, environment, episode,
counter) alone, so that nothing needs to be remembered between draws, nothing can
accumulate, and one environment's draw is another's business in no way. Terms that share
a model field are written together; of the others nothing is touched, and of the
environments only those whose turn it is.

All of this is the host's work, in NumPy, whatever an engine's arrays are.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from sims.arrays import host
from sims.bound_terms import Bound, Values, bind
from sims.draws import Draws
from sims.engine import check_varied, default_field
from sims.terms import FieldTerm, InertiaTerm

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine


@dataclass(kw_only=True)
class Group:
    """Terms that share model fields."""

    terms: tuple[Bound, ...]
    """In the order of the table."""
    touched: dict[str, np.ndarray]
    """Of all of them."""
    nominal: Values
    """Without the leading axis."""
    begun: np.ndarray | None = None
    """(num_envs,) keys of whom each environment's draws are, where all are drawn once;
    None: nobody's."""

    @property
    def once(self) -> bool:
        """Whether it is written at an environment's start alone."""
        return all(bound.term.when == "start" for bound in self.terms)


class FieldRandomizer:
    """The field terms of a randomisation, bound to a scene."""

    def __init__(
        self,
        model: "mujoco.MjModel",
        terms: tuple[FieldTerm | InertiaTerm, ...],
        control_dt: float | None = None,
    ):
        """Resolve names to rows.

        Args:
            model: the nominal one.
            terms: the table.
            control_dt: of a control step [s]; None: no term is drawn within episodes.

        Raises:
            UsageError: an element that the scene does not have, or a term that would
                do nothing.
        """
        bound = [bind(model, term) for term in terms]
        self._groups = [_group(model, together) for together in _sort(bound)]
        self._periods: dict[str, int] = {}
        """Control steps from draw to draw, of terms drawn within episodes."""
        for term in terms:
            if term.when in ("interval", "step"):
                self._periods[term.name] = _period(term, control_dt)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the model fields that vary."""
        return tuple(field for group in self._groups for field in group.touched)

    def check(self, engine: "Engine") -> None:
        """See that an engine can vary all of it.

        Raises:
            EngineError: it cannot; the message says what it can.
        """
        for field in self.fields:
            check_varied(engine, field)

    def forget(self) -> None:
        """An engine's fields were changed by others: draw even what is drawn once."""
        for group in self._groups:
            group.begun = None

    def reset(self, engine: "Engine", where: np.ndarray, draws: Draws) -> None:
        """Draw every term anew where episodes begin.

        Args:
            engine: to write to.
            where: (num_envs,) bool.
            draws: of the present episodes of all environments.
        """
        rows = np.flatnonzero(where)
        steps = np.zeros(len(rows), np.int64)
        for group in self._groups:
            due = self._unlike(group, rows, draws) if group.once else rows
            if len(due):
                self._write(engine, group, due, draws, steps[: len(due)], fresh=True)

    def advance(self, engine: "Engine", steps: np.ndarray, draws: Draws) -> None:
        """Draw what is drawn within episodes, where its time has come.

        Args:
            engine: to write to.
            steps: (num_envs,) control steps since the reset.
            draws: as for :meth:`reset`.
        """
        for group in self._groups:
            due = np.zeros(len(steps), bool)
            for bound in group.terms:
                if bound.term.name in self._periods:
                    due |= self._since(bound.term, steps, draws) == 0
            rows = np.flatnonzero(due & (steps > 0))
            if len(rows):
                self._write(engine, group, rows, draws, steps[rows], fresh=False)

    @property
    def timed(self) -> bool:
        """Whether :meth:`advance` has anything to do."""
        return bool(self._periods)

    def _write(
        self,
        engine: "Engine",
        group: Group,
        rows: np.ndarray,
        draws: Draws,
        steps: np.ndarray,
        *,
        fresh: bool,
    ) -> None:
        """Write a group's fields for some environments.

        Args:
            engine: to write to.
            group: of terms.
            rows: which environments.
            draws: of all environments.
            steps: (len(rows),) control steps since the reset.
            fresh: whether an episode begins; else what the task itself has set since
                stays as it is.
        """
        mine = draws.at(rows)
        values = {
            field: np.repeat(nominal[None], len(rows), axis=0)
            for field, nominal in group.nominal.items()
        }
        for bound in group.terms:
            keys = mine.once if bound.term.when == "start" else mine
            bound.apply(values, keys, self._counter(bound.term, steps, mine))
        where = np.zeros(engine.num_envs, bool)
        where[rows] = True
        for field, full in values.items():
            if not fresh:
                present = host(engine.get_field(field))[rows]
                np.copyto(full, present, where=~group.touched[field])
            engine.set_field(field, full, where)

    def _counter(
        self, term: FieldTerm | InertiaTerm, steps: np.ndarray, draws: Draws
    ) -> np.ndarray | None:
        """(n,) how often it was drawn in this episode; None: it is drawn once."""
        if term.when == "step":
            return steps
        if term.when == "interval":
            return (steps - self._phase(term, draws)) // self._periods[term.name] + 1
        return None

    def _since(
        self, term: FieldTerm | InertiaTerm, steps: np.ndarray, draws: Draws
    ) -> np.ndarray:
        """(num_envs,) control steps since it was last drawn."""
        if term.when == "step":
            return np.zeros(len(steps), np.int64)
        return (steps - self._phase(term, draws)) % self._periods[term.name]

    def _phase(self, term: FieldTerm | InertiaTerm, draws: Draws) -> np.ndarray:
        """(num_envs,) the control step of the first draw after that of the reset."""
        return draws.integers(f"{term.name}:phase", 1, self._periods[term.name])

    def _unlike(self, group: Group, rows: np.ndarray, draws: Draws) -> np.ndarray:
        """Rows for which a group that is drawn once was drawn for somebody else."""
        keys = draws.once.keys
        begun: np.ndarray = ~keys if group.begun is None else group.begun
        due = rows[begun[rows] != keys[rows]]
        begun[due] = keys[due]
        group.begun = begun
        return due


def _sort(bound: list[Bound]) -> list[list[Bound]]:
    """Those together that share model fields, directly or by way of others."""
    groups: list[list[Bound]] = []
    for each in bound:
        together, others = [each], []
        for group in groups:
            shares = any(set(b.touched) & set(each.touched) for b in group)
            if shares:
                together += group
            else:
                others.append(group)
        groups = [*others, together]
    return [sorted(group, key=bound.index) for group in groups]


def _group(model: "mujoco.MjModel", terms: list[Bound]) -> Group:
    touched: dict[str, np.ndarray] = {}
    for bound in terms:
        for field, mask in bound.touched.items():
            touched[field] = touched.get(field, False) | mask
    nominal = {field: default_field(model, field).astype(float) for field in touched}
    return Group(terms=tuple(terms), touched=touched, nominal=nominal)


def _period(term: FieldTerm | InertiaTerm, control_dt: float | None) -> int:
    if term.when == "step":
        return 1
    if control_dt is None or term.interval < control_dt:
        raise UsageError(
            f"{term.name}: an interval of {term.interval:g} s is shorter than a "
            f"control step of {control_dt or 0:g} s: take when='step'"
        )
    return round(term.interval / control_dt)
