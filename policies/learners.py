"""The algorithms, by their name on the command line and in a checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from assets.errors import unknown

if TYPE_CHECKING:
    from ml.samples import Samples
    from policies.imitation.config import ImitationConfig
    from policies.imitation.net import ImitationNet, Sizes

LEARNERS: dict[str, tuple[str, str]] = {
    "bc": ("policies.bc", "behaviour cloning: regression, with memory or a mixture"),
    "act": ("policies.act", "action chunking with transformers, a CVAE"),
    "diffusion": ("policies.diffusion", "diffusion policy: actions out of noise"),
    "flow": ("policies.flow", "flow matching: actions along a velocity field"),
    "mip": ("policies.mip", "minimal iterative policy: two regressions in a row"),
}
"""By kind: the module whose ``LEARNER`` it is, and one line."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """One algorithm."""

    config: "type[ImitationConfig]"
    make: "Callable[[Sizes, Any], ImitationNet]"
    """(sizes, config) -> network with random weights, the normaliser not fitted."""
    samples: "Callable[..., Samples | None] | None" = None
    """(net, inputs, targets, lengths, config, fit) -> samples, or None where they are
    chunks, as without it; ``fit``: whether this is what the network may be fitted
    to."""


def find_learner(kind: str) -> Learner:
    """The algorithm of that name.

    Raises:
        UsageError: there is none.
    """
    if kind not in LEARNERS:
        raise unknown("algorithm", kind, LEARNERS)
    return import_module(LEARNERS[kind][0]).LEARNER
