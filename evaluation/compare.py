"""Does it transfer? The same episodes in two engines, and how sure the difference is.

Episodes are paired by seed and identity, so only those with different outcomes carry
information: with ``b`` that succeed in the first engine alone and ``c`` in the second
alone, McNemar's exact test asks how likely a split at least as uneven is if both are
equally good (McNemar 1947, Psychometrika 12; the exact, binomial form). This is far
sharper than to compare two intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from assets.errors import UsageError
from evaluation.rollout import Rollout
from ml.statistics import mcnemar_exact


@dataclass(frozen=True, kw_only=True)
class Gap:
    """One policy under one randomisation, in two engines."""

    policy: str
    randomize: str
    first: str
    """Engine."""
    second: str
    """Engine."""
    n: int
    """Pairs of episodes."""
    first_rate: float
    second_rate: float
    only_first: int
    """Episodes that succeed in the first engine alone."""
    only_second: int
    """Episodes that succeed in the second engine alone."""
    p_value: float
    """McNemar's exact test, two-sided."""

    @property
    def difference(self) -> float:
        """Success rate in the second engine minus that in the first."""
        return self.second_rate - self.first_rate


def compare(first: Rollout, second: Rollout) -> Gap:
    """The gap between two results of the same policy on the same episodes.

    Raises:
        UsageError: the results are not of the same episodes, or not of one policy.
    """
    for what in ("task", "policy", "randomize", "seed", "n"):
        a, b = getattr(first, what), getattr(second, what)
        if a != b:
            raise UsageError(
                f"only results of the same episodes can be paired: {what} is {a!r} in "
                f"one and {b!r} in the other"
            )
    if first.success is None or second.success is None:
        raise UsageError(f"{first.task} measures no success to compare")
    only_first = int(np.sum(first.success & ~second.success))
    only_second = int(np.sum(~first.success & second.success))
    return Gap(
        policy=first.policy,
        randomize=first.randomize,
        first=first.engine,
        second=second.engine,
        n=first.n,
        first_rate=float(first.success.mean()),
        second_rate=float(second.success.mean()),
        only_first=only_first,
        only_second=only_second,
        p_value=float(mcnemar_exact(only_first, only_second)),
    )


def gaps(results: Sequence[Rollout]) -> list[Gap]:
    """All pairs of engines, for each policy and randomisation among the results.

    Those that measure no success have none.
    """
    groups: dict[tuple[str, str], list[Rollout]] = {}
    for result in results:
        if result.success is not None:
            groups.setdefault((result.policy, result.randomize), []).append(result)
    return [
        compare(first, second)
        for group in groups.values()
        for first, second in combinations(group, 2)
    ]
