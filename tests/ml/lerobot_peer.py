"""LeRobot's own reader and writer, in an interpreter of their own.

LeRobot needs another torch than ours: the variable SANDBOT_LEROBOT_PYTHON names an
interpreter that has lerobot 0.4.4 and what its dataset module imports. Its own decoders
of video (torchcodec, an old torchvision) need FFmpeg or a GPU build in their place;
where they are missing, frames are decoded by PyAV at the times that LeRobot asks for.
"""

import os
import subprocess
from pathlib import Path

import pytest

PEER = os.environ.get("SANDBOT_LEROBOT_PYTHON")
needs_peer = pytest.mark.skipif(
    PEER is None,
    reason="needs an environment of its own for a peer: lerobot "
    "(SANDBOT_LEROBOT_PYTHON names its interpreter)",
)

OPEN = """
import importlib.util, json, sys
import numpy as np
import torch
from lerobot.datasets import lerobot_dataset
from lerobot.datasets.lerobot_dataset import LeRobotDataset

def decode(path, timestamps, tolerance_s, backend=None):
    import av
    with av.open(str(path)) as file:
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]
    times = np.array([time for time, _ in frames])
    found = []
    for wanted in timestamps:
        nearest = np.abs(times - wanted).argmin()
        assert abs(times[nearest] - wanted) < tolerance_s, (wanted, times)
        found.append(torch.from_numpy(frames[nearest][1]).permute(2, 0, 1) / 255)
    return torch.stack(found)

if importlib.util.find_spec("torchcodec") is None:
    lerobot_dataset.decode_video_frames = decode
"""


def run_peer(code: str, *arguments: Path) -> str:
    """What LeRobot's interpreter prints."""
    assert PEER
    home = arguments[0].parent / "hf"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    done = subprocess.run(
        [PEER, "-c", OPEN + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
