"""A trained network as a policy: memory per environment, actions in fixed tiles."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ml.device import find_device
from ml.spec import ArraySpec
from ml.tiles import run_tiled

if TYPE_CHECKING:
    from sims.arrays import Array, Mask, Obs

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(observation, memory) -> (action, memory), each (rows, ...), row by row."""


class NetworkPolicy:
    """A :class:`sims.policy.Policy` around one step of a network."""

    def __init__(
        self,
        module: torch.nn.Module,
        step: Step,
        memory: Tensor,
        *,
        group: str,
        columns: np.ndarray,
        obs_spec: ArraySpec,
        action_spec: ArraySpec,
        control_dt: float,
        device: str = "cpu",
    ) -> None:
        """Ready to act.

        Args:
            module: holds the weights.
            step: what it does in one control step.
            memory: (num_envs, ...) empty.
            group: of the observation that it reads.
            columns: which elements of the group.
            obs_spec: of the whole group.
            action_spec: actions are clipped to its limits.
            control_dt: time between two actions [s].
            device: where the network runs: cpu, cuda or auto.

        Raises:
            UsageError: an unknown device.
            SandbotError: a device that is not there.
        """
        self._device = find_device(device)
        self.obs_spec = {group: obs_spec}
        self.action_spec = action_spec
        self.control_dt = control_dt
        self._group, self._columns = group, columns
        module.eval().to(self._device)
        self._step = step
        self._low, self._high = action_spec.limits()
        self._memory = memory.to(self._device)

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the past of these environments, or of all."""
        if where is None:
            self._memory = torch.zeros_like(self._memory)
        else:
            gone = torch.from_numpy(np.asarray(where, bool)).to(self._device)
            self._memory = self._memory.clone()
            self._memory[gone] = 0.0

    def act(self, obs: "Obs") -> "Array":
        """(num_envs, action_dim) float32, within the limits."""
        seen = np.asarray(obs[self._group], np.float32)[:, self._columns]
        inputs = torch.from_numpy(seen).to(self._device)
        action, self._memory = run_tiled(self._step, inputs, self._memory)
        return np.clip(action.cpu().numpy(), self._low, self._high)
