"""Leaving out a part of the randomisation: all of it is covered, and compared."""

from pathlib import Path
from typing import Any

import pytest

from assets.errors import UsageError
from benchmarks import rl_leave_out
from benchmarks.rl_leave_out import GROUPS, LABELS, learn, plan_training
from benchmarks.rl_transfer import Plan
from sims import make_task

TINY: dict[str, Any] = {
    **{"num_envs": 2, "warmup": 4, "batch_size": 4, "replay": 100},
    **{"hidden": (8,), "critic_hidden": (8,), "evaluate_episodes": 1, "updates": 1},
}


def test_the_groups_are_all_that_varies() -> None:
    task: Any = make_task("humanoid-walk")
    left_out = [term for terms in GROUPS.values() for term in terms]
    assert sorted(left_out) == sorted(task.randomizations["train"].names)


def test_trainings_differ_in_nothing_else() -> None:
    whole, *others = (plan_training(name, 400, {}) for name in LABELS)
    assert (whole.randomize, whole.without, whole.steps) == ("train", (), 400)
    assert whole.evaluate_steps == 100
    for name, config in zip(list(LABELS)[1:], others, strict=True):
        assert {**vars(config), "without": ()} == vars(whole), name
        assert config.without == GROUPS[name]


def test_trains_once_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: Any = make_task("humanoid-walk")
    monkeypatch.setattr(type(task), "max_steps", 10)
    for name in ("whole", "push"):
        learn(name, tmp_path / name, 20, TINY)
    before = (tmp_path / "push" / "model.safetensors").read_bytes()
    learn("push", tmp_path / "push", 20, TINY)
    assert (tmp_path / "push" / "model.safetensors").read_bytes() == before
    with pytest.raises(UsageError, match=r"a training with steps 20, and not 40"):
        learn("push", tmp_path / "push", 40, TINY)
    with pytest.raises(UsageError, match=r"without \['push'\], and not \(\)"):
        learn("whole", tmp_path / "push", 20, TINY)
    plan = Plan(engines=("mujoco",), episodes={"mujoco": 2})
    found = rl_leave_out.compare(tmp_path, plan)
    cells = [(r["policy"], r["randomize"]) for r in found["rows"]]
    assert cells[:3] == [("randomised", p) for p in ("none", "train", "gap")]
    assert cells[3:] == [("without push", p) for p in ("none", "gap")]
    assert [p["against"] for p in found["pairs"]] == ["without push"] * 2
    assert found["not_run"] == [
        *("without friction", "without delay", "without body", "without senses"),
    ]
    assert [term["term"] for term in found["terms"]] == ["push"]
