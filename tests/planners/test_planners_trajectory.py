"""Quintic and minimum-jerk profiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assets import UsageError
from planners.trajectory import Trajectory, minimum_jerk, quintic

RANDOM = np.random.default_rng(0)


def test_quintic_meets_both_ends() -> None:
    start, goal, v0, v1, a0, a1 = RANDOM.normal(size=(6, 5, 3))
    duration = RANDOM.uniform(0.5, 3.0, 5)
    path = quintic(
        start,
        goal,
        duration,
        start_velocity=v0,
        start_acceleration=a0,
        goal_velocity=v1,
        goal_acceleration=a1,
        start_time=2.0,
    )
    for time, ends in ((2.0, (start, v0, a0)), (2.0 + duration, (goal, v1, a1))):
        for found, wanted in zip(path.at(time), ends, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-9)
    np.testing.assert_allclose(path.duration, duration)


def test_velocity_and_acceleration_are_derivatives() -> None:
    start, goal = RANDOM.normal(size=(2, 4, 2))
    path = quintic(start, goal, np.full(4, 1.5), start_velocity=1.0)
    h = 1e-5
    for time in np.linspace(0.1, 1.4, 9):
        _, velocity, acceleration = path.at(time)
        ahead, behind = path.at(time + h), path.at(time - h)
        np.testing.assert_allclose(
            (ahead[0] - behind[0]) / (2 * h), velocity, atol=1e-7
        )
        slope = (ahead[1] - behind[1]) / (2 * h)
        np.testing.assert_allclose(slope, acceleration, atol=1e-6)


numbers = st.floats(-10.0, 10.0)


@settings(deadline=None, max_examples=40)
@given(arrays(float, (3, 2), elements=numbers), arrays(float, (3, 2), elements=numbers))
def test_minimum_jerk_keeps_and_uses_its_limits(start, goal) -> None:
    speed, push = np.array([3.0, 1.0]), np.array([12.0, 5.0])
    path = minimum_jerk(start, goal, max_velocity=speed, max_acceleration=push)
    times = np.linspace(0.0, 1.0, 401)[:, None] * path.duration
    states = [path.at(t) for t in times]
    used = np.maximum(
        (np.abs([s[1] for s in states]) / speed).max(axis=(0, 2)),
        (np.abs([s[2] for s in states]) / push).max(axis=(0, 2)),
    )
    assert (used <= 1.0 + 1e-6).all()
    waits = path.duration > 0.1  # the shortest movement there is
    np.testing.assert_allclose(used[waits], 1.0, atol=1e-3)
    np.testing.assert_allclose(states[-1][0], goal, atol=1e-9)


def test_outside_of_its_time_it_stands_still() -> None:
    path = minimum_jerk(
        np.zeros((2, 1)),
        np.array([[1.0], [2.0]]),
        max_velocity=1.0,
        max_acceleration=1.0,
        start_time=np.array([1.0, 2.0]),
    )
    for time, where in ((0.0, [[0.0], [0.0]]), (99.0, [[1.0], [2.0]])):
        position, velocity, acceleration = path.at(time)
        np.testing.assert_allclose(position, where, atol=1e-12)
        assert not velocity.any() and not acceleration.any()


def test_segments_follow_each_other() -> None:
    first = quintic(np.zeros((2, 1)), np.ones((2, 1)), np.array([1.0, 2.0]))
    second = quintic(np.ones((2, 1)), np.full((2, 1), 3.0), np.array([1.0, 1.0]))
    both = Trajectory(
        knots=np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 3.0]]),
        coefficients=np.concatenate([first.coefficients, second.coefficients], axis=1),
    )
    np.testing.assert_allclose(both.at(np.array([1.0, 2.0]))[0], 1.0)
    np.testing.assert_allclose(both.at(np.array([1.5, 2.5]))[0], 2.0)
    np.testing.assert_allclose(both.at(np.array([0.5, 1.0]))[0], 0.5)


def test_rows_can_be_replaced() -> None:
    old = quintic(np.zeros((2, 1)), np.ones((2, 1)), np.ones(2))
    new = quintic(np.zeros((2, 1)), np.full((2, 1), 5.0), np.full(2, 4.0))
    mixed = old.where(np.array([False, True]), new)
    assert mixed.at(9.0)[0].tolist() == [[1.0], [5.0]]
    assert mixed.duration.tolist() == [1.0, 4.0]


def test_same_bits_in_any_batch() -> None:
    start, goal = RANDOM.normal(size=(2, 512, 2))

    def sample(rows: slice) -> np.ndarray:
        path = minimum_jerk(
            start[rows], goal[rows], max_velocity=2.0, max_acceleration=5.0
        )
        return np.stack(path.at(0.37), axis=1)

    single = np.concatenate([sample(slice(i, i + 1)) for i in range(512)])
    assert np.array_equal(sample(slice(None)), single)


def test_bad_input_is_refused() -> None:
    point = np.zeros((1, 2))
    with pytest.raises(UsageError, match="lasts longer than 0 s, got 0 s"):
        quintic(point, point, np.zeros(1))
    with pytest.raises(UsageError, match="max_velocity must be above 0, got -1"):
        minimum_jerk(point, point, max_velocity=-1.0, max_acceleration=1.0)
    with pytest.raises(UsageError, match="max_acceleration must be above 0, got 0"):
        minimum_jerk(point, point, max_velocity=1.0, max_acceleration=0.0)
    with pytest.raises(UsageError, match=r"got \(1, 3\)"):
        Trajectory(knots=np.zeros((1, 3)), coefficients=np.zeros((1, 1, 6, 2)))
