"""OpenGL without a window: which back end, a context of it, and what draws.

``mujoco.Renderer`` takes its OpenGL back end from ``MUJOCO_GL`` at the first import of
``mujoco``: unset it falls to glfw, which needs a display, and ``osmesa`` without its
library makes ``import mujoco`` itself fail. So the back end is looked for here
(:func:`gl_backend`), and the context is made without ``mujoco``'s own choice; the
variable is set all the same, for whatever reads it later.
"""

import ctypes
import ctypes.util
import os
import platform
from typing import Any

from assets.errors import SandbotError

APT_LINE = "sudo apt-get install libegl1 libgl1 libosmesa6"
"""What gives Debian and Ubuntu everything that pictures need."""
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


def open_context(width: int, height: int) -> tuple[Any, str]:
    """A context of the chosen back end, and what it draws with.

    It is current only within ``with context.as_current()``, in whichever thread, as
    long as it is one at a time.

    Raises:
        SandbotError: none starts.
    """
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
        with context.as_current():
            drawn = _drawn_by()
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise SandbotError(
            f"no pictures: the OpenGL back end {backend!r} does not start "
            f"({' '.join(str(error).split())}). Try MUJOCO_GL=osmesa or MUJOCO_GL=egl, "
            f"after: {APT_LINE}"
        ) from error
    return context, f"{backend.upper()}, {drawn}"


def _drawn_by() -> str:
    """What the current context draws with, such as "llvmpipe (LLVM 15.0.6, 256 bits)",
    as far as it can be asked."""
    try:
        from OpenGL import GL

        name = GL.glGetString(GL.GL_RENDERER)
    except Exception:  # PyOpenGL is optional, and its errors are many
        return "unknown"
    return name.decode() if name else "unknown"
