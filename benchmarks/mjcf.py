"""Gymnasium's and PyBullet-data's own scenes: which of them does `--mjcf` open?

    python -m benchmarks.mjcf [--seconds 3]

Every MJCF file of both packages is opened, as it lies there, and driven: at rest, and
by uniformly random controls within their limits. For each it says what was renewed in
it, whether anything became infinite or broke down, and how much of the picture what
moves takes up, at the least, in the view that a film takes. A file that does not open
has to say why in one line; which these are is part of the bars.
"""

import argparse
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError
from assets.plugins import tell
from benchmarks.record import bar, record
from policies import make_policy
from sims import make_env
from sims.mjcf_task import MjcfTask
from sims.render import Renderer

SOURCES = {
    "Gymnasium": ("gymnasium", "envs/mujoco/assets"),
    "PyBullet-data": ("pybullet_data", "mjcf"),
}
"""By whose they are: the package, and the folder in it."""
REFUSED = {
    "PyBullet-data/ground.xml": "joint 'left_hip_y' not found in tendon",
}
"""What is no scene of its own, and the reason that is given: a floor with the tendons
and motors of a robot that stands in another file."""
STILL = ("PyBullet-data/ground_plane.xml",)
"""Scenes in which nothing moves."""
SEEN = 0.005
"""The least share of a picture that what moves has to take up."""


def scene_files() -> dict[str, Path]:
    """All MJCF files of both packages, by whose they are and their name."""
    found = {}
    for owner, (package, folder) in SOURCES.items():
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None
        for path in sorted((Path(spec.origin).parent / folder).glob("*.xml")):
            found[f"{owner}/{path.name}"] = path
    return found


def drive(task: MjcfTask, policy: str, seconds: float, picture: bool) -> dict[str, Any]:
    """Play a scene.

    Args:
        task: the scene.
        policy: "zero" or "random".
        seconds: how long.
        picture: whether to look, at the start, the middle and the end.

    Returns:
        How many numbers were not finite, whether it broke down, and the least share of
        a picture that what moves took up; None: nothing was looked at.
    """
    env = make_env(task)
    actor = make_policy(policy, task, 1)
    steps = max(1, round(seconds / env.control_dt))
    bad, shares = 0, []
    obs = env.reset()
    for step in range(steps + 1):
        if picture and step in (0, steps // 2, steps):
            shares.append(_share_seen(*env.engine.snapshot()))
        obs = env.step(actor.act(obs))[0]
        bad += int((~np.isfinite(obs["state"])).sum())
    broke = bool(env.engine.diverged().any())
    env.close()
    seen = min(shares) if shares else None
    return {"not_finite": bad, "diverged": broke, "seen": seen}


def _share_seen(model: Any, data: Any) -> float:
    """Of the picture of the first camera, what moving bodies take up."""
    moving = np.flatnonzero(model.body_weldid[model.geom_bodyid] > 0)
    with Renderer(model, 240, 180, quality="fast") as renderer:
        shot = renderer.capture(data, model.camera(0).name, segmentation=True)
    assert shot.segmentation is not None
    return float(np.isin(shot.segmentation, moving).mean())


class _Told(logging.Handler):
    """Keeps what is told while a file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def look_at(name: str, path: Path, seconds: float) -> dict[str, Any]:
    """Open and drive one file; what came of it."""
    told = _Told()
    logger = logging.getLogger("assets.plugins")
    logger.addHandler(told)
    logger.propagate = False
    tell.cache_clear()
    try:
        task = MjcfTask(path)
    except SandbotError as error:
        return {"file": name, "opened": False, "why": str(error).split(": ", 1)[1]}
    finally:
        logger.removeHandler(told)
        logger.propagate = True
    row: dict[str, Any] = {"file": name, "opened": True, "told": told.lines}
    policies = ("zero", "random") if task.action_spec.size else ("zero",)
    for policy in policies:
        row[policy] = drive(task, policy, seconds, picture=policy == policies[-1])
    return row


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must hold."""
    lines = []
    for owner in SOURCES:
        own = [row for row in rows if row["file"].startswith(f"{owner}/")]
        refused = sum(row["file"] in REFUSED for row in own)
        lines.append(
            bar(
                f"{owner}'s MJCF files that open, of {len(own)}",
                sum(row["opened"] for row in own),
                ">=",
                len(own) - refused,
            )
        )
    told = sum(
        REFUSED.get(row["file"], "\n") in row["why"] and "\n" not in row["why"]
        for row in rows
        if not row["opened"]
    )
    closed = sum(not row["opened"] for row in rows)
    lines.append(
        bar("files that do not open, and do not say why", closed - told, "<=", 0)
    )
    runs = [row[p] for row in rows for p in ("zero", "random") if p in row]
    lost = sum(run["not_finite"] + run["diverged"] for run in runs)
    lines.append(bar("numbers that are not finite, and breakdowns", lost, "<=", 0))
    seen = [
        row[p]["seen"]
        for row in rows
        for p in ("zero", "random")
        if p in row and row[p]["seen"] is not None and row["file"] not in STILL
    ]
    what = "share of the picture that what moves takes up, at the least"
    lines.append(bar(what, min(seen), ">=", SEEN))
    return lines


def main() -> None:
    """Open, drive, look, print, record; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="other packages' MJCF scenes")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each play")
    options = parser.parse_args()
    rows = []
    for name, path in scene_files().items():
        row = look_at(name, path, options.seconds)
        rows.append(row)
        said = row["why"] if not row["opened"] else "; ".join(row["told"])
        print(f"{name:50s} {'opened' if row['opened'] else 'REFUSED'} {said}")
    lines = bars(rows)
    for line in lines:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:.3g} ({line['bar']}) {met}")
    result = {"seconds": options.seconds, "files": rows, "bars": lines}
    path = record("mjcf", result)
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(line["met"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
