"""What a training needs to go on to the same bits, in one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from assets.errors import SandbotError, UsageError
from ml.state_file import load_state, save_state

if TYPE_CHECKING:
    from ml.training import Trainer

_NUMBERS = ("step", "best_score", "best_step", "waited", "loss_sum", "loss_count")
_NUMBERS += ("seconds", "validation_loss", "best_loss", "figures", "best_figures")


def save_training(trainer: "Trainer", path: Path) -> None:
    """Weights, average, optimiser's moments, each process's generator, numbers.

    Called by all processes; one writes.
    """
    parallel = trainer.parallel
    generators = parallel.gather(torch.get_rng_state())
    if parallel.main:
        tensors = {f"rng/{i}": state for i, state in enumerate(generators)}
        for prefix, state in (
            ("model", trainer.model.state_dict()),
            ("ema", trainer.ema.state_dict()),
            ("best", trainer.best),
        ):
            tensors |= {f"{prefix}/{name}": value for name, value in state.items()}
        for index, state in trainer.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in state.items()}
        numbers = {name: getattr(trainer, name) for name in _NUMBERS}
        numbers |= {"identity": trainer.identity, "ema_updates": trainer.ema.updates}
        tensors = {name: value.cpu() for name, value in tensors.items()}
        save_state(path, tensors, numbers)


def load_training(trainer: "Trainer", path: Path) -> None:
    """Put a trainer where :func:`save_training` left another.

    Raises:
        UsageError: the state is of another configuration, or other data, or was saved
            by another number of processes.
        SandbotError: it is damaged, or of another network.
    """
    tensors, numbers = load_state(path)
    if numbers.get("identity") != trainer.identity:
        raise UsageError(
            f"{path} belongs to another training: "
            f"{difference(numbers.get('identity') or {}, trainer.identity)}. Resume "
            f"with the same options and data, or train into another folder"
        )
    generators = part(tensors, "rng")
    if len(generators) != trainer.parallel.size:
        raise UsageError(
            f"{path} was saved by {len(generators)} processes, and there are "
            f"{trainer.parallel.size} now: resume with as many"
        )
    try:
        trainer.model.load_state_dict(part(tensors, "model"))
        trainer.ema.module.load_state_dict(part(tensors, "ema"))
        trainer.best = part(tensors, "best")
        load_optimizer(trainer.optimizer, part(tensors, "optimizer"))
        torch.set_rng_state(generators[str(trainer.parallel.rank)])
        for name in _NUMBERS:
            setattr(trainer, name, numbers[name])
        trainer.ema.updates = numbers["ema_updates"]
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SandbotError(
            f"training state {path} does not fit this network ({reason}): train "
            f"anew into another folder"
        ) from error


def load_optimizer(optimizer: Any, flat: dict[str, Tensor]) -> None:
    """Take over an optimiser's moments, by ``<index>/<name>``."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those under a name, without it."""
    start = f"{prefix}/"
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}


def difference(old: dict[str, Any], new: dict[str, Any], path: str = "") -> str:
    """Which entries of two nested dictionaries differ, in words."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found.append(difference(a, b, f"{path}{key}."))
        elif a != b:
            found.append(f"{path}{key} was {a!r}, now {b!r}")
    return "; ".join(part for part in found if part)
