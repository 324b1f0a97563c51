"""One process or many, one precision or another: what accelerate does for the loop.

Started by ``torchrun`` on one machine or several, each process computes its share of
every batch, and gradients are averaged over all of them. Started plainly there is one
process. The loop is the same.
"""

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.device import find_device


class Parallel:
    """A thin layer over :class:`accelerate.Accelerator`."""

    def __init__(self, device: str, precision: str) -> None:
        """Join the other processes, if there are any.

        Args:
            device: cpu, cuda or auto.
            precision: "no" (single precision), "bf16" or "fp16".

        Raises:
            UsageError: an unknown device, or half precision without a GPU.
            SandbotError: a device that is not there.
        """
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        found = find_device(device)
        if precision == "fp16" and found.type == "cpu":
            raise UsageError(
                "precision fp16 needs a GPU; on the CPU take bf16, or no for single"
            )
        # Trainings of one process may differ in precision, which is state of its own.
        AcceleratorState._reset_state()
        self._accelerator = Accelerator(
            cpu=found.type == "cpu", mixed_precision=precision
        )
        self.device: torch.device = self._accelerator.device
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        if self.size > 1:
            # A group still open when the interpreter is torn down may abort it, for
            # nobody joins its threads. To close one that is closed does no harm.
            atexit.register(self._accelerator.end_training)

    @property
    def main(self) -> bool:
        """Whether this process writes the files and talks."""
        return self._accelerator.is_main_process

    def prepare(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, Any]:
        """Both, ready for :meth:`backward` and :meth:`clip`."""
        return self._accelerator.prepare(model, optimizer)

    def share(self, total: int, parts: int) -> list[slice]:
        """Rows of a batch that this process computes, in so many parts.

        Every row is in one part of one process; parts may be empty.
        """
        pieces = self.size * parts
        bounds = [total * i // pieces for i in range(pieces + 1)]
        own = range(self.rank * parts, (self.rank + 1) * parts)
        return [slice(bounds[i], bounds[i + 1]) for i in own]

    def autocast(self) -> AbstractContextManager[Any]:
        """In which the network computes in the chosen precision."""
        return self._accelerator.autocast()

    def backward(self, loss: Tensor, model: nn.Module, last: bool) -> None:
        """Add gradients; those of other processes join with the last part."""
        joining = nullcontext() if last else self._accelerator.no_sync(model)
        with joining:
            self._accelerator.backward(loss)

    def clip(self, parameters: list[nn.Parameter], factor: Tensor, most: float):
        """Scale gradients by a factor, then to a norm of at most ``most``.

        Returns:
            The norm before the clipping.
        """
        self._accelerator.unscale_gradients()
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(gradients, factor)  # pyright: ignore[reportPrivateImportUsage]
        return nn.utils.clip_grad_norm_(parameters, most)

    def total(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.size == 1:
            return value
        return self._accelerator.reduce(value, reduction="sum")  # type: ignore[return-value]

    def gather(self, value: Tensor) -> list[Tensor]:
        """This tensor of each process, in order."""
        if self.size == 1:
            return [value]
        own = value.to(self.device)[None]
        return list(self._accelerator.gather(own).to(value.device))  # type: ignore[union-attr]

    def once(self, act: Callable[[], Any]) -> Any:
        """What the main process returns, on every process; only that one acts.

        An exception on the main process is raised by all.
        """
        if self.size == 1:
            return act()
        from accelerate.utils import broadcast_object_list

        outcome: list[Any] = [None, None]
        if self.main:
            try:
                outcome[0] = act()
            except Exception as error:
                outcome[1] = error
        broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]
