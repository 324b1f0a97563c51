"""The array types, and what code needs that is written once for both.

On the CPU an engine's arrays are NumPy's, on a GPU they may be torch's. Tasks compute
with the functions of an array's :func:`namespace`, which have the same names, and make
arrays beside those that they have. NumPy's path is NumPy itself, so that bits and speed
are as if there were no other.

On a GPU the host runs ahead of the device, and waits when it asks for a number. So
there is no list of rows where a mask will do (:class:`Chosen`), no question whether
there is anything to do (:func:`maybe`), and constants travel once (:func:`like`).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sims.draws import Draws

Array = Any
"""``np.ndarray`` on the CPU, ``torch.Tensor`` on the GPU; (num_envs, ...)."""
Mask = Any
"""Which environments: boolean, ``(num_envs,)``."""
Obs = dict[str, Array]
"""Groups of observations by name, each ``(num_envs, ...)``."""

HOST = np.empty(0)
"""Stands for NumPy where an array says what others shall be like."""
KEPT = 1024
"""Constants that are kept on devices."""
_HOSTED = (np.ndarray, np.generic, float, int)
_kept: dict[tuple[int, Any, Any], tuple[np.ndarray, Any]] = {}


def is_host(array: Array) -> bool:
    """Whether an array is NumPy's (or a mere number), or else a torch tensor."""
    return isinstance(array, _HOSTED)


def namespace(array: Array) -> Any:
    """The functions for an array: ``numpy``, or torch under the same names."""
    if isinstance(array, _HOSTED):
        return np
    return _tensors()


@cache
def _tensors() -> Any:
    from sims import tensors

    return tensors


def zeros(beside: Array, *shape: int, dtype: type = float) -> Array:
    """A row of zeros for each row of an array, where that is.

    Args:
        beside: (num_envs, ...).
        shape: of one row.
        dtype: ``float``, in the precision of tasks: double for NumPy, else that of
            ``beside``; ``int`` (64 bits) or ``bool``.

    Returns:
        (num_envs, *shape).
    """
    if isinstance(beside, np.ndarray):
        return np.zeros((len(beside), *shape), dtype)
    import torch

    kind = {float: beside.dtype, int: torch.int64, bool: torch.bool}[dtype]
    return torch.zeros((len(beside), *shape), dtype=kind, device=beside.device)


def empty(beside: Array, *shape: int) -> Array:
    """The same of ``float``, yet to be written to."""
    if isinstance(beside, np.ndarray):
        return np.empty((len(beside), *shape))
    return beside.new_empty((len(beside), *shape))


def like(constant: np.ndarray, array: Array) -> Array:
    """A constant that never changes, to compute with an array.

    Beside NumPy's arrays it is itself. Beside a tensor it is one: on that device, and
    of that precision if it has a fraction. It travels there once and is kept, so it
    must be one object that lives on, and no view that is made anew each time.
    """
    if isinstance(array, _HOSTED):
        return constant
    key = id(constant), array.device, array.dtype
    found = _kept.get(key)
    if found is None:
        if len(_kept) >= KEPT:
            _kept.clear()
        # with the constant, since ids are those of objects that live
        found = _kept[key] = constant, sent(constant, array)
    return found[1]


def sent(values: Any, array: Array) -> Array:
    """Values of the host where an array is; numbers with a fraction get its precision.

    The host does not wait: what it sends is put aside before this returns.
    """
    if isinstance(array, np.ndarray):
        return values
    import torch

    if isinstance(values, torch.Tensor):
        fits = array.dtype if values.is_floating_point() else values.dtype
        return values.to(array.device, fits)
    here = torch.as_tensor(np.ascontiguousarray(values))
    here = here.to(array.dtype) if here.is_floating_point() else here
    return here.to(array.device, non_blocking=True, copy=True)


def host(values: Array) -> np.ndarray:
    """Values as NumPy has them. The host waits for those of a device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def copied(array: Array) -> Array:
    """A copy."""
    return array.copy() if isinstance(array, np.ndarray) else array.clone()


def maybe(mask: Mask) -> bool:
    """Whether there may be anything to do. On a device: always, unasked, since the
    answer is late; what follows must do nothing where nothing is to be done."""
    return bool(mask.any()) if isinstance(mask, np.ndarray) else True


def columns(array: Array) -> Array:
    """The columns of (n, k), to be named one by one and to be quick to compute with."""
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array.T)
    return array.unbind(1)


def pick(array: Array, which: Array) -> Array:
    """(n, ...): from each row of (n, k, ...) the element that ``which`` (n,) says."""
    if isinstance(array, np.ndarray):
        return array[np.arange(len(which)), which]
    import torch

    return array[torch.arange(len(which), device=array.device), which]


def tiled(row: np.ndarray, beside: Array) -> Array:
    """(n, ...): a constant for each of the n rows of an array, to be written to."""
    if isinstance(beside, np.ndarray):
        return np.repeat(row[None], len(beside), axis=0)
    return like(row, beside).expand(len(beside), *row.shape).clone()


def assign(dst: Array, values: Array, where: Mask) -> None:
    """Write ``values`` into the rows of ``dst`` that ``where`` selects, in place.

    Args:
        dst: (num_envs, ...).
        values: broadcastable to ``dst``.
        where: (num_envs,) bool.
    """
    where = where.reshape(where.shape + (1,) * (dst.ndim - 1))
    if isinstance(dst, np.ndarray):
        np.copyto(dst, values, where=where)
    elif isinstance(values, (bool, int, float)):
        dst.masked_fill_(where, values)
    else:
        import torch

        dst.copy_(torch.where(where, sent(values, dst).to(dst.dtype), dst))


class Chosen:
    """Some environments, whose rows are to be computed and written alone.

    In NumPy their rows are taken out and put back, so that no other costs anything. On
    a device how many they are is not known to the host: all rows are computed there,
    and those of the others are not written.
    """

    def __init__(self, where: Mask):
        """Choose.

        Args:
            where: (num_envs,) bool.
        """
        self.where = where
        self.rows: Any = (
            np.flatnonzero(where) if isinstance(where, np.ndarray) else slice(None)
        )
        """To index arrays with: n rows, in this order."""

    def of(self, array: Array) -> Array:
        """(n, ...): their rows."""
        return array[self.rows]

    def draws(self, draws: "Draws") -> "Draws":
        """Their random numbers, a batch of n."""
        return draws if isinstance(self.rows, slice) else draws.at(self.rows)

    def put(self, dst: Array, values: Array) -> None:
        """Write their rows.

        Args:
            dst: (num_envs, ...), or a view of that.
            values: (n, ...), or one row or number for all of them.
        """
        if isinstance(self.rows, slice):
            assign(dst, values, self.where)
        else:
            dst[self.rows] = values
