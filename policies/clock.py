"""How much of the time is physics?"""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sims.engine import Engine


class PhysicsClock:
    """Sums up the time inside of an engine's ``step``, within a ``with`` block.

    The engine's method is replaced on that one object, at the cost of two readings of
    the clock per control step. An engine without such a method (an environment of
    Gymnasium's steps itself) has no physics that could be told from the rest.
    """

    def __init__(self, engine: "Engine") -> None:
        """Not yet running."""
        self._engine: Any = engine
        self._own = getattr(engine, "step", None)
        self.physics = 0.0
        """Time in the engine so far [s]."""
        self._began = time.perf_counter()

    @property
    def share(self) -> float | None:
        """Of the time since the block began, in [0, 1]; None: not measured."""
        if self._own is None:
            return None
        return self.physics / (time.perf_counter() - self._began)

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        if self._own is not None:
            self._engine.step = self._step
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own is not None:
            del self._engine.step

    def _step(self, substeps: int = 1) -> None:
        assert self._own is not None
        began = time.perf_counter()
        self._own(substeps)
        self.physics += time.perf_counter() - began
