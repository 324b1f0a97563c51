"""``tolerance``: the one shape that every reward is made of.

1 within bounds, falling smoothly to a stated value at a stated distance outside, as in
the dm_control suite (Tassa et al. 2018, arXiv:1801.00690, section 2): rewards then lie
in [0, 1], multiply, and can be read.
"""

import numpy as np

from sims.arrays import Array, namespace

VALUE_AT_MARGIN = 0.1
_SCALE = float(np.sqrt(-np.log(VALUE_AT_MARGIN)))
"""Of a Gaussian that is there at a distance of 1."""


def tolerance(x: Array, *, upper: float, margin: float) -> Array:
    """How well a distance keeps to its bound.

    Args:
        x: distances of at least 0, any shape and unit.
        upper: up to here the result is 1.
        margin: at ``upper + margin`` it has fallen, as a Gaussian, to 0.1.

    Returns:
        Values in (0, 1], of the shape of ``x``.
    """
    xp = namespace(x)
    outside = xp.maximum(x - upper, 0.0) * (_SCALE / margin)
    return xp.exp(-outside * outside)


def near(error: Array, *, width: float, reach: float) -> Array:
    """How near something is to what it should be, also where it is far off.

    The mean of a Gaussian, which rewards the last bit of precision, and of an
    exponential with a long tail: whoever is far away still feels which way is nearer,
    where the Gaussian alone is flat, and a learner that has found some violent way to
    keep upright would never hear that calmer is better.

    Args:
        error: of at least 0, any shape and unit.
        width: of the Gaussian, exp(-(error / width)^2), in the error's unit.
        reach: of the tail, exp(-error / reach), likewise.

    Returns:
        Values in (0, 1], of the shape of ``error``.
    """
    xp, narrow = namespace(error), error / width
    return 0.5 * xp.exp(-narrow * narrow) + 0.5 * xp.exp(-error / reach)
