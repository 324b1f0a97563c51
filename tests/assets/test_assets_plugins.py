"""Robots, tasks and policies of other packages: found, checked, and told apart."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from assets import SandbotError
from assets.plugins import find_plugins, lacking, tell, working
from tests.assets.plugin_packages import install

GROUP = "sandbot.things"
SOURCE = """
def good():
    return 7

def bad():
    raise KeyError("no such motor")

def three():
    return 3
"""


def is_seven(made: Any, name: str) -> str | None:
    return None if made == 7 else f"is {made} where 7 is needed"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    tell.cache_clear()
    yield tmp_path
    for name in ("acme_arms", "bcme_arms"):
        sys.modules.pop(name, None)


def test_what_a_package_names_is_made_when_asked_for(site: Path) -> None:
    install(site, "acme-arms", SOURCE, {GROUP: {"seven": "good"}})
    found = find_plugins(GROUP, "thing", {}, is_seven)
    assert list(found) == ["seven"]
    assert found["seven"]() == 7
    assert working(found) == {"seven": 7}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("bad", r"cannot be loaded: KeyError: 'no such motor'; mend 'acme_arms:bad'"),
        ("nothing", r"cannot be loaded: AttributeError: .*'nothing'"),
        ("three", r"is 3 where 7 is needed; see docs/adding-a-robot.md"),
    ],
)
def test_what_is_broken_is_one_line_and_breaks_nothing_else(
    site: Path, what: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    entries = {"seven": "good", "broken": what}
    install(site, "acme-arms", SOURCE, {GROUP: entries})
    found = find_plugins(GROUP, "thing", {}, is_seven)
    whole = f"the thing 'broken' of the package 'acme-arms' {said}"
    with pytest.raises(SandbotError, match=whole) as raised:
        found["broken"]()
    with caplog.at_level(logging.WARNING):
        assert working(found) == {"seven": 7}
    assert caplog.messages == [str(raised.value)]
    assert "\n" not in caplog.messages[0]


def test_a_module_that_does_not_import_is_told_with_its_package(site: Path) -> None:
    install(site, "acme-arms", "import nonesuch", {GROUP: {"seven": "good"}})
    found = find_plugins(GROUP, "thing", {}, is_seven)
    with pytest.raises(SandbotError, match=r"'acme-arms' .* No module named 'nonesuch"):
        found["seven"]()


def test_an_error_of_ours_is_no_fault_of_a_package(site: Path) -> None:
    def own() -> int:
        raise SandbotError("ours")

    with pytest.raises(SandbotError, match="ours"):
        working({"own": own})


def test_a_name_stays_with_its_first_owner(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = {GROUP: {"seven": "good", "arm": "good"}}
    install(site, "acme-arms", SOURCE, entries)
    install(site, "bcme-arms", SOURCE, entries)
    found = find_plugins(GROUP, "thing", {"arm"}, is_seven)
    assert list(found) == ["seven"]
    assert len(caplog.messages) == 3
    lines = "\n".join(sorted(caplog.messages))
    assert "'arm' of the package 'acme-arms' is left out, since sandbot has" in lines
    assert "'arm' of the package 'bcme-arms' is left out, since sandbot has" in lines
    owner = found["seven"].package
    other = {"acme-arms": "bcme-arms", "bcme-arms": "acme-arms"}[owner]
    assert f"'seven' of the package {other!r} is left out, since the package " in lines
    assert f"since the package {owner!r} has a thing of that name" in lines
    assert "another one under [project.entry-points.'sandbot.things']" in lines


def test_lacking_looks_and_computes_nothing() -> None:
    class Wanted(Protocol):
        name: str
        size: int

        def go(self) -> None: ...

    class Half:
        name = "half"

        def __init__(self) -> None:
            self.size = 1

        @property
        def go(self) -> None:
            raise AssertionError("this must not be looked at")

    assert lacking(Half(), Wanted) == []
    assert lacking(object(), Wanted) == ["go", "name", "size"]
