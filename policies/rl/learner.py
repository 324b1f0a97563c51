"""What learns: the interface of algorithms, and parts that several have.

An algorithm is one file: its configuration, its losses. It keeps all networks in
:attr:`Learner.nets` and all optimisers in :attr:`Learner.optimizers`, so that a
training's state, and a look for numbers that are not finite, need to know nothing else
of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from policies.rl.config import OffPolicyConfig, RLConfig
from policies.rl.replay import Batch
from policies.rl.worlds import MirrorMaps, Sizes, Transition


class Learner(ABC):
    """An actor and what teaches it."""

    nets: nn.ModuleDict
    """All networks, normalisers and learned numbers."""
    optimizers: dict[str, torch.optim.Optimizer]

    def __init__(
        self,
        sizes: Sizes,
        config: RLConfig,
        device: torch.device,
        mirror: MirrorMaps | None,
    ) -> None:
        """Remember what all share; a subclass builds its networks.

        Args:
            sizes: of the rows.
            config: the algorithm's.
            device: where it all lies.
            mirror: of the task, if it has one.
        """
        self.sizes, self.device, self.mirror = sizes, device, mirror
        self.generator = torch.Generator(device).manual_seed(config.seed)
        """Of noise and samples; the networks' first weights are torch's own."""
        self.count = 0
        """Updates so far."""

    @abstractmethod
    def actor(self) -> nn.Module:
        """(rows, inputs) -> (rows, action) in [-1, 1], the best it knows; with its
        normaliser, and without noise. It shares the weights."""

    @abstractmethod
    def network(self) -> dict[str, Any]:
        """What :func:`policies.rl.policy.build_actor` needs to build it again."""

    @abstractmethod
    def watched(self) -> dict[str, Tensor]:
        """Numbers to log, each a scalar on the device: losses, entropy, values."""

    def noise(self, *shape: int) -> Tensor:
        """Standard normal, from the learner's own generator."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def state(self) -> dict[str, Any]:
        """What a subclass keeps beside networks and optimisers, tensors by name."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Take over :meth:`state`."""


class OffPolicyLearner(Learner):
    """One that learns from a replay."""

    recordable: bool = False
    """Whether updates of one kind launch the same kernels, each time on the same
    memory, so that a GPU can repeat them (:mod:`policies.rl.graph`)."""

    def __init__(
        self,
        sizes: Sizes,
        config: OffPolicyConfig,
        device: torch.device,
        mirror: MirrorMaps | None,
    ) -> None:
        """As for every learner; see :class:`Learner`."""
        super().__init__(sizes, config, device, mirror)
        self._half = config.precision == "bf16" or (
            config.precision == "auto" and has_bf16(device)
        )

    def next_kind(self) -> Hashable:
        """Of the next update: those of one kind launch the same kernels."""
        return None

    def compile(self) -> None:
        """Let torch compile the parts of an update."""
        raise UsageError(
            f"{type(self).__name__} has no parts to compile: leave compile out"
        )

    @abstractmethod
    def explore(self, obs: Tensor) -> Tensor:
        """Actions (num_envs, action) in [-1, 1] to learn from.

        Args:
            obs: (num_envs, critic).
        """

    @abstractmethod
    def update(self, batch: Batch) -> None:
        """Learn from a batch; nothing is read back from the device."""

    def _descend(self, name: str, loss: Tensor) -> None:
        """One step of an optimiser down a loss's gradient."""
        chosen = self.optimizers[name]
        chosen.zero_grad(set_to_none=True)
        loss.backward()
        chosen.step()

    def _autocast(self) -> torch.autocast:
        """Where networks compute in half precision, if the configuration says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)

    def seen(self, step: Transition) -> None:
        """Told after each control step what it brought; for noise that lasts as long as
        an episode, or statistics of rewards."""


def has_bf16(device: torch.device) -> bool:
    """Whether its processor multiplies matrices of bfloat16 by itself; one that does
    not is slower than in single precision."""
    if device.type != "cpu":
        return True
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def optimizer(
    parameters: Any,
    rate: float | Tensor,
    device: torch.device,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """AdamW in one kernel; on a GPU one that a graph can hold."""
    return torch.optim.AdamW(
        list(parameters),
        lr=rate,
        betas=betas,
        weight_decay=weight_decay,
        eps=eps,
        fused=True,
        capturable=device.type == "cuda",
    )


def mirrored(batch: Batch, mirror: MirrorMaps | None) -> Batch:
    """A batch and its mirror image, in one batch of twice the size."""
    if mirror is None:
        return batch
    return Batch(
        obs=torch.cat((batch.obs, mirror.obs(batch.obs))),
        action=torch.cat((batch.action, mirror.action(batch.action))),
        reward=batch.reward.repeat(2),
        next_obs=torch.cat((batch.next_obs, mirror.obs(batch.next_obs))),
        discount=batch.discount.repeat(2),
    )
