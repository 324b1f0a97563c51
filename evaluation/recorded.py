"""The actions of a dataset, executed once more."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from evaluation.replay import executed, origin
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs

if TYPE_CHECKING:
    from sims.task import Task


class RecordedActions:
    """Episodes of a dataset of ``sandbot collect``; see :meth:`actor`."""

    def __init__(self, folder: Path, episodes: int | None = None):
        """Read them.

        Args:
            folder: of the dataset.
            episodes: how many, from the first on; None: all.

        Raises:
            UsageError: fewer than one episode, a dataset that does not say how to
                begin, or episodes of more than one task, randomisation or seed.
            SandbotError: it is damaged.
        """
        from ml.lerobot import read_dataset
        from sims import make_task

        data = read_dataset(folder)
        count = len(data.episodes)
        if episodes is not None and episodes < 1:
            raise UsageError(f"episodes must be at least 1, got {episodes}")
        chosen = range(count if episodes is None else min(episodes, count))
        recorded = [data.episode(index) for index in chosen]
        origins = {origin(data, index) for index in chosen}
        kinds = {(task, randomize, seed) for task, _, randomize, seed in origins}
        if len(kinds) != 1:
            raise UsageError(
                f"{folder} holds episodes of {len(kinds)} combinations of task, "
                f"randomisation and seed, and one is compared at a time: 'sandbot data "
                f"split' parts them"
            )
        self.name = f"actions of {Path(folder).name}"
        self.task, self.randomize, self.seed = kinds.pop()
        self._task = make_task(self.task)
        self.ids = np.array([data.episodes[index]["id"] for index in chosen])
        """(n,) identities of the episodes."""
        self._actions = [executed(one).astype(float) for one in recorded]

    def identities(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Identities and numbers of steps of episodes; those past the end are the
        last one's."""
        inside = np.minimum(rows, len(self.ids) - 1)
        lengths = np.array([len(self._actions[i]) for i in inside])
        return self.ids[inside], lengths

    def actor(self, rows: np.ndarray) -> "RecordedActor":
        """What executes these episodes, in as many environments."""
        inside = np.minimum(rows, len(self.ids) - 1)
        return RecordedActor(self._task, [self._actions[i] for i in inside])


class RecordedActor:
    """A :class:`~sims.policy.Policy` that looks at nothing."""

    def __init__(self, task: "Task", actions: list[np.ndarray]):
        """Take each environment's actions, (steps, action_dim)."""
        self.obs_spec: dict[str, ArraySpec] = {}
        self.action_spec = task.action_spec
        self.control_dt = task.control_dt
        self._actions = actions
        self._step = 0

    def reset(self, where: Mask | None = None) -> None:
        """From the beginning."""
        self._step = 0

    def act(self, obs: Obs) -> Array:
        """The next ones; the last one again after the end."""
        rows = [one[min(self._step, len(one) - 1)] for one in self._actions]
        self._step += 1
        return np.stack(rows)
