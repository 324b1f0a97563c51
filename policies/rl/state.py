"""All that a training by trial and error needs to go on, to the bit on the CPU.

Networks, optimisers and generators are small; the replay is not. It is kept in pieces,
each the control steps since the last saving, so that a saving costs what is new: a
piece is written before the state that names it, and removed after one that does not.

    training_state/state.safetensors      everything else
    training_state/replay/<from>-<to>.safetensors
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from assets.errors import SandbotError, UsageError
from ml import tree
from ml.files import writing
from ml.state_file import load_state, save_state
from ml.training_setup import STATE

if TYPE_CHECKING:
    from policies.rl.trainer import Loop, Trainer

PIECES = "training_state/replay"


def save(trainer: "Loop") -> None:
    """Write the state of a training into its folder.

    Raises:
        SandbotError: it cannot be written, or holds numbers that are not finite.
    """
    learner = trainer.learner
    tensors = {f"nets/{k}": v for k, v in learner.nets.state_dict().items()}
    broken = [k for k, v in tensors.items() if not v.isfinite().all()]
    if broken:
        raise trainer.broken(f"{broken[0]} holds numbers that are not finite")
    for name, one in learner.optimizers.items():
        for index, state in one.state_dict()["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{k}": v for k, v in state.items()}
    tensors |= {f"learner/{k}": v for k, v in learner.state().items()}
    tensors |= {f"best/{k}": v for k, v in trainer.best.items()}
    tensors["rng/learner"] = learner.generator.get_state()
    tensors["rng/torch"] = torch.get_rng_state()
    worlds, numbers = tree.flatten(_outside(trainer))
    tensors |= {f"worlds/{k}": v for k, v in worlds.items()}
    saved: dict[str, Any] = {name: getattr(trainer, name) for name in trainer.NUMBERS}
    saved |= {"worlds": numbers, "identity": trainer.identity}
    saved["learner_count"] = learner.count
    if trainer.keeps_replay:
        saved["pieces"] = _save_pieces(cast("Trainer", trainer))
    small = {name: value.detach().cpu() for name, value in tensors.items()}
    save_state(trainer.folder / STATE, small, saved)
    _remove_pieces(trainer.folder, saved.get("pieces", []))


def load(trainer: "Loop") -> None:
    """Put a training where :func:`save` left another.

    Raises:
        UsageError: the state is of another training.
        SandbotError: it is damaged.
    """
    path = trainer.folder / STATE
    tensors, saved = load_state(path)
    if saved.get("identity") != trainer.identity:
        raise UsageError(
            f"{path} belongs to another training: resume with the same task, options "
            f"and version, or train into another folder"
        )
    learner = trainer.learner
    try:
        learner.nets.load_state_dict(part(tensors, "nets"))
        for name, one in learner.optimizers.items():
            _load_optimizer(one, part(tensors, f"optimizer/{name}"))
        learner.load(part(tensors, "learner"))
        learner.count = saved["learner_count"]
        learner.generator.set_state(tensors["rng/learner"])
        torch.set_rng_state(tensors["rng/torch"])
        trainer.best = part(tensors, "best")
        for name in trainer.NUMBERS:
            setattr(trainer, name, saved[name])
        filled = tree.fill(_outside(trainer), part(tensors, "worlds"), saved["worlds"])
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SandbotError(
            f"training state {path} does not fit ({reason}): train anew into another "
            f"folder"
        ) from error
    worlds = trainer.worlds
    worlds.env.load(filled["env"])
    worlds.obs = filled["obs"]
    vars(worlds.tally).update(vars(filled["tally"]))
    if trainer.keeps_replay:
        _load_pieces(cast("Trainer", trainer), saved["pieces"])


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those under a name, without it."""
    start = f"{prefix}/"
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}


def _outside(trainer: "Loop") -> dict[str, Any]:
    worlds = trainer.worlds
    return {"env": worlds.env.save(), "obs": worlds.obs, "tally": worlds.tally}


def _save_pieces(trainer: "Trainer") -> list[str]:
    """Write what came since the last saving; names of all pieces that still count."""
    replay, now = trainer.replay, trainer.vector_steps
    folder = trainer.folder / PIECES
    oldest = now - replay.filled
    kept = [name for name in _pieces(folder) if _span(name)[1] > oldest]
    begun = max([oldest, *(_span(name)[1] for name in kept)])
    if begun < now:
        slots = torch.arange(begun, now) % replay.slots
        name = f"{begun}-{now}.safetensors"
        fields = {k: getattr(replay, k)[slots].cpu() for k in replay.FIELDS}
        save_state(folder / name, fields, {})
        kept.append(name)
    return kept


def _load_pieces(trainer: "Trainer", names: list[str]) -> None:
    replay, now = trainer.replay, trainer.vector_steps
    for name in names:
        begun, ended = _span(name)
        fields, _ = load_state(trainer.folder / PIECES / name)
        first = max(begun, now - replay.slots)
        slots = torch.arange(first, ended) % replay.slots
        for key, values in fields.items():
            getattr(replay, key)[slots] = values[first - begun :].to(replay.device)
    replay.filled = min(now, replay.slots)
    replay.newest = (now - 1) % replay.slots if now else -1
    _remove_pieces(trainer.folder, names)


def _remove_pieces(folder: Path, kept: list[str]) -> None:
    for name in set(_pieces(folder / PIECES)) - set(kept):
        with writing(folder):
            (folder / PIECES / name).unlink(missing_ok=True)


def _pieces(folder: Path) -> list[str]:
    """Names, the oldest first."""
    names = [path.name for path in folder.glob("*-*.safetensors")]
    return sorted(names, key=_span)


def _span(name: str) -> tuple[int, int]:
    begun, ended = name.removesuffix(".safetensors").split("-")
    return int(begun), int(ended)


def _load_optimizer(optimizer: Any, flat: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
