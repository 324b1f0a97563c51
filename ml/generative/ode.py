"""Fixed-step solvers of dx/dt = v(x, t), from noise (t = 1) to data (t = 0).

Euler as in pi0, and the explicit Runge-Kutta methods midpoint and Heun (order 2) and
the classical one (order 4): Hairer, Norsett and Wanner, "Solving Ordinary Differential
Equations I", section II.1. The times are i / n of the way, never a running sum, so the
last step ends exactly at data.

What counts in control is calls of the network: with n steps Euler makes n, midpoint and
Heun 2 n, RK4 4 n.
"""

from collections.abc import Callable

from torch import Tensor

from assets.errors import UsageError, unknown
from ml.generative.denoiser import Field

Step = Callable[[Field, Tensor, float, float], Tensor]
"""(field, x, t, h) -> x at t + h."""


def integrate(
    field: Field,
    x: Tensor,
    *,
    steps: int = 10,
    solver: str = "euler",
    start: float = 1.0,
    stop: float = 0.0,
    trace: list[Tensor] | None = None,
) -> Tensor:
    """Follow a velocity field.

    Args:
        field: the velocity dx/dt at (x, t).
        x: (B, ...): at time ``start``.
        steps: of equal length.
        solver: one of :data:`SOLVERS`.
        start: time at the beginning; 1 is noise.
        stop: time at the end; 0 is data.
        trace: gets x after each step.

    Returns:
        (B, ...): at time ``stop``.

    Raises:
        UsageError: unknown solver, or no steps.
    """
    if solver not in SOLVERS:
        raise unknown("solver", solver, SOLVERS)
    if steps < 1:
        raise UsageError(f"a solver takes at least 1 step, got {steps}")
    step = SOLVERS[solver]
    width = (stop - start) / steps
    for i in range(steps):
        x = step(field, x, start + (stop - start) * i / steps, width)
        if trace is not None:
            trace.append(x)
    return x


def _at(field: Field, x: Tensor, t: float) -> Tensor:
    return field(x, x.new_full((len(x),), t))


def _euler(field: Field, x: Tensor, t: float, h: float) -> Tensor:
    return x + h * _at(field, x, t)


def _midpoint(field: Field, x: Tensor, t: float, h: float) -> Tensor:
    middle = x + h / 2 * _at(field, x, t)
    return x + h * _at(field, middle, t + h / 2)


def _heun(field: Field, x: Tensor, t: float, h: float) -> Tensor:
    first = _at(field, x, t)
    return x + h / 2 * (first + _at(field, x + h * first, t + h))


def _rk4(field: Field, x: Tensor, t: float, h: float) -> Tensor:
    first = _at(field, x, t)
    second = _at(field, x + h / 2 * first, t + h / 2)
    third = _at(field, x + h / 2 * second, t + h / 2)
    fourth = _at(field, x + h * third, t + h)
    return x + h / 6 * (first + 2 * second + 2 * third + fourth)


SOLVERS: dict[str, Step] = {
    "euler": _euler,
    "midpoint": _midpoint,
    "heun": _heun,
    "rk4": _rk4,
}
"""Orders 1, 2, 2 and 4."""
