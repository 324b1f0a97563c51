"""The house: rooms import to the left only, and no other package owns their names."""

import ast
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "assets",
    "ml",
    "controllers",
    "planners",
    "sims",
    "policies",
    "evaluation",
    "deployment",
    "sandbot",
)
"""From left to right."""
PLACE = {room: place for place, room in enumerate(ROOMS)}
CARD = (
    "mujoco",
    "gymnasium",
    "stable-baselines3",
    "torch",
    "numpy",
    "scipy",
    "transformers",
    "pybullet",
    "pytest",
)
"""Packages that a user of this project expects it to bring."""
LONGEST = 400
"""Lines of a module."""


def modules() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level name of each import, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", ""))
            == "import_module"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value).split(".")[0]


def wrong_imports(room: str, source: str) -> list[str]:
    """Rooms to the right of a room, or not shipped, that a source imports."""
    own = PLACE[room]
    return [
        name
        for name in imported(ast.parse(source))
        if PLACE.get(name, -1) > own or name in ("tests", "benchmarks")
    ]


@pytest.mark.parametrize(
    "path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_a_room_imports_nothing_to_its_right(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert wrong_imports(room, path.read_text(encoding="utf-8")) == []


def test_the_check_sees_imports_wherever_they_stand() -> None:
    source = "def f():\n    from policies.bc import train\n    import sims.env\n"
    assert wrong_imports("controllers", source) == ["policies", "sims"]
    assert wrong_imports("evaluation", source) == []
    assert wrong_imports("ml", "import_module('sims.env')") == ["sims"]


def test_every_folder_of_code_is_a_room_and_is_shipped() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert found == set(PLACE) == set(shipped)


@pytest.mark.parametrize(
    "path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_a_module_holds_one_concept(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(source)), "say what it is at its top"


def test_no_other_package_owns_our_names() -> None:
    owners = packages_distributions()
    for room in PLACE:
        assert set(owners.get(room, ["sandbot"])) == {"sandbot"}


def test_the_users_packages_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = "\n".join(project["dependencies"])
    for name in CARD:
        assert f"\n{name}" in f"\n{declared}"


def test_every_dependency_is_pinned_to_a_version_that_was_tested() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    for requirement in map(Requirement, wanted):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement
    assert pins["torch"] == "2.13.0"


def test_help_is_there_at_once() -> None:
    command = [sys.executable, "-m", "sandbot.main", "--help"]
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.5
