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

INTERACTIVE: dict[str, tuple[str, str]] = {
    "dagger": ("policies.dagger", "DAgger: the expert labels where the learner goes"),
    "gail": ("policies.gail", "GAIL: a discriminator's doubt is the reward"),
    "irl": ("policies.max_ent_irl", "maximum entropy: what reward explains the expert"),
}
"""By name: the module whose ``train`` it is, and one line. They act in the task's
environment, or look for a reward; what they are told is their own."""
ACTORS: tuple[str, ...] = ("gail",)
"""Of these, the ones whose checkpoint is a network like the learners'."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """One algorithm."""

    config: "type[ImitationConfig]"
    make: "Callable[[Sizes, Any], ImitationNet]"
    """(sizes, config) -> network with random weights, the normaliser not fitted."""
    samples: "Callable[..., Samples | None] | None" = None
    """(inputs, targets, lengths, config) -> samples, or None where they are chunks, as
    without it."""


@dataclass(frozen=True, kw_only=True)
class Interactive:
    """One of the others, a module's ``TRAINER``."""

    config: type
    """A dataclass."""
    train: Callable[..., Any]
    """(config, out, overwrite, ...) -> something with a ``line`` to tell of it."""
    watches: bool
    """Whether it is given demonstrations (``data``); else a ``task`` and an ``expert``
    to ask, and ``resume``."""


def find_interactive(name: str) -> Interactive:
    """The algorithm of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in INTERACTIVE:
        raise unknown("algorithm", name, INTERACTIVE)
    return import_module(INTERACTIVE[name][0]).TRAINER


def find_learner(kind: str) -> Learner:
    """The algorithm of that name.

    Raises:
        UsageError: there is none.
    """
    known = LEARNERS | {name: INTERACTIVE[name] for name in ACTORS}
    if kind not in known:
        raise unknown("algorithm", kind, known)
    return import_module(known[kind][0]).LEARNER
