"""One thread of torch or two: measured, since it is hard to know.

Networks this small gain little from a second thread, and lose more than ten times their
speed where another process holds the second core: 92 updates a second became 6. Where
environments step while networks learn, that other is we ourselves: on two cores
Humanoid-v5 had 25 updates a second with two threads and 47 with one. So there it is
measured beside a :func:`neighbour`.
"""

import statistics
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

CHOICES = (1, 2)
ROUNDS = 3
"""In turn; the median counts."""
WORTH = 1.3
"""How many times faster two have to be, to be worth a core."""


def choose_threads(
    work: Callable[[], object],
    seconds: float = 0.2,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The number of threads with which some work is faster; torch uses it from now on.

    Args:
        work: one update.
        seconds: to measure each number of threads for, in each round.
        clock: seconds, for tests.
    """
    rates: dict[int, list[float]] = {count: [] for count in CHOICES}
    for index in range(ROUNDS):
        for count, found in rates.items():
            torch.set_num_threads(count)
            work()  # threads are started, caches filled
            began, done, spent = clock(), 0, 0.0
            while spent < seconds:
                work()
                done += 1
                spent = clock() - began
            found.append(done / spent)
        if rates[2][index] < rates[1][index]:
            break  # whoever else is at work, the second thread costs time: end it
    faster = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    best = 2 if min(faster) > 1 and statistics.median(faster) > WORTH else 1
    torch.set_num_threads(best)
    return best


@contextmanager
def neighbour() -> Iterator[None]:
    """Keep a core busy, as environments will that step at the same time."""
    over, block = threading.Event(), bytes(2**20)

    def work() -> None:
        while not over.is_set():
            zlib.crc32(block)  # without holding Python's lock

    thread = threading.Thread(target=work, name="neighbour", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
