"""Where did a result come from? The command, the commit and the versions behind it."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "mujoco",
    "mujoco-warp",
    "numpy",
    "pybullet",
    "sandbot",
    "torch",
    "warp-lang",
)
"""The packages whose version can change a result."""

RECORDS = "benchmarks/results"


def command() -> str:
    """The command line of this process, without the path of the program.

    A process that a benchmark has spawned has the benchmark's.
    """
    words = sys.orig_argv[1:]
    if words[:1] == ["-m"]:
        return shlex.join(["python", *words])
    program = Path(sys.argv[0])
    if program.parent.name == "benchmarks":
        return shlex.join(["python", "-m", f"benchmarks.{program.stem}", *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


def commit() -> str:
    """Commit of the source, "+dirty" where files differ; "unknown" outside git.

    Only a repository that this file belongs to counts: an installed copy may lie inside
    of somebody else's.
    """
    found = _git("ls-files", "--error-unmatch", Path(__file__).name)
    head = _git("rev-parse", "HEAD")
    if found is None or head is None:
        return "unknown"
    # recorded results are not source, and are rewritten by what asks for the commit
    changed = _git(
        "status", "--porcelain", "-uno", "--", ":/", f":(top,exclude){RECORDS}"
    )
    return head + ("+dirty" if changed else "")


def versions() -> dict[str, str]:
    """Versions of Python and of :data:`PACKAGES`, those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ("git", *arguments),
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
