"""Demonstrations in LeRobot's v3.0 layout: many episodes in few Parquet files.

``layout`` names the files and columns; ``writer`` records episodes, through ``store``,
which keeps what is on the disk whole at every moment; ``reader`` loads a dataset,
``check`` looks for what is wrong with one, ``edit`` merges and splits. ``video`` is
what cameras saw, and is touched by nobody who does without. LeRobot's own
``LeRobotDataset`` reads what the writer makes, and the reader reads what LeRobot makes;
a test does both where LeRobot is installed.
"""

from ml.lerobot.reader import Demonstrations, read_dataset
from ml.lerobot.writer import DatasetWriter

__all__ = ["DatasetWriter", "Demonstrations", "read_dataset"]
