"""How a network does in its task's environment while it is trained.

The episodes' identities begin at :data:`FIRST_ID`, apart from those of recordings and
of tests: what is chosen by them can still be tested honestly.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from policies.imitation.policy import ImitationPolicy
from policies.seeing import environment_of

if TYPE_CHECKING:
    from torch import nn

    from ml.parallel import Parallel
    from policies.imitation.config import ImitationConfig
    from policies.imitation.data import Subject

FIRST_ID = 2_000_000
"""Identity of the first episode."""


def evaluator(
    subject: "Subject", config: "ImitationConfig", parallel: "Parallel"
) -> "Callable[[nn.Module], dict[str, float]] | None":
    """What a training calls now and then; None: it does not want to.

    Raises:
        UsageError: an evaluation is wanted, and there is no task to do.
    """
    training = config.training
    if not training.evaluate_every:
        return None
    task = subject.task
    if task is None:
        raise UsageError(
            f"evaluate_every is {training.evaluate_every}, and {subject.dataset.folder}"
            f" names no task to evaluate in: give one, or 0"
        )

    def evaluate(net: "nn.Module") -> dict[str, float]:
        policy = ImitationPolicy(
            net,  # pyright: ignore[reportArgumentType]
            inputs=subject.inputs,
            action_spec=task.action_spec,
            control_dt=task.control_dt,
            num_envs=training.evaluate_episodes,
            device=str(parallel.device),
            seed=training.seed,
        )
        return try_out(policy, task, training.evaluate_episodes)

    return evaluate


def try_out(policy: ImitationPolicy, task: Any, episodes: int) -> dict[str, float]:
    """Fractions of so many episodes with each notion of success, and mean return.

    Args:
        policy: for as many environments as there are episodes.
        task: what is to be done; it has to be one that measures success for "success"
            to be more than 0.
        episodes: how many, side by side.
    """
    env = environment_of(policy, task, num_envs=episodes)
    try:
        ids = FIRST_ID + np.arange(episodes)
        obs = env.reset(ids=ids)
        policy.ids = ids
        policy.reset()
        running, returns = np.ones(episodes, bool), np.zeros(episodes)
        reached: dict[str, np.ndarray] = {"success": np.zeros(episodes, bool)}
        for _ in range(env.max_steps):
            obs, reward, terminated, truncated, info = env.step(policy.act(obs))
            returns += np.where(running, reward, 0.0)
            ended = running & (terminated | truncated)
            found = dict(info["outcomes"])
            if info["success"] is not None:
                found["success"] = info["success"]
            for name, values in found.items():
                kept = reached.setdefault(name, np.zeros(episodes, bool))
                kept[ended] = (values & ~info["diverged"])[ended]
            running &= ~ended
            if not running.any():
                break
    finally:
        env.close()
    figures = {name: float(values.mean()) for name, values in reached.items()}
    return figures | {"return": float(returns.mean())}
