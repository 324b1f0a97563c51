"""Dynamic programming: the values of a process whose table is known.

Sutton and Barto (2018), chapter 4. Policy evaluation (4.1) repeats Bellman's equation
until it holds, policy improvement (4.2) acts greedily on what comes out:

    v(s) <- sum_a pi(a | s) q(s, a),    pi(s) <- argmax_a q(s, a),
    q(s, a) = sum_s', r p(s', r | s, a) (r + gamma v(s')).

Policy iteration (4.3) does them in turns, and value iteration (4.4) in one:
v(s) <- max_a q(s, a). One sweep brings v nearer to its limit by the factor gamma, so
where a sweep changed v by delta, v is within delta gamma / (1 - gamma) of it.
"""

from dataclasses import dataclass, field

import numpy as np

from assets.errors import SandbotError, UsageError
from policies.ladder.mdp import FiniteMDP

TIE = 1e-9
"""Policy iteration keeps an action that is worse by less: ties would change places
forever."""


@dataclass(frozen=True, kw_only=True)
class PlanningConfig:
    """When values are good enough."""

    discount: float = 0.95
    """gamma"""
    tolerance: float = 1e-10
    """The most by which the last sweep changed a value."""
    sweeps: int = 100_000
    """The most of one evaluation."""

    def __post_init__(self) -> None:
        """Refuse what never ends."""
        if not 0 <= self.discount <= 1 or not self.tolerance > 0:
            raise UsageError(
                f"discount is from 0 to 1 and tolerance above 0, got {self.discount:g} "
                f"and {self.tolerance:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What planning found, and how it came there."""

    v: np.ndarray
    """(states,)"""
    actions: np.ndarray
    """(states,) int: the best in each state."""
    history: list[np.ndarray] = field(repr=False)
    """v (states,) after each sweep, or after each evaluation of a policy."""
    sweeps: int
    """Through all states, of evaluation and improvement together."""


def evaluate(
    mdp: FiniteMDP,
    policy: np.ndarray,
    config: PlanningConfig,
    v: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Iterative policy evaluation.

    Args:
        mdp: the process.
        policy: (states, actions) probabilities.
        config: when to stop.
        v: (states,) to begin with; None: zeros.

    Returns:
        Values (states,), and the number of sweeps.

    Raises:
        SandbotError: values have not settled.
    """
    now = np.zeros(mdp.states) if v is None else v
    for sweep in range(1, config.sweeps + 1):
        before, now = now, (policy * mdp.q_values(now, config.discount)).sum(-1)
        if np.abs(now - before).max() <= config.tolerance:
            return now, sweep
    raise _unsettled(config)


def policy_iteration(mdp: FiniteMDP, config: PlanningConfig) -> Plan:
    """Evaluate, improve, until no action changes.

    Raises:
        SandbotError: values have not settled, as those of a policy that never ends its
            episodes when nothing is discounted.
    """
    actions, rows = np.zeros(mdp.states, int), np.arange(mdp.states)
    v, history, sweeps = np.zeros(mdp.states), [], 0
    while True:
        policy = np.eye(mdp.actions)[actions]
        v, used = evaluate(mdp, policy, config, v)
        q = mdp.q_values(v, config.discount)
        better = q.max(1) > q[rows, actions] + TIE
        actions = np.where(better, q.argmax(1), actions)
        history.append(v)
        sweeps += used + 1
        if not better.any():
            return Plan(v=v, actions=actions, history=history, sweeps=sweeps)


def value_iteration(mdp: FiniteMDP, config: PlanningConfig) -> Plan:
    """Evaluation and improvement in the same sweep.

    Raises:
        SandbotError: values have not settled.
    """
    v, history = np.zeros(mdp.states), []
    for sweep in range(1, config.sweeps + 1):
        q = mdp.q_values(v, config.discount)
        before, v = v, q.max(1)
        history.append(v)
        if np.abs(v - before).max() <= config.tolerance:
            return Plan(v=v, actions=q.argmax(1), history=history, sweeps=sweep)
    raise _unsettled(config)


def _unsettled(config: PlanningConfig) -> SandbotError:
    return SandbotError(
        f"values have not settled to {config.tolerance:g} in {config.sweeps} sweeps at "
        f"discount {config.discount:g}: allow more, or a discount below 1"
    )
