"""Intervals and tests against scipy and against enumeration."""

import itertools
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from assets.errors import UsageError
from ml.statistics import (
    bootstrap_interval,
    detectable_difference,
    mcnemar_exact,
    wilson_interval,
)


@pytest.mark.parametrize("n", [1, 5, 50, 200, 500])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_is_scipys(n: int, confidence: float) -> None:
    for k in {0, 1, n // 2, n - 1, n}:
        reference = binomtest(k, n).proportion_ci(confidence, method="wilson")
        assert wilson_interval(k, n, confidence) == pytest.approx(
            (reference.low, reference.high), abs=1e-12
        )


def test_wilson_covers() -> None:
    """The true rate lies inside about as often as promised, near 1 as well."""
    n, rate = 200, 0.97
    inside = 0.0
    for k in range(n + 1):
        low, high = wilson_interval(k, n)
        inside += (low <= rate <= high) * comb(n, k) * rate**k * (1 - rate) ** (n - k)
    assert 0.93 < inside < 0.975


def test_wilson_edges() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 9)[0] == 0.0 and wilson_interval(9, 9)[1] == 1.0
    for k, n in ((-1, 5), (6, 5)):
        with pytest.raises(UsageError, match="between 0 and n"):
            wilson_interval(k, n)
    with pytest.raises(UsageError, match="confidence"):
        wilson_interval(1, 2, 1.0)


@pytest.mark.parametrize("n", range(1, 13))
def test_mcnemar_is_the_sum_over_all_splits(n: int) -> None:
    """Every way in which n fair coins can fall, counted one by one."""
    splits = [sum(coins) for coins in itertools.product((0, 1), repeat=n)]
    for first in range(n + 1):
        far = abs(first - n / 2)
        reference = np.mean([abs(k - n / 2) >= far - 1e-9 for k in splits])
        assert mcnemar_exact(first, n - first) == pytest.approx(reference)


def test_mcnemar_is_scipys_binomial_test() -> None:
    for first, second in ((0, 0), (3, 10), (40, 20), (0, 30), (500, 300)):
        n = first + second
        reference = binomtest(first, n).pvalue if n else 1.0
        assert mcnemar_exact(first, second) == pytest.approx(reference, rel=1e-9)
    with pytest.raises(UsageError, match="not negative"):
        mcnemar_exact(-1, 2)


def test_detectable_difference_is_found_that_often() -> None:
    n = 250
    gap = detectable_difference(n, 0.5)
    draw = np.random.default_rng(0)
    a = draw.binomial(n, 0.5 - gap / 2, 20_000) / n
    b = draw.binomial(n, 0.5 + gap / 2, 20_000) / n
    pooled = (a + b) / 2
    z = (b - a) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.02)


def test_the_bootstrap_covers_a_mean_of_values_that_are_not_normal() -> None:
    draws = np.random.default_rng(0).exponential(2.0, (100, 60))
    inside = 0
    for sample in draws:
        low, high = bootstrap_interval(sample, resamples=200)
        assert low < sample.mean() < high
        inside += low < 2.0 < high
    assert 0.86 < inside / len(draws) < 0.99


def test_the_bootstrap_repeats_and_knows_what_never_varies() -> None:
    sample = np.arange(20.0)
    assert bootstrap_interval(sample) == bootstrap_interval(sample)
    assert bootstrap_interval(sample) != bootstrap_interval(sample, seed=1)
    assert bootstrap_interval(np.full(5, 3.0)) == (3.0, 3.0)
    wide, narrow = (bootstrap_interval(sample, c) for c in (0.99, 0.5))
    assert wide[0] < narrow[0] < 9.5 < narrow[1] < wide[1]


def test_a_bootstrap_refuses() -> None:
    with pytest.raises(UsageError, match="at least two values"):
        bootstrap_interval([1.0])
    with pytest.raises(UsageError, match="confidence"):
        bootstrap_interval([1.0, 2.0], confidence=1.0)
