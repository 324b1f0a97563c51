"""A trained network as a folder that needs nothing else, and holds no code.

    config.json         what it is, trained on what and how; the weights' SHA-256
    model.safetensors   weights and normaliser
    README.md           the model card

``config.json`` is written last: without it the folder is no checkpoint, with it the
checkpoint is complete. Whatever is damaged is refused in one line.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from assets.errors import SandbotError, UsageError
from ml.files import sha256, write_bytes, write_file, write_json, writing

CONFIG = "config.json"
MODEL = "model.safetensors"
CARD = "README.md"


def write_checkpoint(
    folder: Path, *, config: dict[str, Any], weights: dict[str, Tensor], card: str
) -> None:
    """Write the three files, each whole or absent.

    Args:
        folder: made if need be; other files in it stay.
        config: plain data; "model_sha256" is added.
        weights: of the network, normaliser included.
        card: the text of ``README.md``.

    Raises:
        SandbotError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    own = {name: value.detach().clone() for name, value in weights.items()}
    with writing(folder):
        (folder / CONFIG).unlink(missing_ok=True)
    write_file(folder / MODEL, lambda temporary: save_file(own, temporary))
    write_bytes(folder / CARD, card.encode())
    write_json(folder / CONFIG, {**config, "model_sha256": sha256(folder / MODEL)})


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint; its "policy" says of which kind.

    Raises:
        UsageError: no checkpoint there.
        SandbotError: it is unfinished or damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        if (folder / "training_state").is_dir():
            raise SandbotError(
                f"the training in {folder} has not finished: continue it with --resume"
            )
        raise UsageError(f"{folder} is not a checkpoint: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        str(config["policy"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, f"{CONFIG} cannot be read ({error!r})") from error
    return config


def load_weights(folder: Path, config: dict[str, Any], model: nn.Module) -> None:
    """Fill a network with a checkpoint's weights, every one of them.

    Raises:
        SandbotError: the weights are missing, damaged, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / MODEL
    if not path.is_file():
        raise damaged(folder, f"{MODEL} is missing")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise damaged(folder, f"{MODEL} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != config.get("model_sha256"):
        raise damaged(folder, f"{MODEL} is not the file that {CONFIG} was written with")
    try:
        model.load_state_dict(load(content), strict=True)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise damaged(folder, f"{MODEL} does not fit {CONFIG}: {reason}") from error


def damaged(folder: Path, what: str) -> SandbotError:
    """An error for a checkpoint that cannot be used, for the caller to raise."""
    return SandbotError(
        f"checkpoint {folder} is damaged: {what}. Copy it again from its source, or "
        f"train anew"
    )
