"""A trained network as a policy: memory per environment, actions in fixed tiles."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ml.device import find_device
from ml.spec import ArraySpec
from ml.tiles import run_tiled
from policies.chunks import ChunkQueue
from policies.inputs import Inputs

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
        inputs: Inputs,
        action_spec: ArraySpec,
        control_dt: float,
        chunk: int = 1,
        execute: int = 1,
        device: str = "cpu",
    ) -> None:
        """Ready to act.

        Args:
            module: holds the weights.
            step: what it does when it looks: actions (rows, chunk * size).
            memory: (num_envs, ...) empty.
            inputs: what it reads of an observation.
            action_spec: actions are clipped to its limits.
            control_dt: time between two actions [s].
            chunk: actions that it predicts at once.
            execute: of these, how many are executed before it looks again.
            device: where the network runs: cpu, cuda or auto.

        Raises:
            UsageError: an unknown device, or a chunk that does not fit.
            SandbotError: a device that is not there.
        """
        self._device = find_device(device)
        self.obs_spec = dict(inputs.specs)
        self.action_spec = action_spec
        self.control_dt = control_dt
        self._inputs = inputs
        module.eval().to(self._device)
        self._step = step
        self._low, self._high = action_spec.limits()
        self._memory = memory.to(self._device)
        self._chunk = chunk
        self._queue = ChunkQueue(len(memory), chunk, execute, action_spec.size)

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the past of these environments, or of all."""
        self._queue.reset(where)
        if where is None:
            self._memory = torch.zeros_like(self._memory)
        else:
            gone = torch.from_numpy(np.asarray(where, bool)).to(self._device)
            self._memory = self._memory.clone()
            self._memory[gone] = 0.0

    def act(self, obs: "Obs") -> "Array":
        """(num_envs, action_dim) float32, within the limits."""
        due = self._queue.due
        if due.any():
            self._look(obs, due)
        return np.clip(self._queue.take(), self._low, self._high)

    def _look(self, obs: "Obs", where: np.ndarray) -> None:
        """Predict the next chunk of these environments (num_envs,) bool."""
        seen = torch.from_numpy(self._inputs.gather(obs)[where]).to(self._device)
        rows = torch.from_numpy(where).to(self._device)
        actions, memory = run_tiled(self._step, seen, self._memory[rows])
        self._memory[rows] = memory
        chunks = actions.reshape(len(actions), self._chunk, -1)
        self._queue.put(where, chunks.cpu().numpy())
