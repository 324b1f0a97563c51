"""The gap between engines, on the same episodes."""

from dataclasses import replace

import numpy as np
import pytest

from assets.errors import UsageError
from evaluation.compare import compare, gaps
from evaluation.rollout import Rollout


def result(success: list[int], engine: str = "mujoco", **change: object) -> Rollout:
    n = len(success)
    made = Rollout(
        task="arm-reach",
        policy="bc",
        engine=engine,
        randomize="none",
        seed=0,
        control_dt=0.01,
        success=np.array(success, bool),
        returns=np.zeros(n),
        lengths=np.full(n, 400),
        diverged=np.zeros(n, bool),
    )
    return replace(made, **change)  # pyright: ignore[reportArgumentType]


def test_mcnemar_counts_the_episodes_that_differ() -> None:
    first = result([1] * 9 + [0] + [1] * 20 + [0] * 5)
    second = result([0] * 9 + [1] + [1] * 20 + [0] * 5, "bullet")
    gap = compare(first, second)
    assert (gap.only_first, gap.only_second, gap.n) == (9, 1, 35)
    assert gap.difference == pytest.approx((21 - 29) / 35)
    # 2 * (C(10, 0) + C(10, 1)) / 2**10
    assert gap.p_value == pytest.approx(22 / 1024, rel=1e-12)


def test_equal_outcomes_are_no_gap() -> None:
    gap = compare(result([1, 0, 1]), result([1, 0, 1], "bullet"))
    assert (gap.difference, gap.p_value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"policy": "pid"}, "policy"),
        ({"task": "arm-track"}, "task"),
        ({"randomize": "gap"}, "randomize"),
    ],
)
def test_only_the_same_episodes_are_paired(change: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        compare(result([1, 0]), result([1, 0], "bullet", **change))


def test_results_of_other_lengths_are_not_paired() -> None:
    with pytest.raises(UsageError, match="n is 2 in one and 3"):
        compare(result([1, 0]), result([1, 0, 1], "bullet"))


def test_gaps_are_within_a_policy_and_randomisation() -> None:
    results = [
        result([1, 1], "mujoco"),
        result([1, 0], "bullet"),
        result([0, 0], "mujoco", randomize="gap"),
        result([0, 1], "bullet", randomize="gap"),
        result([1, 1], "mujoco", policy="pid"),
    ]
    found = [(g.policy, g.randomize, g.first, g.second) for g in gaps(results)]
    assert found == [
        ("bc", "none", "mujoco", "bullet"),
        ("bc", "gap", "mujoco", "bullet"),
    ]
