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
from ml.training_state import difference, load_optimizer, part
from policies.rl.replay import bytes_of

if TYPE_CHECKING:
    from policies.rl.learner import Learner
    from policies.rl.loop import Loop
    from policies.rl.trainer import Trainer

PIECES = "training_state/replay"
PIECE_BYTES = 2**26
"""At most, of a piece: writing one takes three times its memory."""


def save(trainer: "Loop") -> None:
    """Write the state of a training into its folder.

    Raises:
        SandbotError: it cannot be written, or holds numbers that are not finite.
    """
    learner = trainer.learner
    tensors = pack(learner)
    broken = [
        name.removeprefix("nets/")
        for name, value in tensors.items()
        if name.startswith("nets/") and not value.isfinite().all()
    ]
    if broken:
        raise trainer.broken(f"{broken[0]} holds numbers that are not finite")
    tensors |= {f"best/{k}": v for k, v in trainer.best.items()}
    tensors["rng/torch"] = torch.get_rng_state()
    worlds, numbers = tree.flatten(_outside(trainer))
    tensors |= {f"worlds/{k}": v for k, v in worlds.items()}
    saved: dict[str, Any] = {name: getattr(trainer, name) for name in trainer.NUMBERS}
    saved |= {"worlds": numbers, "identity": trainer.identity}
    saved["learner_count"] = learner.count
    pieces: list[str] = []
    if trainer.keeps_replay:
        pieces = _save_pieces(cast("Trainer", trainer))
    small = {name: value.detach().cpu() for name, value in tensors.items()}
    save_state(trainer.folder / STATE, small, {**saved, "pieces": pieces})
    trainer.pieces = pieces
    _remove_pieces(trainer.folder, pieces)


def load(trainer: "Loop") -> None:
    """Put a training where :func:`save` left another.

    Raises:
        UsageError: the state is of another training.
        SandbotError: it is damaged.
    """
    path = trainer.folder / STATE
    tensors, saved = load_state(path)
    if saved.get("identity") != trainer.identity:
        changed = difference(saved.get("identity") or {}, trainer.identity)
        raise UsageError(
            f"{path} belongs to another training: {changed}. Resume with the same task "
            f"and options, or train into another folder"
        )
    try:
        unpack(trainer.learner, tensors, saved["learner_count"])
        torch.set_rng_state(tensors["rng/torch"])
        trainer.best = part(tensors, "best")
        for name in trainer.NUMBERS:
            setattr(trainer, name, saved[name])
        filled = tree.fill(
            _outside(trainer),
            part(tensors, "worlds"),
            saved["worlds"],
            any_shape="env/engine",  # which has its own check
        )
        trainer.pieces = saved["pieces"]
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
        _load_pieces(cast("Trainer", trainer))


def pack(learner: "Learner") -> dict[str, Tensor]:
    """All that a learner knows, but for the number of its updates."""
    tensors = {f"nets/{k}": v for k, v in learner.nets.state_dict().items()}
    for name, one in learner.optimizers.items():
        for index, state in one.state_dict()["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{k}": v for k, v in state.items()}
    tensors |= {f"learner/{k}": v for k, v in learner.state().items()}
    tensors["rng/learner"] = learner.generator.get_state()
    return tensors


def unpack(learner: "Learner", tensors: dict[str, Tensor], count: int) -> None:
    """Make a learner what another was at :func:`pack`.

    Args:
        learner: of the same kind.
        tensors: what that gave, perhaps among others.
        count: of updates at that moment.
    """
    learner.nets.load_state_dict(part(tensors, "nets"))
    for name, one in learner.optimizers.items():
        load_optimizer(one, part(tensors, f"optimizer/{name}"))
    learner.load(part(tensors, "learner"))
    learner.generator.set_state(tensors["rng/learner"].cpu())
    learner.count = count


def _outside(trainer: "Loop") -> dict[str, Any]:
    worlds = trainer.worlds
    return {"env": worlds.env.save(), "obs": worlds.obs, "tally": worlds.tally}


def _save_pieces(trainer: "Trainer") -> list[str]:
    """Write what came since the last saving; names of all pieces that still count."""
    replay, now = trainer.replay, trainer.vector_steps
    oldest = now - replay.filled
    # only those that the last state named: others are of a saving that was cut short
    kept = [name for name in trainer.pieces if _span(name)[1] > oldest]
    begun = max([oldest, *(_span(name)[1] for name in kept)])
    most = max(1, PIECE_BYTES // bytes_of(replay.num_envs, trainer.worlds.sizes))
    for first in range(begun, now, most):
        last = min(first + most, now)
        slots = torch.arange(first, last) % replay.slots
        name = f"{first}-{last}.safetensors"
        fields = {k: getattr(replay, k)[slots].cpu() for k in replay.FIELDS}
        save_state(trainer.folder / PIECES / name, fields, {})
        kept.append(name)
    return kept


def _load_pieces(trainer: "Trainer") -> None:
    replay, now = trainer.replay, trainer.vector_steps
    for name in trainer.pieces:
        begun, ended = _span(name)
        fields, _ = load_state(trainer.folder / PIECES / name)
        first = max(begun, now - replay.slots)
        slots = torch.arange(first, ended) % replay.slots
        for key, values in fields.items():
            getattr(replay, key)[slots] = values[first - begun :].to(replay.device)
    replay.filled = min(now, replay.slots)
    replay.newest = (now - 1) % replay.slots if now else -1
    _remove_pieces(trainer.folder, trainer.pieces)


def _remove_pieces(folder: Path, kept: list[str]) -> None:
    """What a crash left half-written goes, too."""
    for path in (folder / PIECES).glob("*.safetensors*"):
        if path.name not in kept:
            with writing(folder):
                path.unlink(missing_ok=True)


def _span(name: str) -> tuple[int, int]:
    begun, ended = name.removesuffix(".safetensors").split("-")
    return int(begun), int(ended)
