"""Learning from demonstrations: what all such policies share.

A learned policy is one file in :mod:`policies` (``bc``, ``act``, ``diffusion`` ...): a
configuration and a network that is an :class:`~policies.imitation.net.ImitationNet`.
Data, training, checkpoints and acting stand here, once.
"""

from policies.imitation.checkpoint import load
from policies.imitation.config import ImitationConfig
from policies.imitation.training import train
from policies.learners import LEARNERS, Learner, find_learner

__all__ = [
    "LEARNERS",
    "ImitationConfig",
    "Learner",
    "find_learner",
    "load",
    "train",
]
