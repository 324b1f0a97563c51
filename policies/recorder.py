"""One batch of episodes of a policy, remembered frame by frame.

What is recorded is what happened, to the bit: the demonstrator's action is rounded to
the file's float32 before it is executed, and so is its sum with the disturbance. A
replay of the file then gives the same states.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from policies.dart import Disturbance

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from ml.lerobot.video import Clip
    from sims.env import Env
    from sims.policy import Policy

IMAGES = "images."
"""How the name of a group begins that a camera gives."""
NOT_RECORDED = ("depth.", "segmentation.")
"""How the names of groups begin that have no place in a dataset."""


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


@dataclass
class _Batch:
    """Frames of all environments, and when each ended."""

    running: np.ndarray
    lengths: np.ndarray
    steps: list[dict[str, np.ndarray]] = field(default_factory=list)
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)


class Recorder:
    """Runs a policy in an environment, disturbed or not."""

    def __init__(self, env: "Env", policy: "Policy", seed: int) -> None:
        """Ready for :meth:`run`.

        Args:
            env: not yet reset.
            policy: acts in it.
            seed: of all draws.
        """
        self.env, self.policy, self.seed = env, policy, seed
        self.measured = False
        """Whether the task measured success in any episode so far."""
        groups = [g for g in env.obs_spec if not g.startswith(NOT_RECORDED)]
        self.cameras = [g for g in groups if g.startswith(IMAGES)]
        self.vectors = [g for g in groups if not g.startswith(IMAGES)]
        self._low, self._high = env.action_spec.limits()

    @property
    def limited(self) -> bool:
        """Whether the actions have limits."""
        return bool(np.isfinite(self._high - self._low).all())

    def run(
        self, ids: np.ndarray, noise: float, writer: "DatasetWriter | None" = None
    ) -> list[Episode]:
        """One episode of each identity.

        Args:
            ids: (num_envs,)
            noise: of the disturbance, as a fraction of the action's limits.
            writer: whose clips take what cameras see, as it comes; None: nobody does.
        """
        env, policy = self.env, self.policy
        obs = env.reset(seed=self.seed, ids=ids)
        instructions = env.instructions()
        if hasattr(policy, "ids"):
            policy.ids = ids  # pyright: ignore[reportAttributeAccessIssue]
        policy.reset()
        disturbance = Disturbance(env, noise)
        disturbance.reset()
        n = env.num_envs
        batch = _Batch(np.ones(n, bool), np.zeros(n, int))
        clips = self._clips(writer)
        try:
            while batch.running.any():
                obs = self._step(obs, disturbance, batch, clips)
        except BaseException:
            for clip in (clip for own in clips for clip in own.values()):
                clip.discard()
            raise
        return self._episodes(batch, instructions, clips)

    def _clips(self, writer: "DatasetWriter | None") -> list[dict[str, "Clip"]]:
        """A film of each camera, for each environment."""
        cameras = self.cameras if writer is not None else []
        return [
            {group: writer.new_clip(group) for group in cameras}  # type: ignore[union-attr]
            for _ in range(self.env.num_envs)
        ]

    def _step(
        self,
        obs: dict[str, Any],
        disturbance: Disturbance,
        batch: _Batch,
        clips: list[dict[str, "Clip"]],
    ) -> dict[str, Any]:
        """One control step: remember it, and return what is seen next."""
        action = self.policy.act(obs)
        outside = ((action < self._low) | (action > self._high)).sum(1)
        wanted = np.clip(action, self._low, self._high).astype(np.float32)
        executed = (wanted + disturbance.next()).astype(np.float32)
        seen = {g: np.array(obs[g], np.float32) for g in self.vectors}
        for env in np.flatnonzero(batch.running):
            for group, clip in clips[env].items():
                clip.add(obs[group][env])
        obs, reward, terminated, truncated, info = self.env.step(
            executed.astype(np.float64)
        )
        batch.steps.append(
            {
                **{f"observation.{g}": values for g, values in seen.items()},
                "action": wanted,
                "executed": executed,
                "clipped": outside,
                "reward": np.array(reward, np.float32),
                "success": self._success(info),
            }
        )
        for name, values in info.get("outcomes", {}).items():
            kept = batch.outcomes.setdefault(name, np.zeros(self.env.num_envs, bool))
            kept[batch.running] = values[batch.running]
        batch.lengths += batch.running
        batch.running &= ~(terminated | truncated)
        return obs

    def _success(self, info: dict[str, Any]) -> np.ndarray:
        if info["success"] is None:
            return np.zeros(self.env.num_envs, bool)
        self.measured = True
        return np.asarray(info["success"]) & ~info["diverged"]

    def _episodes(
        self,
        batch: _Batch,
        instructions: list[str],
        clips: list[dict[str, "Clip"]],
    ) -> list[Episode]:
        whole = {
            key: np.stack([step[key] for step in batch.steps], 1)
            for key in batch.steps[0]
        }
        episodes = []
        for env, end in enumerate(batch.lengths):
            own = {key: values[env, :end] for key, values in whole.items()}
            vectors = {g: own.pop(f"observation.{g}") for g in self.vectors}
            episodes.append(
                Episode(
                    instruction=instructions[env],
                    observations={**vectors, **clips[env]},
                    outcomes={k: bool(v[env]) for k, v in batch.outcomes.items()},
                    **own,
                )
            )
        return episodes


def need_success(task: str, measured: bool, keep_failures: bool) -> None:
    """Refuse to keep successes alone where none are measured.

    Raises:
        UsageError: so it is.
    """
    if not measured and not keep_failures:
        raise UsageError(
            f"{task} measures no success: keep failures as well (--keep-failures)"
        )
