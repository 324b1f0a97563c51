"""Batches of episodes, played to their ends and judged."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sims.arrays import Obs
    from sims.env import Env
    from sims.policy import Policy

OUTCOME = "outcome: "
"""Prefix of the outcomes among the columns of a batch."""
Progress = Callable[[int], object]
"""Called with the number of episode steps taken since the last call."""


def chunks(episodes: int, size: int) -> Iterator[np.ndarray]:
    """Identities of the episodes in batches of one length, none much emptier.

    The last batch is filled up with identities from ``episodes`` on, whose episodes do
    not count, so that one environment serves them all.

    Args:
        episodes: how many in all.
        size: the most in one batch.

    Yields:
        (length,) int.
    """
    count = -(-episodes // size)
    length = -(-episodes // count)
    for index in range(count):
        yield np.arange(index * length, (index + 1) * length)


def start(env: "Env", policy: "Policy", ids: np.ndarray, seed: int) -> "Obs":
    """Begin these episodes in an environment, with a policy that is fresh.

    A policy that draws its own randomness keys it by ``ids`` too, where it has any.

    Args:
        env: of as many environments as there are ids.
        policy: not used before.
        ids: (num_envs,) int: identities of the episodes.
        seed: of their draws.

    Returns:
        The first observations.
    """
    obs = env.reset(seed=seed, ids=ids)
    if hasattr(policy, "ids"):
        policy.ids = ids  # pyright: ignore[reportAttributeAccessIssue]
    policy.reset()
    return obs


def play(
    env: "Env",
    policy: "Policy",
    ids: np.ndarray,
    count: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """One batch: outcomes (count,) and metrics (steps, count) of its first rows."""
    obs = start(env, policy, ids, seed)
    n = env.num_envs
    running = np.ones(n, bool)
    success, diverged = np.zeros(n, bool), np.zeros(n, bool)
    measured = False
    returns, lengths, clipped = np.zeros(n), np.zeros(n, int), np.zeros(n, int)
    others: dict[str, np.ndarray] = {}
    curves: dict[str, list[np.ndarray]] = {}
    for _ in range(env.max_steps):
        obs, reward, terminated, truncated, info = env.step(policy.act(obs))
        returns += np.where(running, reward, 0.0)
        lengths += running
        clipped += np.where(running, info["clipped"], 0)
        for name, values in env.task.metrics(env.engine, env.state).items():
            curves.setdefault(name, []).append(np.where(running, values, np.nan))
        ended = running & (terminated | truncated)
        diverged |= running & info["diverged"]
        if info["success"] is not None:
            measured = True
            success[ended] = info["success"][ended]
        for name, values in info["outcomes"].items():
            others.setdefault(name, np.zeros(n, bool))[ended] = values[ended]
        running &= ~ended
        if progress is not None:
            progress(count)
        if not running.any():
            break
    success &= ~diverged
    outcome = {
        "success": success,
        "measured": np.full(n, measured),
        "returns": returns,
        "lengths": lengths,
        "diverged": diverged,
        "clipped": clipped,
        **{OUTCOME + name: values & ~diverged for name, values in others.items()},
    }
    outcome = {name: values[:count] for name, values in outcome.items()}
    for name, rows in curves.items():
        filled = np.full((env.max_steps, count), np.nan, np.float32)
        filled[: len(rows)] = np.stack(rows)[:, :count]
        outcome[name] = filled
    return outcome
