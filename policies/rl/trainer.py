"""Off policy: in each round all environments take a control step, and networks learn.

The updates are on what was seen before that step, so that the two may go on at once
(:mod:`policies.rl.stepping`).
"""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from policies.rl import state
from policies.rl.config import OffPolicyConfig
from policies.rl.graph import Updates
from policies.rl.learner import OffPolicyLearner
from policies.rl.loop import Loop
from policies.rl.replay import Batch, Replay
from policies.rl.stepping import Stepping
from policies.rl.threads import choose_threads, neighbour
from policies.rl.worlds import Worlds


class Trainer(Loop):
    """One training from a replay."""

    NUMBERS = (*Loop.NUMBERS, "owed")
    GENTLER = "--updates"
    LESS = "--replay, --batch-size or --num-envs"

    learner: OffPolicyLearner
    config: OffPolicyConfig

    def __init__(
        self,
        learner: OffPolicyLearner,
        worlds: Worlds,
        config: OffPolicyConfig,
        *rest: Any,
        **options: Any,
    ) -> None:
        """As :class:`~policies.rl.loop.Loop`, and take the replay's memory.

        Raises:
            SandbotError: the replay does not fit into the memory.
        """
        super().__init__(learner, worlds, config, *rest, **options)
        slots = max(2, config.replay // worlds.num_envs)
        self.replay = Replay(slots, worlds.num_envs, worlds.sizes, learner.device)
        # on a GPU it is too large to be saved each minute, and filled again soon
        self.keeps_replay = learner.device.type == "cpu"
        self.owed = 0.0
        """Updates that are due."""
        self._updates = Updates(learner, config)

    def play(self, stepping: Stepping) -> None:
        """One control step of all environments, and the updates that it pays for."""
        stepping.begin(self._act())
        try:
            if len(self.replay) >= self._enough():
                self._learn()
        finally:
            step = stepping.end()
        self.replay.add(step)
        self.learner.seen(step)
        self.vector_steps += 1

    def _act(self) -> Tensor:
        """(num_envs, action) in [-1, 1]."""
        config, learner, worlds = self.config, self.learner, self.worlds
        if self.steps >= config.warmup or not config.random_start:
            return learner.explore(worlds.obs)
        size = worlds.num_envs, worlds.sizes.action
        drawn = torch.rand(*size, generator=learner.generator, device=learner.device)
        return 2 * drawn - 1

    def _enough(self) -> int:
        """Transitions that there are to be before the first update, and before the
        next one of a training that was resumed without them."""
        room = self.replay.slots * self.worlds.num_envs
        return max(1, min(self.config.warmup, room))

    def _learn(self) -> None:
        if not self.threads:
            self._find_threads()
        self.owed += self.config.updates
        for _ in range(int(self.owed)):
            self._updates(self._batch())
        self.owed -= int(self.owed)

    def _batch(self) -> Batch:
        config, learner = self.config, self.learner
        rows = config.batch_size
        if getattr(config, "symmetry", False) and learner.mirror is not None:
            rows //= 2
        return self.replay.sample(rows, config.gamma, config.n_step, learner.generator)

    def _find_threads(self) -> None:
        """Measured by updates that are taken back again."""
        learner = self.learner
        if learner.device.type != "cpu":
            self.threads = torch.get_num_threads()
            return
        before = {k: v.clone() for k, v in state.pack(learner).items()}
        count = learner.count
        watched = {k: v.clone() for k, v in learner.watched().items()}
        with neighbour() if self.config.overlap else nullcontext():
            self.threads = choose_threads(lambda: learner.update(self._batch()))
        state.unpack(learner, before, count)
        for name, value in learner.watched().items():
            value.copy_(watched[name])  # views of what is kept, where it is kept
