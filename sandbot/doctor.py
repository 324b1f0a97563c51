"""``sandbot doctor``: what this machine has, and what to install."""

import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assets.errors import SandbotError
from assets.quiet import quiet_stderr
from sandbot.options import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Look at Python, the engines, OpenGL, the display, the GPU, ffmpeg and Chromium.

    Exits with code 1 if something is missing without which nothing runs.
    """


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked for."""

    found: str | None
    """What is there; None: it is missing."""
    advice: str = ""
    """What it is for, and how to get it, where it is missing."""
    needed: bool = False
    """Whether nothing runs without it."""


def run(arguments: Sequence[str]) -> int:
    """Print what is there, and what to install."""
    parse(Options, "doctor", arguments)
    from sandbot.tables import make_console, make_table

    table = make_table("", "what", "found", header=False)
    missing = False
    for name, look in CHECKS.items():
        finding = look()
        missing |= finding.needed and finding.found is None
        mark = "[green]ok[/]" if finding.found else "[yellow]--[/]"
        if finding.needed and not finding.found:
            mark = "[red]!![/]"
        table.add_row(mark, name, finding.found or finding.advice)
    make_console().print(table)
    return int(missing)


def _python() -> Finding:
    return Finding(found=f"{platform.python_version()} ({sys.prefix})", needed=True)


def _package(name: str, advice: str, needed: bool = False) -> Callable[[], Finding]:
    """A check that imports a package."""

    def look() -> Finding:
        from importlib import import_module
        from importlib.metadata import PackageNotFoundError, version

        try:
            with quiet_stderr():
                import_module(name)
            return Finding(found=version(name), needed=needed)
        except (ImportError, PackageNotFoundError, OSError) as error:
            why = " ".join(str(error).split())
            return Finding(found=None, advice=f"{advice} ({why})", needed=needed)

    return look


def _opengl() -> Finding:
    """The back end, proven by a picture."""
    import mujoco

    from sims.render import Renderer

    try:
        spec = mujoco.MjSpec()
        spec.worldbody.add_geom(size=[0.1, 0.1, 0.1])
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        with Renderer(model, 32, 32) as renderer:
            renderer.render(data)
    except SandbotError as error:
        return Finding(found=None, advice=str(error))
    return Finding(found=f"{renderer.backend}, draws")


def _display() -> Finding:
    from sims.viewers.native import display_problem

    problem = display_problem()
    if problem is None:
        return Finding(found="a window can be opened")
    return Finding(
        found=None, advice=f"{problem}; sandbot play shows a web page instead"
    )


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(
            found=f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"
        )
    if torch.version.cuda is None:
        return Finding(
            found=None,
            advice="this torch is built for the CPU, which is all that is needed here",
        )
    return Finding(
        found=None, advice="no NVIDIA GPU; the CPU is all that is needed here"
    )


def _ffmpeg() -> Finding:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe, get_ffmpeg_version

        get_ffmpeg_exe()
        return Finding(found=get_ffmpeg_version())
    except (ImportError, RuntimeError) as error:
        return Finding(
            found=None,
            advice=f"no videos: {error}. pip install 'imageio[ffmpeg]'",
        )


def _chromium() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for name in names:
        if path := shutil.which(name):
            return Finding(found=path)
    return Finding(
        found=None,
        advice="only the browser test needs it: sudo apt-get install chromium",
    )


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "MuJoCo": _package("mujoco", "pip install 'mujoco>=4.0,<4.1'", needed=True),
    "PyTorch": _package("torch", "pip install torch", needed=True),
    "PyBullet": _package(
        "pybullet",
        "the engine 'bullet' needs it, and Python 3.11: pip install pybullet",
    ),
    "Warp": _package(
        "mujoco_warp",
        "the engine 'warp' needs it: pip install 'mujoco-warp==4.0.*' warp-lang",
    ),
    "OpenGL": _opengl,
    "display": _display,
    "GPU": _gpu,
    "ffmpeg": _ffmpeg,
    "Chromium": _chromium,
}
"""By name, in the order in which they are printed."""
