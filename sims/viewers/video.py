"""A session as a moving picture: MP4 (H.264), GIF or WebP, without any text on it.

The encoder is the ffmpeg that ``imageio-ffmpeg`` brings along. The file is written
beside its final name and moved there when it is whole.
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError, UsageError, unknown
from sims.pictures import Pictures, open_pictures
from sims.viewers.loop import Session
from sims.viewers.status import describe

Progress = Callable[[int, int], None]
"""Called with the pictures made so far and the number expected in all."""

FORMATS: dict[str, dict[str, Any]] = {
    ".mp4": {
        "codec": "libx264",
        "output_params": [
            *("-crf", "20", "-preset", "veryfast"),
            *("-movflags", "+faststart", "-f", "mp4"),
        ],
    },
    ".gif": {
        "codec": "gif",
        "pix_fmt_out": "pal8",
        "output_params": [
            "-vf",
            "split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none",
            *("-loop", "0", "-f", "gif"),
        ],
    },
    ".webp": {
        "codec": "libwebp_anim",
        "output_params": ["-quality", "70", "-loop", "0", "-f", "webp"],
    },
}
"""What the encoder is told, by the file's ending."""


def record(
    session: Session,
    out: str | os.PathLike[str],
    *,
    width: int = 640,
    height: int = 480,
    fps: int | None = None,
    camera: str | None = "side",
    quality: str = "high",
    progress: Progress | None = None,
) -> Path:
    """Play a session to its end and write what it looked like.

    Args:
        session: with a limit of steps or episodes; its speed is that of the film.
        out: ends in .mp4, .gif or .webp.
        width: of the picture [pixels], even.
        height: of the picture [pixels], even.
        fps: pictures per second of the film; None: 30, or 25 for GIF and WebP, whose
            players count in hundredths of a second.
        camera: of the scene, or None for its default view. In place of one that the
            scene lacks its first camera is taken, if it has any.
        quality: see :class:`~sims.render.Renderer`.
        progress: called after each picture.

    Returns:
        The file.

    Raises:
        UsageError: another ending, an odd size, or no limit.
        SandbotError: the file cannot be written, there is no OpenGL, or the policy
            failed.
    """
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        raise unknown("ending of a video file", path.suffix or path.name, FORMATS)
    if width % 2 or height % 2:
        raise UsageError(f"a video's sides are even, got {width} x {height}")
    if session.limit is None:
        raise UsageError("a video needs an end: give --episodes or --steps")
    if camera not in session.views.cameras:
        camera = next(iter(session.views.cameras), None)
    fps = fps or (30 if path.suffix.lower() == ".mp4" else 25)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    _try_to_write(part, path)
    try:
        engine = session.env.engine
        with open_pictures(engine, width, height, quality=quality) as pictures:
            _encode(
                _pictures(session, pictures, camera, fps, progress),
                part,
                (width, height),
                fps,
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _pictures(
    session: Session,
    pictures: Pictures,
    camera: str | None,
    fps: int,
    progress: Progress | None,
) -> Iterator[np.ndarray]:
    """The film's pictures (height, width, 3) uint8."""
    per_picture = session.speed / fps / session.env.control_dt
    expected = 1 + math.ceil((session.limit or 0) / per_picture - 1e-6)
    made, ticks = 0, 0
    while True:
        yield pictures.render(session.shown, camera, session.markers())
        made += 1
        if progress is not None:
            progress(made, max(made, expected))
        if session.finished:
            return
        while ticks < math.floor(made * per_picture + 1e-6) and not session.finished:
            session.tick()
            ticks += 1
            if session.failure is not None:
                raise SandbotError(
                    f"the policy failed after {session.steps} steps: "
                    f"{describe(session.failure)}"
                ) from session.failure


def _encode(
    pictures: Iterator[np.ndarray], part: Path, size: tuple[int, int], fps: int
) -> None:
    import imageio_ffmpeg

    told = FORMATS[part.suffix.lower()]
    writer = imageio_ffmpeg.write_frames(
        str(part), size, fps=fps, macro_block_size=2, ffmpeg_log_level="error", **told
    )
    try:
        writer.send(None)
        for picture in pictures:
            writer.send(picture.tobytes())
    except OSError as error:
        raise SandbotError(f"the video encoder failed: {describe(error)}") from error
    finally:
        writer.close()


def _try_to_write(part: Path, path: Path) -> None:
    """Make the folder, and see that a file can be written there."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise SandbotError(
            f"cannot write the video {path}: {error.strerror}. Choose another --out."
        ) from error
