"""Environments as a learner sees them: tensors on its device, actions in [-1, 1].

One row holds all that is observed: first what the actor may read, then the group of a
critic alone (:data:`sims.observation.PRIVILEGED`), so that a replay stores it once and
the actor reads the front of it. An action of -1 .. 1 spans the limits of the task's
``action_spec``.

An environment that ended starts anew in the same step. What it was in at the end is the
transition's ``next_obs``, so that nothing of the next episode leaks into the last one,
and a time limit can be told from a real end. An environment that broke down is ended,
with a reward of 0 and its last observation that was finite: a number that is not finite
would never leave the replay and the normaliser again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError
from sims.observation import PRIVILEGED

if TYPE_CHECKING:
    from sims.env import Env
    from sims.task import Task


FIRST_ID = 6_000_000
"""Identity of the first environment that is learned from: evaluations have others."""


class NotFinite(Exception):
    """A learner's actions are not finite."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the rows that networks read and write."""

    actor: int
    """Leading elements of an observation, which the actor reads."""
    critic: int
    """Elements of an observation."""
    action: int


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One control step of all environments, on the learner's device."""

    obs: Tensor
    """(num_envs, critic) before it."""
    action: Tensor
    """(num_envs, action) in [-1, 1]."""
    reward: Tensor
    """(num_envs,)"""
    next_obs: Tensor
    """(num_envs, critic) after it, in the same episode."""
    terminated: Tensor
    """(num_envs,) bool: it ended for good."""
    truncated: Tensor
    """(num_envs,) bool: its time was over."""


@dataclass(frozen=True, kw_only=True)
class MirrorMaps:
    """The task's mirror image of observations and actions; each its own inverse."""

    obs_order: Tensor
    obs_signs: Tensor
    action_order: Tensor
    action_signs: Tensor

    def obs(self, rows: Tensor) -> Tensor:
        """(..., critic)"""
        return rows[..., self.obs_order] * self.obs_signs

    def action(self, rows: Tensor) -> Tensor:
        """(..., action)"""
        return rows[..., self.action_order] * self.action_signs


def split_groups(task: "Task") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The groups that the actor reads, and those for the critic alone."""
    seen = tuple(group for group in task.obs_spec if group != PRIVILEGED)
    hidden = tuple(group for group in task.obs_spec if group == PRIVILEGED)
    return seen, hidden


def find_sizes(task: "Task") -> Sizes:
    """How wide a task's rows are.

    Raises:
        UsageError: its actions have no limits.
    """
    seen, hidden = split_groups(task)
    actor = sum(task.obs_spec[group].size for group in seen)
    low, high = task.action_spec.limits()
    if not np.isfinite(high - low).all():
        raise UsageError(
            f"{task.name}: a learner's actions lie within limits, and some of "
            f"{', '.join(task.action_spec.names)} have none: give the action_spec low "
            f"and high"
        )
    extra = sum(task.obs_spec[group].size for group in hidden)
    return Sizes(actor=actor, critic=actor + extra, action=task.action_spec.size)


def find_mirror(task: "Task", device: torch.device) -> MirrorMaps | None:
    """The mirror of a task's rows; None: the task says of none."""
    mirror: dict[str, Any] | None = getattr(task, "mirror", None)
    if mirror is None:
        return None
    seen, hidden = split_groups(task)
    orders, signs, start = [], [], 0
    for group in (*seen, *hidden):
        one = mirror[group]
        orders.append(torch.as_tensor(one.order) + start)
        signs.append(torch.as_tensor(one.signs, dtype=torch.float32))
        start += len(one.order)
    action = mirror["action"]
    return MirrorMaps(
        obs_order=torch.cat(orders).to(device),
        obs_signs=torch.cat(signs).to(device),
        action_order=torch.as_tensor(action.order).to(device),
        action_signs=torch.as_tensor(action.signs, dtype=torch.float32).to(device),
    )


class Worlds:
    """An :class:`~sims.env.Env` with ``autoreset``, for a learner."""

    def __init__(self, env: "Env", device: torch.device):
        """Wrap it; its first episodes start with :meth:`reset`.

        Args:
            env: made with ``autoreset``; its arrays are NumPy's or torch's.
            device: of the learner's tensors.

        Raises:
            UsageError: an environment without ``autoreset``, or actions without limits.
        """
        if not env.autoreset:
            raise UsageError(
                "a learner's environments start anew by themselves: "
                "make_env(..., autoreset=True)"
            )
        self.env = env
        self.device = device
        self.num_envs = env.num_envs
        self.sizes = find_sizes(env.task)
        seen, hidden = split_groups(env.task)
        self._groups = (*seen, *hidden)
        low, high = env.action_spec.limits()
        self._middle = torch.as_tensor((low + high) / 2, dtype=torch.float32)
        self._half = torch.as_tensor((high - low) / 2, dtype=torch.float32)
        self._middle, self._half = self._middle.to(device), self._half.to(device)
        self.obs = torch.zeros(self.num_envs, self.sizes.critic, device=device)
        """(num_envs, critic): what is observed now."""
        self.tally = Tally(self.num_envs, device)
        self._numpy = True

    def reset(self, seed: int | None = None) -> Tensor:
        """Begin everywhere; returns :attr:`obs`."""
        ids = FIRST_ID + np.arange(self.num_envs)
        seen = self.env.reset(seed=seed, ids=ids)
        self._numpy = isinstance(seen[self._groups[0]], np.ndarray)
        self.obs = self._rows(seen)
        return self.obs

    def step(self, action: Tensor) -> Transition:
        """Act for one control step.

        Args:
            action: (num_envs, action) in [-1, 1].

        Raises:
            NotFinite: it is not, where that can be seen without waiting for a GPU.
        """
        given: Any = self._middle + self._half * action
        if self._numpy:
            given = given.cpu().numpy()
            if not np.isfinite(given).all():
                raise NotFinite("the actor's actions are not finite")
        seen, reward, terminated, truncated, info = self.env.step(given)
        before, after = self.obs, self._rows(seen)
        last = self._rows(info["final_obs"]) if "final_obs" in info else after
        reward = self._tensor(reward, torch.float32)
        terminated = self._tensor(terminated, torch.bool)
        truncated = self._tensor(truncated, torch.bool)
        sound = last.isfinite().all(1) & reward.isfinite()
        broken = self._tensor(info["diverged"], torch.bool) | ~sound
        reward = torch.where(broken, 0.0, reward)
        last = torch.where(broken[:, None], before, last)
        terminated = terminated | broken
        success = info["success"]
        self.tally.add(
            reward,
            terminated | truncated,
            None if success is None else self._tensor(success, torch.bool),
            broken,
        )
        self.obs = torch.where(after.isfinite(), after, 0.0)
        return Transition(
            obs=before,
            action=action,
            reward=reward,
            next_obs=last,
            terminated=terminated,
            truncated=truncated & ~terminated,
        )

    def close(self) -> None:
        """Release the environments."""
        self.env.close()

    def _rows(self, obs: dict[str, Any]) -> Tensor:
        """(num_envs, critic) of an observation's groups."""
        parts = [self._tensor(obs[group], torch.float32) for group in self._groups]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _tensor(self, values: Any, dtype: torch.dtype) -> Tensor:
        """A fresh tensor on the learner's device."""
        return torch.as_tensor(values).to(self.device, dtype, copy=True)


class Tally:
    """Sums over the episodes that ended since they were last read, on the device."""

    def __init__(self, num_envs: int, device: torch.device):
        """Nothing has ended."""
        self.returns = torch.zeros(num_envs, device=device)
        """(num_envs,) of the running episodes."""
        self.lengths = torch.zeros(num_envs, device=device)
        """(num_envs,) control steps, likewise."""
        self.sums = torch.zeros(5, device=device)
        """Of ended ones: number, returns, lengths, successes, breakdowns."""

    def add(
        self, reward: Tensor, ended: Tensor, success: Tensor | None, broken: Tensor
    ) -> None:
        """Count a control step."""
        self.returns += reward
        self.lengths += 1
        none = torch.zeros_like(ended)
        solved = none if success is None else success & ended & ~broken
        self.sums += torch.stack(
            [
                ended.sum(),
                (self.returns * ended).sum(),
                (self.lengths * ended).sum(),
                solved.sum(),
                broken.sum(),
            ]
        )
        self.returns *= ~ended
        self.lengths *= ~ended

    def read(self) -> dict[str, float]:
        """Means since the last call; empty, if no episode ended."""
        count, returns, lengths, solved, broken = self.sums.tolist()
        self.sums.zero_()
        if not count:
            return {}
        return {
            "episodes": count,
            "return": returns / count,
            "length": lengths / count,
            "success": solved / count,
            "diverged": broken,
        }
