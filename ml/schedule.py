"""Learning rate over a training: linear warm-up, then half a cosine.

Loshchilov and Hutter (2017), "SGDR", equation 5, without restarts. A pure function of
the step, so that a resumed training needs no state of it.
"""

import math


def cosine_factor(step: int, *, total: int, warmup: int, floor: float = 0.0) -> float:
    """What to multiply the peak learning rate with.

    Args:
        step: steps done so far, from 0.
        total: steps of the whole training; later steps keep the floor.
        warmup: steps over which the rate rises linearly; step ``warmup`` is the peak.
        floor: the factor at the end.

    Returns:
        A factor in (0, 1]: the first step already moves, by 1 / (warmup + 1).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
