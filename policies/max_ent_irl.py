"""Maximum-entropy inverse reinforcement learning of the arm: what does it want?

Ziebart et al. (2008), "Maximum entropy inverse reinforcement learning"; the equations
are :mod:`ml.max_ent`'s. Demonstrations become paths through the cells of joint space
(:mod:`policies.joint_grid`), one per episode, each with its own target; one vector of
weights on features of posture and target (:mod:`policies.arm_reward`) has to explain
them all, and so is a reward for targets that nobody demonstrated.

A reward is not unique: any potential may be added to it without changing what is best
in the long run (Ng, Harada, Russell 1999). With the whole episode as the horizon the
target alone explains every path, and what is far from it may be worth anything. So the
demonstrator is taken to look a few steps ahead only (``horizon``): that it comes nearer
where it cannot arrive yet then has to be explained, too. ``benchmarks``'
``imitation_interactive`` has the figures of both.

The time between two steps is the longest in which no demonstration skips a cell.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from policies.learners import Interactive

if TYPE_CHECKING:
    from torch import nn

    from ml.lerobot import Demonstrations
    from ml.max_ent import Fit
    from policies.arm_reward import ArmReward, RewardFollower
    from policies.execution import Execution
    from policies.joint_grid import JointGrid
    from sims.task import Task

KIND = "irl"
"""In a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class IRLConfig:
    """How the reward is looked for."""

    demonstrations: int = 20
    """How many of the dataset's, the first ones."""
    cells: tuple[int, int] = (24, 24)
    """Of the shoulder's turn and of the elbow's range."""
    horizon: int = 3
    """Steps that the demonstrator is taken to look ahead; 0: the whole episode."""
    centres: int = 11
    """Basis functions of the tip's distance, from 0 to the farthest there is."""
    width: float = 0.15
    """Their standard deviation [m]."""
    penalty: float = 1e-4
    """On the squared weights."""
    iterations: int = 500
    """The most of L-BFGS."""
    plan: int = 20
    """Steps that the policy looks ahead when it follows the reward."""

    def __post_init__(self) -> None:
        """Refuse what gives no reward."""
        for name in ("demonstrations", "iterations", "plan"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.centres < 2 or not self.width > 0 or self.penalty < 0:
            raise UsageError(
                f"centres are at least 2, width is above 0 and penalty not below, got "
                f"{self.centres}, {self.width:g}, {self.penalty:g}"
            )
        if self.horizon < 0:
            raise UsageError(f"horizon is at least 0, got {self.horizon}")


@dataclass(frozen=True, kw_only=True)
class IRLResult:
    """What was found."""

    reward: "ArmReward"
    grid: "JointGrid"
    fit: "Fit"
    frames_per_step: int
    """Frames of the demonstrations that make one step."""
    seconds: float
    """Wall-clock time of the search [s]."""

    @property
    def mismatch(self) -> float:
        """The largest difference of a feature's expectation from what was seen."""
        return float(np.abs(self.fit.expected - self.fit.seen).max())

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.fit.iterations} iterations in {self.seconds:.0f} s; features are "
            f"matched to {self.mismatch:.1e}"
        )


def train(
    config: IRLConfig,
    *,
    data: Path,
    out: Path,
    overwrite: bool = False,
    progress: bool | None = None,
) -> IRLResult:
    """Find the reward that explains demonstrations best; a checkpoint comes of it.

    Args:
        config: how.
        data: folder of a dataset of the arm with a resting target in its observation.
        out: folder of the run, which becomes the checkpoint.
        overwrite: whether a run in ``out`` makes way.
        progress: whether to draw a progress bar; None: on a terminal.

    Raises:
        UsageError: ``out`` exists, or data of another robot, of a moving target or too
            fast for the cells.
        SandbotError: the weights did not converge.
    """
    import time

    from tqdm import tqdm

    from ml.lerobot import read_dataset
    from ml.max_ent import fit
    from ml.training_setup import open_run
    from sims import make_task

    dataset = read_dataset(Path(data))
    name = dataset.about.get("task")
    if name is None:
        raise UsageError(f"{data} names no task: record it with 'sandbot collect'")
    task = make_task(name)
    angles, targets = _seen(dataset, task, config.demonstrations)
    reward, grid = _empty(task, config)
    stride = _stride(grid, angles)
    paths = np.stack([grid.state(q[::stride]) for q in angles])
    open_run(out, resume=False, overwrite=overwrite)
    began = time.perf_counter()
    hidden = None if progress is None else not progress
    with tqdm(desc="train irl", unit="evaluation", delay=2, disable=hidden) as bar:
        found = fit(
            grid.steps(),
            reward.features(grid.centres(), targets[:, None]),
            paths,
            horizon=config.horizon or None,
            penalty=config.penalty,
            iterations=config.iterations,
            progress=lambda calls: bar.update(calls - bar.n),
        )
    result = IRLResult(
        reward=replace(reward, weights=found.weights),
        grid=grid,
        fit=found,
        frames_per_step=stride,
        seconds=time.perf_counter() - began,
    )
    _publish(out, config, task, dataset, result)
    return result


def load(
    folder: Path,
    task: "Task",
    num_envs: int,
    device: str = "cpu",
    seed: int = 0,
    execution: "Execution | None" = None,
) -> "RewardFollower":
    """A policy that follows a checkpoint's reward.

    Args:
        folder: the checkpoint.
        task: that it will act in.
        num_envs: in how many environments.
        device: not used: it plans on the CPU.
        seed: not used: it draws nothing.
        execution: None: it has no chunks.

    Raises:
        UsageError: no checkpoint, or one for another task, or an execution.
        SandbotError: the checkpoint is damaged.
    """
    from policies.arm_reward import RewardFollower

    if execution is not None:
        raise UsageError(f"{folder} follows a reward, and has no chunks of actions")
    reward, config, name = load_reward(folder)
    if name != task.name:
        raise UsageError(
            f"checkpoint {folder} is for task {name!r}, not for {task.name!r}: choose "
            f"task {name!r}"
        )
    _, grid = _empty(task, config)
    return RewardFollower(task, num_envs, reward=reward, grid=grid, horizon=config.plan)


def load_reward(folder: Path) -> tuple["ArmReward", IRLConfig, str]:
    """A checkpoint's reward, how it was found, and the name of its task.

    Raises:
        UsageError: no checkpoint, or one of another kind.
        SandbotError: it is damaged.
    """
    from ml.checkpoint import damaged, load_weights, read_config
    from sims import make_task

    about = read_config(folder)
    if about["policy"] != KIND:
        raise UsageError(
            f"{folder} is no reward: it is a policy of kind {about['policy']!r}"
        )
    try:
        search = dict(about["search"])
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in search.items()
        }
        config = IRLConfig(**values)
        task = make_task(about["task"])
        reward, _ = _empty(task, config)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder, f"config.json does not make sense ({error!r})") from error
    module = _module(reward.weights)
    load_weights(folder, about, module)
    weights = module.get_buffer("weights").numpy()
    return replace(reward, weights=weights), config, task.name


def _empty(task: "Task", config: IRLConfig) -> tuple["ArmReward", "JointGrid"]:
    """A reward of 0 and the grid, of a task's arm."""
    from assets import ROBOTS, load_model
    from controllers.arm2 import Arm2
    from policies.arm import JOINTS
    from policies.arm_reward import JOINT_FEATURES, ArmReward
    from policies.joint_grid import JointGrid

    if task.robot != "arm":
        raise UsageError(
            f"the joint space of the two-link arm is small enough to count; that of "
            f"{task.robot!r} is not: take demonstrations of arm-reach"
        )
    model = load_model(task.robot, task.scene)
    arm = Arm2.from_model(model, joints=JOINTS, tip=ROBOTS[task.robot]().tip)
    reward = ArmReward(
        arm=arm,
        centres=np.linspace(0, 2 * sum(arm.lengths), config.centres),
        width=config.width,
        weights=np.zeros(config.centres + len(JOINT_FEATURES)),
    )
    return reward, JointGrid.of(arm, config.cells)


def _seen(
    dataset: "Demonstrations", task: "Task", count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Angles (episodes, frames, 2) [rad] and targets (episodes, 2) [m]."""
    from policies.arm import POSITION, STATE

    names = list(dataset.names("observation.state"))
    needed = (*STATE[:4], *POSITION)
    missing = [name for name in needed if name not in names]
    if missing:
        raise UsageError(
            f"{dataset.folder} does not observe {', '.join(missing)}: take "
            f"demonstrations of arm-reach, not of {task.name!r}"
        )
    bounds = dataset.bounds[:count]
    if len(bounds) < count:
        raise UsageError(
            f"{dataset.folder} has {len(bounds)} demonstrations, and {count} are to be "
            f"looked at: record more, or ask for fewer"
        )
    values = dataset.vectors("observation.state")[:, [names.index(n) for n in needed]]
    length = int((bounds[:, 1] - bounds[:, 0]).min())
    rows = np.stack([values[a : a + length] for a, _ in bounds]).astype(float)
    if np.ptp(rows[..., 4:], axis=1).max() > 1e-6:
        raise UsageError(
            f"targets of {dataset.folder} move, and a reward for a target that rests "
            f"is looked for: take demonstrations of arm-reach"
        )
    return np.arctan2(rows[..., 2:4], rows[..., :2]), rows[:, 0, 4:]


def _stride(grid: "JointGrid", angles: np.ndarray) -> int:
    """The most frames between which no demonstration skips a cell.

    Raises:
        UsageError: there is no such number.
    """
    for stride in range(angles.shape[1] // 2, 0, -1):
        if all(grid.jump(q[::stride]) <= 1 for q in angles):
            return stride
    raise UsageError(
        f"the arm skips cells from one frame to the next: {grid.cells} are too many, "
        f"choose fewer"
    )


def _module(weights: np.ndarray) -> "nn.Module":
    """What a checkpoint stores."""
    import torch

    module = torch.nn.Module()
    module.register_buffer("weights", torch.from_numpy(weights.copy()))
    return module


def _publish(
    out: Path,
    config: IRLConfig,
    task: "Task",
    dataset: "Demonstrations",
    result: IRLResult,
) -> None:
    """Weights, what they are of, and the model card."""
    from ml.checkpoint import write_checkpoint
    from ml.model_card import model_card
    from ml.provenance import command, commit, versions

    reward, found = result.reward, result.fit
    of = dict(zip(reward.names, reward.weights.round(4).tolist(), strict=True))
    about: dict[str, Any] = {
        "policy": KIND,
        "task": task.name,
        "search": asdict(config),
        "features": list(reward.names),
        "centres": reward.centres.tolist(),
        "frames_per_step": result.frames_per_step,
        "log_likelihood": found.log_likelihood,
        "seen": found.seen.tolist(),
        "expected": found.expected.tolist(),
        "iterations": found.iterations,
        "seconds": round(result.seconds, 1),
        "dataset": dataset.folder.as_posix(),
        "dataset_sha256": dataset.sha256(),
        "command": command(),
        "commit": commit(),
        "versions": versions(),
    }
    facts = {
        "task": task.name,
        "policy": "follows the reward by soft value iteration and computed torque",
        "data": f"{about['dataset']}, {config.demonstrations} episodes",
        "one step": f"{result.frames_per_step} frames",
        "log-likelihood of a step": found.log_likelihood,
        "features matched to": result.mismatch,
        "weights": ", ".join(f"{name} {weight:.3g}" for name, weight in of.items()),
        "commit": about["commit"],
    }
    summary = (
        "A reward that explains demonstrations by maximum entropy. Only differences "
        "within the horizon mean something: evaluate what comes of following it."
    )
    write_checkpoint(
        out,
        config=about,
        weights=dict(_module(reward.weights).named_buffers()),
        card=model_card(f"irl on {task.name}", summary, facts, about["command"]),
    )


TRAINER = Interactive(config=IRLConfig, train=train, watches=True)
