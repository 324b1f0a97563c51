"""Through waypoints: on time, smooth, never outside of what they ask for."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.errors import UsageError
from planners.waypoints import through

VALUES = st.lists(st.floats(-3, 3), min_size=2, max_size=8)


@settings(deadline=None)
@given(values=VALUES, seed=st.integers(0, 99))
def test_it_passes_through_and_stays_between(values: list[float], seed: int) -> None:
    steps = np.random.default_rng(seed).uniform(0.1, 1.0, len(values))
    times, points = np.cumsum(steps), np.array(values)[:, None]
    np.testing.assert_allclose(through(times, points, times), points, atol=1e-12)
    for i, (begin, end) in enumerate(pairwise(times)):
        inside = through(times, points, np.linspace(begin, end, 21))
        low, high = sorted(values[i : i + 2])
        assert inside.min() >= low - 1e-9 and inside.max() <= high + 1e-9


def test_velocity_has_no_jumps_and_is_zero_where_it_turns() -> None:
    times, h = np.array([0.0, 1.0, 1.5, 3.0]), 1e-6
    points = np.array([[0.0], [1.0], [0.2], [0.2]])
    for knot, still in ((1.0, True), (1.5, True)):
        around = through(times, points, knot + np.array([-h, 0, h]))[:, 0]
        before, after = np.diff(around) / h
        assert abs(before - after) < 1e-4
        assert still == (abs(before) < 1e-4)


def test_it_rests_at_its_ends() -> None:
    ends = through(np.array([1.0, 2.0]), np.array([[3.0], [4.0]]), np.array([0, 9.0]))
    assert ends.ravel().tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("times", "points", "message"),
    [
        ([0.0], [[1.0]], "two waypoints or more"),
        ([0.0, 1.0], [[1.0]], "two waypoints or more"),
        ([0.0, 1.0, 1.0], [[1.0]] * 3, "increase, got 1 s and then 1 s"),
    ],
)
def test_paths_that_are_none(times: list, points: list, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        through(np.array(times), np.array(points), np.zeros(1))
