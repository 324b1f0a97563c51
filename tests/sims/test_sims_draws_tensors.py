"""Random numbers on a device are those of the host."""

from typing import Any

import numpy as np
import pytest
import torch

from sims.draws import Draws, fold, mix
from tests.sims.sync_watch import SyncWatch

IDS = np.array([0, 1, 2, 7, 2**40, 2**62])
EPISODES = np.array([0, 3, 1, 1, 2**33, 5])
RANGES = {"roughness": (0.1, 0.3)}


def both() -> tuple[Draws, Draws]:
    host = Draws(2**64 - 3, IDS, EPISODES, RANGES)
    return host, host.beside(torch.zeros(1))


def bits(tensor: Any) -> np.ndarray:
    return tensor.numpy().view(np.uint64)


def test_mix_and_fold_have_the_same_bits() -> None:
    """Of numbers with every bit set and unset somewhere."""
    values = np.random.default_rng(0).integers(0, 2**64, 4000, np.uint64)
    values[:3] = 0, 1, 2**64 - 1
    there = torch.from_numpy(values.view(np.int64))
    np.testing.assert_array_equal(bits(mix(there)), mix(values))
    np.testing.assert_array_equal(
        bits(fold(there, there.flip(0))), fold(values, values[::-1])
    )


@pytest.mark.parametrize("shape", [(), (5,), (3, 2)])
def test_draws_are_the_same(shape: tuple[int, ...]) -> None:
    here, there = both()
    counter = np.arange(len(IDS)) + 2
    counters = [(None, None), (counter, torch.from_numpy(counter))]
    for mine, other in counters:
        wanted = here.bits("term", shape, mine)
        np.testing.assert_array_equal(bits(there.bits("term", shape, other)), wanted)
        drawn = there.uniform("u", -2.0, 3.5, shape, other)
        assert drawn.dtype == torch.float64
        wanted = here.uniform("u", -2.0, 3.5, shape, mine)
        np.testing.assert_array_equal(drawn.numpy(), wanted)
        drawn, wanted = there.normal("z", shape, other), here.normal("z", shape, mine)
        np.testing.assert_allclose(drawn.numpy(), wanted, rtol=0, atol=1e-12)


def test_normal_numbers_are_those_of_scipy_far_out_too() -> None:
    ids = np.arange(200_000)
    here = Draws(1, ids, ids * 0)
    there = here.beside(torch.zeros(1))
    drawn, wanted = there.normal("z").numpy(), here.normal("z")
    assert np.abs(wanted).max() > 4
    np.testing.assert_allclose(drawn, wanted, rtol=0, atol=1e-12)


def test_the_rest_follows() -> None:
    here, there = both()
    span = np.array([1.0, 2.0, 0.5])
    wanted = here.uniform("s", -span, span, (3,))
    drawn = there.uniform("s", -span, span, (3,))
    np.testing.assert_array_equal(drawn.numpy(), wanted)
    wanted, drawn = here.integers("i", 3, 9), there.integers("i", 3, 9)
    assert drawn.dtype == torch.int64
    np.testing.assert_array_equal(drawn.numpy(), wanted)
    for name in ("roughness", "other"):
        wanted, drawn = (d.within(name, 0.0, 1.0) for d in (here, there))
        np.testing.assert_array_equal(drawn.numpy(), wanted)
    rows = np.array([4, 1])
    wanted = here.at(rows).once.uniform("o")
    drawn = there.at(torch.from_numpy(rows)).once.uniform("o")
    np.testing.assert_array_equal(drawn.numpy(), wanted)
    wanted, drawn = here.of(5).uniform("o"), there.of(5).uniform("o")
    np.testing.assert_array_equal(drawn.numpy(), wanted)
    assert here.beside(np.zeros(1)) is here


def test_the_host_does_not_wait_for_draws() -> None:
    _, there = both()
    there.uniform("u", shape=(3,))  # the offsets travel once
    with SyncWatch() as watch:
        there.uniform("u", shape=(3,))
        there.normal("z")
        there.integers("i", 0, 4)
        assert there.once.of(2).uniform("o").shape == (1,)
    assert not watch.waits
    assert not watch.sends
