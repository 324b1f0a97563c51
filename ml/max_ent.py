"""Maximum entropy: which reward makes what was seen the likeliest?

Ziebart, Maas, Bagnell, Dey (2008), "Maximum entropy inverse reinforcement learning".
Of all distributions over paths that visit features as often as the demonstrations do,
the one that assumes nothing else is

    P(path | s_0) = exp(sum_t r(s_t)) / Z(s_0),   r(s) = w . f(s),   t = 1 ... T,

where steps lead where they are meant to. Its logarithm summed over demonstrations is
concave in w, and its gradient is what they visited minus what the model expects to:

    d log P / dw = sum_t f(s_t) - E[sum_t f(s_t)].

Z comes from soft value iteration, backwards in time, and the expectation from passing
the start's probability forwards through the policy that belongs to it:

    V_T = 0,  Q_t(s, a) = r(s') + V_{t+1}(s'),  V_t = log sum_a exp Q_t,
    pi_t(a | s) = exp(Q_t - V_t).

Several problems with the same steps and weights, such as one arm with many targets, are
solved side by side: arrays have a leading dimension of problems.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from assets.errors import SandbotError, UsageError

NOWHERE = -1
"""In a table of steps: this action is not possible there."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Weights, and how near the model's expectations are to the demonstrations."""

    weights: np.ndarray
    """(features,)"""
    log_likelihood: float
    """Per demonstration and step, without the penalty."""
    seen: np.ndarray
    """(features,) mean over demonstrations and steps."""
    expected: np.ndarray
    """The same by the model."""
    iterations: int
    """Of L-BFGS."""


def soft_maximum(q: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis, of which one element at least is finite."""
    top = q.max(-1)
    return top + np.log(np.exp(q - top[..., None]).sum(-1))


class Steps:
    """States and the deterministic steps between them."""

    def __init__(self, successors: np.ndarray) -> None:
        """Take the table.

        Args:
            successors: (states, actions) int: where an action leads, or
                :data:`NOWHERE`. In each state one is possible, and no two lead to the
                same state: else paths would be counted twice.

        Raises:
            UsageError: it is not such a table.
        """
        table = np.asarray(successors)
        possible = table != NOWHERE
        inside = (table >= NOWHERE) & (table < len(table))
        if table.ndim != 2 or not possible.any(1).all() or not inside.all():
            raise UsageError(
                f"steps are a table (states, actions) of states with a step from each, "
                f"got one of shape {table.shape}"
            )
        ordered = np.sort(np.where(possible, table, -1 - np.arange(table.shape[1])), 1)
        if (ordered[:, 1:] == ordered[:, :-1]).any():
            raise UsageError("two actions lead from a state to the same one: drop one")
        self.successors = np.where(possible, table, 0)
        self.blocked = np.where(possible, 0.0, -np.inf)

    def soft_q(self, reward: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Q (problems, states, actions) of a step whose end has this reward and value.

        Args:
            reward: (problems, states).
            value: (problems, states).
        """
        return (reward + value)[:, self.successors] + self.blocked

    def policies(self, reward: np.ndarray, horizon: int) -> tuple[np.ndarray, ...]:
        """Soft-optimal policies of all steps, and the first step's value.

        Args:
            reward: (problems, states).
            horizon: number of steps.

        Returns:
            Policies (horizon, problems, states, actions) and V_0 (problems, states).
        """
        value = np.zeros_like(reward)
        shape = (horizon, *reward.shape, self.successors.shape[1])
        policies = np.empty(shape)
        for t in range(horizon - 1, -1, -1):
            q = self.soft_q(reward, value)
            value = soft_maximum(q)
            policies[t] = np.exp(q - value[..., None])
        return policies, value

    def soft_values(self, reward: np.ndarray, horizon: int) -> np.ndarray:
        """V (problems, states) with so many steps to go, without the policies."""
        value = np.zeros_like(reward)
        for _ in range(horizon):
            value = soft_maximum(self.soft_q(reward, value))
        return value

    def visits(self, policies: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Expected number of visits, (problems, states), the start not counted.

        Args:
            policies: of :meth:`policies`.
            start: (problems, states) probabilities.
        """
        now, total = start, np.zeros_like(start)
        problems = np.arange(len(start))[:, None, None]
        place = problems * start.shape[1] + self.successors
        for policy in policies:
            flow = (now[..., None] * policy).ravel()
            now = np.bincount(place.ravel(), flow, start.size).reshape(start.shape)
            total = total + now
        return total


def fit(
    steps: Steps,
    features: np.ndarray,
    paths: np.ndarray,
    *,
    horizon: int | None = None,
    penalty: float = 1e-3,
    iterations: int = 200,
    progress: Callable[[int], object] | None = None,
) -> Fit:
    """The weights that make demonstrations likeliest, by L-BFGS.

    Args:
        steps: of all problems.
        features: (problems, states, features).
        paths: (problems, T + 1) states, one demonstration of each problem.
        horizon: how many steps the demonstrator is taken to look ahead: each stretch
            of so many steps within a path is a demonstration. None: T.
        penalty: half the square of the weights is taken away from the mean
            log-likelihood of a step, times this: features that nothing is known of
            keep weight 0.
        iterations: the most of L-BFGS.
        progress: told the evaluations so far.

    Raises:
        UsageError: paths that take impossible steps, or arrays that do not fit.
        SandbotError: L-BFGS did not converge.
    """
    from scipy.optimize import minimize

    ahead = paths.shape[1] - 1 if horizon is None else horizon
    _check(steps, features, paths, ahead)
    windows = np.lib.stride_tricks.sliding_window_view(paths, ahead + 1, axis=1)
    starts, visited = (np.zeros(features.shape[:2]) for _ in range(2))
    rows = np.arange(len(paths))[:, None]
    np.add.at(starts, (rows, windows[:, :, 0]), 1.0)
    np.add.at(visited, (rows[..., None], windows[:, :, 1:]), 1.0)
    count = visited.sum()
    starts, seen = starts / count, np.einsum("ks,ksf->f", visited / count, features)
    calls, expected = 0, seen

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the penalised log-likelihood of a step, and its gradient."""
        nonlocal calls, expected
        calls += 1
        policies, value = steps.policies(features @ weights, ahead)
        visits = steps.visits(policies, starts)
        expected = np.einsum("ks,ksf->f", visits, features)
        if progress is not None:
            progress(calls)
        cost = (starts * value).sum() - seen @ weights
        cost += penalty / 2 * weights @ weights
        return float(cost), expected - seen + penalty * weights

    found = minimize(
        loss,
        np.zeros(features.shape[2]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "ftol": 1e-12, "gtol": 1e-5},
    )
    cost, slope = loss(found.x)
    if np.abs(slope).max() > 1e-3:
        raise SandbotError(
            f"the reward's weights have not converged: after {found.nit} iterations "
            f"the gradient is {np.abs(slope).max():.2e} ({found.message}); allow more "
            f"iterations, or a larger penalty"
        )
    return Fit(
        weights=found.x,
        log_likelihood=float(penalty / 2 * found.x @ found.x - cost),
        seen=seen,
        expected=expected,
        iterations=int(found.nit),
    )


def _check(steps: Steps, features: np.ndarray, paths: np.ndarray, horizon: int) -> None:
    states = len(steps.successors)
    if not 1 <= horizon < paths.shape[1]:
        raise UsageError(
            f"a horizon is from 1 to the demonstrations' {paths.shape[1] - 1} steps, "
            f"got {horizon}"
        )
    if features.ndim != 3 or features.shape[:2] != (len(paths), states):
        raise UsageError(
            f"features are (problems, states, features) of {len(paths)} problems and "
            f"{states} states, got {features.shape}"
        )
    legal = (steps.successors[paths[:, :-1]] == paths[:, 1:, None]) & (
        steps.blocked[paths[:, :-1]] == 0
    )
    wrong = np.argwhere(~legal.any(2))
    if len(wrong):
        path, t = wrong[0]
        raise UsageError(
            f"demonstration {path} goes from state {paths[path, t]} to "
            f"{paths[path, t + 1]} at step {t}, where no action leads"
        )
