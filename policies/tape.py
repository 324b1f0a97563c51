"""Frames of a batch of episodes, as a dataset keeps them.

What is recorded is what happened, to the bit: the demonstrator's action is rounded to
the file's float32 before it is executed (:func:`as_recorded`). A replay of the file
then gives the same states.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from ml.lerobot.video import Clip
    from ml.spec import ArraySpec
    from sims.arrays import Array, Obs
    from sims.env import Env, Step

IMAGES = "images."
"""How the name of a group begins that a camera gives."""
NOT_RECORDED = ("depth.", "segmentation.")
"""How the names of groups begin that have no place in a dataset."""


def recorded_groups(env: "Env") -> "dict[str, ArraySpec]":
    """The groups of an environment's observations that a dataset takes."""
    return {k: v for k, v in env.obs_spec.items() if not k.startswith(NOT_RECORDED)}


def as_recorded(env: "Env", action: "Array") -> tuple[np.ndarray, np.ndarray]:
    """A demonstrator's action within its limits, and how much of it was not.

    Returns:
        The action (num_envs, outputs) float32, and the number of its elements that lay
        outside (num_envs,).
    """
    low, high = env.action_spec.limits()
    outside = ((action < low) | (action > high)).sum(1)
    return np.clip(action, low, high).astype(np.float32), outside


@dataclass(kw_only=True)
class Episode:
    """What :meth:`~ml.lerobot.DatasetWriter.add_episode` takes."""

    instruction: str
    observations: dict[str, "np.ndarray | Clip"]
    action: np.ndarray
    executed: np.ndarray
    clipped: np.ndarray
    reward: np.ndarray
    success: np.ndarray
    """(n,); false from where the simulation broke down."""
    outcomes: dict[str, bool]

    @property
    def solved(self) -> bool:
        """Whether it ended in success."""
        return bool(self.success[-1])

    def discard(self) -> None:
        """Throw its videos away."""
        for values in self.observations.values():
            if not isinstance(values, np.ndarray):
                values.discard()

    def write(self, writer: "DatasetWriter", seed: int, identity: int) -> None:
        """Add it to a dataset, with what its start can be repeated by."""
        parts = {k: getattr(self, k) for k in self.__dataclass_fields__}
        writer.add_episode(**parts, seed=seed, identity=identity)


class Tape:
    """Remembers all environments from their start, each until its episode ends."""

    def __init__(self, env: "Env", writer: "DatasetWriter | None") -> None:
        """Begin where the environment has just been reset.

        Args:
            env: whose episodes these are.
            writer: whose clips take what cameras see, as it comes; None: nobody does.
        """
        self._env = env
        groups = list(recorded_groups(env))
        cameras = [g for g in groups if g.startswith(IMAGES)] if writer else []
        self._vectors = [g for g in groups if not g.startswith(IMAGES)]
        self._instructions = env.instructions()
        self._clips: list[dict[str, Clip]] = [
            {group: writer.new_clip(group) for group in cameras}  # type: ignore[union-attr]
            for _ in range(env.num_envs)
        ]
        self.running = np.ones(env.num_envs, bool)
        """(num_envs,) whose episode has not ended."""
        self.lengths = np.zeros(env.num_envs, int)
        """(num_envs,) frames of each."""
        self.measured = False
        """Whether the task has measured success."""
        self._steps: list[dict[str, np.ndarray]] = []
        self._outcomes: dict[str, np.ndarray] = {}

    def see(self, obs: "Obs") -> None:
        """Remember what was observed before the step that is about to be made."""
        self._steps.append(
            {f"observation.{g}": np.array(obs[g], np.float32) for g in self._vectors}
        )
        for env in np.flatnonzero(self.running):
            for group, clip in self._clips[env].items():
                clip.add(obs[group][env])

    def add(
        self,
        wanted: np.ndarray,
        executed: np.ndarray,
        outside: np.ndarray,
        outcome: "Step",
    ) -> None:
        """Remember the step.

        Args:
            wanted: (num_envs, outputs) float32, the demonstrator's action.
            executed: the same with what was added to it.
            outside: (num_envs,) how many of its elements were out of their limits.
            outcome: what the environment's ``step`` returned.
        """
        _, reward, terminated, truncated, info = outcome
        self._steps[-1] |= {
            "action": wanted,
            "executed": executed,
            "clipped": outside,
            "reward": np.array(reward, np.float32),
            "success": self._success(info),
        }
        running = self.running
        for name, values in info.get("outcomes", {}).items():
            kept = self._outcomes.setdefault(name, np.zeros(len(running), bool))
            kept[running] = values[running]
        self.lengths += running
        self.running = running & ~(terminated | truncated)

    def episodes(self) -> list[Episode]:
        """Each environment's, of one frame at least."""
        whole = {
            key: np.stack([step[key] for step in self._steps], 1)
            for key in self._steps[0]
        }
        episodes = []
        for env, end in enumerate(self.lengths):
            own = {key: values[env, :end] for key, values in whole.items()}
            vectors = {g: own.pop(f"observation.{g}") for g in self._vectors}
            episodes.append(
                Episode(
                    instruction=self._instructions[env],
                    observations={**vectors, **self._clips[env]},
                    outcomes={k: bool(v[env]) for k, v in self._outcomes.items()},
                    **own,
                )
            )
        return episodes

    def discard(self) -> None:
        """Throw the videos away."""
        for clip in (clip for own in self._clips for clip in own.values()):
            clip.discard()

    def _success(self, info: dict[str, Any]) -> np.ndarray:
        if info["success"] is None:
            return np.zeros(len(self.running), bool)
        self.measured = True
        return np.asarray(info["success"]) & ~info["diverged"]
