"""Updates, one after the other: as they are, compiled, or recorded as CUDA graphs."""

from policies.rl.config import OffPolicyConfig
from policies.rl.learner import OffPolicyLearner
from policies.rl.replay import Batch


class Updates:
    """Calls a learner's update."""

    def __init__(self, learner: OffPolicyLearner, config: OffPolicyConfig) -> None:
        """Ready."""
        self._learner = learner

    def __call__(self, batch: Batch) -> None:
        """Learn from a batch."""
        self._learner.update(batch)
