"""What :mod:`policies.gail` trains, as a network that acts like the learners'.

For bounded actions,

    action = middle + tanh(f(normalise(observation))) * half the range,

held for ``chunk`` control steps: acting less often than the robot is controlled makes
an episode shorter for whoever has to learn which action was to thank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.lerobot.layout import ACTION
from policies.imitation.config import ImitationConfig
from policies.imitation.net import OBSERVATION, Ahead, ImitationNet, Seen, Sizes

if TYPE_CHECKING:
    import numpy as np

    from ml.spec import ArraySpec


@dataclass(frozen=True, kw_only=True)
class ActorConfig(ImitationConfig):
    """Of the network; the training that made it stands in the checkpoint beside it."""

    kind = "gail"

    hidden: tuple[int, ...] = (128, 128)
    """Width of each hidden layer."""

    def __post_init__(self) -> None:
        """Refuse what is no actor."""
        super().__post_init__()
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"hidden layers are at least 1 wide, got {self.hidden}")
        if self.cameras or self.history > 1 or self.normalize != "mean_std":
            raise UsageError(
                "an actor reads the present vectors, by mean and spread: leave "
                "cameras, history and normalize as they are"
            )


def perceptron(inputs: int, outputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Linear layers with SiLU between them: smooth, since what is learned here are
    gradients through many networks in a row."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *hidden, outputs]):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class ActorNet(ImitationNet):
    """Normaliser and the mean's perceptron."""

    def __init__(self, sizes: Sizes, config: ActorConfig) -> None:
        """Build with random weights; see :meth:`bound`."""
        super().__init__(sizes, config)
        self.config: ActorConfig = config
        self.network = perceptron(self.features, sizes.outputs, config.hidden)

    def bound(self, observations: "np.ndarray", action_spec: "ArraySpec") -> None:
        """Take observations' mean and spread, and the actions' limits.

        Args:
            observations: (n, inputs).
            action_spec: limits that tanh is stretched to.

        Raises:
            UsageError: the actions have none.
        """
        import numpy as np

        low, high = action_spec.limits()
        if not np.isfinite(high - low).all():
            names = ", ".join(action_spec.names)
            raise UsageError(f"an actor's actions lie within limits; {names} have none")
        # two rows whose mean and spread are the middle and half the range
        ends = np.stack([low, high])
        self.normalizer.fit({OBSERVATION: observations, ACTION: ends})

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """The mean, held."""
        y = torch.tanh(self.network(self.condition(seen)))
        action = self.normalizer.unnormalize(ACTION, y)
        return action[:, None].expand(-1, self.config.chunk, -1), memory
