"""What cameras saw, decoded once and brought to size, to draw batches from.

Decoding a video frame at random costs more than a training step of a small network. So
all frames are decoded in order, once; where they are too many for memory they lie in a
file that is mapped, and the operating system keeps in memory what is used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml.files import writing

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations

IN_MEMORY = 2 * 2**30
"""Bytes of pictures that are held in memory."""


def decode(
    dataset: "Demonstrations",
    camera: str,
    size: tuple[int, int],
    scratch: Path,
    *,
    in_memory: int = IN_MEMORY,
) -> np.ndarray:
    """All frames of a camera.

    Args:
        dataset: whose they are.
        camera: its name.
        size: width and height that they are brought to [pixels].
        scratch: folder for the file, where they are too many for memory.
        in_memory: bytes from which on they are.

    Returns:
        (frames, 3, height, width) uint8.

    Raises:
        UsageError: no such camera.
        SandbotError: a video is damaged, or the file cannot be written.
    """
    frames = int(dataset.bounds[-1, 1])
    shape = (frames, 3, size[1], size[0])
    path = scratch / f"{camera.replace('/', '_')}.pictures"
    if np.prod(shape) <= in_memory:
        pictures = np.empty(shape, np.uint8)
    else:
        with writing(path):
            scratch.mkdir(parents=True, exist_ok=True)
            pictures = np.memmap(path, np.uint8, "w+", shape=shape)
    for index, (first, end) in enumerate(dataset.bounds):
        seen = resize(dataset.video(index, camera), size)
        pictures[first:end] = np.moveaxis(seen, -1, 1)
    return pictures


def resize(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures brought to a size, each pixel the mean of those that it stands for.

    Args:
        pictures: (n, height, width, 3) uint8.
        size: width and height [pixels].

    Returns:
        (n, size[1], size[0], 3) uint8.
    """
    from PIL import Image

    if pictures.shape[2] == size[0] and pictures.shape[1] == size[1]:
        return pictures
    made = [
        Image.fromarray(picture).resize(size, Image.Resampling.BOX)
        for picture in pictures
    ]
    return np.stack([np.asarray(image) for image in made])
