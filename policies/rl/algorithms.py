"""The algorithms of reinforcement learning, by their name on the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from assets.errors import unknown

ALGORITHMS: dict[str, tuple[str, str]] = {
    "fastsac": ("policies.rl.fastsac", "FastSAC: off-policy, for many environments"),
    "fasttd3": (
        "policies.rl.fasttd3",
        "FastTD3: off-policy, each world explores its way",
    ),
    "ppo": ("policies.rl.ppo", "PPO: on-policy, steady, wants many environments"),
    "flashsac": ("policies.rl.flashsac", "FlashSAC: few updates, each worth more"),
    "sac": ("policies.rl.sac", "soft actor-critic, off-policy, with a learned entropy"),
    "td3": ("policies.rl.td3", "TD3: off-policy, a deterministic actor, noise added"),
}
"""By name: the module whose ``ALGORITHM`` it is, and one line."""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One of them."""

    config: type
    """A frozen dataclass, an :class:`~policies.rl.config.RLConfig`."""
    make: Callable[..., Any]
    """(sizes, config, device, mirror) -> learner."""
    loop: Callable[..., Any] | None = None
    """Made as a :class:`~policies.rl.trainer.Trainer`, which it is if None."""


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    return import_module(ALGORITHMS[name][0]).ALGORITHM
