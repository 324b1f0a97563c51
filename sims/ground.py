"""How high the ground is at places in the world: the surface that robots touch.

A height field is cut into triangles as MuJoCo cuts it, from each cell's lowest x and y
to its highest, so that heights are those of the contacts and not a smooth guess.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from sims.arrays import Array, like, namespace

if TYPE_CHECKING:
    import mujoco


class Ground:
    """The height field of a scene, as the engines have it; at its edge it goes on at
    the height of the edge."""

    def __init__(self, model: "mujoco.MjModel", geom: str):
        """Take over the heights.

        Args:
            model: the nominal model.
            geom: name of the field's geom, which stands upright in the world.
        """
        field = model.geom_dataid[model.geom(geom).id]
        rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
        size, start = model.hfield_size[field], model.hfield_adr[field]
        place = model.geom(geom).pos
        data = model.hfield_data[start : start + rows * columns].astype(float)
        self._heights = data * size[2] + place[2]
        self._corner = (place[:2] - size[:2]).tolist()
        self._end = (place[:2] + size[:2]).tolist()
        self._per_metre = (np.array([columns - 1, rows - 1]) / (2 * size[:2])).tolist()
        self._last = columns - 1, rows - 1

    def __call__(self, x: Array, y: Array) -> Any:
        """Heights [m].

        Args:
            x: places, any shape [m].
            y: likewise.
        """
        xp, z = namespace(x), like(self._heights, x)
        column, along = self._cell(x, 0)
        row, across = self._cell(y, 1)
        width = self._last[0] + 1
        first = row * width + column
        low, high = z[first], z[first + width + 1]
        middle = z[first + xp.where(along > across, 1, width)]
        more, less = xp.maximum(along, across), xp.minimum(along, across)
        return low + more * (middle - low) + less * (high - middle)

    def _cell(self, place: Array, axis: int) -> tuple[Array, Array]:
        """Which cell a coordinate is in, and how far into it [cells]."""
        xp = namespace(place)
        # a robot that has broken down may be nowhere
        inside = xp.clip(xp.nan_to_num(place), self._corner[axis], self._end[axis])
        at = xp.asarray((inside - self._corner[axis]) * self._per_metre[axis])
        cell = xp.minimum(xp.astype(at, xp.int64), self._last[axis] - 1)
        return cell, at - cell
