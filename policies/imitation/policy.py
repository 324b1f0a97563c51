"""A trained network as a policy: history, memory, chunks, noise, fixed tiles.

Whatever is random is keyed by (seed, environment, episode, look), and networks compute
in tiles of a fixed size: an environment's actions are the same bits however many there
are beside it.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError
from ml.device import find_device
from ml.spec import ArraySpec
from ml.tiles import run_tiled
from policies.chunks import ChunkQueue
from policies.ensembling import TemporalEnsemble
from policies.execution import Execution
from policies.imitation.net import IMAGES, Ahead, ImitationNet, Seen
from policies.inputs import Inputs
from sims.draws import Draws

if TYPE_CHECKING:
    from sims.arrays import Array, Mask, Obs


class ImitationPolicy:
    """A :class:`sims.policy.Policy` around a network."""

    def __init__(
        self,
        net: ImitationNet,
        *,
        inputs: Inputs,
        action_spec: ArraySpec,
        control_dt: float,
        num_envs: int,
        device: str = "cpu",
        seed: int = 0,
        execution: Execution | None = None,
    ) -> None:
        """Ready to act.

        Args:
            net: with its weights.
            inputs: what it reads of an observation, pictures aside.
            action_spec: actions are clipped to its limits.
            control_dt: time between two actions [s].
            num_envs: how many environments.
            device: where the network runs: cpu, cuda or auto.
            seed: of its noise.
            execution: how chunks are executed; None: as the network's configuration
                says.

        Raises:
            UsageError: an unknown device, or an execution that does not fit.
            SandbotError: a device that is not there.
        """
        execution = execution or Execution()
        config = net.config
        self._device = find_device(device)
        self._net = net.eval().to(self._device)
        self.obs_spec = dict(inputs.specs)
        width, height = config.image_size
        for camera in config.cameras:
            self.obs_spec[IMAGES + camera] = ArraySpec(
                shape=(height, width, 3), dtype="uint8"
            )
        self.action_spec = action_spec
        self.control_dt = control_dt
        self.num_envs = num_envs
        self.ids = np.arange(num_envs)
        """(num_envs,) who each environment is, to the noise."""
        self._inputs, self._cameras = inputs, config.cameras
        self._low, self._high = action_spec.limits()
        self._seed = seed
        self._episode = np.zeros(num_envs, int)
        self._looks = np.zeros(num_envs, int)
        self._fresh = np.ones(num_envs, bool)
        self._past = np.zeros((num_envs, config.history, net.sizes.inputs), np.float32)
        self._memory = net.memory(num_envs).to(self._device)
        self._queue, self._real_time = _queue(net, num_envs, execution)
        self._delay = execution.delay
        self._how = {}
        if execution.sampling_steps is not None:
            if not net.noise_shape:
                raise UsageError(
                    f"{type(net).__name__} predicts in one go: leave the number of "
                    f"sampling steps out"
                )
            self._how["steps"] = execution.sampling_steps

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the past of these environments, or of all."""
        self._queue.reset(where)
        if where is None:
            self._episode[:] = 0
            chosen = np.ones(self.num_envs, bool)
        else:
            chosen = np.asarray(where, bool)
            self._episode += chosen
        self._looks[chosen] = 0
        self._fresh |= chosen
        self._memory = self._memory.clone()
        gone = torch.from_numpy(chosen).to(self._device)
        self._memory[gone] = self._net.memory(int(chosen.sum())).to(self._device)

    def act(self, obs: "Obs") -> "Array":
        """(num_envs, action_dim) float32, within the limits."""
        self._remember(obs)
        due = self._queue.due
        if due.any():
            self._look(obs, due)
        return np.clip(self._queue.take(), self._low, self._high)

    def _remember(self, obs: "Obs") -> None:
        """Take the observation into the history; an episode's first fills it."""
        if self._inputs.specs:
            now = self._inputs.gather(obs)
            self._past[:, :-1] = self._past[:, 1:]
            self._past[:, -1] = now
            self._past[self._fresh] = now[self._fresh, None]
        self._fresh[:] = False

    def _look(self, obs: "Obs", where: np.ndarray) -> None:
        """Predict the next chunk of these environments (num_envs,) bool."""
        names = [IMAGES + camera for camera in self._cameras]
        given = {
            "inputs": self._past[where].reshape(int(where.sum()), -1),
            "noise": self._noise(where),
            **{n: np.moveaxis(np.asarray(obs[n])[where], -1, 1) for n in names},
            **self._ahead(where),
        }
        rows = torch.from_numpy(where).to(self._device)
        tensors = [torch.from_numpy(np.ascontiguousarray(v)) for v in given.values()]
        keys = [*given, "memory"]
        inputs = [x.to(self._device) for x in tensors] + [self._memory[rows]]

        def predict(*parts: Tensor) -> tuple[Tensor, Tensor]:
            return self._predict(dict(zip(keys, parts, strict=True)))

        actions, memory = run_tiled(predict, *inputs, tile=self._net.tile)
        self._memory[rows] = memory
        self._looks[where] += 1
        self._queue.put(where, actions.cpu().numpy())

    def _predict(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        images = {c: given[IMAGES + c] for c in self._cameras}
        seen = Seen(inputs=given["inputs"], images=images)
        ahead = None
        if self._real_time:
            ahead = Ahead(actions=given["ahead"], weights=given["weights"])
        return self._net.predict(
            seen, given["memory"], given["noise"], ahead, **self._how
        )

    def _noise(self, where: np.ndarray) -> np.ndarray:
        """(n, *noise_shape) float32"""
        shape = self._net.noise_shape
        if not shape:
            return np.zeros((int(where.sum()), 0), np.float32)
        draws = Draws(self._seed, self.ids[where], self._episode[where])
        drawn = draws.normal("policy", shape, self._looks[where])
        return drawn.astype(np.float32)

    def _ahead(self, where: np.ndarray) -> dict[str, np.ndarray]:
        """What a new chunk has to agree with, and how much."""
        if not self._real_time:
            return {}
        from ml.generative.guidance import prefix_weights

        assert isinstance(self._queue, ChunkQueue)
        actions, left = self._queue.ahead(where)
        chunk = actions.shape[1]
        weights = np.zeros((len(actions), chunk), np.float32)
        for row, count in enumerate(left):
            if count:
                late = min(self._delay, int(count))
                weights[row] = prefix_weights("exp", chunk, late, int(count)).numpy()
        return {"ahead": actions, "weights": weights}


def _queue(
    net: ImitationNet, num_envs: int, execution: Execution
) -> tuple[ChunkQueue | TemporalEnsemble, bool]:
    """What executes the chunks, and whether in real time.

    Raises:
        UsageError: something that this network cannot do.
    """
    config = net.config
    size = net.sizes.outputs
    decay = config.ensemble if execution.ensemble is None else execution.ensemble
    if execution.real_time and execution.ensemble is None:
        decay = None
    if decay is not None and decay >= 0 and execution.execute is None:
        if execution.delay:
            raise UsageError("temporal ensembling looks at every step: it has no delay")
        return TemporalEnsemble(num_envs, config.chunk, size, decay), False
    if execution.real_time and not net.guided:
        raise UsageError(
            f"{type(net).__name__} cannot be guided: real-time chunking needs a "
            f"diffusion or flow policy"
        )
    execute = execution.execute or config.executed
    queue: Any = ChunkQueue(num_envs, config.chunk, execute, size, execution.delay)
    return queue, execution.real_time
