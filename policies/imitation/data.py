"""From a dataset to samples: what is read, whether it fits, how it is cut up.

A dataset may be of one of our tasks, of a Gymnasium environment, or anybody's in the
LeRobot v3 layout: all that is needed is in its own description. Where a task is named
as well, the two are held against each other before anything is trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError, unknown
from ml.lerobot import Demonstrations
from ml.lerobot.layout import ACTION
from ml.normalizer import DEGENERATE
from ml.samples import Chunks, Samples, split_episodes
from ml.spec import ArraySpec
from policies.imitation.net import IMAGES, OBSERVATION, ImitationNet, Sizes
from policies.inputs import PREFIX, Inputs

if TYPE_CHECKING:
    from policies.imitation.config import ImitationConfig
    from policies.learners import Learner
    from sims.task import Task


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is learned from, and for what."""

    dataset: Demonstrations
    task: "Task | None"
    """None: whoever acts will have to have the same observations and actions."""
    inputs: Inputs
    """Vectors that are read."""
    action_spec: ArraySpec
    """As in the task, else as the dataset describes it."""

    @property
    def name(self) -> str | None:
        """Of the task."""
        return None if self.task is None else self.task.name


def choose(
    dataset: Demonstrations, task: "Task | None", config: "ImitationConfig"
) -> Subject:
    """What to read of a dataset, checked.

    Raises:
        UsageError: the dataset is of another task or robot, or lacks what is to be
            read, or has episodes shorter than a chunk.
    """
    _check_robot(dataset, task)
    specs = described(dataset) if task is None else dict(task.obs_spec)
    nothing = bool(config.cameras) and not _vectors(specs) and not config.groups
    inputs = (
        Inputs(specs={})
        if nothing
        else Inputs.choose(specs, config.groups, config.drop)
    )
    action = spec_of(dataset, ACTION) if task is None else task.action_spec
    wanted = {PREFIX + group: spec for group, spec in inputs.specs.items()}
    for key, spec in (wanted | {ACTION: action}).items():
        if key not in dataset.frames:
            raise unknown(f"feature of {dataset.folder}", key, dataset.frames)
        if task is not None and dataset.names(key) != spec.names:
            raise UsageError(
                f"{key!r} of {dataset.folder} is {', '.join(dataset.names(key))}; "
                f"task {task.name!r} has {', '.join(spec.names)}"
            )
    for camera in config.cameras:
        if camera not in dataset.cameras:
            if not dataset.cameras:
                raise UsageError(
                    f"{dataset.folder} has no camera, and {camera!r} is to be looked "
                    f"through: record it with 'sandbot collect --cameras {camera}'"
                )
            raise unknown(f"camera of {dataset.folder}", camera, dataset.cameras)
    lengths = dataset.bounds[:, 1] - dataset.bounds[:, 0]
    if config.chunk > lengths.min():
        raise UsageError(
            f"a chunk of {config.chunk} actions is longer than episode "
            f"{int(lengths.argmin())} of {dataset.folder}, which has {lengths.min()}: "
            f"choose a chunk of at most {lengths.min()}"
        )
    subject = Subject(dataset=dataset, task=task, inputs=inputs, action_spec=action)
    if config.constant == "refuse":
        _check_variety(subject)
    return subject


def _check_variety(subject: Subject) -> None:
    """See that whatever is read or commanded varies."""
    dataset, inputs = subject.dataset, subject.inputs
    read = {PREFIX + g: spec.without(inputs.drop) for g, spec in inputs.specs.items()}
    for key, spec in (read | {ACTION: subject.action_spec}).items():
        values = dataset.vectors(key)
        still = np.ptp(values, axis=0) <= DEGENERATE * np.abs(values).max(0).clip(1)
        names = spec_of(dataset, key).names
        found = [n for n, s in zip(names, still, strict=True) if s and n in spec.names]
        if found:
            out = f"leave them out with --drop {' '.join(found)}, or " * (key != ACTION)
            raise UsageError(
                f"{', '.join(found)} of {key!r} in {dataset.folder} never vary, so "
                f"nothing says how large a change is: {out}accept them as they are "
                f"with --constant accept"
            )


def described(dataset: Demonstrations) -> dict[str, ArraySpec]:
    """The groups of vectors of a dataset, as it describes them itself."""
    return {group: spec_of(dataset, PREFIX + group) for group in dataset.groups}


def spec_of(dataset: Demonstrations, key: str) -> ArraySpec:
    """A feature's shape and names; elements without names are numbered."""
    size = dataset.vectors(key).shape[1]
    names = dataset.names(key)
    if len(names) != size:
        names = tuple(f"{key.removeprefix(PREFIX)}_{i}" for i in range(size))
    return ArraySpec(shape=(size,), names=tuple(map(str, names)))


def sizes_of(subject: Subject, config: "ImitationConfig") -> Sizes:
    """Of the network's inputs and outputs."""
    inputs = subject.inputs
    groups = {g: len(s.without(inputs.drop).names) for g, s in inputs.specs.items()}
    return Sizes(
        groups={group: size for group, size in groups.items() if size},
        outputs=subject.action_spec.size,
        cameras=config.cameras,
        history=config.history,
    )


def make_samples(
    subject: Subject,
    config: "ImitationConfig",
    learner: "Learner",
    net: ImitationNet,
    scratch: Path,
) -> tuple[Samples, Samples]:
    """To train on and to validate on; the network's normaliser is fitted on the way.

    Args:
        subject: of :func:`choose`.
        config: of the policy.
        learner: its algorithm.
        net: whose normaliser is fitted to the training episodes.
        scratch: folder for pictures that do not fit into memory.
    """
    dataset, training = subject.dataset, config.training
    keys = [PREFIX + group for group in subject.inputs.specs]
    arrays = {key: dataset.vectors(key) for key in keys}
    targets = dataset.vectors(ACTION)
    inputs = np.zeros((len(targets), 0), np.float32)
    if keys:
        inputs = subject.inputs.gather(arrays, PREFIX)
    pictures = _pictures(dataset, config, scratch)
    lengths = dataset.bounds[:, 1] - dataset.bounds[:, 0]
    parts: list[Samples] = []
    split = split_episodes(len(lengths), training.validation_fraction, training.seed)
    for index, episodes in enumerate(split):
        rows = np.concatenate([np.arange(*dataset.bounds[e]) for e in episodes])
        x, y = inputs[rows], targets[rows]
        if index == 0:
            net.normalizer.fit({OBSERVATION: x, ACTION: y})
            net.fit_changes(_changes(net, x, lengths[episodes]))
        made = None
        if learner.samples is not None:
            made = learner.samples(x, y, lengths[episodes], config)
        if made is None:
            made = Chunks(
                x,
                y,
                lengths[episodes],
                chunk=config.chunk,
                history=config.history,
                pictures={IMAGES + c: (p, rows) for c, p in pictures.items()},
            )
        parts.append(made)
    return parts[0], parts[1]


def _changes(net: ImitationNet, inputs: np.ndarray, lengths: np.ndarray) -> Tensor:
    """Changes of the normalised vectors within episodes, (n, size)."""
    if not inputs.shape[1]:
        return torch.zeros(0, 0)
    x = net.normalizer.normalize(OBSERVATION, torch.from_numpy(inputs))
    inner = np.ones(len(inputs) - 1, bool)
    inner[np.cumsum(lengths)[:-1] - 1] = False
    return torch.diff(x, dim=0)[torch.from_numpy(inner)]


def _pictures(
    dataset: Demonstrations, config: "ImitationConfig", scratch: Path
) -> dict[str, Any]:
    """What cameras saw, (frames, 3, height, width) uint8 each."""
    if not config.cameras:
        return {}
    from ml.picture_store import decode

    return {
        camera: decode(dataset, camera, config.image_size, scratch)
        for camera in config.cameras
    }


def _vectors(specs: dict[str, ArraySpec]) -> list[str]:
    return [name for name, spec in specs.items() if len(spec.shape) == 1]


def _check_robot(dataset: Demonstrations, task: "Task | None") -> None:
    """See that a dataset is of a task, by its notes."""
    if task is None:
        return
    noted = dataset.about.get("task", task.name)
    if noted != task.name:
        raise UsageError(
            f"dataset {dataset.folder} is of task {noted!r}, not of {task.name!r}: "
            f"collect one of {task.name!r}, or train for {noted!r}"
        )
    robot = dataset.info.get("robot_type")
    if task.robot and robot and robot != task.robot:
        raise UsageError(
            f"dataset {dataset.folder} is of robot {robot!r}, and {task.name!r} has "
            f"{task.robot!r}: give a dataset of that robot"
        )
