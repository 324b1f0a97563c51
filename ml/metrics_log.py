"""A training's figures as JSON lines and for TensorBoard, in the run's folder.

Each line of ``metrics.jsonl`` is one record with its ``step``. When a training resumes,
records of steps it will do again are dropped, so that each step is there once.
"""

import json
from pathlib import Path
from typing import Any

from ml.files import write_bytes, writing

FILE = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class MetricsLog:
    """Appends records; :meth:`close` when done."""

    def __init__(self, folder: Path, *, step: int, tensorboard: bool = True) -> None:
        """Open the log of a run, and drop what lies after a step.

        Args:
            folder: of the run.
            step: the last step that counts; 0 starts afresh.
            tensorboard: whether to write event files as well.
        """
        path = folder / FILE
        known = read_metrics(folder) if step else []
        kept = [line for line in known if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_bytes(path, text.encode())
        with writing(path):
            self._file = path.open("a", encoding="utf-8")
        self._writer: Any = None
        if tensorboard:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(
                str(folder / TENSORBOARD), purge_step=step + 1 if step else None
            )

    def write(self, step: int, **values: float) -> None:
        """Add a record; it has left this process when the call returns."""
        with writing(Path(self._file.name)):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; a last line cut short by a crash is left out."""
    path = folder / FILE
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
