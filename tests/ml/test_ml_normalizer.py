"""Quantiles, clipping, and what is done with a dimension that does not vary."""

import numpy as np
import pytest
import torch
from scipy import stats

from assets.errors import UsageError
from ml.normalizer import MODES, Normalizer

DRAW = np.random.default_rng(0)
SKEWED = np.stack(
    [
        stats.norm(3, 2).rvs(20_000, random_state=1),
        stats.expon(scale=4).rvs(20_000, random_state=2),
        stats.t(3, -7, 0.1).rvs(20_000, random_state=3),
    ],
    axis=1,
)


def normalized(normalizer: Normalizer, data: np.ndarray) -> np.ndarray:
    return normalizer.normalize("x", torch.from_numpy(data)).numpy()


def test_quantiles_fill_the_range() -> None:
    """Their ends are those of the distributions, as SciPy has them."""
    normalizer = Normalizer({"x": 3}, "quantile").fit({"x": SKEWED})
    for column, distribution in enumerate(
        (stats.norm(3, 2), stats.expon(scale=4), stats.t(3, -7, 0.1))
    ):
        ends = np.full((2, 3), 0.0)
        ends[:, column] = distribution.ppf([0.01, 0.99])
        found = normalized(normalizer, ends)[:, column]
        assert found == pytest.approx([-1, 1], abs=0.12)
    y = normalized(normalizer, SKEWED)
    assert np.mean(np.abs(y) <= 1, axis=0) == pytest.approx([0.98] * 3, abs=1e-3)
    assert np.abs(y).max() > 3  # outliers stay where they are
    # As OpenVLA writes it, but for its 1e-8.
    low, high = np.percentile(SKEWED, [1, 99], axis=0, method="linear")
    np.testing.assert_allclose(y, 2 * (SKEWED - low) / (high - low) - 1, atol=1e-5)
    back = normalizer.unnormalize("x", torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(back, SKEWED, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mode", ["min_max", "quantile"])
def test_clipping_keeps_the_range(mode: str) -> None:
    plain = Normalizer({"x": 3}, mode).fit({"x": SKEWED})
    clipped = Normalizer({"x": 3}, mode, clip=True).fit({"x": SKEWED})
    beyond = np.concatenate((SKEWED, 10 * SKEWED))
    expected = np.clip(normalized(plain, beyond), -1, 1)
    np.testing.assert_array_equal(normalized(clipped, beyond), expected)
    assert np.abs(normalized(plain, beyond)).max() > 2
    far = torch.full((1, 3), 5.0)  # what a network says is not cut
    assert torch.equal(clipped.unnormalize("x", far), plain.unnormalize("x", far))


def test_a_gripper_that_hardly_moves_keeps_its_range() -> None:
    """Closed in one frame of 500: the percentiles coincide, the range does not."""
    data = np.full((5000, 2), 0.8)
    data[::500, 0] = 0.0
    normalizer = Normalizer({"x": 2}, "quantile").fit({"x": data})
    y = normalized(normalizer, np.array([[0.8, 0.8], [0.0, 0.3]]))
    np.testing.assert_allclose(y, [[1, 0], [-1, -0.5]], atol=1e-6)
    with pytest.raises(UsageError, match=r"'x': the percentiles do .*\[0, 1\]"):
        Normalizer({"x": 2}, "quantile", degenerate="raise").fit({"x": data})


@pytest.mark.parametrize("mode", MODES)
def test_what_does_not_vary_can_be_refused(mode: str) -> None:
    data = DRAW.normal(size=(100, 4))
    data[:, 2] = 7.0
    data[:, 3] = 1e5 + 1e-3 * data[:, 3]  # varies by 1e-8 of its size
    with pytest.raises(UsageError, match=r"dimensions \[2, 3\].*degenerate='unit'"):
        Normalizer({"x": 4}, mode, degenerate="raise").fit({"x": data})
    strict = Normalizer({"x": 2}, mode, degenerate="raise").fit({"x": data[:, :2]})
    lenient = Normalizer({"x": 2}, mode).fit({"x": data[:, :2]})
    for a, b in zip(strict.buffers(), lenient.buffers(), strict=True):
        assert torch.equal(a, b)
    unit = Normalizer({"x": 4}, mode).fit({"x": data})
    y = normalized(unit, data + np.array([0, 0, 0.5, 0.5]))
    assert y[:, 2] == pytest.approx(0.5) and y[:, 3] == pytest.approx(0.5, abs=0.01)


def test_old_checkpoints_still_fit() -> None:
    """The new choices add nothing to the state."""
    states = [
        Normalizer({"x": 3}, mode, **options).state_dict().keys()
        for mode, options in (
            ("mean_std", {}),
            ("quantile", {"clip": True, "degenerate": "raise"}),
        )
    ]
    assert states[0] == states[1] == {"x:offset", "x:scale"}


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(UsageError, match="choice for what does not vary 'error'"):
        Normalizer({"x": 1}, degenerate="error")
    with pytest.raises(UsageError, match="take mode min_max or quantile"):
        Normalizer({"x": 1}, clip=True)
    with pytest.raises(UsageError, match="Did you mean 'quantile'"):
        Normalizer({"x": 1}, "quantiles")
    fitted = Normalizer({"x": 1}, "quantile").fit({"x": np.arange(9.0)[:, None]})
    for function in (fitted.normalize, fitted.unnormalize):
        with pytest.raises(UsageError, match="unknown array of the normaliser 'y'"):
            function("y", torch.zeros(1, 1))
