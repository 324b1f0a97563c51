"""What acts on an engine in each physics step, written down to be repeated."""

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sims.arrays import Array, Mask, assign

if TYPE_CHECKING:
    from sims.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Acts:
    """One control step of all environments, as ``substeps`` physics steps."""

    ctrl: np.ndarray
    """(substeps, num_envs, nu)"""
    wrenches: list[dict[str, np.ndarray]]
    """By physics step: (num_envs, 6) on a body, by its name [N, N m]."""
    fields: dict[str, np.ndarray]
    """The model fields in force, each (num_envs, ...), see :attr:`Engine.fields`.
    One object for as long as nothing changes."""


class Tape:
    """Listens to one engine within a ``with`` block; see :meth:`take`.

    Three of the engine's methods are replaced on that one object, at the cost of a copy
    of ``ctrl`` with each call of ``step``.
    """

    def __init__(self, engine: "Engine"):
        """Not yet listening."""
        self._engine: Any = engine
        self._own = engine.step, engine.apply_wrench, engine.set_field
        self._ctrl: list[np.ndarray] = []
        self._pushed: list[dict[str, np.ndarray]] = []
        self._wrenches: dict[str, np.ndarray] = {}
        self._fields: dict[str, np.ndarray] | None = None

    def __enter__(self) -> Self:
        self._engine.step = self._step
        self._engine.apply_wrench = self._apply_wrench
        self._engine.set_field = self._set_field
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._engine.step, self._engine.apply_wrench, self._engine.set_field

    def begin(self) -> None:
        """Forget all: an episode has just begun, everywhere."""
        self._ctrl, self._pushed, self._wrenches = [], [], {}

    def take(self) -> Acts:
        """What acted since the last call of this or of :meth:`begin`."""
        acts = Acts(
            ctrl=np.stack(self._ctrl), wrenches=self._pushed, fields=self.fields
        )
        self._ctrl, self._pushed = [], []
        return acts

    @property
    def fields(self) -> dict[str, np.ndarray]:
        """The model fields in force now."""
        if self._fields is None:
            names = self._engine.fields
            self._fields = {f: np.array(self._engine.get_field(f)) for f in names}
        return self._fields

    def _step(self, substeps: int = 1) -> None:
        self._ctrl += [np.array(self._engine.ctrl)] * substeps
        self._pushed += [self._wrenches] * substeps
        self._own[0](substeps)

    def _apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        self._own[1](body, wrench, where)
        before = self._wrenches.get(body, np.zeros((self._engine.num_envs, 6)))
        now = before.copy()
        assign(now, np.asarray(wrench), np.asarray(where))
        self._wrenches = self._wrenches | {body: now}

    def _set_field(self, field: str, values: Array, where: Mask) -> None:
        self._own[2](field, values, where)
        self._fields = None
