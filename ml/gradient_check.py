"""Whether gradients are those of the loss: back-propagation against differences.

For a direction d in the space of weights, back-propagation says g . d, and the loss
itself (L(w + h d) - L(w - h d)) / 2h, in double precision. The two are compared along
directions of all weights at once, and along one for each tensor of weights, half random
and half its gradient's: so a layer whose gradients are small is not hidden by the
others, and a wrong one is named.

A kink of the loss between the two points (ReLU, absolute errors) spoils a difference; a
wrong gradient spoils all of them. So what disagrees is tried again, along another
direction and with a smaller step.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets.errors import SandbotError
from ml.samples import Batch
from ml.step_draws import StepDraws

if TYPE_CHECKING:
    from ml.training import Loss

STEPS = (1e-5, 1e-6, 1e-7)
"""h, try after try; directions have length 1."""
OFF = 0.01
"""How far from the initial weights the check is made, in each weight: what starts at 0,
such as a last layer, would hide what lies before it."""


@dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """What was found; a wrong gradient is an error instead."""

    worst: float
    """Largest difference, relative to the length of the gradient."""
    dead: tuple[str, ...]
    """Weights without a gradient, on which the loss does not depend."""


class DoubleDraws(StepDraws):
    """The same draws in double precision."""

    def of(self, term: str, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        """(rows, ...) of what a function draws."""
        drawn = super().of(term, draw)
        return drawn.double() if drawn.is_floating_point() else drawn


def check_gradients(
    model: nn.Module,
    loss: "Loss",
    batch: Batch,
    *,
    seed: int = 0,
    directions: int = 2,
    tolerance: float = 1e-4,
) -> GradientCheck:
    """Compare gradients with differences of the loss; the model stays as it is.

    Made in training mode without dropout, and with the same draws throughout.

    Args:
        model: whose weights are meant.
        loss: of a batch.
        batch: a few samples: the loss is computed often.
        seed: of the draws and of the directions.
        directions: how many in all weights at once.
        tolerance: largest difference, relative to the length of the gradient.

    Raises:
        SandbotError: a gradient is not finite, or not that of the loss.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        check = _Check(model, loss, batch, seed)
        check.finite()
        names = list(check.weights)
        worst = [check.compare([name], tolerance, name) for name in names]
        for _ in range(directions):
            worst.append(check.compare(names, tolerance, "all weights together"))
    return GradientCheck(worst=max(worst), dead=check.dead)


def without_dropout(model: nn.Module) -> nn.Module:
    """The same model, in which nothing is dropped any more."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            vars(module)["dropout"] = 0.0  # attentions and LSTMs keep a number
    return model


class _Check:
    """A copy of the model in double precision, and its gradients."""

    def __init__(self, model: nn.Module, loss: "Loss", batch: Batch, seed: int) -> None:
        self._model = without_dropout(copy.deepcopy(model)).double().train()
        for module in self._model.modules():
            module.register_forward_pre_hook(_to_double, with_kwargs=True)
        self._loss, self._batch = loss, _double(batch)
        rows = len(next(iter(batch.values())))
        device = next(iter(batch.values())).device
        self._draws = DoubleDraws(seed, -1, slice(0, rows), rows, device)
        self._state = torch.get_rng_state()
        self.weights = {
            name: p for name, p in self._model.named_parameters() if p.requires_grad
        }
        with torch.no_grad():
            for weight in self.weights.values():
                weight += OFF * torch.randn_like(weight)
        self._directions = torch.Generator().manual_seed(seed + 1)
        self.value().backward()
        self._gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in self.weights.items()
        }
        lengths = [g.norm() for g in self._gradients.values()]
        self._length = torch.stack(lengths).norm().item()

    def value(self) -> Tensor:
        """The loss, with the same draws each time."""
        torch.set_rng_state(self._state)
        terms = self._loss(self._model, self._batch, self._draws)
        return terms.total.sum() / terms.weight.sum()

    @property
    def dead(self) -> tuple[str, ...]:
        """Weights whose gradient is zero."""
        return tuple(n for n, g in self._gradients.items() if not g.any())

    def finite(self) -> None:
        """See that no gradient is infinite or NaN."""
        wrong = [n for n, g in self._gradients.items() if not g.isfinite().all()]
        if wrong:
            raise SandbotError(
                f"gradients are not finite in {_some(wrong)}: look for a logarithm, a "
                f"root or a division of 0 behind them, and for NaN in the data"
            )

    def compare(self, names: list[str], tolerance: float, what: str) -> float:
        """The difference along a direction in these weights, relative."""
        said = seen = error = 0.0
        for step in STEPS:
            direction = {name: self._direction(name) for name in names}
            length = torch.stack([d.norm() for d in direction.values()]).norm()
            said, own = 0.0, 0.0
            for name, d in direction.items():
                direction[name] = d / length
                said += (self._gradients[name] * direction[name]).sum().item()
                own += self._gradients[name].square().sum().item()
            seen = self._difference(direction, step)
            # Beside the others' a tiny gradient is only known to rounding.
            error = abs(said - seen) / max(own**0.5, 1e-3 * self._length, 1e-12)
            if error <= tolerance:
                return error
        raise SandbotError(
            f"the gradient of {what} is not that of the loss: along a random direction "
            f"back-propagation says {said:.6g}, differences of the loss "
            f"{seen:.6g}. {_advice(said)}"
        )

    def _direction(self, name: str) -> Tensor:
        gradient = self._gradients[name]
        drawn = torch.randn(
            gradient.shape, generator=self._directions, dtype=gradient.dtype
        ).to(gradient.device)
        drawn = drawn / drawn.norm().clamp(min=1e-300)
        return drawn + gradient / gradient.norm().clamp(min=1e-300)

    @torch.no_grad()
    def _difference(self, direction: dict[str, Tensor], step: float) -> float:
        kept = {name: self.weights[name].clone() for name in direction}
        values = []
        for sign in (1, -1):
            for name, d in direction.items():
                self.weights[name].copy_(kept[name] + sign * step * d)
            values.append(self.value().item())
        for name, weight in kept.items():
            self.weights[name].copy_(weight)
        return (values[0] - values[1]) / (2 * step)


def _advice(said: float) -> str:
    if said == 0:
        return "It moves the loss and learns nothing: look for a detach(), a no_grad()"
    return "Look at backward functions written by hand, and at detach() and no_grad()"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _double(value: Any) -> Any:
    """Floating-point tensors in double precision, also inside of containers."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if type(value) in (tuple, list):
        return type(value)(_double(v) for v in value)
    if isinstance(value, dict):
        return {k: _double(v) for k, v in value.items()}
    return value


def _to_double(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """What a layer is given; pictures, for one, become single precision on the way."""
    return _double(args), _double(kwargs)
