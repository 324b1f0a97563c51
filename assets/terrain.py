"""The ground of the humanoid's scene "terrain": tiles of five kinds on six levels.

One height field for all environments, since engines cannot give each its own: an
environment starts on a tile. Kinds lie side by side along y, levels one after the other
along x, the easiest, which is flat, at the world's origin. What makes a tile hard grows
in proportion to its level: roughness up to 0.1 m, slopes up to 0.3, steps up to 0.1 m.

Each tile is 6 m wide, starts with a flat platform at its centre and ends at height 0,
so that tiles join. Slopes and stairs are square pyramids and pits around the platform;
outside of all tiles four boxes go on at height 0. Heights are given every 0.1 m, so the
front of a step is a ramp of that length: small enough for a foot of 0.21 m, and few
enough points for MuJoCo Warp, which gives one body at most 50 contacts with a field.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

KINDS = ("rough", "slope_up", "slope_down", "stairs_up", "stairs_down")
"""Up or down is where a robot goes that leaves the centre."""
LEVELS = 6
TILE = 6.0
"""Width [m]."""
CELL = 0.1
"""Between heights [m]."""
PLATFORM = 0.6
"""From a tile's centre to the edge of its platform [m]."""
MARGIN = 0.2
"""Of height 0 at a tile's edge [m]."""
ROUGHNESS, SLOPE, RISE = 0.1, 0.3, 0.1
"""Of the last level: from the lowest to the highest point [m], height by length, and
height of a step [m]."""
TREAD = 0.4
"""Length of a step, its front included [m]."""
BUMP = 0.2
"""Between the points that roughness is drawn at [m]."""
SEED = 5
"""Of the roughness."""
PIXELS = 4
"""Of the picture, along a cell."""
PALE, DARK, LINE = (189, 196, 207), (173, 182, 194), (209, 217, 224)
"""Of the squares of a metre, and of the tiles' borders."""
LOW, HIGH = (96, 122, 150), (214, 190, 156)
"""What a metre below and a metre above 0 is tinted with."""
FRONT = (205, 128, 74)
"""Of what is steeper than any slope: the fronts of steps."""
CELLS = round(TILE / CELL)
"""Of a tile, along either side."""
CORNER = (-TILE / 2, -len(KINDS) * TILE / 2)
"""Lowest x and y of the field [m]."""


def centres() -> np.ndarray:
    """(LEVELS, kinds, 2): x and y of each tile's centre [m]."""
    x = np.arange(LEVELS) * TILE
    y = CORNER[1] + (np.arange(len(KINDS)) + 0.5) * TILE
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)


def heights() -> np.ndarray:
    """(points along y, points along x) of the whole field [m]."""
    field = np.zeros((len(KINDS) * CELLS + 1, LEVELS * CELLS + 1))
    random = np.random.default_rng(SEED)
    for row, kind in enumerate(KINDS):
        for level in range(LEVELS):
            tile = np.s_[
                row * CELLS : (row + 1) * CELLS + 1,
                level * CELLS : (level + 1) * CELLS + 1,
            ]
            field[tile] = _tile(kind, level / (LEVELS - 1), random)
    return field


def _tile(kind: str, difficulty: float, random: np.random.Generator) -> np.ndarray:
    """(CELLS + 1, CELLS + 1) heights of one tile; 0 all around."""
    along = np.abs(np.arange(CELLS + 1) - CELLS // 2)
    # in cells, so that no step's edge hangs on rounding
    out = np.maximum(along[:, None], along[None])
    walked = np.clip(out - round(PLATFORM / CELL), 0, None)
    length = round((TILE / 2 - PLATFORM - MARGIN) / CELL)
    if kind == "rough":
        inside = np.clip(np.minimum(walked, length + 2 - walked) / 2, 0.0, 1.0)
        return ROUGHNESS * difficulty * inside * _bumps(random)
    if kind.startswith("slope"):
        fall = SLOPE * CELL * np.minimum(walked, length)
        depth = SLOPE * CELL * length
    else:
        tread = round(TREAD / CELL)
        steps = length // tread
        fall = RISE * np.minimum(-(-walked // tread), steps)
        depth = RISE * steps
    sign = 1.0 if kind.endswith("down") else -1.0
    return sign * difficulty * (depth - fall)


def _bumps(random: np.random.Generator) -> np.ndarray:
    """(CELLS + 1, CELLS + 1) in [0, 1): drawn every BUMP, linear between."""
    step = round(BUMP / CELL)
    nodes = random.random((CELLS // step + 1, CELLS // step + 1))
    at = np.arange(CELLS + 1) / step
    known = np.arange(len(nodes))
    rows = np.array([np.interp(at, known, row) for row in nodes])
    return np.array([np.interp(at, known, column) for column in rows.T]).T


@cache
def _made() -> tuple[np.ndarray, np.ndarray]:
    """Heights and picture."""
    field = heights()
    return field, _picture(field)


def shape_ground(spec: "mujoco.MjSpec") -> None:
    """Give the scene's field its heights, its place and its colours."""
    field, picture = _made()
    low, high = field.min(), field.max()
    half = np.array([field.shape[1] - 1, field.shape[0] - 1]) * CELL / 2
    ground = spec.hfield("terrain")
    ground.nrow, ground.ncol = field.shape
    ground.size = np.array([*half, high - low, 0.5])
    ground.userdata = ((field - low) / (high - low)).ravel().tolist()
    spec.geom("floor").pos = np.array([CORNER[0] + half[0], CORNER[1] + half[1], low])
    texture = spec.texture("terrain")
    texture.height, texture.width = picture.shape[:2]
    texture.nchannel = 3
    # a picture's first row is at its top, the field's is where y is least
    texture.data = picture[::-1].tobytes()


def _picture(field: np.ndarray) -> np.ndarray:
    """(pixels along y, pixels along x, 3) uint8: the field seen from above."""
    y, x = (np.arange(size - 1) for size in field.shape)
    square = round(1.0 / CELL)
    dark = (y[:, None] // square + x[None] // square) % 2 == 1
    colour = np.where(dark[..., None], DARK, PALE)
    height = ((field[1:, 1:] + field[:-1, :-1]) / 2)[..., None]
    share = np.minimum(np.abs(height), 1.0) ** 0.7
    colour = colour + share * (np.where(height < 0, LOW, HIGH) - colour)
    stairs = np.array([kind.startswith("stairs") for kind in KINDS])[y // CELLS]
    drops = np.abs(np.diff(field, axis=0))[:, :-1], np.abs(np.diff(field, axis=1))[:-1]
    colour[(np.maximum(*drops) > 1e-9) & stairs[:, None]] = FRONT
    colour = np.round(colour).astype(np.uint8)
    colour = colour.repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
    for axis, tiles in enumerate((len(KINDS), LEVELS)):
        for tile in range(tiles + 1):
            at = tile * CELLS * PIXELS
            line = slice(max(at - PIXELS // 2, 0), at + PIXELS // 2)
            colour[(slice(None),) * axis + (line,)] = LINE
    return colour
