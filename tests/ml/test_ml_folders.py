"""A folder changes as a whole, whatever the system can."""

import os
import threading
from pathlib import Path

import pytest

from assets.errors import SandbotError
from ml import folders


def _fill(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "a").write_text(text)
    (folder / "b").write_text(text)


@pytest.fixture(params=["exchange", "fallback"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the atomic call, and without."""
    if request.param == "fallback":
        monkeypatch.setattr(folders, "_renameat2", lambda: None)
    return request.param


def test_the_next_version_takes_the_name(tmp_path: Path, system: str) -> None:
    folder = tmp_path / "d"
    for text in ("one", "two", "three"):
        _fill(folders.next_version(folder), text)
        folders.publish(folder)
        assert {p.read_text() for p in folder.iterdir()} == {text}
        assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_reader_never_misses_the_folder(tmp_path: Path) -> None:
    folder, missed, stop = tmp_path / "d", [], threading.Event()
    _fill(folder, "0")

    def look() -> None:
        while not stop.is_set():
            if not folder.exists():
                missed.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for version in range(300):
        _fill(folders.next_version(folder), str(version))
        folders.publish(folder)
    stop.set()
    reader.join()
    assert not missed


def test_a_crash_between_two_renames_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    _fill(tmp_path / ".d.old", "one")
    folders.recover(folder)
    assert (folder / "a").read_text() == "one"
    _fill(tmp_path / ".d.old", "older")
    folders.recover(folder)
    assert (folder / "a").read_text() == "one"


def test_links_are_copies_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("text")
    folders.link(tmp_path / "a", tmp_path / "deep/b")
    assert (tmp_path / "deep/b").samefile(tmp_path / "a")

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    folders.link(tmp_path / "a", tmp_path / "deep/c")
    assert (tmp_path / "deep/c").read_text() == "text"
    assert not (tmp_path / "deep/c").samefile(tmp_path / "a")


def test_a_missing_version_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SandbotError, match="cannot write"):
        folders.publish(tmp_path / "nothing")
