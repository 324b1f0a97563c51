"""How sure is a success rate? Intervals and tests that are right for small counts.

Wilson (1927), "Probable inference, the law of succession, and statistical inference":
the interval of all p whose score test does not reject the data; unlike the textbook
interval it never leaves [0, 1] and keeps its coverage near 0 and 1.

McNemar (1947) in its exact form: of the pairs that disagree, each direction is a fair
coin if both policies are equally good. Pairs that agree say nothing, which is why
comparisons are paired by seed.

Student (1908), "The probable error of a mean", for returns; Efron (1979), "Bootstrap
methods: another look at the jackknife", for differences that are far from normal.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from assets.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def wilson_interval(
    successes: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson score interval of a success probability.

    Args:
        successes: how many trials succeeded.
        n: how many trials there were; with none, nothing is known: (0, 1).
        confidence: two-sided coverage.

    Returns:
        Lower and upper end, in [0, 1].

    Raises:
        UsageError: not 0 <= successes <= n, or confidence outside (0, 1).
    """
    _check_counts(successes, n)
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is between 0 and 1, got {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def mean_interval(values: "ArrayLike", confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of a mean; of one value alone, infinitely wide.

    Exact where the values are normal; for others it is a good approximation from some
    tens of values on.

    Args:
        values: (n,) independent, such as the returns of episodes.
        confidence: two-sided coverage.

    Raises:
        UsageError: no values, or confidence outside (0, 1).
    """
    import numpy as np
    from scipy.special import stdtrit

    sample = np.asarray(values, float)
    if sample.ndim != 1 or not len(sample):
        raise UsageError(f"a mean is of at least one value, got shape {sample.shape}")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is between 0 and 1, got {confidence}")
    n = len(sample)
    if n == 1:
        return -math.inf, math.inf
    error = float(sample.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return float(sample.mean()) - half, float(sample.mean()) + half


def bootstrap_interval(
    values: "ArrayLike", confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, which asks for no normal values.

    Of paired episodes the values are the differences: how long a robot stood with one
    policy, less how long with the other.

    Args:
        values: (n,) independent.
        confidence: two-sided coverage.
        resamples: how often n of them are drawn again.
        seed: of the drawing.

    Raises:
        UsageError: fewer than two values, or confidence outside (0, 1).
    """
    import numpy as np
    from scipy.stats import bootstrap

    sample = np.asarray(values, float)
    if sample.ndim != 1 or len(sample) < 2:
        raise UsageError(
            f"a bootstrap is of at least two values, got shape {sample.shape}"
        )
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is between 0 and 1, got {confidence}")
    found = bootstrap(
        (sample,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=max(1, 2**22 // len(sample)),
    ).confidence_interval
    return float(found.low), float(found.high)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value that two paired success rates are equal.

    Args:
        only_first: pairs in which the first alone succeeded.
        only_second: pairs in which the second alone succeeded.

    Returns:
        The probability, under equality, of a split at least as uneven; 1 without a
        disagreeing pair.

    Raises:
        UsageError: a negative count.
    """
    if min(only_first, only_second) < 0:
        raise UsageError(f"counts are not negative, got {only_first}, {only_second}")
    n = only_first + only_second
    tail = sum(math.comb(n, i) for i in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**n)


def detectable_difference(n: int, rate: float = 0.5, power: float = 0.8) -> float:
    """Smallest difference of two unpaired success rates that n trials each will show.

    Two-sided test at 5%, normal approximation at a common rate: what to expect of an
    evaluation before it is run.

    Args:
        n: trials of each of the two.
        rate: the common success rate; 0.5 is the worst case.
        power: probability of finding a difference of that size.
    """
    _check_counts(1, n)
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(power)
    return z * math.sqrt(2 * rate * (1 - rate) / n)


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise UsageError(f"successes are between 0 and n, got {successes} of {n}")
