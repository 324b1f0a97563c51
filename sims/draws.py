"""Random numbers keyed by (seed, term, environment, episode, counter).

A draw depends on what it is for and on nothing else: not on the number of
environments or threads, not on the engine, not on what else was drawn before. So the
same episode meets the same world in every engine, and a randomisation that is added
leaves the others as they were.

The generator is SplitMix64 (Steele, Lea, Flood, 2014, "Fast splittable pseudorandom
number generators"), which is counter-based: element ``j`` of a stream with key ``k`` is
``mix(k + (j + 1) * golden)``. Keys are made by folding each component through ``mix``.
"""

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from assets.errors import UsageError

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(s) for s in (30, 27, 31, 11))


def mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, elementwise on uint64."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


def fold(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """A new key from a key and one more component, both uint64 arrays."""
    return mix((key ^ mix(value + _GOLDEN)) + _GOLDEN)


@lru_cache(maxsize=1024)
def _term_key(term: str) -> np.ndarray:
    digest = blake2b(term.encode(), digest_size=8).digest()
    return np.frombuffer(digest, np.uint64).copy()


@lru_cache(maxsize=1024)
def _offsets(size: int) -> np.ndarray:
    """(j + 1) * golden for each element of a stream."""
    return np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN


def check_seed(seed: object) -> int:
    """The seed as an int.

    Raises:
        UsageError: not an integer, or outside of 0 .. 2**64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise UsageError(f"a seed is an integer of at least 0, got {seed!r}")
    if not 0 <= int(seed) < 2**64:
        raise UsageError(f"a seed lies within 0 .. 2**64 - 1, got {seed}")
    return int(seed)


class Draws:
    """The random numbers of each environment's present episode."""

    def __init__(
        self,
        seed: int,
        ids: np.ndarray,
        episode: np.ndarray,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ):
        """Make the keys.

        Args:
            seed: of the whole run.
            ids: (num_envs,) who each environment is.
            episode: (num_envs,) which of its episodes.
            ranges: by name, of the numbers that a task asks for by :meth:`within`.
        """
        seeds = np.full(len(ids), check_seed(seed), np.uint64)
        self._who = fold(seeds, ids.astype(np.uint64))
        self._ranges = ranges or {}
        self.keys = fold(self._who, episode.astype(np.uint64))
        """(num_envs,) uint64."""

    def at(self, rows: np.ndarray) -> "Draws":
        """The same random numbers of some environments alone, in the order given."""
        some = copy(self)
        some._who, some.keys = self._who[rows], self.keys[rows]
        return some

    def of(self, env: int) -> "Draws":
        """The same random numbers of one environment alone, a batch of one."""
        return self.at(np.array([env]))

    @property
    def once(self) -> "Draws":
        """Those of each environment's episode 0, for what stays from then on."""
        first = copy(self)
        first.keys = fold(self._who, np.zeros(len(self._who), np.uint64))
        return first

    def bits(
        self, term: str, shape: tuple[int, ...] = (), counter: np.ndarray | None = None
    ) -> np.ndarray:
        """(num_envs, *shape) uint64, each uniform over all 64 bits.

        Args:
            term: what they are for.
            shape: of one environment's draw.
            counter: (num_envs,) integers that tell repeated draws of a term apart.
        """
        keys = fold(self.keys, _term_key(term))
        if counter is not None:
            keys = fold(keys, counter.astype(np.uint64))
        if not shape:
            return mix(keys + _GOLDEN)
        size = int(np.prod(shape))
        return mix(keys[:, None] + _offsets(size)).reshape(len(keys), *shape)

    def uniform(
        self,
        term: str,
        low: float | np.ndarray = 0.0,
        high: float | np.ndarray = 1.0,
        shape: tuple[int, ...] = (),
        counter: np.ndarray | None = None,
    ) -> np.ndarray:
        """(num_envs, *shape) float64 in [low, high)."""
        unit = (self.bits(term, shape, counter) >> _S11) * 2.0**-53
        return low + (high - low) * unit

    def normal(
        self, term: str, shape: tuple[int, ...] = (), counter: np.ndarray | None = None
    ) -> np.ndarray:
        """(num_envs, *shape) standard normal, by inversion."""
        from scipy.special import ndtri

        return ndtri(((self.bits(term, shape, counter) >> _S11) + 0.5) * 2.0**-53)

    def integers(self, term: str, low: int, high: int) -> np.ndarray:
        """(num_envs,) int64 in low .. high, both ends included."""
        return low + np.floor(self.uniform(term) * (high - low + 1)).astype(np.int64)

    def within(self, term: str, low: float, high: float) -> np.ndarray:
        """(num_envs,) float64: a number of a task, whose range a profile may change.

        Args:
            term: its name; a :class:`~sims.randomization.TaskTerm` of the same name
                replaces the range.
            low: where no profile says otherwise.
            high: likewise.
        """
        return self.uniform(term, *self._ranges.get(term, (low, high)))
