"""Demonstrations in LeRobot's v3.0 layout: many episodes in few Parquet files.

``layout`` names the files and columns, ``writer`` makes a dataset, ``reader`` loads
one. State only for now: no camera has a place here yet. LeRobot's own
``LeRobotDataset`` reads what the writer makes, and the reader reads what LeRobot makes;
a test does both where LeRobot is installed.
"""

from ml.lerobot.reader import Demonstrations, read_dataset
from ml.lerobot.writer import DatasetWriter

__all__ = ["DatasetWriter", "Demonstrations", "read_dataset"]
