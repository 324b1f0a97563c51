"""Nested state as tensors and numbers by name, and back: for files that hold no code.

A tree is made of dictionaries, lists, tuples and objects; its leaves are arrays,
tensors and plain numbers. :func:`fill` needs a tree of the same kind to put the leaves
into, so that no class has to be named in a file. What is frozen, such as a
configuration, belongs to the tree that is filled and is not stored, and neither do
functions. Anything else, such as a generator of NumPy's, is refused and not left out.
"""

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from assets.errors import SandbotError

_PLAIN = bool | int | float | str | None


def flatten(tree: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All leaves: copies of tensors, on the CPU, and plain numbers, by their path.

    Raises:
        TypeError: something that cannot be stored.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for path, leaf in _leaves(tree, ""):
        if isinstance(leaf, np.ndarray):
            own = np.ascontiguousarray(leaf).reshape(leaf.shape).copy()
            unsigned = own.dtype == np.uint64
            tensors[path] = torch.from_numpy(own.view(np.int64) if unsigned else own)
        elif isinstance(leaf, Tensor):
            tensors[path] = leaf.detach().cpu().clone()
        else:
            numbers[path] = leaf.item() if isinstance(leaf, np.generic) else leaf
    return tensors, numbers


def fill(
    tree: Any,
    tensors: dict[str, Tensor],
    numbers: dict[str, Any],
    *,
    any_shape: str | None = None,
) -> Any:
    """The same tree with other leaves; objects and lists are changed in place.

    Args:
        tree: of the kind that was flattened; its arrays say of which type and on which
            device those of the result are.
        tensors: what :func:`flatten` gave.
        numbers: likewise.
        any_shape: path under which arrays may have other shapes than those in the
            tree, since they grow with time; None: nowhere.

    Raises:
        SandbotError: a leaf is missing, or has another shape.
    """
    return _fill(tree, "", _Leaves(tensors, numbers, any_shape))


def _children(tree: Any) -> list[tuple[str, Any]] | None:
    """Names and values below; None: it is a leaf."""
    if isinstance(tree, dict):
        return [(str(key), value) for key, value in tree.items()]
    if isinstance(tree, list | tuple):
        return [(str(index), value) for index, value in enumerate(tree)]
    if isinstance(tree, np.ndarray | np.generic | Tensor | slice) or not hasattr(
        tree, "__dict__"
    ):
        return None
    return list(vars(tree).items())


def _frozen(value: Any) -> bool:
    if is_dataclass(value):
        # a frozen object may hold arrays that are not
        return value.__dataclass_params__.frozen and not any(  # type: ignore[attr-defined]
            isinstance(one, dict | np.ndarray | Tensor) for one in vars(value).values()
        )
    return callable(value) or isinstance(value, slice)


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = _children(tree)
    if children is None:
        if isinstance(tree, np.ndarray | np.generic | Tensor | _PLAIN):
            yield path, tree
        elif not _frozen(tree):
            raise TypeError(f"{path}: a {type(tree).__name__} cannot be stored")
        return
    for name, value in children:
        if not _frozen(value):
            yield from _leaves(value, f"{path}/{name}" if path else name)


class _Leaves(NamedTuple):
    """What a tree is filled with."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    any_shape: str | None


def _fill(tree: Any, path: str, leaves: _Leaves) -> Any:
    children = _children(tree)
    if children is None:
        return _leaf(tree, path, leaves)
    new = {
        name: value
        if _frozen(value)
        else _fill(value, f"{path}/{name}" if path else name, leaves)
        for name, value in children
    }
    if isinstance(tree, dict):
        keys = {str(key): key for key in tree}
        start = f"{path}/" if path else ""
        for name, value in leaves.tensors.items():  # what the other tree had on top
            rest = name[len(start) :]
            if name.startswith(start) and "/" not in rest and rest not in new:
                new[rest] = value.numpy() if _numpy(tree) else value
        return {keys.get(name, name): value for name, value in new.items()}
    if isinstance(tree, list | tuple):
        # a named tuple takes its values one by one
        make = getattr(tree, "_make", type(tree))
        return make(new.values())
    for name, value in new.items():
        if value is not getattr(tree, name):
            object.__setattr__(tree, name, value)
    return tree


def _numpy(tree: dict) -> bool:
    return any(isinstance(value, np.ndarray) for value in tree.values())


def _leaf(tree: Any, path: str, leaves: _Leaves) -> Any:
    tensors, numbers, any_shape = leaves
    if isinstance(tree, np.ndarray | Tensor):
        if path not in tensors:
            raise SandbotError(f"a saved state has no {path}: it is of another version")
        value = tensors[path]
        grows = any_shape is not None and path.startswith(f"{any_shape}/")
        if tuple(value.shape) != tuple(tree.shape) and not grows:
            raise SandbotError(
                f"a saved state's {path} has the shape {tuple(value.shape)}, and "
                f"{tuple(tree.shape)} is needed: resume with the same settings"
            )
        if isinstance(tree, Tensor):
            return value.to(tree.device, tree.dtype)
        array = value.numpy()
        return array.view(np.uint64) if tree.dtype == np.uint64 else array
    if isinstance(tree, np.generic | _PLAIN):
        if path not in numbers:
            raise SandbotError(f"a saved state has no {path}: it is of another version")
        value = numbers[path]
        return type(tree)(value) if isinstance(tree, np.generic) else value
    return tree
