"""A folder that always holds a whole version of itself, while it grows.

The next version is built beside the present one, with hard links for the files that do
not change, and then takes its name in one step: Linux exchanges two folders atomically
(``renameat2`` with RENAME_EXCHANGE), so that at any moment, a kill included, the name
stands for the old version or the new one.

Where that call is missing (other systems, some network file systems) the old version is
renamed out of the way first. A crash between the two renames leaves no folder of that
name but a hidden one beside it, ".<name>.old", which :func:`recover` puts back.
"""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from assets.errors import SandbotError
from ml.files import writing

_HERE = -100
"""AT_FDCWD: paths are relative to the working folder."""
_EXCHANGE = 2
"""RENAME_EXCHANGE."""
_UNAVAILABLE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def next_version(folder: Path) -> Path:
    """Where the next version is built; hidden, and on the same disk."""
    return folder.with_name(f".{folder.name}.partial")


def publish(folder: Path) -> None:
    """Let :func:`next_version` take the folder's name, and remove the one before.

    Raises:
        SandbotError: it cannot be written.
    """
    staging = next_version(folder)
    with writing(folder):
        for inner in (staging, *(p for p in staging.rglob("*") if p.is_dir())):
            _sync_folder(inner)
        if folder.exists():
            exchange(staging, folder)
        else:
            os.replace(staging, folder)
        _sync_folder(folder.parent)
        shutil.rmtree(staging, ignore_errors=True)


def exchange(one: Path, other: Path) -> None:
    """Swap the names of two folders, atomically where the system can."""
    swap = _renameat2()
    if swap is not None:
        names = os.fsencode(one), os.fsencode(other)
        if swap(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0:
            return
        if (code := ctypes.get_errno()) not in _UNAVAILABLE:
            raise OSError(code, os.strerror(code), str(other))
    old = _old(other)
    shutil.rmtree(old, ignore_errors=True)
    os.replace(other, old)
    os.replace(one, other)
    os.replace(old, one)


def recover(folder: Path) -> None:
    """Put a version back that a crash in the middle of :func:`exchange` left aside."""
    if not folder.exists() and _old(folder).is_dir():
        with writing(folder):
            os.replace(_old(folder), folder)


def acquire(folder: Path) -> int | None:
    """Be the only one that writes a folder, until :func:`release` or the process ends.

    Returns:
        What to release; None where the system knows no such locks.

    Raises:
        SandbotError: another writer has it, or it cannot be written.
    """
    try:
        import fcntl
    except ImportError:
        return None
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(_lock(folder), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SandbotError(
            f"{folder} is being written by another process: wait for its end, or name "
            f"another folder"
        ) from None
    except OSError:  # a disk without locks
        pass
    return handle


def release(folder: Path, handle: int | None) -> None:
    """Let others write a folder."""
    if handle is not None:
        _lock(folder).unlink(missing_ok=True)
        os.close(handle)


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk knows no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def sync(file: Path) -> None:
    """See a file's content to the disk."""
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


@lru_cache(maxsize=1)
def _renameat2() -> Callable[..., int] | None:
    """The C library's function; None: it has none."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_uint,
        ]
    return function


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
