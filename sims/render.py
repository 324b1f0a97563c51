"""Off-screen pictures of any engine's snapshot, task markers drawn in.

What a picture costs where no GPU draws it is decided by shadows, then by smooth edges
(``quality="high"``), more than by its size; ``"fast"`` leaves them out, and reflections
too. Figures: ``python -m benchmarks.cameras``.
"""

import copy
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from assets.errors import SandbotError, UsageError, unknown
from sims.markers import draw_markers
from sims.opengl import gl_backend, open_context

if TYPE_CHECKING:
    import mujoco

    from sims.task import Marker

QUALITIES = ("high", "fast")


class Shot(NamedTuple):
    """What a camera sees, each (height, width, ...), the top row first."""

    image: np.ndarray
    """(height, width, 3) uint8."""
    depth: np.ndarray | None = None
    """float32 [m], along the camera's axis; the far plane where there is nothing."""
    segmentation: np.ndarray | None = None
    """int32: id of the geom that is seen; -1: none."""


class Renderer:
    """Draws one scene again and again; a context manager.

    Any thread may use it, as long as it is one at a time.
    """

    def __init__(
        self,
        model: "mujoco.MjModel",
        width: int = 640,
        height: int = 480,
        *,
        quality: str = "high",
        max_geoms: int = 2000,
    ) -> None:
        """Open an OpenGL context for the scene of ``model``.

        Args:
            model: the scene; copied, never written to.
            width: of the pictures [pixels].
            height: of the pictures [pixels].
            quality: "high" with shadows, reflections and smooth edges, or "fast".
            max_geoms: room for the scene's shapes and the markers.

        Raises:
            UsageError: a size that is not positive, or an unknown quality.
            SandbotError: no OpenGL back end.
        """
        self._context: Any = None
        self._gl: Any = None
        self._plain: Renderer | None = None
        """Measures for one that smooths edges, where depths would be blended too."""
        if width < 1 or height < 1:
            raise UsageError(
                f"a picture has at least 1 x 1 pixels, got {width} x {height}"
            )
        if quality not in QUALITIES:
            raise unknown("picture quality", quality, QUALITIES)
        gl_backend()  # before MuJoCo is imported, which reads what this sets
        import mujoco

        self.width, self.height = width, height
        self._fast = quality == "fast"
        self.model = copy.copy(model)
        self.model.vis.global_.offwidth = width
        self.model.vis.global_.offheight = height
        if self._fast:
            self.model.vis.quality.offsamples = 0
            self.model.vis.quality.shadowsize = 0
        self._gl, self.backend = open_context(width, height)
        """What draws, such as "EGL, llvmpipe (LLVM 15.0.6, 256 bits)"."""
        self._scene = mujoco.MjvScene(self.model, maxgeom=max_geoms)
        self._options = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        with self._gl.as_current():
            self._context = mujoco.MjrContext(
                self.model, mujoco.mjtFontScale.mjFONTSCALE_100.value
            )
            self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
            mujoco.mjr_setBuffer(
                mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context
            )

    def render(
        self,
        data: "mujoco.MjData",
        camera: "str | mujoco.MjvCamera | None" = None,
        markers: "Iterable[Marker]" = (),
    ) -> np.ndarray:
        """A picture (height, width, 3) uint8.

        Args:
            data: of the scene, forwarded.
            camera: a name, a free camera, or None for the scene's default view.
            markers: to draw on top of the scene.

        Raises:
            UsageError: the scene has no camera of that name.
            SandbotError: the renderer is closed.
        """
        return self.capture(data, camera, markers=markers).image

    def capture(
        self,
        data: "mujoco.MjData",
        camera: "str | mujoco.MjvCamera | None" = None,
        *,
        markers: "Iterable[Marker]" = (),
        depth: bool = False,
        segmentation: bool = False,
    ) -> Shot:
        """A picture, and what else the camera can tell of the same moment.

        Args:
            data: of :attr:`model`, forwarded.
            camera: a name, a free camera, or None for the scene's default view.
            markers: to draw on top of the scene.
            depth: whether to measure distances, too, of the scene and not the markers;
                with markers, and in "high" quality, it draws the scene twice.
            segmentation: whether to name what is seen, too, markers left out; draws the
                scene twice.

        Raises:
            UsageError: the scene has no camera of that name.
            SandbotError: the renderer is closed.
        """
        import mujoco

        if self._context is None:
            raise SandbotError("this renderer is closed; make a new one")
        view = find_camera(self.model, camera)
        # an endless floor is laid around where the camera is, which is otherwise still
        # where the picture before was taken
        mujoco.mjv_updateCamera(self.model, data, view, self._scene)
        mujoco.mjv_updateScene(
            self.model,
            data,
            self._options,
            None,
            view,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
        ):
            self._scene.flags[flag] = not self._fast
        shapes = self._scene.ngeom
        draw_markers(self._scene, markers)
        measured = depth and self._fast
        buffer = np.empty((self.height, self.width), np.float32) if measured else None
        whole = self._scene.ngeom
        with self._gl.as_current():
            if measured and whole > shapes:
                self._scene.ngeom = shapes  # markers are not there to be measured
                self._draw(buffer)
                self._scene.ngeom = whole
                picture = self._draw()
            else:
                picture = self._draw(buffer)
            self._scene.ngeom = shapes
            shot = Shot(
                image=np.ascontiguousarray(picture[::-1]),
                depth=None if buffer is None else self._metres(buffer[::-1]),
                segmentation=self._segment() if segmentation else None,
            )
        if depth and not self._fast:
            plain = self._without_smoothing().capture(data, camera, depth=True)
            return shot._replace(depth=plain.depth)
        return shot

    def _without_smoothing(self) -> "Renderer":
        """A renderer of the same scene that measures depths where a pixel's middle is;
        smooth edges are means over a pixel, and so would their depths be."""
        if self._plain is None:
            self._plain = Renderer(self.model, self.width, self.height, quality="fast")
            self._plain.model = self.model
        return self._plain

    def follow(self, model: "mujoco.MjModel") -> None:
        """Take over what a snapshot's model may have of its own: sizes of shapes."""
        self.model.geom_size[:] = model.geom_size

    def upload_texture(self, texture: int) -> None:
        """Show what :attr:`model` holds of a texture now, given its id."""
        import mujoco

        with self._gl.as_current():
            mujoco.mjr_uploadTexture(self.model, self._context, texture)

    def _draw(self, depth: np.ndarray | None = None) -> np.ndarray:
        """Draw the scene; (height, width, 3) uint8, the bottom row first.

        Args:
            depth: (height, width) float32, filled with the depth buffer.
        """
        import mujoco

        picture = np.empty((self.height, self.width, 3), np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(picture, depth, self._rect, self._context)
        return picture

    def _metres(self, buffer: np.ndarray) -> np.ndarray:
        """Distances [m] from a depth buffer, 1 at the near plane and 0 at the far one.

        A pinhole's depth buffer holds ``b = (far / z - 1) / (far / near - 1)``.
        """
        near, far = clip_planes(self.model)
        return (far / (1.0 + buffer * np.float32(far / near - 1.0))).astype(np.float32)

    def _segment(self) -> np.ndarray:
        """(height, width) int32: the geom in each pixel; -1: none."""
        import mujoco

        flags = (
            mujoco.mjtRndFlag.mjRND_SEGMENT,
            mujoco.mjtRndFlag.mjRND_IDCOLOR,
        )
        for flag in flags:
            self._scene.flags[flag] = True
        colours = self._draw()
        for flag in flags:
            self._scene.flags[flag] = False
        number = colours[::-1].astype(np.int32) @ np.array([1, 1 << 8, 1 << 16])
        geoms = np.full(self._scene.maxgeom + 1, -1, np.int32)
        for index in range(self._scene.ngeom):
            shape = self._scene.geoms[index]
            if shape.objtype == mujoco.mjtObj.mjOBJ_GEOM and shape.segid >= 0:
                geoms[shape.segid + 1] = shape.objid
        return geoms[np.minimum(number, len(geoms) - 1)]

    def close(self) -> None:
        """Free the context; may be called twice."""
        if self._plain is not None:
            self._plain.close()
        if self._context is not None:
            with self._gl.as_current():
                self._context.free()
            self._context = None
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def render_model(
    model: "mujoco.MjModel",
    data: "mujoco.MjData",
    camera: "str | mujoco.MjvCamera | None" = None,
    width: int = 640,
    height: int = 480,
    markers: "Sequence[Marker]" = (),
) -> np.ndarray:
    """One picture (height, width, 3) uint8; see :class:`Renderer` for many."""
    with Renderer(model, width, height) as renderer:
        return renderer.render(data, camera, markers)


def find_camera(
    model: "mujoco.MjModel", camera: "str | mujoco.MjvCamera | None"
) -> "mujoco.MjvCamera":
    """The camera of that name, or the scene's default view for None.

    Raises:
        UsageError: no camera of that name; the message lists the ones there are.
    """
    import mujoco

    if isinstance(camera, mujoco.MjvCamera):
        return camera
    view = mujoco.MjvCamera()
    if camera is None:
        mujoco.mjv_defaultFreeCamera(model, view)
        return view
    names = camera_names(model)
    if camera not in names:
        raise unknown("camera", camera, names)
    view.type = mujoco.mjtCamera.mjCAMERA_FIXED
    view.fixedcamid = names.index(camera)
    return view


def clip_planes(model: "mujoco.MjModel") -> tuple[float, float]:
    """Distances of a scene's near and far plane [m]; what lies beyond is not drawn."""
    extent = model.stat.extent
    return float(model.vis.map.znear * extent), float(model.vis.map.zfar * extent)


def camera_names(model: "mujoco.MjModel") -> list[str]:
    """The scene's cameras, in order of their ids."""
    return [model.camera(index).name for index in range(model.ncam)]
