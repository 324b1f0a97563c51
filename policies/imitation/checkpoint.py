"""From a checkpoint's folder to a policy that acts."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import UsageError
from ml.checkpoint import damaged, load_weights, read_config
from ml.spec import ArraySpec
from policies.imitation.net import ImitationNet, Sizes
from policies.imitation.policy import ImitationPolicy
from policies.inputs import Inputs
from policies.learners import find_learner

if TYPE_CHECKING:
    from policies.execution import Execution
    from policies.imitation.config import ImitationConfig
    from sims.task import Task


def load(
    folder: Path,
    task: "Task",
    num_envs: int,
    device: str = "cpu",
    seed: int = 0,
    execution: "Execution | None" = None,
) -> ImitationPolicy:
    """A policy from a checkpoint.

    Args:
        folder: the checkpoint.
        task: that it will act in; the one it was trained for.
        num_envs: in how many environments.
        device: where the network runs: cpu, cuda or auto.
        seed: of the noise that it draws, if it draws any.
        execution: how chunks are executed; None: as the checkpoint says.

    Raises:
        UsageError: no checkpoint, or one for another task, or an unknown device, or an
            execution that does not fit.
        SandbotError: the checkpoint is damaged, or there is no such device.
    """
    folder = Path(folder)
    about, net, inputs = load_net(folder)
    action_spec = ArraySpec.from_dict(about["action_spec"])
    _check_task(folder, about, inputs, action_spec, task)
    return ImitationPolicy(
        net,
        inputs=inputs,
        action_spec=task.action_spec if about["task"] is None else action_spec,
        control_dt=float(about["control_dt"]),
        num_envs=num_envs,
        device=device,
        seed=seed,
        execution=execution,
    )


def load_net(folder: Path) -> tuple[dict[str, Any], ImitationNet, Inputs]:
    """A checkpoint's configuration, its network with weights, and what that reads.

    Raises:
        UsageError: no checkpoint.
        SandbotError: it is damaged.
    """
    about = read_config(folder)
    learner = find_learner(about["policy"])
    try:
        config = config_from(learner.config, about["network"])
        inputs = Inputs.from_dict(about["observation"], about["inputs"])
        action_spec = ArraySpec.from_dict(about["action_spec"])
        float(about["control_dt"])
        task = about["task"]
        if not (task is None or isinstance(task, str)):
            raise ValueError(f"task {task!r}")
        groups = {g: len(s.without(inputs.drop).names) for g, s in inputs.specs.items()}
        sizes = Sizes(
            groups={group: size for group, size in groups.items() if size},
            outputs=action_spec.size,
            cameras=config.cameras,
            history=config.history,
        )
        net = learner.make(sizes, config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"config.json does not make sense ({error!r})") from error
    load_weights(folder, about, net)
    return about, net.eval(), inputs


def config_from(
    kind: "type[ImitationConfig]", network: dict[str, Any]
) -> "ImitationConfig":
    """A configuration from plain data, as ``config.json`` holds it.

    Raises:
        TypeError: a field that is not known.
    """
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in network.items()
    }
    known = {f.name for f in fields(kind)}
    if not set(values) <= known:
        raise TypeError(f"unknown settings {sorted(set(values) - known)}")
    return kind(**values)


def _check_task(
    folder: Path,
    about: dict[str, Any],
    inputs: Inputs,
    action_spec: ArraySpec,
    task: "Task",
) -> None:
    trained_for = about["task"]
    if trained_for is not None and trained_for != task.name:
        raise UsageError(
            f"checkpoint {folder} is for task {trained_for!r}, not for {task.name!r}: "
            f"train one for {task.name!r}, or choose task {trained_for!r}"
        )
    for group, spec in inputs.specs.items():
        there = task.obs_spec.get(group)
        fits = there is not None and (
            spec.names == there.names
            if trained_for is not None
            else spec.size == there.size
        )
        if not fits:
            now = ", ".join(there.names) if there is not None else ""
            raise UsageError(
                f"checkpoint {folder} observes {', '.join(spec.names)} in {group!r}; "
                f"{task.name!r} now has {now or 'nothing'}: train anew"
            )
    if action_spec.size != task.action_spec.size:
        raise UsageError(
            f"checkpoint {folder} commands {action_spec.size} numbers, and "
            f"{task.name!r} takes {task.action_spec.size}: it is of another robot"
        )
