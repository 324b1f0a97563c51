"""Acting to see what happens: whole rounds in a batch of environments, no reward.

What the environment's task pays is dropped where it arrives, and so is success: whoever
learns here cannot have read them. Observations are normalised, an action is held for
some control steps.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError
from policies.forward_model import Episodes

if TYPE_CHECKING:
    from sims.arrays import Obs
    from sims.task import Task

FIRST_ID = 4_000_000
"""Identity of the first environment, apart from those that are evaluated on."""
MEMORY = 0.8
"""Of the noise, from one action to the next: what changes its sign in every step
averages out before it gets anywhere."""


class Explorer:
    """``num_envs`` environments side by side."""

    def __init__(
        self,
        task: "Task",
        num_envs: int,
        *,
        look: "Callable[[Obs], Tensor]",
        hold: int,
        seed: int,
    ) -> None:
        """Ready for the first round.

        Args:
            task: what is to be done.
            num_envs: how many.
            look: makes (num_envs, inputs) of an observation.
            hold: control steps that an action lasts.
            seed: of the episodes.

        Raises:
            UsageError: the episode does not hold a whole number of actions.
        """
        from sims import make_env

        if task.max_steps % hold:
            raise UsageError(
                f"an episode of {task.name} has {task.max_steps} control steps, and an "
                f"action is to last {hold}: choose a divisor"
            )
        low, high = task.action_spec.limits()
        self._middle, self._half = (high + low) / 2, (high - low) / 2
        self._env = make_env(
            task, num_envs=num_envs, threads=1, seed=seed, autoreset=True
        )
        self._look, self._hold = look, hold
        self._steps = task.max_steps // hold
        self._seen = look(self._env.reset(ids=FIRST_ID + np.arange(num_envs)))

    def run(
        self,
        act: Callable[[Tensor], Tensor],
        noise: Tensor,
        draws: torch.Generator,
    ) -> Episodes:
        """A round, as long as an episode lasts at most.

        Args:
            act: (num_envs, inputs) -> (num_envs, outputs) in [-1, 1].
            noise: (num_envs,) standard deviations of what is added to the actions.
            draws: of the noise.
        """
        shape = (self._env.num_envs, len(self._half))
        shake = torch.randn(shape, generator=draws)
        seen, done, cut = [self._seen], [], []
        for _ in range(self._steps):
            fresh = torch.randn(shape, generator=draws)
            shake = MEMORY * shake + (1 - MEMORY**2) ** 0.5 * fresh
            with torch.no_grad():
                action = (act(self._seen) + noise[:, None] * shake).clamp(-1, 1)
            cut.append(self._hold_on(action))
            done.append(action)
            seen.append(self._seen)
        return Episodes(
            seen=torch.stack(seen, 1),
            done=torch.stack(done, 1),
            cut=torch.stack(cut, 1),
        )

    def close(self) -> None:
        """Release the engine."""
        self._env.close()

    def _hold_on(self, action: Tensor) -> Tensor:
        """Hold it; an episode that ends within goes on afresh. (num_envs,) which."""
        wanted = self._middle + self._half * action.numpy().astype(np.float64)
        cut = np.zeros(self._env.num_envs, bool)
        obs: Obs = {}
        for _ in range(self._hold):
            obs, _, terminated, truncated, _ = self._env.step(wanted)
            cut |= terminated | truncated
        self._seen = self._look(obs)
        return torch.from_numpy(cut)
