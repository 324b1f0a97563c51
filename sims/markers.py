"""Task markers as shapes: for a picture's scene, and for a viewer's list of shapes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown

if TYPE_CHECKING:
    import mujoco

    from sims.task import Marker

MAX_SEGMENTS = 120
"""A longer line is thinned out, since each segment costs one shape."""


def draw_markers(scene: "mujoco.MjvScene", markers: "Iterable[Marker]") -> None:
    """Add markers to a scene, as far as there is room."""
    for piece in _pieces(markers):
        if scene.ngeom >= scene.maxgeom:
            return
        _shape(scene.geoms[scene.ngeom], *piece)
        scene.ngeom += 1


def marker_geoms(markers: "Iterable[Marker]") -> "list[mujoco.MjvGeom]":
    """The shapes that draw the markers, for a viewer that takes a list of them."""
    import mujoco

    geoms = []
    for piece in _pieces(markers):
        geom = mujoco.MjvGeom()
        _shape(geom, *piece)
        geoms.append(geom)
    return geoms


_Piece = tuple[str, np.ndarray, np.ndarray, float, np.ndarray]


def _pieces(markers: "Iterable[Marker]") -> Iterator[_Piece]:
    """Kind, both ends (3,) [m], radius [m] and colour (4,) of each shape to draw.

    Raises:
        UsageError: an unknown kind of marker, or points of another shape.
    """
    counts = {"sphere": (1, 1), "arrow": (2, 2), "line": (2, None)}
    for marker in markers:
        if marker.kind not in counts:
            raise unknown("kind of marker", marker.kind, counts)
        points = np.asarray(marker.points, float)
        least, most = counts[marker.kind]
        if (
            points.ndim != 2
            or points.shape[1] != 3
            or not least <= len(points) <= (most or len(points))
        ):
            raise UsageError(
                f"a marker {marker.kind!r} takes points (n, 3) with n "
                f"{'>= 2' if most is None else f'= {least}'}, got {points.shape}"
            )
        if len(points) > MAX_SEGMENTS + 1:
            keep = np.linspace(0, len(points) - 1, MAX_SEGMENTS + 1).round().astype(int)
            points = points[keep]
        rgba = np.asarray(marker.rgba, np.float32)
        ends = points[1:] if len(points) > 1 else points
        for tail, head in zip(points, ends, strict=False):
            yield marker.kind, tail, head, marker.size, rgba


def _shape(
    geom: "mujoco.MjvGeom",
    kind: str,
    tail: np.ndarray,
    head: np.ndarray,
    radius: float,
    rgba: np.ndarray,
) -> None:
    """Make a geom of a scene into one piece of a marker."""
    import mujoco

    shapes = {
        "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
        "line": mujoco.mjtGeom.mjGEOM_CAPSULE,
        "arrow": mujoco.mjtGeom.mjGEOM_ARROW,
    }
    size = np.full(3, radius)
    mujoco.mjv_initGeom(geom, shapes[kind], size, tail, np.eye(3).ravel(), rgba)
    if kind != "sphere":
        mujoco.mjv_connector(geom, shapes[kind], radius, tail, head)
    if kind == "arrow":
        geom.size[2] *= 2  # MuJoCo and its Studio draw half of an arrow's length
