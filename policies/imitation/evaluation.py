"""How a network does in its task's environment while it is trained."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from assets.errors import UsageError
from policies.imitation.policy import ImitationPolicy
from policies.trial import try_out

if TYPE_CHECKING:
    from torch import nn

    from ml.parallel import Parallel
    from policies.imitation.config import ImitationConfig
    from policies.imitation.data import Subject


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
