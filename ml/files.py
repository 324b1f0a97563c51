"""Files that are whole or absent: write beside the final name, then ``os.replace``.

A rename within one folder is atomic on POSIX and on Windows, so that a reader, or the
next start after a crash, sees the old content or the new one and never a half of it.
Data is flushed to the disk before the rename, since a rename may otherwise reach the
disk before the bytes it stands for.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assets.errors import SandbotError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write ``path`` into one clear line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SandbotError(
            f"cannot write {path}: {reason}. Choose a folder that can be written to, "
            f"on a disk with room."
        ) from error


def write_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a temporary file, then give it its final name.

    Args:
        path: the final name; its folder is made if need be.
        fill: writes the whole content to the path it is given.

    Raises:
        SandbotError: the folder or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fill(temporary)
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one go."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_file(path, fill)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON; NaN and infinity are refused."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes its final name when the block ends without error.

    On an error nothing is left; after a crash, a hidden folder beside the final name
    is, and the next attempt removes it. An existing ``path`` makes way at the end.

    Yields:
        The folder to write into.
    """
    staging = path.with_name(f".{path.name}.partial")
    with writing(path):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    try:
        yield staging
        with writing(path):
            for file in staging.rglob("*"):
                if file.is_file():
                    _sync(file)
            _take_place(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder so that a crash leaves it whole or gone under its name."""
    old = path.with_name(f".{path.name}.old")
    with writing(path):
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
        shutil.rmtree(old)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, or of a folder's file names and contents."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
    return total.hexdigest()


def _take_place(staging: Path, path: Path) -> None:
    """Rename a finished folder over an old one, which is gone only afterwards."""
    if path.exists():
        remove_folder(path)
    os.replace(staging, path)


def _sync(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())
