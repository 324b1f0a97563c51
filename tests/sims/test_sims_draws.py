"""Draws are keyed, well distributed, and independent of the batch."""

import numpy as np
import pytest
from scipy import stats

from assets import UsageError
from sims.draws import Draws, _offsets, check_seed, mix


def draws(
    num_envs: int = 4, *, seed: int = 0, first: int = 0, episode: int = 0
) -> Draws:
    ids = np.arange(first, first + num_envs)
    return Draws(seed, ids, np.full(num_envs, episode))


def test_generator_is_splitmix64() -> None:
    """Published outputs for the seed 1234567."""
    out = mix(np.array([1234567], np.uint64) + _offsets(5))
    assert out.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_same_key_same_draw_in_any_batch() -> None:
    one = np.concatenate([draws(1, first=i).normal("noise", (7,)) for i in range(64)])
    np.testing.assert_array_equal(one, draws(64).normal("noise", (7,)))


@pytest.mark.parametrize("other", [{"seed": 1}, {"first": 4}, {"episode": 1}])
def test_each_component_of_the_key_matters(other: dict[str, int]) -> None:
    assert not (draws().bits("mass") == draws(**other).bits("mass")).any()


def test_terms_and_counters_are_apart() -> None:
    d = draws()
    assert not (d.bits("mass") == d.bits("friction")).any()
    zero, one = np.zeros(4, int), np.ones(4, int)
    assert not (d.bits("n", (), zero) == d.bits("n", (), one)).any()
    np.testing.assert_array_equal(d.bits("n", (), one), d.bits("n", (), one))


def test_distributions() -> None:
    d = draws(50_000)
    assert stats.kstest(d.uniform("u"), "uniform").pvalue > 0.01
    assert stats.kstest(d.normal("z"), "norm").pvalue > 0.01
    counts = np.bincount(d.integers("i", 2, 5))
    assert counts[:2].sum() == 0
    assert len(counts) == 6
    assert stats.chisquare(counts[2:]).pvalue > 0.01


def test_neighbouring_environments_and_terms_are_uncorrelated() -> None:
    d = draws(50_000)
    a, b = d.normal("a"), d.normal("b")
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


@pytest.mark.parametrize("seed", ["7", 1.5, None, True, -1, 2**64])
def test_a_seed_is_an_integer(seed: object) -> None:
    with pytest.raises(UsageError, match="a seed"):
        check_seed(seed)
