"""The ten-armed testbed: exploration with nothing else in the way.

Sutton and Barto (2018), section 2.3: the true value of each arm is drawn from N(0, 1),
each pull pays it plus N(0, 1), and estimates are averages of what was paid,

    q(a) <- q(a) + (reward - q(a)) / N(a),

or, with a constant step (2.5), remember the recent ones. Many bandits side by side.
"""

from dataclasses import dataclass, field

import numpy as np

from policies.ladder.exploration import EpsilonGreedy, Rule, always, draw


@dataclass(frozen=True, kw_only=True)
class BanditConfig:
    """What is played, and how."""

    explore: Rule = field(default_factory=lambda: EpsilonGreedy(epsilon=always(0.1)))
    arms: int = 10
    bandits: int = 1000
    """Side by side."""
    pulls: int = 1000
    """Of each."""
    initial: float = 0.0
    """First estimate of each arm."""
    step_size: float | None = None
    """None: the average."""
    seed: int = 0
    """Of bandits and pulls: the same bandits for all rules."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of it."""

    regret: np.ndarray
    """(bandits, pulls): how much the pulled arm is worse than the best, on average."""
    best: np.ndarray
    """(bandits, pulls) bool: whether it was the best."""


def play(config: BanditConfig) -> Played:
    """Pull."""
    truth_rng, rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(2)
    )
    truth = truth_rng.normal(size=(config.bandits, config.arms))
    q = np.full(truth.shape, config.initial)
    tried = np.zeros(truth.shape, int)
    rows, top = np.arange(config.bandits), truth.max(1)
    regret = np.zeros((config.bandits, config.pulls))
    for pull in range(config.pulls):
        arm = draw(config.explore.probabilities(q, tried, pull), rng)
        tried[rows, arm] += 1
        reward = truth[rows, arm] + rng.normal(size=config.bandits)
        step = config.step_size or 1 / tried[rows, arm]
        q[rows, arm] += step * (reward - q[rows, arm])
        regret[:, pull] = top - truth[rows, arm]
    return Played(regret=regret, best=regret == 0)
