"""The trained policies that come along: whole, small, and able."""

import json
import sys
from pathlib import Path

import pytest

from assets.errors import UsageError
from benchmarks.pretrained import LEAST
from evaluation.rollout import rollout
from policies import make_policy
from policies.pretrained import FOLDER, all_pretrained, pretrained
from sims import make_task

FOUND = [
    pytest.param(task, kind, folder, id=f"{task}/{kind}")
    for task, kinds in all_pretrained().items()
    for kind, folder in kinds.items()
]
QUICK = ("arm-press", "arm-reach", "arm-track")
"""Tasks of which sixteen episodes cost hardly more than six."""
LARGEST = 10 * 2**20
"""Bytes of one."""
RECORD = Path(__file__).parents[2] / "benchmarks" / "results" / "pretrained.json"
MEASURED = {
    (row["task"], row["policy"]): row.get("benchmark_success_rate", row["success_rate"])
    for row in json.loads(RECORD.read_text())["rows"]
    if row["engine"] == "mujoco"
}
"""What some hundred episodes found, of the published criterion where there is one."""


def test_there_are_some() -> None:
    assert {"act", "flow", "diffusion"} <= set(pretrained("aloha-transfer-cube"))
    assert pretrained("a-task-of-your-own") == {}
    inside = {p.parents[1].name for p in FOLDER.glob("*/*/config.json")}
    assert inside == set(all_pretrained())


@pytest.mark.parametrize(("task", "kind", "folder"), FOUND)
def test_each_is_whole_and_small(task: str, kind: str, folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert files == {"config.json", "model.safetensors", "README.md"}
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    about = json.loads((folder / "config.json").read_text())
    assert (about["policy"], about["task"]) == (kind, task)
    card = (folder / "README.md").read_text()
    assert f"sandbot train {kind} " in card and "## Evaluation" in card
    assert "--resume" not in card


@pytest.mark.parametrize(("task", "kind", "folder"), FOUND)
def test_each_does_its_task(task: str, kind: str, folder: Path) -> None:
    sure = MEASURED[task, kind] > 0.85 and task not in QUICK
    episodes = 6 if sure else 16
    result = rollout(task, kind, episodes=episodes, threads=1)
    solved = result.outcomes.get("benchmark_success", result.success)
    assert solved is not None
    assert MEASURED[task, kind] >= LEAST
    assert solved.mean() >= MEASURED[task, kind] / 2  # a chance of so few


def test_one_that_does_not_come_along_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("aloha-transfer-cube")
    with pytest.raises(UsageError, match=r"no trained 'irl' .* there are act, "):
        make_policy("irl", task, 1)
    monkeypatch.setattr(
        sys.modules[pretrained.__module__], "FOLDER", tmp_path
    )  # none at all
    with pytest.raises(
        UsageError, match=r"no trained 'act' for arm-press comes along:"
    ):
        make_policy("act", make_task("arm-press"), 1)
