"""Tensors and numbers in one file that is never half-written, and holds no code.

A safetensors file whose header carries JSON. The JSON includes a SHA-256 over the
tensors, so that a damaged file is refused instead of continued from.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from assets.errors import SandbotError
from ml.files import write_file


def save_state(path: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Write atomically; the file that was there stays until the new one is complete.

    Args:
        path: the final name.
        tensors: by name.
        numbers: plain data; floats keep all their bits.

    Raises:
        SandbotError: it cannot be written.
    """
    from safetensors.torch import save_file

    own = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    header = {"numbers": json.dumps(numbers), "sha256": _digest(own)}
    write_file(path, lambda temporary: save_file(own, temporary, header))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_state` wrote.

    Raises:
        SandbotError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()  # at once: the file may be replaced meanwhile
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])["__metadata__"]
        numbers = json.loads(header["numbers"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, repr(error)) from error
    if header.get("sha256") != _digest(tensors):
        raise _damaged(path, "its content does not match its checksum")
    return tensors, numbers


def _digest(tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.numpy().tobytes())
    return total.hexdigest()


def _damaged(path: Path, why: str) -> SandbotError:
    return SandbotError(
        f"training state {path} cannot be read ({why}): it is damaged. Restore it, or "
        f"train anew into another folder"
    )
