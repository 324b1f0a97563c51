"""Pictures of an engine's environments, whichever way an engine can be drawn.

An engine that holds a scene of MuJoCo is drawn from its snapshots
(:class:`~sims.render.Renderer`), with cameras and markers. One that has none
(``engine.model is None``) draws itself, and its picture is fitted into the frame.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.render import Renderer
    from sims.task import Marker


class Pictures(Protocol):
    """Draws one environment after another."""

    def render(
        self, env: int, camera: str | None = None, markers: "Iterable[Marker]" = ()
    ) -> np.ndarray:
        """A picture (height, width, 3) uint8.

        Args:
            env: index of the environment.
            camera: a name, or None for the default view.
            markers: to draw into the scene.
        """
        ...


@contextmanager
def open_pictures(
    engine: "Engine", width: int, height: int, *, quality: str = "high"
) -> Iterator[Pictures]:
    """Get ready to draw an engine's environments.

    Args:
        engine: stays open.
        width: of the pictures [pixels].
        height: of the pictures [pixels].
        quality: see :class:`~sims.render.Renderer`.

    Raises:
        UsageError: a size or quality that is not allowed.
        SandbotError: pictures cannot be drawn.
    """
    if engine.model is None:
        yield _OwnPictures(engine, width, height)
        return
    from sims.render import Renderer

    with Renderer(engine.model, width, height, quality=quality) as renderer:
        yield _ScenePictures(engine, renderer)


def fit(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture scaled into a frame, the rest in the colour of its corner.

    Args:
        picture: (any height, any width, 3) uint8.
        width: of the frame [pixels].
        height: of the frame [pixels].

    Returns:
        (height, width, 3) uint8.
    """
    from PIL import Image

    tall, wide = picture.shape[:2]
    scale = min(width / wide, height / tall)
    size = (max(1, round(wide * scale)), max(1, round(tall * scale)))
    scaled = np.asarray(Image.fromarray(picture).resize(size))
    frame = np.empty((height, width, 3), np.uint8)
    frame[:] = picture[0, 0]
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    return frame


class _ScenePictures:
    """From snapshots."""

    def __init__(self, engine: "Engine", renderer: "Renderer"):
        self._engine, self._renderer = engine, renderer

    def render(
        self, env: int, camera: str | None = None, markers: "Iterable[Marker]" = ()
    ) -> np.ndarray:
        model, data = self._engine.snapshot(env)
        self._renderer.follow(model)
        return self._renderer.render(data, camera, markers)


class _OwnPictures:
    """From the engine's own drawing, which has one view and no markers."""

    def __init__(self, engine: "Engine", width: int, height: int):
        self._engine, self._size = engine, (width, height)

    def render(
        self, env: int, camera: str | None = None, markers: "Iterable[Marker]" = ()
    ) -> np.ndarray:
        picture = self._engine.render(["own"], np.array([env]))["own"][0]
        return fit(picture, *self._size)
