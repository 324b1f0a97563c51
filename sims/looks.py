"""How the looks of a scene are varied, kind by kind: the arithmetic of
:mod:`sims.image_randomization`.

Each function starts from the nominal scene and writes the fields of all environments at
once, so that nothing accumulates from one episode to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError, unknown
from sims.draws import Draws

if TYPE_CHECKING:
    import mujoco

    from sims.image_randomization import ImageTerm

PIXELS = ("exposure", "pixel_noise")
"""Kinds that change the finished picture."""
PLAIN = (0.5, 0.5, 0.5, 1.0)
"""MuJoCo's colour of a geom that leaves it to its material."""

Fields = dict[str, np.ndarray]
"""Fields of a scene for all environments, (num_envs, *shape of the field)."""


def slot(model: "mujoco.MjModel", field: str) -> np.ndarray:
    """A field of the scene, such as "light_pos" or "vis.headlight.diffuse"."""
    return reduce(getattr, field.split("."), model)  # pyright: ignore[reportReturnType]


def _take(model: "mujoco.MjModel", fields: Fields, field: str, count: int) -> Any:
    """A field's values as they are so far, nominal at first."""
    if field not in fields:
        nominal = np.array(slot(model, field), float)
        fields[field] = np.repeat(nominal[None], count, axis=0)
    return fields[field]


def _shift(field: str) -> Callable[..., None]:
    def write(model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray) -> None:
        _take(model, fields, field, len(drawn))[:, ids] += drawn

    return write


def _scale(*names: str) -> Callable[..., None]:
    """Multiply colours, (num_envs, n, 3 or 4), by (num_envs, n, 1 or 3)."""

    def write(model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray) -> None:
        for field in names:
            _take(model, fields, field, len(drawn))[:, ids, :3] *= drawn

    return write


def _headlight(model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray) -> None:
    for part in ("ambient", "diffuse", "specular"):
        _take(model, fields, f"vis.headlight.{part}", len(drawn))[:] *= drawn[:, 0]


def _geom_colour(
    model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray
) -> None:
    """A geom's colour goes before its material's, unless it is :data:`PLAIN`."""
    values = _take(model, fields, "geom_rgba", len(drawn))
    materials = _take(model, fields, "mat_rgba", len(drawn))
    for column, geom in enumerate(ids.tolist()):
        material = model.geom_matid[geom]
        plain = np.allclose(model.geom_rgba[geom], PLAIN)
        base = materials[:, material] if plain and material >= 0 else values[:, geom]
        values[:, geom] = base
        values[:, geom, :3] *= drawn[:, column]


def _light_direction(
    model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray
) -> None:
    values = _take(model, fields, "light_dir", len(drawn))
    values[:, ids] = _turned(values[:, ids], drawn)


def _camera_rotation(
    model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray
) -> None:
    """Turn a camera about an axis of its own frame: q <- q * exp(drawn)."""
    values = _take(model, fields, "cam_quat", len(drawn))
    angle = np.linalg.norm(drawn, axis=-1, keepdims=True)
    half = np.concatenate(
        [np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * drawn], axis=-1
    )
    values[:, ids] = _product(values[:, ids], half)


def _camera_zoom(
    model: Any, fields: Fields, ids: np.ndarray, drawn: np.ndarray
) -> None:
    """f <- f * factor; of a camera without a sensor, tan(fovy / 2) is divided by it."""
    fovy = _take(model, fields, "cam_fovy", len(drawn))
    tangent = np.tan(np.radians(fovy[:, ids]) / 2)
    fovy[:, ids] = np.degrees(2 * np.arctan(tangent / drawn[..., 0]))
    _take(model, fields, "cam_intrinsic", len(drawn))[:, ids, :2] *= drawn


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One thing that can be varied in the scene that is drawn."""

    write: Callable[[Any, Fields, np.ndarray, np.ndarray], None]
    """``(nominal model, fields, element ids, draws (num_envs, n, *shape))``."""
    shape: tuple[int, ...]
    """Of one element's draw."""
    scales: bool
    """Whether draws are factors."""


DRAWN = {
    "light_position": Kind(write=_shift("light_pos"), shape=(3,), scales=False),
    "light_direction": Kind(write=_light_direction, shape=(3,), scales=False),
    "light_intensity": Kind(
        write=_scale("light_diffuse", "light_ambient", "light_specular"),
        shape=(1,),
        scales=True,
    ),
    "light_colour": Kind(write=_scale("light_diffuse"), shape=(3,), scales=True),
    "headlight": Kind(write=_headlight, shape=(1,), scales=True),
    "geom_colour": Kind(write=_geom_colour, shape=(3,), scales=True),
    "material_colour": Kind(write=_scale("mat_rgba"), shape=(3,), scales=True),
    "camera_position": Kind(write=_shift("cam_pos"), shape=(3,), scales=False),
    "camera_rotation": Kind(write=_camera_rotation, shape=(3,), scales=False),
    "camera_zoom": Kind(write=_camera_zoom, shape=(1,), scales=True),
}
"""By kind. Rotations are vectors whose length is the angle [rad]."""


def element_ids(
    model: "mujoco.MjModel", kind: str, elements: tuple[str, ...]
) -> np.ndarray:
    """Ids of the elements that a kind varies, or of all of them.

    Raises:
        UsageError: the scene has none of that name, or a texture is not flat.
    """
    if kind == "headlight":
        return np.zeros(1, int)
    what = kind.split("_")[0]
    accessor, count = {
        "light": ("light", model.nlight),
        "geom": ("geom", model.ngeom),
        "material": ("mat", model.nmat),
        "texture": ("tex", model.ntex),
        "camera": ("camera", model.ncam),
    }[what]
    names = [getattr(model, accessor)(index).name for index in range(count)]
    for name in elements:
        if name not in names:
            raise unknown(f"{what} in the scene", name, filter(None, names))
    chosen = [
        index for index in range(count) if not elements or names[index] in elements
    ]
    if what != "texture":
        return np.array(chosen, int)
    flat = [index for index in chosen if model.tex_type[index] == 0]
    if elements and flat != chosen:
        raise UsageError(
            f"the textures {', '.join(elements)} must be flat (type 2d) to take a "
            f"pattern, and not all are: cubes and skies do not"
        )
    return np.array(flat, int)


def texture_pixels(model: "mujoco.MjModel", texture: int) -> np.ndarray:
    """Contents of a texture, a view (height, width, channels) uint8."""
    shape = (
        int(model.tex_height[texture]),
        int(model.tex_width[texture]),
        int(model.tex_nchannel[texture]),
    )
    begin = int(model.tex_adr[texture])
    return model.tex_data[begin : begin + int(np.prod(shape))].reshape(shape)


def draw_pattern(
    nominal: np.ndarray, term: "ImageTerm", name: str, draws: Draws
) -> np.ndarray:
    """Contents of a texture for one environment: the nominal ones, under a pattern.

    The pattern is a product of two waves, of drawn direction, length and sharpness,
    between two drawn colours: stripes, checks, soft clouds. The waves fit into the
    texture a whole number of times, so that it meets itself at its borders.

    Args:
        nominal: (height, width, channels) uint8.
        term: how strong the pattern is.
        name: of the texture.
        draws: of that environment, a batch of one.

    Returns:
        As ``nominal``.
    """
    key = f"{term.name}:{name}"
    colours = draws.uniform(f"{key}:colours", 0, 255, (2, 3))[0].astype(np.float32)
    share = np.float32(draws.uniform(f"{key}:share", term.low, term.high)[0])
    height, width = nominal.shape[:2]
    wave = np.ones((height, width), np.float32)
    for cycles, angle, phase, edge in draws.uniform(f"{key}:waves", shape=(2, 4))[0]:
        count = 1 + 7 * cycles
        x = np.round(count * np.cos(np.pi * angle)) * np.arange(width) / width
        y = np.round(count * np.sin(np.pi * angle)) * np.arange(height) / height
        whole = 2 * np.pi * (x[None] + y[:, None] + phase)
        wave *= np.tanh((1 + 9 * edge) * np.sin(whole)).astype(np.float32)
    blend = (0.5 + 0.5 * wave)[..., None]
    pattern = blend * colours[0] + (1 - blend) * colours[1]
    out = nominal.astype(np.float32)
    out[..., :3] += share * (pattern - out[..., :3])
    return out.round().astype(np.uint8)


def expose(picture: np.ndarray, factor: float) -> np.ndarray:
    """A picture, brighter or darker by a factor; uint8."""
    levels = np.clip(np.arange(256) * factor, 0, 255).round().astype(np.uint8)
    return levels[picture]


def speckle(picture: np.ndarray, deviation: float, bits: np.ndarray) -> np.ndarray:
    """A picture under Gaussian noise of that standard deviation [levels]; uint8.

    Args:
        picture: uint8.
        deviation: [levels of 255].
        bits: at least a uint64 for every four values; each takes 16 bits, and the
            normal quantile there.
    """
    noise = np.round(_quantiles() * np.float32(deviation)).astype(np.int16)
    places = bits.view(np.uint16)[: picture.size].reshape(picture.shape)
    return np.clip(picture + noise[places], 0, 255).astype(np.uint8)


@cache
def _quantiles() -> np.ndarray:
    """The standard normal's quantile in the middle of each of 65,536 equal parts."""
    from scipy.special import ndtri

    return ndtri((np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)


def _turned(vectors: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) turned by rotation vectors (..., 3) [rad] (Rodrigues)."""
    angle = np.linalg.norm(turns, axis=-1, keepdims=True)
    axis = turns / np.maximum(angle, 1e-12)
    along = (axis * vectors).sum(axis=-1, keepdims=True)
    return (
        vectors * np.cos(angle)
        + np.cross(axis, vectors) * np.sin(angle)
        + axis * along * (1 - np.cos(angle))
    )


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Product of quaternions (..., 4) wxyz."""
    w, v = first[..., :1], first[..., 1:]
    s, u = second[..., :1], second[..., 1:]
    return np.concatenate(
        [
            w * s - (v * u).sum(axis=-1, keepdims=True),
            w * u + s * v + np.cross(v, u),
        ],
        axis=-1,
    )
