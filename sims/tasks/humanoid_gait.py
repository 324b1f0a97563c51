"""How a humanoid walks: the clock that it walks by, and the memory of its steps.

**Clock.** A phase turns once per :data:`PERIOD`; the left foot swings while its sine is
well above 0, the right one while it is well below, and between the two both stand. The
policy sees sine and cosine, and one term of the reward wants soles as high as the clock
says. That tells a learner when to lift which foot, the hard part of walking, and costs
a policy that wants another rhythm one term only: success does not look at the clock.
(The idea of a phase with wanted foot heights is widely used: Siekmann et al. 2021,
arXiv:2011.01387.)

**Steps.** A step is taken when a sole is :data:`LIFT` above the ground while the other
foot stands, once per swing; it is *in turn* when the step before was the other foot's.
One foot that lifts again and again takes one step in turn, and no more; feet that jump
together take none.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, namespace

PERIOD = 0.8
"""Of a stride, which is two steps [s]."""
LIFT = 0.03
"""How high a sole must be to have been lifted [m]."""
SWING = 0.07
"""How high the clock wants a sole to be lifted [m]."""
BOTH = 0.2
"""Below this sine of the phase both feet are to stand [1]."""


@dataclass
class Gait:
    """What is remembered of steps; a part of a task's state."""

    phase: Array
    """(num_envs,) of the clock [rad]."""
    last: Array
    """(num_envs,) int64: which foot stepped last, 0 left, 1 right; -1: none."""
    raised: Array
    """(num_envs, 2) bool: the foot's swing has counted as a step already."""


def wanted_soles(phase: Array) -> Array:
    """(num_envs, 2): how high the clock wants left and right sole [m].

    Soles leave the ground and come down to it with no speed: a foot that is to arrive
    at speed lands hard, and slips.
    """
    xp = namespace(phase)
    sine = xp.sin(phase)
    both = xp.stack([sine, -sine], axis=1)
    share = xp.maximum((both - BOTH) / (1 - BOTH), 0.0)
    return SWING * share * share


def tick(gait: Gait, dt: float) -> None:
    """Let the clock run on.

    Args:
        gait: to change.
        dt: for how long [s].
    """
    gait.phase[:] = (gait.phase + 2 * np.pi * dt / PERIOD) % (2 * np.pi)


def count_steps(gait: Gait, soles: Array, standing: Mask) -> Mask:
    """See which feet are lifted, and remember.

    Args:
        gait: to change.
        soles: (num_envs, 2) heights [m].
        standing: (num_envs, 2) which feet stand.

    Returns:
        (num_envs,) whether a step in turn is taken now.
    """
    xp = namespace(soles)
    steps = (soles > LIFT) & xp.flip(standing, axis=1) & ~gait.raised
    gait.raised[:] = (gait.raised | steps) & ~standing
    left, right = steps[:, 0], steps[:, 1]
    in_turn = (left & (gait.last != 0)) | (right & (gait.last != 1))
    gait.last[:] = xp.where(left, 0, xp.where(right, 1, gait.last))
    return in_turn
