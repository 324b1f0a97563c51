"""How arrays on Warp's device are seen from outside: without a copy, or mirrored.

Tasks compute with NumPy or torch. On the CPU Warp's arrays are NumPy's memory; on a GPU
they are torch tensors, or mirrored on the host for tools that want NumPy, one copy each
way per control step.
"""

from typing import Any, Protocol

import numpy as np

from assets.errors import unknown
from sims.arrays import Array, Mask, assign, sent


class Views(Protocol):
    """One way to see arrays of the device."""

    def view(self, source: Any, *, writable: bool = False) -> Array:
        """A live view of a Warp array, (num_envs, ...)."""
        ...

    def write(self, target: Array, values: Array, where: Mask | None = None) -> None:
        """Write into the rows of a view, see :func:`sims.arrays.assign`; None: all."""
        ...

    def copy(self, view: Array) -> Array:
        """What a view shows now."""
        ...

    def push(self) -> None:
        """Make the device see what was written."""
        ...

    def pull(self) -> None:
        """Make the views show what the device has computed."""
        ...


class NumpyViews:
    """Of the CPU's memory, which needs no copy."""

    def view(self, source: Any, *, writable: bool = False) -> Array:
        """See :meth:`Views.view`."""
        return source.numpy()

    def write(self, target: Array, values: Array, where: Mask | None = None) -> None:
        """See :meth:`Views.write`."""
        if where is None:
            target[...] = values
        else:
            assign(target, values, np.asarray(where, bool))

    def copy(self, view: Array) -> Array:
        """See :meth:`Views.copy`."""
        return view.copy()

    def push(self) -> None:
        """There is nothing to do."""

    def pull(self) -> None:
        """There is nothing to do."""


class TensorViews:
    """Torch tensors on the same device, CPU or GPU, which need no copy.

    Warp computes on its own stream, which waits for torch's default stream and the
    other way around; whoever computes on other streams synchronises them.
    """

    def __init__(self, wp: Any):
        """Remember the module ``warp``."""
        self._wp = wp

    def view(self, source: Any, *, writable: bool = False) -> Array:
        """See :meth:`Views.view`."""
        return self._wp.to_torch(source, requires_grad=False)

    def write(self, target: Array, values: Array, where: Mask | None = None) -> None:
        """See :meth:`Views.write`; NumPy's arrays are taken, too, without waiting."""
        values = sent(values, target)
        if where is None:
            target.copy_(values)
        else:
            if isinstance(where, np.ndarray):
                where = sent(np.asarray(where, bool), target)
            assign(target, values, where)

    def copy(self, view: Array) -> Array:
        """See :meth:`Views.copy`."""
        return view.clone()

    def push(self) -> None:
        """There is nothing to do."""

    def pull(self) -> None:
        """There is nothing to do."""


class MirrorViews(NumpyViews):
    """NumPy arrays on the host, which follow those of the device."""

    def __init__(self, wp: Any, device: str):
        """Nothing is mirrored yet."""
        self._wp = wp
        self._device = device
        self._pinned = device != "cpu"
        self._pairs: list[tuple[Any, Any, bool]] = []

    def view(self, source: Any, *, writable: bool = False) -> Array:
        """See :meth:`Views.view`."""
        host = self._wp.empty_like(source, device="cpu", pinned=self._pinned)
        self._pairs.append((source, host, writable))
        self._wp.copy(host, source)
        self._wp.synchronize_device(self._device)
        return host.numpy()

    def push(self) -> None:
        """See :meth:`Views.push`."""
        for source, host, writable in self._pairs:
            if writable:
                self._wp.copy(source, host)

    def pull(self) -> None:
        """See :meth:`Views.pull`."""
        for source, host, _ in self._pairs:
            self._wp.copy(host, source)
        self._wp.synchronize_device(self._device)


def make_views(wp: Any, arrays: str, device: str) -> Views:
    """The views that were asked for.

    Args:
        wp: the module ``warp``.
        arrays: "numpy", "torch" or "mirror"; on a GPU "numpy" is "mirror".
        device: where the arrays are.

    Raises:
        UsageError: another kind.
    """
    if arrays == "torch":
        return TensorViews(wp)
    if arrays == "mirror" or (arrays == "numpy" and device != "cpu"):
        return MirrorViews(wp, device)
    if arrays == "numpy":
        return NumpyViews()
    raise unknown("kind of arrays", arrays, ("numpy", "torch", "mirror"))
