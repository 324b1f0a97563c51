"""observation -> action: what every controller, planner and network can be.

The protocol stands here, left of the rooms that implement it, so that environments,
viewers and evaluation need none of them.
"""

from typing import Protocol, runtime_checkable

from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs


@runtime_checkable
class Policy(Protocol):
    """Acts on a batch of observations; may remember; forgets on :meth:`reset`."""

    obs_spec: dict[str, ArraySpec]
    """The groups it reads."""
    action_spec: ArraySpec
    control_dt: float
    """Time between two calls of :meth:`act` [s]."""

    def reset(self, where: Mask | None = None) -> None:
        """Forget the past of these environments, or of all."""
        ...

    def act(self, obs: Obs) -> Array:
        """(num_envs, action_dim) in the units of ``action_spec``."""
        ...
