"""Counts what would make the host wait for a GPU, on a machine that has none.

Two nets. One lies below torch: operations whose results have a size, or a value, that
the host must know. The other lies above: methods that take numbers to the host or send
them to a device, which on the CPU do nothing that could be seen from below.
"""

import traceback
from typing import Any, Self

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::is_nonzero",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::repeat_interleave.Tensor",
    "aten::allclose",
}
"""Operations after which the host waits."""
TO_HOST = ("cpu", "numpy", "item", "tolist", "__array__")
FROM_HOST = ("as_tensor", "tensor", "asarray", "from_numpy")
INDEXED = ("__getitem__", "__setitem__")
"""Where an index that is the host's is sent, too."""


class SyncWatch(TorchDispatchMode):
    """Within a ``with`` block: what the host waits for, and what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        """By the places in our code."""
        self.sends: list[str] = []
        """Arrays of the host made into tensors, likewise."""
        self._own: list[tuple[Any, str, Any]] = []
        self._inside = False

    def __enter__(self) -> Self:
        for name in TO_HOST:
            self._watch(torch.Tensor, name, self.waits)
        for name in FROM_HOST:
            self._watch(torch, name, self.sends)
        for name in INDEXED:
            self._watch(torch.Tensor, name, self.sends)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for owner, name, own in self._own:
            setattr(owner, name, own)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = func.name()
        if not self._inside:
            if name in WAITS or name.removesuffix(".default") in WAITS:
                self.waits.append(f"{name} at {_place()}")
            if name.startswith(("aten::index", "aten::_index")) and len(args) > 1:
                masks = [i for i in _flat(args[1:2]) if _is_mask(i)]
                if masks:
                    self.waits.append(f"{name} by a mask at {_place()}")
        return func(*args, **(kwargs or {}))

    def _watch(self, owner: Any, name: str, seen: list[str]) -> None:
        own = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return own(*args, **kwargs)
            if name in INDEXED:
                if any(isinstance(i, (list, np.ndarray)) for i in _flat(args[1:2])):
                    seen.append(f"an index at {_place()}")
                return own(*args, **kwargs)
            if not (owner is torch and isinstance(args[0], torch.Tensor)):
                seen.append(f"{name} at {_place()}")
            self._inside = True
            try:
                return own(*args, **kwargs)
            finally:
                self._inside = False

        self._own.append((owner, name, own))
        setattr(owner, name, watched)


def _flat(index: Any) -> list[Any]:
    """The parts of one index, which may be a tuple or a list of several."""
    (parts,) = index
    if isinstance(parts, list) and not any(isinstance(p, torch.Tensor) for p in parts):
        return [parts]
    return list(parts) if isinstance(parts, (tuple, list)) else [parts]


def _is_mask(index: Any) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)


def _place() -> str:
    """The innermost line of our own rooms that is no mere helper."""
    for frame in reversed(traceback.extract_stack()):
        ours = "/sims/" in frame.filename and "/tests/" not in frame.filename
        if ours and not frame.filename.endswith("sims/arrays.py"):
            return f"{frame.filename.rsplit('/sims/', 1)[1]}:{frame.lineno}"
    return "a test"
