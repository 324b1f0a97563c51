"""An actor as a policy, and from a checkpoint's folder to one.

Networks compute in tiles of a fixed size, so that an environment's actions are the same
bits however many there are beside it.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.checkpoint import damaged, load_weights, read_config
from ml.device import find_device
from ml.spec import ArraySpec
from ml.tiles import run_tiled
from policies.rl.networks import DeterministicActor, GaussianActor, RunningNorm

if TYPE_CHECKING:
    from policies.execution import Execution
    from sims.arrays import Array, Mask, Obs
    from sims.task import Task


class Actor(nn.Module):
    """Normaliser and network: observation -> action in [-1, 1]."""

    def __init__(self, norm: nn.Module, policy: nn.Module) -> None:
        """Put the two together."""
        super().__init__()
        self.norm, self.policy = norm, policy

    def forward(self, x: Tensor) -> Tensor:
        """The middle of the policy, (rows, inputs) -> (rows, action)."""
        y = self.policy(self.norm(x))
        return torch.tanh(y[0] if isinstance(y, tuple) else y)


KINDS: dict[str, str] = {
    "clipped": "policies.rl.clipped",
    "residual": "policies.rl.residual",
}
"""Kinds of networks by the module whose ``build_actor`` knows them; others are here."""


def build_actor(about: dict[str, Any], inputs: int, outputs: int) -> Actor:
    """The network that a checkpoint's ``config.json`` describes, with random weights.

    Args:
        about: its entry "network".
        inputs: elements of the observation that the actor reads.
        outputs: elements of an action.

    Raises:
        KeyError, ValueError: it describes none that we know.
    """
    if about["kind"] in KINDS:
        return import_module(KINDS[about["kind"]]).build_actor(about, inputs, outputs)
    hidden, kind = tuple(about["hidden"]), about["kind"]
    how: dict[str, Any] = {
        "layer_norm": bool(about["layer_norm"]),
        "activation": str(about.get("activation", "silu")),
    }
    if kind == "gaussian":
        spread, plain = tuple(about["log_std"]), bool(about.get("plain", False))
        policy = GaussianActor(
            inputs, outputs, hidden, log_std=spread, plain=plain, **how
        )
    elif kind == "deterministic":
        policy = DeterministicActor(inputs, outputs, hidden, **how)
    else:
        known = f"{', '.join(KINDS)}, gaussian or deterministic"
        raise ValueError(f"an actor is {known}, got {kind!r}")
    normalised = bool(about.get("normalised", True))
    return Actor(RunningNorm(inputs) if normalised else nn.Identity(), policy)


class RLPolicy:
    """A :class:`sims.policy.Policy` around an actor."""

    def __init__(
        self,
        actor: nn.Module,
        *,
        obs_spec: dict[str, ArraySpec],
        action_spec: ArraySpec,
        control_dt: float,
        num_envs: int,
        device: str = "cpu",
    ) -> None:
        """Ready to act.

        Args:
            actor: rows of all groups on end -> actions in [-1, 1].
            obs_spec: the groups it reads, in their order.
            action_spec: whose limits an action of -1 .. 1 spans.
            control_dt: time between two actions [s].
            num_envs: how many environments.
            device: where the network runs: cpu, cuda or auto.
        """
        self.obs_spec, self.action_spec = obs_spec, action_spec
        self.control_dt, self.num_envs = control_dt, num_envs
        self.device = find_device(device)
        self.ids = np.arange(num_envs)
        """(num_envs,) who each environment is; it draws nothing by them."""
        self._actor = actor.to(self.device).eval()
        low, high = (limit.astype(np.float64) for limit in action_spec.limits())
        self._middle, self._half = (low + high) / 2, (high - low) / 2

    def reset(self, where: "Mask | None" = None) -> None:
        """It remembers nothing."""

    def act(self, obs: "Obs") -> "Array":
        """See :meth:`sims.policy.Policy.act`."""
        parts = [np.asarray(obs[group], np.float32) for group in self.obs_spec]
        rows = torch.from_numpy(np.concatenate(parts, axis=1)).to(self.device)
        (action,) = run_tiled(self._actor, rows)
        return self._middle + self._half * action.cpu().numpy().astype(np.float64)


def load(
    folder: Path,
    task: "Task",
    num_envs: int,
    device: str = "cpu",
    seed: int = 0,
    execution: "Execution | None" = None,
) -> RLPolicy:
    """A policy from a checkpoint.

    Args:
        folder: the checkpoint.
        task: that it will act in: the one it was trained for, or one that observes and
            does the same.
        num_envs: in how many environments.
        device: where the network runs: cpu, cuda or auto.
        seed: of nothing, it draws none.
        execution: of chunks, of which it has none.

    Raises:
        UsageError: no checkpoint, or one for another robot, or chunks are asked for.
        SandbotError: the checkpoint is damaged, or there is no such device.
    """
    folder = Path(folder)
    if execution is not None:
        raise UsageError(
            f"checkpoint {folder} has no chunks of actions, and how chunks are "
            f"executed was given: leave it out"
        )
    about = read_config(folder)
    try:
        groups: Sequence[tuple[str, Any]] = list(about["observation"].items())
        obs_spec = {group: ArraySpec.from_dict(spec) for group, spec in groups}
        action_spec = ArraySpec.from_dict(about["action_spec"])
        inputs = sum(spec.size for spec in obs_spec.values())
        actor = build_actor(about["network"], inputs, action_spec.size)
        control_dt, trained_for = float(about["control_dt"]), str(about["task"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"config.json does not make sense ({error!r})") from error
    load_weights(folder, about, actor)
    _check_task(folder, trained_for, obs_spec, action_spec, task)
    return RLPolicy(
        actor,
        obs_spec=obs_spec,
        action_spec=task.action_spec,
        control_dt=control_dt,
        num_envs=num_envs,
        device=device,
    )


def _check_task(
    folder: Path,
    trained_for: str,
    obs_spec: dict[str, ArraySpec],
    action_spec: ArraySpec,
    task: "Task",
) -> None:
    for group, spec in obs_spec.items():
        there = task.obs_spec.get(group)
        fits = there is not None and (
            spec.names == there.names
            if trained_for == task.name
            else spec.size == there.size
        )
        if not fits:
            now = "nothing" if there is None else f"{there.size} numbers"
            raise UsageError(
                f"checkpoint {folder}, trained for {trained_for!r}, observes "
                f"{spec.size} numbers in {group!r}; {task.name!r} has {now} there: "
                f"train one for {task.name!r}, or choose task {trained_for!r}"
            )
    if action_spec.size != task.action_spec.size:
        raise UsageError(
            f"checkpoint {folder} commands {action_spec.size} numbers, and "
            f"{task.name!r} takes {task.action_spec.size}: it is of another robot"
        )
