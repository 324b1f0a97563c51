"""How a walk transfers: what is counted, paired, kept and concluded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import UsageError
from benchmarks import rl_transfer, rl_walking
from benchmarks.rl_transfer import Walker, bars, find_others, merge, ranking
from benchmarks.rl_walking import Walks
from policies.trial import try_out

NONE = {"randomize": "none", "without": []}
TRAIN = {"randomize": "train", "without": []}


def walker(label: str, weights: str = "a", **trained: Any) -> Walker:
    about = {**TRAIN, "steps": 1, "num_envs": 1, "seed": 0, **trained}
    return Walker(label=label, folder=Path(label), weights=weights, trained=about)


def line(against: str, engine: str, randomize: str, low: float, high: float) -> Any:
    return {
        "against": against,
        "engine": engine,
        "randomize": randomize,
        "weights": {"randomised": "a", against: "b"},
        "n": 9,
        "success": difference(low / 20, high / 20),
        "seconds": difference(low, high),
    }


def difference(low: float, high: float) -> Any:
    return {
        "mean": (low + high) / 2,
        "interval": [low, high],
        "excludes_zero": low > 0 or high < 0,
    }


def test_a_dry_run_walks_in_two_engines(capsys: pytest.CaptureFixture[str]) -> None:
    found = rl_transfer.dry()
    cells = [(r["policy"], r["engine"], r["randomize"], r["n"]) for r in found["rows"]]
    ours = [("mujoco", "none"), ("mujoco", "train"), ("mujoco", "gap")]
    ours += [("bullet", "none")]
    theirs = [("mujoco", "none"), ("mujoco", "gap"), ("bullet", "none")]
    assert cells == [
        *(("randomised", *cell, 3) for cell in ours),
        *(("no randomisation", *cell, 3) for cell in theirs),
    ]
    for row in found["rows"]:
        assert row["successes"] == 0  # a success takes 20 s
        assert row["parts"]["upright"]["share"] == 1.0  # and a fall more than 0.2 s
        assert row["seconds"]["mean"] == pytest.approx(0.2)
        assert abs(row["metres"]["mean"]) < 0.1
    # it is compared with itself
    for what in ("success", "seconds"):
        assert [p[what]["interval"] for p in found["pairs"]] == [[0.0, 0.0]] * 3
    assert [a["upright"] for a in found["ahead"]] == [3, 3]
    told = capsys.readouterr().out
    assert told.count("includes zero") == 6 and "nothing is recorded" in told
    assert json.loads(json.dumps(found))["rows"]


def test_walks_are_those_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches of 2 as in one of 3; and the way is the commanded one."""
    from policies import make_policy
    from sims import make_task
    from sims.engines import ENGINES

    rl_transfer.untrained(tmp_path, "train")
    task: Any = make_task(rl_walking.TASK)
    policy = make_policy(tmp_path, task, 3)
    monkeypatch.setattr(type(task), "max_steps", 90)  # under "gap" some fall earlier
    ids: Any = {"first_id": rl_walking.WALKS_ID, "randomize": "gap", "seed": 0}
    wanted = try_out(policy, task, 3, **ids)
    object.__setattr__(ENGINES["mujoco"], "default_num_envs", 2)
    try:
        found = rl_walking.walks(tmp_path, 3, engine="mujoco", randomize="gap")
    finally:
        object.__setattr__(ENGINES["mujoco"], "default_num_envs", 256)
    assert found.seconds.mean() == pytest.approx(wanted["length"] * task.control_dt)
    for name, values in found.met.items():
        assert values.mean() == pytest.approx(wanted[name]), name


def test_the_way_ends_with_a_fall_and_points_where_it_was_asked_to() -> None:
    class World:
        num_envs, control_dt = 2, 0.5

        def __init__(self) -> None:
            self.state: Any = type("State", (), {})()
            self.state.command = np.array([[0.6, 0.8, 0.1], [1.0, 0.0, 0.0]])
            self.state.velocity = np.array([[0.3, 0.4, 9.0], [2.0, 5.0, 0.0]])
            self.steps = 0

        def step(self, _: Any) -> Any:
            self.steps += 1
            fallen = np.array([False, self.steps == 2])
            none = np.zeros(2, bool)
            info = {"diverged": none, "success": none, "outcomes": {"upright": ~fallen}}
            return {}, np.zeros(2), fallen, none, info

    policy = type("Still", (), {"act": staticmethod(lambda obs: np.zeros((2, 1)))})()
    found = rl_walking._walk(World(), policy, {}, 4)
    assert found["seconds"].tolist() == [2.0, 1.0]
    assert found["metres"] == pytest.approx([0.5 * 4 * 0.5, 2.0 * 2 * 0.5])
    assert found["upright"].tolist() == [True, False]


def test_differences_are_by_episode() -> None:
    first, second = walker("randomised"), walker("no randomisation", "b", **NONE)
    spread = np.linspace(0, 19, 40)
    solved = spread > 10, spread > 10.5  # 19 and 18 of 40
    walked = [
        Walks(seconds=spread + more, metres=spread, met={"success": some})
        for more, some in zip((0.5, 0.0), solved, strict=True)
    ]
    found = rl_transfer.pair(first, second, "bullet", "none", walked)
    # though episodes differ
    assert found["seconds"]["interval"] == pytest.approx([0.5, 0.5])
    assert found["seconds"]["excludes_zero"] and found["n"] == 40
    assert found["success"]["mean"] == pytest.approx(1 / 40)
    assert not found["success"]["excludes_zero"]  # one pair of 40 that differs
    success, seconds = bars([found])
    assert seconds["met"] and seconds["figure"] == pytest.approx(0.5)
    assert not success["met"] and success["figure"] == 0.0
    other = rl_transfer.pair(second, first, "bullet", "none", walked[::-1])["seconds"]
    assert other["excludes_zero"] and other["interval"][1] < 0
    worse = bars([{**found, "seconds": {**found["seconds"], "interval": [-0.1, 1.0]}}])
    assert not worse[1]["met"]
    assert bars([{**found, "randomize": "gap"}]) == []  # of bullet: not asked for


def test_what_a_call_leaves_out_stays_unless_the_weights_are_others() -> None:
    old = [line("no randomisation", "mujoco", "gap", 1.0, 2.0)]
    new = [line("without push", "mujoco", "gap", 0.0, 1.0)]
    assert merge(old, new, {"randomised": "a", "without push": "b"}) == [*old, *new]
    assert merge(old, [], {"randomised": "a"}) == old
    assert merge(old, new, {"randomised": "c", "without push": "b"}) == new
    again = [line("no randomisation", "mujoco", "gap", 3.0, 4.0)]
    assert merge(old, again, {"randomised": "a", "no randomisation": "b"}) == again


def test_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, push = line("no randomisation", "bullet", "none", 1.0, 2.0), "without push"
    policy = walker("randomised")
    others = [walker("no randomisation", "b", **NONE), walker(push, "b")]
    told = {"rows": [], "ahead": [], "pairs": [plain]}
    monkeypatch.setattr(rl_transfer, "RESULTS", tmp_path)
    monkeypatch.setattr(rl_transfer, "measure", lambda *_: told)
    plan = rl_transfer.Plan(engines=("bullet",), episodes={"bullet": 9})
    first = rl_transfer.run(policy, others[:1], plan)
    assert [bar["met"] for bar in first["bars"]] == [True, True]
    (tmp_path / "rl_transfer.json").write_text(json.dumps(first))
    told["pairs"] = [line(push, "bullet", "none", -1.0, 3.0)]
    second = rl_transfer.run(policy, others[1:], plan)
    assert second["pairs"] == [plain, *told["pairs"]]
    assert second["terms"] == [{"term": "push", "lost": 1.0, "sure": False}]
    assert set(second["trained"]) == {"randomised", "no randomisation", push}
    assert second["bars"] == first["bars"]
    told["pairs"] = []
    third = rl_transfer.run(walker("randomised", "new"), [], plan)
    assert third["pairs"] == third["bars"] == third["terms"] == []
    said = capsys.readouterr().out
    assert "(+1.00 to +2.00, n 9): the interval excludes zero" in said
    assert "success +0.08 against no randomisation (+0.05 to +0.10, n 9)" in said
    assert "1. without push: 1.00 s lost (no interval excludes zero)" in said


def test_the_term_that_is_missed_most_comes_first() -> None:
    pairs = [
        line("without friction", "mujoco", "gap", -0.2, 0.4),
        line("without push", "mujoco", "gap", 1.0, 3.0),
        line("without push", "bullet", "none", -0.5, 0.5),
        line("without friction", "mujoco", "none", 9.0, 9.5),  # has been seen
        line("no randomisation", "mujoco", "gap", 9.0, 9.5),
    ]
    found = ranking(pairs)
    assert [(term["term"], term["sure"]) for term in found] == [
        ("push", True),
        ("friction", False),
    ]
    assert found[0]["lost"] == pytest.approx(2.0)


def test_others_were_trained_as_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = {
        "plain": NONE,
        "push": {"randomize": "train", "without": ["push"]},
        "bare": {"randomize": "none", "without": ["push"]},
    }
    monkeypatch.setattr(
        rl_transfer,
        "find_walker",
        lambda label, folder: walker(label, **trainings[folder.name]),
    )
    policy = walker("randomised")
    found = find_others(policy, Path("plain"), ["push=push"])
    assert [other.label for other in found] == ["no randomisation", "without push"]
    for plain, without, words in (
        (Path("push"), [], "trained with --randomize none, and push was trained with"),
        (None, ["friction=push"], "--without push, and not with --randomize train"),
        (None, ["push=bare"], "--randomize none --without push, and not with"),
        (None, ["push"], "NAME=FOLDER, got 'push'"),
    ):
        with pytest.raises(UsageError, match=words):
            find_others(policy, plain, without)
    lacking = walker("randomised", randomize="train", without=["push"])
    with pytest.raises(UsageError, match="--randomize train --without push"):
        find_others(lacking, Path("plain"), [])


def test_a_checkpoint_of_something_else_is_refused() -> None:
    from policies.pretrained import FOLDER

    with pytest.raises(UsageError, match="not of a training by trial and error"):
        rl_transfer.find_walker("it", FOLDER / "arm-reach" / "bc")
