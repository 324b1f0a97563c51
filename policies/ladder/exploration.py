"""Exploration: with which probability is an action tried?

Sutton and Barto (2018), sections 2.2 to 2.7. With values q and counts N of one state,

    epsilon-greedy   1 - epsilon on the best, epsilon spread over all
    UCB              argmax_a q(a) + c sqrt(ln t / N(a)), untried actions first
    Boltzmann        proportional to exp(q(a) / tau)

and epsilon and tau fall from episode to episode. The fourth, optimistic initial values
(2.6), is no rule but a number: with ``TabularConfig.initial`` above all that can be
earned even the greedy rule tries everything, since whatever it tries disappoints.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from assets.errors import UsageError


class Rule(Protocol):
    """Probabilities of actions, for one state or many."""

    def probabilities(self, q: np.ndarray, tried: np.ndarray, time: int) -> np.ndarray:
        """(..., actions).

        Args:
            q: (..., actions) values.
            tried: (..., actions) how often each was taken in that state.
            time: number of the episode, or of the pull of a bandit.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Decay:
    """max(end, start * rate^time)."""

    start: float
    end: float
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what grows.

        Raises:
            UsageError: it does.
        """
        if not 0 <= self.end <= self.start or not 0 < self.rate <= 1:
            raise UsageError(
                f"a decay goes from start down to end, by a rate of at most 1, got "
                f"{self.start:g}, {self.end:g}, {self.rate:g}"
            )

    def at(self, time: int) -> float:
        """The value then."""
        return max(self.end, self.start * self.rate**time)


def always(value: float) -> Decay:
    """No decay."""
    return Decay(start=value, end=value)


@dataclass(frozen=True, kw_only=True)
class EpsilonGreedy:
    """The best, and now and then any (section 2.2); ties are shared."""

    epsilon: Decay = Decay(start=1.0, end=0.05, rate=0.99)

    def probabilities(self, q: np.ndarray, tried: np.ndarray, time: int) -> np.ndarray:
        """See :class:`Rule`."""
        epsilon = self.epsilon.at(time)
        return (1 - epsilon) * _shared(q) + epsilon / q.shape[-1]


@dataclass(frozen=True, kw_only=True)
class UCB:
    """What may be the best, given how little is known of it (section 2.7)."""

    c: float = 2.0
    """How much doubt counts, in the units of q."""

    def probabilities(self, q: np.ndarray, tried: np.ndarray, time: int) -> np.ndarray:
        """See :class:`Rule`; its clock is what was tried in that state."""
        total = tried.sum(-1, keepdims=True)
        doubt = np.sqrt(np.log(total + 1.0) / np.maximum(tried, 1))
        return _shared(np.where(tried == 0, np.inf, q + self.c * doubt))


@dataclass(frozen=True, kw_only=True)
class Boltzmann:
    """The better the likelier (section 2.8's soft-max, of values)."""

    temperature: Decay = Decay(start=1.0, end=0.05, rate=0.99)
    """tau, in the units of q; above 0."""

    def __post_init__(self) -> None:
        """Refuse a division by 0.

        Raises:
            UsageError: the temperature ends there.
        """
        if self.temperature.end <= 0:
            raise UsageError(
                f"a temperature ends above 0, got {self.temperature.end:g}; for none "
                f"take EpsilonGreedy(epsilon=always(0))"
            )

    def probabilities(self, q: np.ndarray, tried: np.ndarray, time: int) -> np.ndarray:
        """See :class:`Rule`."""
        weight = np.exp((q - q.max(-1, keepdims=True)) / self.temperature.at(time))
        return weight / weight.sum(-1, keepdims=True)


def draw(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(...) int: an action of each (..., actions)."""
    sums = probabilities.cumsum(-1)
    level = rng.random((*sums.shape[:-1], 1)) * sums[..., -1:]
    return (sums <= level).sum(-1)


def pick(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    """An action of (actions,): :func:`draw` for one state, in a third of the time."""
    sums = probabilities.cumsum()
    return int(sums.searchsorted(rng.random() * sums[-1], side="right"))


def _shared(q: np.ndarray) -> np.ndarray:
    """Probability 1, shared by the best."""
    best = q == q.max(-1, keepdims=True)
    return best / best.sum(-1, keepdims=True)
