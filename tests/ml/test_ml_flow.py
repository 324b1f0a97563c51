"""Flow matching and its solvers, against SciPy and an exactly known velocity field."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp
from torch import Tensor

from assets.errors import UsageError
from ml.generative.flow import (
    DENSITIES,
    draw_example,
    draw_times,
    interpolate,
    predicted_data,
    predicted_noise,
    sample_flow,
)
from ml.generative.ode import SOLVERS, integrate

sys.path.insert(0, str(Path(__file__).parent))
from mixture_field import TWO_MODES

ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}
CALLS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def swirl(x: Tensor, t: Tensor) -> Tensor:
    """Neither linear nor independent of time."""
    t = t[:, None]
    a, b = x.split(1, -1)
    return torch.cat((torch.sin(b) + t * a, a * torch.cos(3 * t) - b**2 / 4), -1)


def reference(x: Tensor) -> Tensor:
    """The same way, by SciPy."""

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        row = torch.from_numpy(y)[None]
        return swirl(row, torch.full((1,), t, dtype=row.dtype))[0].numpy()

    ends = [
        solve_ivp(rate, (1, 0), row.numpy(), "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
        for row in x
    ]
    return torch.from_numpy(np.stack(ends))


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_have_their_order(solver: str) -> None:
    """Half the step, and the error against SciPy falls by 2^order."""
    x = torch.randn(4, 2, generator=seeded(), dtype=torch.float64)
    exact = reference(x)
    counts = [16, 32, 64, 128]
    errors = [
        (integrate(swirl, x, steps=n, solver=solver) - exact).norm().item()
        for n in counts
    ]
    slopes = -np.diff(np.log2(errors))
    assert slopes == pytest.approx([ORDERS[solver]] * 3, abs=0.25)
    assert errors[-1] < {1: 0.05, 2: 1e-3, 4: 1e-7}[ORDERS[solver]]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_calls_the_network_as_often_as_it_says(solver: str) -> None:
    times = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (5,) and t.dtype == x.dtype
        times.append(t[0].item())
        return x

    trace: list[Tensor] = []
    last = integrate(field, torch.ones(5, 3), steps=7, solver=solver, trace=trace)
    assert len(times) == 7 * CALLS[solver] and len(trace) == 7
    assert torch.equal(last, trace[-1])
    assert times[0] == 1.0 and min(times) >= 0.0
    if solver in ("heun", "rk4"):
        assert times[-1] == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 49, 100])
def test_euler_is_the_loop_of_pi0(steps: int) -> None:
    x = torch.randn(4, 2, generator=seeded(), dtype=torch.float64)
    y, time, dt, count = x, 1.0, -1 / steps, 0
    while time >= -dt / 2:
        y = y + dt * swirl(y, torch.full((4,), time, dtype=torch.float64))
        time += dt
        count += 1
    assert count == steps
    found = sample_flow(swirl, x, steps=steps)
    torch.testing.assert_close(found, y, atol=1e-12, rtol=0)


def test_times_have_their_density() -> None:
    for density, distribution in (
        ("beta", stats.beta(1.5, 1, loc=0.001, scale=0.999)),
        ("uniform", stats.uniform()),
    ):
        t = draw_times(20_000, density, generator=seeded()).numpy()
        assert stats.kstest(t, distribution.cdf).pvalue > 0.01
    t = draw_times(20_000, "logit_normal", generator=seeded(), dtype=torch.float64)
    assert stats.kstest(t.logit().numpy(), "norm").pvalue > 0.01
    for density in DENSITIES:
        t = draw_times(1000, density, generator=seeded())
        assert torch.equal(t, draw_times(1000, density, generator=seeded()))
        assert t.min() >= 0 and t.max() <= 1 and t.dtype == torch.float32
    near_noise = draw_times(20_000, "beta", generator=seeded()) > 0.5
    assert near_noise.float().mean() > 0.6  # of Beta(1.5, 1): 1 - 0.5^1.5 = 0.646


def test_paths_begin_at_noise_and_end_at_data() -> None:
    data = torch.randn(6, 3, 2, generator=seeded())
    noise = torch.randn(6, 3, 2, generator=seeded().manual_seed(4))
    assert torch.equal(interpolate(data, noise, torch.zeros(6)), data)
    assert torch.equal(interpolate(data, noise, torch.ones(6)), noise)
    t = torch.rand(6, generator=seeded())
    x = interpolate(data, noise, t)
    torch.testing.assert_close(predicted_data(noise - data, x, t), data)
    torch.testing.assert_close(predicted_noise(noise - data, x, t), noise)
    # The target is the derivative along the path.
    h = 1e-3
    slope = (interpolate(data, noise, t + h) - interpolate(data, noise, t - h)) / 2 / h
    torch.testing.assert_close(slope, noise - data, atol=1e-3, rtol=0)


@pytest.mark.parametrize("density", DENSITIES)
def test_examples_lie_on_their_paths(density: str) -> None:
    data = TWO_MODES.draw(500)
    first = draw_example(data, density=density, generator=seeded())
    again = draw_example(data, density=density, generator=seeded())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    found = predicted_data(first.target, first.x, first.t)
    torch.testing.assert_close(found, data)
    noise = predicted_noise(first.target, first.x, first.t)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 0.01


@pytest.mark.parametrize("time", [0.1, 0.6, 0.95])
def test_the_exact_velocity_is_the_mean_of_the_targets(time: float) -> None:
    """So it is what the loss is least at: what is left of the targets is uncorrelated
    with any function of x."""
    data = TWO_MODES.draw(100_000)
    noise = torch.randn(data.shape, generator=seeded(), dtype=torch.float64)
    t = torch.full((len(data),), time, dtype=torch.float64)
    x = interpolate(data, noise, t)
    left = (noise - data) - TWO_MODES.velocity(x, t)
    wrong = (noise - data) - TWO_MODES.velocity(x, t - 0.08)
    features = torch.cat((torch.ones_like(x[:, :1]), x, x.square(), x.sin()), 1)

    def z(rest: Tensor) -> float:
        products = rest[:, :, None] * features[:, None]
        return (products.mean(0) / products.std(0)).abs().max().item() * len(x) ** 0.5

    assert z(left) < 4.5 and z(wrong) > 9


@pytest.mark.parametrize(
    ("solver", "steps"), [("euler", 100), ("heun", 40), ("rk4", 20)]
)
def test_the_exact_field_leads_to_the_mixture(solver: str, steps: int) -> None:
    count = 20_000
    noise = torch.randn(count, 2, generator=seeded(), dtype=torch.float64)
    x = sample_flow(TWO_MODES.velocity, noise, steps=steps, solver=solver)
    sigma = TWO_MODES.covariance().diagonal().sqrt()
    error = (x.mean(0) - TWO_MODES.mean()).abs()
    assert (error < 4 * sigma / count**0.5 + 0.01).all()
    torch.testing.assert_close(x.T.cov(), TWO_MODES.covariance(), atol=0.04, rtol=0)
    left = (x[:, 0] < -0.3).double().mean().item()
    drawn = (TWO_MODES.draw(count)[:, 0] < -0.3).double().mean().item()
    assert left == pytest.approx(drawn, abs=0.02)
    other = TWO_MODES.draw(count, seed=1)
    for i in range(2):  # the same quantiles: a Wasserstein distance
        distance = stats.wasserstein_distance(x[:, i].numpy(), other[:, i].numpy())
        assert distance < 0.03


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'midpoint'"):
        integrate(swirl, torch.zeros(1, 2), solver="mid-point")
    with pytest.raises(UsageError, match="at least 1 step, got 0"):
        sample_flow(swirl, torch.zeros(1, 2), steps=0)
    with pytest.raises(UsageError, match="Did you mean 'logit_normal'"):
        draw_times(3, "logitnormal")
    with pytest.raises(UsageError, match="density of times"):
        draw_example(torch.zeros(3, 2), density="gamma")
