"""One thread of torch or two: measured, since it is hard to know.

Networks this small gain little from a second thread, and lose more than ten times their
speed where another process holds the second core: 92 updates a second became 6.
"""

import statistics
import time
from collections.abc import Callable

import torch

CHOICES = (1, 2)
ROUNDS = 3
"""In turn; the median counts."""


def choose_threads(work: Callable[[], object], seconds: float = 0.2) -> int:
    """The number of threads with which some work is faster; torch uses it from now on.

    Args:
        work: one update.
        seconds: to measure each number of threads for, in each round.
    """
    rates: dict[int, list[float]] = {count: [] for count in CHOICES}
    for _ in range(ROUNDS):
        for count, found in rates.items():
            torch.set_num_threads(count)
            work()
            began, done = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                work()
                done += 1
            found.append(done / (time.perf_counter() - began))
    # the second has to be worth a core
    single, double = (statistics.median(rates[count]) for count in CHOICES)
    best = 2 if double > 1.3 * single else 1
    torch.set_num_threads(best)
    return best
