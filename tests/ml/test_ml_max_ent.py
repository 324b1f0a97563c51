"""Maximum entropy on small worlds, against enumeration, SciPy and torch's gradients."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad
from scipy.special import logsumexp

from assets.errors import SandbotError, UsageError
from ml.max_ent import NOWHERE, Steps, fit, soft_maximum

RNG = np.random.default_rng(0)
TABLE = np.array([[1, 2, 0], [3, NOWHERE, 1], [3, 0, 2], [3, 1, 2]])
"""Four states, three actions, one of them impossible."""
STEPS = Steps(TABLE)
FEATURES = RNG.normal(size=(2, 4, 3))
"""Of two problems."""
HORIZON = 4


def enumerated(reward: np.ndarray, start: int, horizon: int):
    """All paths (n, horizon + 1) from a state, and the logarithm of their weight."""
    paths, weights = [], []
    for actions in product(range(TABLE.shape[1]), repeat=horizon):
        path = [start]
        for action in actions:
            path.append(int(TABLE[path[-1], action]))
            if path[-1] == NOWHERE:
                break
        else:
            paths.append(path)
            weights.append(reward[path[1:]].sum())
    return np.array(paths), np.array(weights)


def test_values_and_visits_are_those_of_all_paths() -> None:
    """P(path) = exp(sum of rewards) / Z, every path by itself."""
    reward = RNG.normal(size=(2, 4))
    policies, value = STEPS.policies(reward, HORIZON)
    assert np.allclose(policies.sum(-1), 1)
    assert (policies[:, :, 1, 1] == 0).all(), "an impossible step"
    for start in range(4):
        at = np.zeros((2, 4))
        at[:, start] = 1
        visits = STEPS.visits(policies, at)
        for problem in range(2):
            paths, weights = enumerated(reward[problem], start, HORIZON)
            assert np.isclose(value[problem, start], logsumexp(weights))
            chance = np.exp(weights - logsumexp(weights))
            counts = [(chance[:, None] * (paths[:, 1:] == s)).sum() for s in range(4)]
            assert np.allclose(visits[problem], counts)
    assert np.allclose(STEPS.soft_values(reward, HORIZON), value)


def test_the_soft_maximum_is_scipys() -> None:
    q = RNG.normal(size=(5, 7)) * 500
    q[2, 3] = -np.inf
    assert np.allclose(soft_maximum(q), logsumexp(q, axis=1))


def test_the_gradient_is_that_of_finite_differences_and_of_torch() -> None:
    """Visits times features is the derivative of the logarithm of Z."""
    start = np.array([[0.5, 0, 0.5, 0], [0, 1.0, 0, 0]])

    def log_z(weights: np.ndarray) -> float:
        _, value = STEPS.policies(FEATURES @ weights, HORIZON)
        return float((start * value).sum())

    def slope(weights: np.ndarray) -> np.ndarray:
        policies, _ = STEPS.policies(FEATURES @ weights, HORIZON)
        visits = STEPS.visits(policies, start)
        return np.einsum("ks,ksf->f", visits, FEATURES)

    weights = RNG.normal(size=3)
    assert check_grad(log_z, slope, weights) < 1e-5
    w = torch.tensor(weights, requires_grad=True)
    reward = torch.from_numpy(FEATURES) @ w
    value = torch.zeros(2, 4, dtype=torch.float64)
    blocked = torch.from_numpy(np.where(TABLE == NOWHERE, -np.inf, 0.0))
    for _ in range(HORIZON):
        q = (reward + value)[:, torch.from_numpy(STEPS.successors)] + blocked
        value = q.logsumexp(2)
    (value * torch.from_numpy(start)).sum().backward()
    assert w.grad is not None
    assert np.allclose(slope(weights), w.grad.numpy())


def sampled(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and paths of a demonstrator that follows the model itself."""
    features = np.repeat(FEATURES[:1], count, 0)
    policies, _ = STEPS.policies(features @ weights, 12)
    paths = np.zeros((count, 13), int)
    paths[:, 0] = RNG.integers(0, 4, count)
    rows = np.arange(count)
    for t in range(12):
        chances = policies[t, rows, paths[:, t]].cumsum(1)
        action = (RNG.random(count)[:, None] > chances).sum(1)
        paths[:, t + 1] = TABLE[paths[:, t], np.minimum(action, 2)]
    return features, paths


def test_weights_are_found_again() -> None:
    true = np.array([1.0, -0.7, 0.4])
    features, paths = sampled(true, 1500)
    found = fit(STEPS, features, paths, penalty=0.0)
    assert np.abs(found.weights - true).max() < 0.15
    assert np.abs(found.seen - found.expected).max() < 1e-4
    assert found.log_likelihood > -np.log(3)
    with pytest.raises(SandbotError, match="have not converged"):
        fit(STEPS, features, paths, iterations=1)


def test_a_short_horizon_takes_every_stretch_for_a_demonstration() -> None:
    """As if each had been given by itself."""
    features, paths = sampled(np.array([0.5, 0.5, 0.0]), 10)
    short = fit(STEPS, features, paths, horizon=3)
    cut = np.concatenate([paths[:, i : i + 4] for i in range(10)])
    alone = fit(STEPS, np.tile(features, (10, 1, 1)), cut)
    assert np.allclose(short.weights, alone.weights, atol=1e-4)
    assert np.isclose(short.log_likelihood, alone.log_likelihood, atol=1e-6)


def test_what_is_no_world_or_no_path_in_it_is_refused() -> None:
    with pytest.raises(UsageError, match="lead from a state to the same one"):
        Steps(np.array([[0, 0]]))
    with pytest.raises(UsageError, match="a step from each"):
        Steps(np.array([[NOWHERE]]))
    with pytest.raises(UsageError, match="goes from state 1 to 2 at step 0"):
        fit(STEPS, FEATURES[:1], np.array([[1, 2]]))
    with pytest.raises(UsageError, match="features are"):
        fit(STEPS, FEATURES, np.array([[1, 3]]))
    with pytest.raises(UsageError, match="horizon is from 1 to"):
        fit(STEPS, FEATURES[:1], np.array([[1, 3]]), horizon=2)
