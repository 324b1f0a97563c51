"""What a camera saw, as H.264 in an MP4: written as it comes, read when asked for.

PyAV is imported here and only when a video is made or read, so that nobody who works
with states alone needs it. Every second picture is a key frame, as LeRobot has it: a
network reads frames in random order, and must not decode a whole film for each.
One thread per video and no look ahead make its bytes a function of the pictures alone:
with two encoders at work, x264's look-ahead gave other bytes every hundredth time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError, UsageError
from ml.lerobot.statistics import PictureCounts, Statistics

CODEC = "libx264"
OPTIONS = {
    "crf": "23",
    "preset": "veryfast",
    "g": "2",
    "bf": "0",
    "x264-params": "rc-lookahead=0:sync-lookahead=0:mbtree=0",
}


@dataclass(frozen=True, kw_only=True)
class StoredVideo:
    """A stretch of a video file."""

    path: Path
    start: float
    """Time of its first frame [s]."""
    end: float
    """Time at which it is over [s]."""
    statistics: Statistics
    """Of its pictures."""


class Clip:
    """An episode of one camera while it is recorded."""

    def __init__(self, path: Path, fps: int, height: int, width: int) -> None:
        """Open the file.

        Args:
            path: of the MP4; overwritten.
            fps: frames per second.
            height: of the pictures [pixels], even.
            width: likewise.
        """
        import av

        self.path = path
        self.frames = 0
        self._fps = fps
        self._shape = (height, width, 3)
        self._counts = PictureCounts()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: Any = av.open(str(path), "w")
        self._stream = self._file.add_stream(CODEC, rate=fps, options=OPTIONS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, fps)
        self._stream.codec_context.thread_count = 1

    def add(self, picture: np.ndarray) -> None:
        """Encode the next picture, (height, width, 3) uint8.

        Raises:
            UsageError: another shape or type.
        """
        import av

        if picture.shape != self._shape or picture.dtype != np.uint8:
            raise UsageError(
                f"a picture of this camera is {self._shape} uint8, got "
                f"{picture.shape} {picture.dtype}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        frame.pts, frame.time_base = self.frames, Fraction(1, self._fps)
        self._file.mux(self._stream.encode(frame))
        self._counts.add(picture)
        self.frames += 1

    def finish(self) -> StoredVideo:
        """Complete the file; it may be called again."""
        if self._file is not None:
            self._file.mux(self._stream.encode(None))
            self._close()
        return StoredVideo(
            path=self.path,
            start=0.0,
            end=self.frames / self._fps,
            statistics=self._counts.statistics(),
        )

    def discard(self) -> None:
        """Throw the episode away."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def decode(
    path: Path, start: float, count: int, fps: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Times since ``start`` [s] and pictures (height, width, 3) of some frames.

    Args:
        path: of the video.
        start: time of the first one [s].
        count: how many at most.
        fps: frames per second.

    Raises:
        SandbotError: the file is missing or cannot be decoded.
    """
    import av
    import av.error

    if not path.is_file():
        raise SandbotError(f"there is no video {path}")
    half = 0.5 / fps
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            if start > half and stream.time_base is not None:
                file.seek(int(start / stream.time_base), stream=stream)
            for frame in file.decode(stream):
                time = float(frame.time or 0.0) - start
                if time < -half:
                    continue
                if time > (count - 0.5) / fps:
                    return
                yield time, frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, IndexError) as error:
        raise SandbotError(f"video {path} cannot be decoded ({error})") from error


def read(path: Path, start: float, count: int, fps: float) -> np.ndarray:
    """(count, height, width, 3) uint8, so many frames from a time on.

    Raises:
        SandbotError: they are not all there.
    """
    frames = [picture for _, picture in decode(path, start, count, fps)]
    if len(frames) != count:
        raise SandbotError(
            f"video {path} has {len(frames)} frames from {start:g} s on, the episode "
            f"has {count}"
        )
    return np.stack(frames)


def rate(path: Path) -> float:
    """Frames per second that a file says it has.

    Raises:
        SandbotError: it cannot be read.
    """
    import av
    import av.error

    try:
        with av.open(str(path)) as file:
            return float(file.streams.video[0].average_rate or 0)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise SandbotError(f"video {path} cannot be opened ({error})") from error
