"""Randomisation of what cameras see: light, colours, textures, the cameras themselves.

Like :mod:`sims.randomization`, of which :attr:`Randomization.images
<sims.randomization.Randomization.images>` is a part: frozen terms, drawn at each reset
and keyed by (term, environment, episode), always relative to the nominal scene. They
are written into the scene that is drawn, never into the one that is simulated: the
physics keeps its bits, every engine shows the same pictures, and where no camera is
observed nothing of this runs.

Tobin et al. 2017 (arXiv:1703.06907): with enough variation of its pictures, the real
world is to a policy just one more of them. What each term costs stands in
``python -m benchmarks.cameras``: only a texture costs anything to speak of, since it
must reach OpenGL anew for each environment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import Mask, assign
from sims.draws import Draws
from sims.looks import (
    DRAWN,
    PIXELS,
    draw_pattern,
    element_ids,
    expose,
    slot,
    speckle,
    texture_pixels,
)

if TYPE_CHECKING:
    import mujoco

KINDS = (*DRAWN, "texture", *PIXELS)


@dataclass(frozen=True, kw_only=True)
class ImageTerm:
    """One thing about pictures, drawn at each reset."""

    name: str
    """Key of its draws; a term of a profile replaces the task's of the same name."""
    kind: str
    """What is varied, one of :data:`KINDS`; the functions below make them."""
    low: float
    high: float
    elements: tuple[str, ...] = ()
    """Names of lights, geoms, materials, textures or cameras; empty: all of them."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown(f"kind of the image term {self.name!r}", self.kind, KINDS)
        if not self.low <= self.high:
            raise UsageError(
                f"{self.name}: a range runs from low to high, got {self.low:g} .. "
                f"{self.high:g}"
            )
        signed = self.kind in DRAWN and not DRAWN[self.kind].scales
        if self.low < 0 and not signed:
            raise UsageError(f"{self.name}: is not negative, got {self.low:g}")
        if self.kind == "camera_zoom" and self.low <= 0:
            raise UsageError(f"{self.name}: a zoom lies above 0, got {self.low:g}")
        if self.kind == "texture" and self.high > 1:
            raise UsageError(f"{self.name}: a share is at most 1, got {self.high:g}")


def light_position(offset: float, *lights: str) -> ImageTerm:
    """Where lights are; up to so far away along each axis [m]."""
    return _around("light_position", offset, lights)


def light_direction(angle: float, *lights: str) -> ImageTerm:
    """Where lights shine; turned by up to this angle [rad] about each axis."""
    return _around("light_direction", angle, lights)


def light_intensity(low: float, high: float, *lights: str) -> ImageTerm:
    """How bright lights are; a factor for each."""
    return _scaled("light_intensity", low, high, lights)


def light_colour(low: float, high: float, *lights: str) -> ImageTerm:
    """The colour of lights; a factor for each of red, green and blue."""
    return _scaled("light_colour", low, high, lights)


def headlight(low: float, high: float) -> ImageTerm:
    """How bright the light is that comes from everywhere and from the eye; a factor."""
    return _scaled("headlight", low, high, ())


def geom_colour(low: float, high: float, *geoms: str) -> ImageTerm:
    """The colour of shapes, whatever their material; a factor for each channel."""
    return _scaled("geom_colour", low, high, geoms)


def material_colour(low: float, high: float, *materials: str) -> ImageTerm:
    """The colour of materials; a factor for each channel."""
    return _scaled("material_colour", low, high, materials)


def texture(low: float, high: float, *textures: str) -> ImageTerm:
    """A pattern over flat textures; the share of it, from 0 to 1, is drawn."""
    return _scaled("texture", low, high, textures)


def camera_position(offset: float, *cameras: str) -> ImageTerm:
    """Where cameras are; up to so far away along each axis of their body [m]."""
    return _around("camera_position", offset, cameras)


def camera_rotation(angle: float, *cameras: str) -> ImageTerm:
    """Where cameras look; turned by up to this angle [rad] about each axis."""
    return _around("camera_rotation", angle, cameras)


def camera_zoom(low: float, high: float, *cameras: str) -> ImageTerm:
    """The focal length, and with it the field of view; a factor."""
    return _scaled("camera_zoom", low, high, cameras)


def exposure(low: float, high: float) -> ImageTerm:
    """The brightness of the finished picture; a factor."""
    return _scaled("exposure", low, high, ())


def pixel_noise(low: float, high: float) -> ImageTerm:
    """Gaussian noise on each channel of each pixel, new at each step; the range of its
    standard deviation, of which the episode's is drawn [levels of 255]."""
    return _scaled("pixel_noise", low, high, ())


def _around(kind: str, size: float, elements: tuple[str, ...]) -> ImageTerm:
    return ImageTerm(name=kind, kind=kind, low=-size, high=size, elements=elements)


def _scaled(kind: str, low: float, high: float, elements: tuple[str, ...]) -> ImageTerm:
    return ImageTerm(name=kind, kind=kind, low=low, high=high, elements=elements)


TRAIN_IMAGES = (
    light_direction(0.2),
    light_position(0.2),
    light_intensity(0.8, 1.2),
    light_colour(0.9, 1.1),
    headlight(0.8, 1.2),
    material_colour(0.8, 1.2),
    camera_position(0.01),
    camera_rotation(0.015),
    camera_zoom(0.98, 1.02),
    exposure(0.9, 1.1),
    pixel_noise(0.0, 4.0),
)
"""For any scene: as much as cameras that are mounted by hand, in a room with windows,
differ; a red thing stays red."""

GAP_IMAGES = (
    light_direction(0.2),
    light_position(0.2),
    light_intensity(0.55, 0.75),
    light_colour(0.9, 1.1),
    headlight(1.25, 1.4),
    material_colour(0.7, 0.78),
    ImageTerm(name="camera_position", kind="camera_position", low=0.011, high=0.018),
    ImageTerm(name="camera_rotation", kind="camera_rotation", low=0.016, high=0.025),
    camera_zoom(0.95, 0.975),
    exposure(1.12, 1.2),
    pixel_noise(5.0, 8.0),
)
"""What :data:`TRAIN_IMAGES` never showed: all but the lights' place and colour lie
outside of its ranges."""


class ImageRandomizer:
    """The image terms of a randomisation, bound to a scene."""

    def __init__(self, model: "mujoco.MjModel", terms: Iterable[ImageTerm]):
        """Resolve names to rows.

        Args:
            model: the nominal scene; never written to.
            terms: what is varied.

        Raises:
            UsageError: an element that the scene does not have.
        """
        terms = tuple(terms)
        self._model = model
        self._drawn = [term for term in terms if term.kind in DRAWN]
        self._textures = [term for term in terms if term.kind == "texture"]
        self._pixels = [term for term in terms if term.kind in PIXELS]
        self._ids = {
            term.name: element_ids(model, term.kind, term.elements)
            for term in self._drawn + self._textures
        }
        self._values: dict[str, np.ndarray] = {}
        """Fields of the scene, (num_envs, *shape of the field)."""
        self._patterns: dict[int, np.ndarray] = {}
        """Contents of textures by id, (num_envs, height, width, channels) uint8."""
        self._strength: dict[str, np.ndarray] = {}
        """Of what is done to finished pictures, (num_envs,)."""
        self._draws: Draws | None = None

    @property
    def active(self) -> bool:
        """Whether there is anything to vary."""
        return bool(self._drawn or self._textures or self._pixels)

    def reset(self, where: Mask, draws: Draws) -> None:
        """Draw every term anew for some environments.

        Args:
            where: (num_envs,) which.
            draws: of the present episodes of all environments.
        """
        self._draws = draws
        fresh: dict[str, np.ndarray] = {}
        for term in self._drawn:
            kind, ids = DRAWN[term.kind], self._ids[term.name]
            drawn = draws.uniform(
                term.name, term.low, term.high, (len(ids), *kind.shape)
            )
            kind.write(self._model, fresh, ids, drawn)
        for field, values in fresh.items():
            assign(self._values.setdefault(field, values), values, where)
        for term in self._textures:
            for texture_id in self._ids[term.name].tolist():
                self._paint(term, texture_id, where, draws)
        for term in self._pixels:
            drawn = draws.uniform(term.name, term.low, term.high)
            assign(self._strength.setdefault(term.name, drawn), drawn, where)

    def dress(self, model: "mujoco.MjModel", env: int) -> list[int]:
        """Write one environment's looks into a scene that is drawn.

        Returns:
            Ids of the textures whose contents are other ones now.
        """
        for field, values in self._values.items():
            slot(model, field)[...] = values[env]
        changed = []
        for texture_id, pixels in self._patterns.items():
            held = texture_pixels(model, texture_id)
            if not np.array_equal(held, pixels[env]):
                held[:] = pixels[env]
                changed.append(texture_id)
        return changed

    def develop(
        self, picture: np.ndarray, env: int, camera: str, step: int
    ) -> np.ndarray:
        """What is done to a finished picture (height, width, 3) uint8."""
        for term in self._pixels:
            strength = float(self._strength[term.name][env])
            if term.kind == "exposure":
                picture = expose(picture, strength)
            elif self._draws is not None:
                picture = speckle(
                    picture,
                    strength,
                    self._draws.of(env).bits(
                        f"{term.name}:{camera}",
                        (-(-picture.size // 4),),
                        np.array([step]),
                    )[0],
                )
        return picture

    def _paint(
        self, term: ImageTerm, texture_id: int, where: Mask, draws: Draws
    ) -> None:
        """Draw a texture's contents anew for some environments."""
        nominal = texture_pixels(self._model, texture_id)
        if texture_id not in self._patterns:
            self._patterns[texture_id] = np.repeat(nominal[None], len(where), axis=0)
        name = self._model.tex(texture_id).name
        for env in np.flatnonzero(where).tolist():
            self._patterns[texture_id][env] = draw_pattern(
                nominal, term, name, draws.of(env)
            )
