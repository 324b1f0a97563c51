"""On policy: act for a while, learn from that, forget it.

The advantage of an action is estimated from the rewards that followed it
(:mod:`policies.ladder.gae`). At the end of an episode the sum stops; where only its
time was over, the value of the state it was left in still counts, and what follows is
the next episode's business (Pardo et al. 2018, arXiv:1712.00378).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from policies.ladder import gae
from policies.rl.learner import Learner
from policies.rl.loop import Loop
from policies.rl.stepping import Stepping


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What happened while the policy stayed the same; (steps, num_envs, ...) each."""

    obs: Tensor
    """(..., critic)"""
    action: Tensor
    """(..., action) as the policy drew it, limits aside."""
    reward: Tensor
    next_obs: Tensor
    """(..., critic) in the same episode."""
    terminated: Tensor
    """bool: it ended for good."""
    ended: Tensor
    """bool: it ended for good, or its time was over."""


def advantages(
    rollout: Rollout, value: Tensor, next_value: Tensor, gamma: float, lam: float
) -> Tensor:
    """(steps, num_envs): how much better each action was than its state is worth.

    Args:
        rollout: what happened.
        value: (steps, num_envs) of ``obs``.
        next_value: (steps, num_envs) of ``next_obs``.
        gamma: discount of one control step.
        lam: lambda; 0: the next value alone is believed, 1: the rewards alone.
    """
    return gae.advantages(
        rollout.reward,
        value,
        next_value,
        rollout.terminated,
        rollout.ended,
        discount=gamma,
        trace=lam,
    )


class OnPolicyLearner(Learner):
    """One that learns from what its present policy does."""

    @abstractmethod
    def explore(self, obs: Tensor) -> Tensor:
        """Actions (num_envs, action) to learn from; those outside of [-1, 1] are
        clipped when they are executed.

        Args:
            obs: (num_envs, critic).
        """

    @abstractmethod
    def update(self, rollout: Rollout) -> None:
        """Learn from it."""


class OnPolicyLoop(Loop):
    """On policy: a roll-out a round, then what is learned from it."""

    GENTLER = "--epochs"
    LESS = "--rollout, --batch-size or --num-envs"

    learner: OnPolicyLearner

    def play(self, stepping: Stepping) -> None:
        """See the class."""
        self.threads = self.threads or torch.get_num_threads()
        fields: dict[str, list[Tensor]] = {
            name: [] for name in Rollout.__dataclass_fields__
        }
        for _ in range(self.config.rollout):
            action = self.learner.explore(self.worlds.obs)
            stepping.begin(action.clamp(-1, 1))
            step = stepping.end()
            self.vector_steps += 1
            found: dict[str, Any] = {
                **{k: v for k, v in vars(step).items() if k in fields},
                "action": action,
                "ended": step.terminated | step.truncated,
            }
            for name, values in fields.items():
                values.append(found[name])
        self.learner.update(Rollout(**{k: torch.stack(v) for k, v in fields.items()}))
        self._watched()  # before anything that is broken acts
