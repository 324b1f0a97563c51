"""A folder to write results to, looked at before the work starts."""

import os
import tempfile
from pathlib import Path

from ml.files import writing


def writable_folder(folder: str | Path) -> Path:
    """Make a folder, and see that a file can be made in it.

    Raises:
        SandbotError: it cannot.
    """
    path = Path(folder)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=path, prefix=".probe")
        os.close(handle)
        os.unlink(probe)
    return path
