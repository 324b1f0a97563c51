"""Run a network so that a row's result does not depend on how many rows there are.

A matrix product picks its kernel, and with it the order of the sum, by the size of the
batch: the last bits of one robot's action would change with the number of robots beside
it. Here the kernel always sees the same shape: rows go through in tiles of 64, the last
one padded with zeros. Within a tile, a row's result depends on that row alone and not
on its place, which ``tests/ml/test_ml_tiles.py`` checks bit for bit.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

TILE = 64
"""Rows of a tile: a batch of one stays cheap, thousands stay efficient."""


@torch.no_grad()
def run_tiled(
    function: Callable[..., Any], *inputs: Tensor, tile: int = TILE
) -> tuple[Tensor, ...]:
    """Apply a row-wise function in fixed tiles.

    Args:
        function: takes tensors (tile, ...), returns one or a tuple of them.
        inputs: each (rows, ...), the same number of rows.
        tile: rows given to one call.

    Returns:
        The function's outputs as a tuple, each (rows, ...).
    """
    rows = len(inputs[0])
    pieces: list[tuple[Tensor, ...]] = []
    for start in range(0, rows, tile):
        outputs = function(*(_tile_of(x, start, tile) for x in inputs))
        pieces.append(outputs if isinstance(outputs, tuple) else (outputs,))
    return tuple(torch.cat(parts)[:rows] for parts in zip(*pieces, strict=True))


def _tile_of(x: Tensor, start: int, tile: int) -> Tensor:
    """Rows ``start`` to ``start + tile``, zeros beyond the end; always a fresh copy.

    The copy gives each tile the same memory layout and alignment.
    """
    part = x[start : start + tile]
    missing = tile - len(part)
    if not missing:
        return part.clone(memory_format=torch.contiguous_format)
    return pad(part, (0, 0) * (x.ndim - 1) + (0, missing))
