"""observation -> action: the policies, by name or from a checkpoint's folder.

``make_policy("computed-torque", task, num_envs)`` gives a fresh
:class:`~sims.policy.Policy`. A checkpoint is a folder whose ``config.json`` names the
kind of policy that wrote it. Other packages add policies through the entry point group
``sandbot.policies``, each entry a function that returns a :class:`PolicyEntry`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SandbotError, UsageError, unknown
from assets.plugins import find_plugins, working
from ml.device import check_device
from policies.learners import ACTORS, LEARNERS
from policies.pretrained import pretrained
from policies.rl.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from policies.execution import Execution
    from sims.policy import Policy
    from sims.task import Task


CHECKPOINTS: dict[str, str] = {
    **dict.fromkeys((*LEARNERS, *ACTORS), "policies.imitation"),
    **dict.fromkeys(ALGORITHMS, "policies.rl"),
    "irl": "policies.max_ent_irl",
}
"""By the kind in ``config.json``: the module whose ``load(folder, task, num_envs,
device, seed, execution)`` makes the policy."""


@dataclass(frozen=True, kw_only=True)
class PolicyEntry:
    """A policy that needs no checkpoint."""

    description: str
    """One line for ``sandbot list``."""
    tasks: tuple[str, ...] | None
    """Names of the tasks that it is for; None: any."""
    make: "Callable[[Task, int, int], Policy]"
    """(task, num_envs, seed) -> policy."""
    reactive: bool = False
    """Whether it is a function of the observation alone: then it can be asked what it
    would do in states that another policy brought about (:mod:`policies.dagger`)."""


def _controller(name: str) -> "Callable[[Task, int, int], Policy]":
    """A factory of ``policies.controllers``, imported when called."""

    def make(task: "Task", num_envs: int, seed: int) -> "Policy":
        factory = getattr(import_module("policies.controllers"), name)
        return factory(task, num_envs, seed)

    return make


def _expert(task: "Task", num_envs: int, seed: int) -> "Policy":
    if not task.expert:
        raise UsageError(
            f"{task.name} has no expert: give --policy random or zero, or the folder "
            f"of a checkpoint trained for it"
        )
    return make_policy(task.expert, task, num_envs, seed)


def _script(task: "Task", num_envs: int, seed: int) -> "Policy":
    from policies.aloha.script import ScriptPolicy
    from policies.aloha.scripts import SCRIPTS

    return ScriptPolicy(task, num_envs, seed, SCRIPTS[task.name])


def _two_ways(task: "Task", num_envs: int, seed: int) -> "Policy":
    from policies.aloha.script import ScriptPolicy
    from policies.aloha.scripts import TWO_WAYS

    return ScriptPolicy(task, num_envs, seed, TWO_WAYS[task.name])


def _leaders(task: "Task", num_envs: int, seed: int) -> "Policy":
    from policies.aloha.scripts import SCRIPTS
    from policies.teleop.leader_follower import LeaderFollower

    return LeaderFollower(task, num_envs, seed, SCRIPTS[task.name])


def _fetch(task: "Task", num_envs: int, seed: int) -> "Policy":
    from policies.aloha.fetch import FetchPolicy

    return FetchPolicy(task, num_envs, seed)


_MOTION = ("arm-reach", "arm-track")
POLICIES: dict[str, PolicyEntry] = {
    "expert": PolicyEntry(
        description="the controller that solves the task, whichever it is",
        tasks=None,
        make=_expert,
    ),
    "computed-torque": PolicyEntry(
        description="inverse dynamics at limited speed; a function of the state alone",
        tasks=_MOTION,
        make=_controller("computed_torque_policy"),
        reactive=True,
    ),
    "impedance": PolicyEntry(
        description="a spring and damper at the tip, with a force loop on contact",
        tasks=(*_MOTION, "arm-press"),
        make=_controller("impedance_policy"),
    ),
    "pd-gravity": PolicyEntry(
        description="PD in joint space with gravity compensation",
        tasks=_MOTION,
        make=_controller("pd_gravity_policy"),
    ),
    "pid": PolicyEntry(
        description="PID in joint space, no model of the arm",
        tasks=_MOTION,
        make=_controller("pid_policy"),
    ),
    "aloha-script": PolicyEntry(
        description="waypoints of both hands through inverse kinematics, played back",
        tasks=(
            "aloha-transfer-cube",
            "aloha-peg-insertion",
            "aloha-handover",
            "aloha-pick",
        ),
        make=_script,
    ),
    "aloha-script-two-ways": PolicyEntry(
        description="the same by one of two strategies: demonstrations with two modes",
        tasks=("aloha-transfer-cube",),
        make=_two_ways,
    ),
    "leader-arms": PolicyEntry(
        description="leader arms that an unsteady hand pulls, and the robot follows",
        tasks=(
            "aloha-transfer-cube",
            "aloha-peg-insertion",
            "aloha-handover",
            "aloha-pick",
        ),
        make=_leaders,
    ),
    "mobile-aloha-script": PolicyEntry(
        description="drive, pick, drive, place: the base by its pose, hands by script",
        tasks=("mobile-aloha-fetch",),
        make=_fetch,
    ),
    "zero": PolicyEntry(
        description="no torque at all", tasks=None, make=_controller("zero_policy")
    ),
    "random": PolicyEntry(
        description="uniformly random actions",
        tasks=None,
        make=_controller("random_policy"),
    ),
}


def make_policy(
    name: "str | Path",
    task: "Task",
    num_envs: int,
    seed: int = 0,
    device: str = "cpu",
    execution: "Execution | None" = None,
) -> "Policy":
    """A fresh policy for a task.

    Args:
        name: a name in :data:`POLICIES`, the folder of a checkpoint, or the kind of one
            that comes along for the task (:mod:`policies.pretrained`).
        task: what it is to do.
        num_envs: how many environments it acts in.
        seed: of policies that draw random numbers.
        device: where networks run: cpu, cuda or auto.
        execution: how a network's chunks are executed; None: as its checkpoint says.

    Raises:
        UsageError: neither a known name nor a checkpoint, or one for another task, or
            fewer than one environment.
        SandbotError: the checkpoint cannot be read.
    """
    check_device(device)
    if num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    if isinstance(name, str) and name in POLICIES:
        if execution is not None:
            raise UsageError(
                f"{name} has no chunks of actions, and how chunks are executed was "
                f"given: leave it out, or name a checkpoint"
            )
        return POLICIES[name].make(task, num_envs, seed)
    folder = Path(name)
    if name in CHECKPOINTS and not (folder / "config.json").exists():
        folder = _pretrained(str(name), task.name)
    if not folder.exists():
        if isinstance(name, Path) or "/" in name or "\\" in name:
            raise UsageError(
                f"no checkpoint at {str(name)!r}: there is no such folder; train one "
                f"with 'sandbot train', or name one of {', '.join(sorted(POLICIES))}"
            )
        known = [*POLICIES, *pretrained(task.name), "the folder of a checkpoint"]
        raise unknown("policy", name, known)
    kind = _checkpoint_kind(folder)
    load = import_module(CHECKPOINTS[kind]).load
    return load(folder, task, num_envs, device, seed, execution)


def _pretrained(kind: str, task: str) -> Path:
    """The checkpoint of a kind that comes with the sandbox."""
    found = pretrained(task)
    if kind not in found:
        others = f"; there are {', '.join(found)}" if found else ""
        raise UsageError(
            f"no trained {kind!r} for {task} comes along{others}: train one with "
            f"'sandbot train {kind}', and give its folder"
        )
    return found[kind]


def _checkpoint_kind(folder: Path) -> str:
    """What kind of policy a checkpoint's folder holds."""
    if not folder.is_dir():
        raise UsageError(
            f"{str(folder)!r} is a file; a checkpoint is given as its folder, the one "
            f"with config.json and model.safetensors in it"
        )
    file = folder / "config.json"
    if not file.is_file() and (folder / "training_state").is_dir():
        raise UsageError(
            f"the training in {str(folder)!r} has not ended: go on with the same "
            f"'sandbot train' and --resume"
        )
    if not file.is_file():
        raise UsageError(
            f"{str(folder)!r} is not a checkpoint: it has no config.json; give the "
            f"folder that 'sandbot train' wrote"
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SandbotError(
            f"cannot read {str(file)!r}: {error}; copy the checkpoint again, or "
            f"train anew"
        ) from error
    kind = config.get("policy") if isinstance(config, dict) else None
    if kind not in CHECKPOINTS:
        raise unknown(f"kind of policy in {str(file)!r}", kind, CHECKPOINTS)
    return kind


def _wrong(entry: object, name: str) -> str | None:
    """What is wrong with a policy of another package."""
    if isinstance(entry, PolicyEntry):
        return None
    return f"is a {type(entry).__name__} where a policies.PolicyEntry is needed"


POLICIES.update(working(find_plugins("sandbot.policies", "policy", POLICIES, _wrong)))
