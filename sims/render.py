"""Off-screen pictures of any engine's snapshot, task markers drawn in.

``mujoco.Renderer`` takes its OpenGL back end from ``MUJOCO_GL`` at the first import of
``mujoco``: unset it falls to glfw, which needs a display, and ``osmesa`` without its
library makes ``import mujoco`` itself fail. So the back end is looked for here
(:func:`gl_backend`), and the context is made without ``mujoco``'s own choice; the
variable is set all the same, for whatever reads it later.

Software OpenGL draws about 20 pictures a second at 640 x 480 with shadows and edges
smoothed (``quality="high"``), and about 80 without either (``"fast"``).
"""

import copy
import ctypes
import ctypes.util
import os
import platform
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from assets.errors import SandbotError, UsageError, unknown
from sims.markers import draw_markers

if TYPE_CHECKING:
    import mujoco

    from sims.task import Marker

APT_LINE = "sudo apt-get install libegl1 libgl1 libosmesa6"
"""What gives Debian and Ubuntu everything that pictures need."""
QUALITIES = ("high", "fast")
_LIBRARIES = {"egl": ("EGL", "libEGL.so.1"), "osmesa": ("OSMesa", "libOSMesa.so.8")}
_OFF = ("disable", "disabled", "off", "false", "0")


def gl_backend() -> str:
    """The OpenGL back end to draw with: "egl", "osmesa", "glfw" or "cgl".

    ``MUJOCO_GL`` decides where it is set. Else, on Linux, EGL where its library is
    there, else OSMesa, else a window system's, if there is a display; and the
    variable is set to it. Does not import MuJoCo.

    Raises:
        SandbotError: there is none; the message has the line that installs one.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in _OFF:
        raise SandbotError(
            f"no pictures: MUJOCO_GL={wanted} switches OpenGL off. Unset it to choose "
            "a back end automatically, or set it to egl, osmesa or glfw."
        )
    system = platform.system()
    if system == "Darwin":
        return "cgl"
    if wanted in ("egl", "osmesa"):
        if system == "Linux" and not _has_library(wanted):
            raise SandbotError(
                f"no pictures: MUJOCO_GL={wanted}, but its library "
                f"{_LIBRARIES[wanted][1]} is not installed. Unset MUJOCO_GL, or "
                f"install it: {APT_LINE}"
            )
        return wanted
    if wanted or system == "Windows":
        return "glfw"
    return _first_on_linux()


def _first_on_linux() -> str:
    for name in _LIBRARIES:
        if _has_library(name):
            os.environ["MUJOCO_GL"] = name
            return name
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        os.environ["MUJOCO_GL"] = "glfw"
        return "glfw"
    raise SandbotError(
        "no pictures: neither EGL nor OSMesa is installed, and there is no display. "
        f"Install them: {APT_LINE}"
    )


def _has_library(backend: str) -> bool:
    short, soname = _LIBRARIES[backend]
    for name in (soname, ctypes.util.find_library(short)):
        try:
            if name:
                ctypes.CDLL(name)
                return True
        except OSError:
            continue
    return False


def _gl_context(width: int, height: int) -> Any:
    """A current OpenGL context of the chosen back end."""
    backend = gl_backend()
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        elif backend == "osmesa":
            from mujoco.osmesa import GLContext
        elif backend == "cgl":
            from mujoco.cgl import GLContext
        else:
            from mujoco.glfw import GLContext
        context = GLContext(width, height)
        context.make_current()
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise SandbotError(
            f"no pictures: the OpenGL back end {backend!r} does not start "
            f"({' '.join(str(error).split())}). Try MUJOCO_GL=osmesa or MUJOCO_GL=egl, "
            f"after: {APT_LINE}"
        ) from error
    return context


class Shot(NamedTuple):
    """What a camera sees, each (height, width, ...), the top row first."""

    image: np.ndarray
    """(height, width, 3) uint8."""
    depth: np.ndarray | None = None
    """float32 [m], along the camera's axis; the far plane where there is nothing."""
    segmentation: np.ndarray | None = None
    """int32: id of the geom that is seen; -1: none."""


class Renderer:
    """Draws one scene again and again; a context manager. One per thread."""

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
        if width < 1 or height < 1:
            raise UsageError(
                f"a picture has at least 1 x 1 pixels, got {width} x {height}"
            )
        if quality not in QUALITIES:
            raise unknown("picture quality", quality, QUALITIES)
        gl_backend()
        import mujoco

        self.width, self.height = width, height
        self._fast = quality == "fast"
        self.model = copy.copy(model)
        self.model.vis.global_.offwidth = width
        self.model.vis.global_.offheight = height
        if self._fast:
            self.model.vis.quality.offsamples = 0
        self._gl = _gl_context(width, height)
        self._scene = mujoco.MjvScene(self.model, maxgeom=max_geoms)
        self._options = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._context = mujoco.MjrContext(
            self.model, mujoco.mjtFontScale.mjFONTSCALE_100.value
        )
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)

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
            depth: whether to measure distances, too.
            segmentation: whether to name what is seen, too; draws the scene twice.

        Raises:
            UsageError: the scene has no camera of that name.
            SandbotError: the renderer is closed.
        """
        import mujoco

        if self._context is None:
            raise SandbotError("this renderer is closed; make a new one")
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self.model,
            data,
            self._options,
            None,
            find_camera(self.model, camera),
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
        size = (self.height, self.width)
        picture = np.empty((*size, 3), np.uint8)
        buffer = np.empty(size, np.float32) if depth else None
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(picture, buffer, self._rect, self._context)
        self._scene.ngeom = shapes
        return Shot(
            image=np.ascontiguousarray(picture[::-1]),
            depth=None if buffer is None else self._metres(buffer[::-1]),
            segmentation=self._segment() if segmentation else None,
        )

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
        colours = np.empty((self.height, self.width, 3), np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(colours, None, self._rect, self._context)
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
        if self._context is not None:
            self._gl.make_current()
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
