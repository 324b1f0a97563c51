"""Random numbers keyed by (seed, term, environment, episode, counter).

A draw depends on what it is for and on nothing else: not on the number of
environments or threads, not on the engine, not on what else was drawn before. So the
same episode meets the same world in every engine, and a randomisation that is added
leaves the others as they were.

The generator is SplitMix64 (Steele, Lea, Flood, 2014, "Fast splittable pseudorandom
number generators"), which is counter-based: element ``j`` of a stream with key ``k`` is
``mix(k + (j + 1) * golden)``. Keys are made by folding each component through ``mix``.

Draws may be on a device (:meth:`Draws.beside`), as torch tensors. Bits and uniform
numbers are the same there, bit by bit: torch multiplies and adds int64 modulo 2**64 as
NumPy does uint64, and shifts in copies of the sign, which are masked away.
"""

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from assets.errors import UsageError
from sims.arrays import Array, is_host, like, namespace, sent

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(s) for s in (30, 27, 31, 11))


def _signed(bits: np.uint64) -> int:
    """The number whose int64 has the same bits."""
    return int(bits) - (int(bits) >> 63 << 64)


_SIGNED_GOLDEN, _SIGNED_M1, _SIGNED_M2 = (_signed(b) for b in (_GOLDEN, _M1, _M2))


def mix(z: Array) -> Array:
    """SplitMix64's finaliser, elementwise on uint64, or on a tensor's int64."""
    if is_host(z):
        z = (z ^ (z >> _S30)) * _M1
        z = (z ^ (z >> _S27)) * _M2
        return z ^ (z >> _S31)
    z = (z ^ _shifted(z, 30)) * _SIGNED_M1
    z = (z ^ _shifted(z, 27)) * _SIGNED_M2
    return z ^ _shifted(z, 31)


def fold(key: Array, value: Array) -> Array:
    """A new key from a key and one more component, both of 64 bits."""
    golden = _golden(key)
    return mix((key ^ mix(value + golden)) + golden)


def _golden(beside: Array) -> Any:
    return _GOLDEN if is_host(beside) else _SIGNED_GOLDEN


def _shifted(z: Any, by: int) -> Any:
    """A tensor's 64 bits, moved down, zeros moved in."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _unit(bits: Array) -> Array:
    """Their upper 53 bits, as whole numbers in float64."""
    if is_host(bits):
        return bits >> _S11
    import torch

    return _shifted(bits, 11).to(torch.float64)


@lru_cache(maxsize=1024)
def _term(term: str) -> tuple[np.ndarray, int]:
    """A term as a component of keys, mixed as :func:`fold` does: (1,), and signed."""
    digest = blake2b(term.encode(), digest_size=8).digest()
    mixed = mix(np.frombuffer(digest, np.uint64) + _GOLDEN)
    return mixed, _signed(mixed[0])


@lru_cache(maxsize=1024)
def _offsets(size: int) -> np.ndarray:
    """(j + 1) * golden for each element of a stream."""
    return np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN


@lru_cache(maxsize=1024)
def _signed_offsets(size: int) -> np.ndarray:
    return _offsets(size).view(np.int64)


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
        """(num_envs,) uint64; on a device the same bits as int64."""

    def beside(self, array: Array) -> "Draws":
        """The same random numbers where an array is; the host does not wait."""
        if is_host(array):
            return self
        there = copy(self)
        there._who, there.keys = (
            sent(keys.view(np.int64), array) for keys in (self._who, self.keys)
        )
        return there

    def at(self, rows: Array) -> "Draws":
        """The same random numbers of some environments alone, in the order given."""
        some = copy(self)
        some._who, some.keys = self._who[rows], self.keys[rows]
        return some

    def of(self, env: int) -> "Draws":
        """The same random numbers of one environment alone, a batch of one."""
        one = copy(self)
        one._who, one.keys = self._who[env : env + 1], self.keys[env : env + 1]
        return one

    @property
    def once(self) -> "Draws":
        """Those of each environment's episode 0, for what stays from then on."""
        first = copy(self)
        first.keys = fold(self._who, self._who ^ self._who)  # zeros, wherever they are
        return first

    def bits(
        self, term: str, shape: tuple[int, ...] = (), counter: Array | None = None
    ) -> Array:
        """(num_envs, *shape) of 64 bits, each uniform over all of them: uint64, or on a
        device int64.

        Args:
            term: what they are for.
            shape: of one environment's draw.
            counter: (num_envs,) integers that tell repeated draws of a term apart.
        """
        here = is_host(self.keys)
        golden, mixed = _golden(self.keys), _term(term)[0 if here else 1]
        keys = mix((self.keys ^ mixed) + golden)
        if counter is not None:
            keys = fold(keys, counter.astype(np.uint64) if here else counter)
        if not shape:
            return mix(keys + golden)
        size = int(np.prod(shape))
        offsets = _offsets(size) if here else like(_signed_offsets(size), keys)
        return mix(keys[:, None] + offsets).reshape(len(keys), *shape)

    def uniform(
        self,
        term: str,
        low: float | Array = 0.0,
        high: float | Array = 1.0,
        shape: tuple[int, ...] = (),
        counter: Array | None = None,
    ) -> Array:
        """(num_envs, *shape) float64 in [low, high)."""
        unit = _unit(self.bits(term, shape, counter)) * 2.0**-53
        if not is_host(unit):
            low, high = (
                sent(end, unit) if isinstance(end, np.ndarray) else end
                for end in (low, high)
            )
        return low + (high - low) * unit

    def normal(
        self, term: str, shape: tuple[int, ...] = (), counter: Array | None = None
    ) -> Array:
        """(num_envs, *shape) standard normal, by inversion."""
        middle = (_unit(self.bits(term, shape, counter)) + 0.5) * 2.0**-53
        if is_host(middle):
            from scipy.special import ndtri
        else:
            from torch.special import ndtri

        return ndtri(middle)

    def integers(self, term: str, low: int, high: int) -> Array:
        """(num_envs,) int64 in low .. high, both ends included."""
        drawn = self.uniform(term) * (high - low + 1)
        xp = namespace(drawn)
        return low + xp.astype(xp.floor(drawn), xp.int64)

    def within(self, term: str, low: float, high: float) -> Array:
        """(num_envs,) float64: a number of a task, whose range a profile may change.

        Args:
            term: its name; a :class:`~sims.randomization.TaskTerm` of the same name
                replaces the range.
            low: where no profile says otherwise.
            high: likewise.
        """
        return self.uniform(term, *self._ranges.get(term, (low, high)))
