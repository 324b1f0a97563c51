"""Behaviour cloning: regress the demonstrator's action on its observation.

Pomerleau (1989), "ALVINN". The network sees normalised observations and predicts
normalised actions; the loss is their mean squared error,

    L = mean |f(normalise(o)) - normalise(a)|^2.

With a ``chunk`` it predicts the next actions as well (:mod:`policies.chunks`). Two
networks: a perceptron, for demonstrators that are a function of the observation,
and an LSTM, which can make up for what the observation lacks (velocities, say) from
what it saw before. It learns from windows of episodes (:class:`ml.samples.Windows`).

At run time both act in fixed tiles (:mod:`ml.tiles`): an environment's actions are the
same bits however many environments there are beside it.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from assets.errors import UsageError, unknown
from ml.checkpoint import damaged, load_weights, read_config, write_checkpoint
from ml.device import find_device
from ml.lerobot import Demonstrations, read_dataset
from ml.lerobot.layout import ACTION
from ml.model_card import model_card
from ml.networks import LSTM, MLP
from ml.normalizer import Normalizer
from ml.provenance import command, commit, versions
from ml.samples import Batch, Chunks, Frames, Samples, Windows, split_episodes
from ml.spec import ArraySpec
from ml.training import Trainer, TrainingResult
from ml.training_setup import TrainingConfig, open_run, reproducible
from policies.inputs import PREFIX, Inputs
from policies.network import NetworkPolicy

if TYPE_CHECKING:
    from sims.task import Task

KIND = "bc"
NETWORKS = ("mlp", "lstm")
OBSERVATION = "observation"
"""All that it reads, on end, to its normaliser."""


@dataclass(frozen=True, kw_only=True)
class BCConfig:
    """What is learned from the demonstrations, and how."""

    network: Literal["mlp", "lstm"] = "mlp"
    """Perceptron, or LSTM for history."""
    hidden: tuple[int, ...] = (128, 128, 128)
    """Width of each hidden layer; of an LSTM all the same."""
    groups: tuple[str, ...] = ()
    """Groups of the observation to read; none named: all vectors that the task has."""
    drop: tuple[str, ...] = ()
    """Elements of the observation to leave out, by the start of their names."""
    chunk: int = 1
    """Actions that a perceptron predicts at once."""
    execute: int | None = None
    """Of these, how many are executed before it looks again; None: all."""
    normalize: Literal["mean_std", "min_max"] = "mean_std"
    """How observations and actions are normalised."""
    changes: bool = True
    """Whether an LSTM is shown how its inputs changed since the last step."""
    window: int = 64
    """Frames over which an LSTM is trained."""
    burn_in: int = 8
    """Frames of a window inside an episode that an LSTM only listens to."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        if self.network not in NETWORKS:
            raise unknown("network", self.network, NETWORKS)
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"hidden layers are at least 1 wide, got {self.hidden}")
        if self.network == "lstm" and len(set(self.hidden)) > 1:
            raise UsageError(f"an LSTM's layers are of one width, got {self.hidden}")
        if self.chunk < 1 or not 1 <= self.executed <= self.chunk:
            raise UsageError(
                f"a chunk has 1 or more actions, of which 1 to all are executed, got "
                f"chunk {self.chunk} and execute {self.execute}"
            )
        if self.network == "lstm" and self.chunk > 1:
            raise UsageError(
                f"an LSTM looks at every step, got chunk {self.chunk}: take network mlp"
            )
        if not 0 <= self.burn_in < self.window:
            raise UsageError(
                f"burn_in lies in 0 to window - 1 ({self.window - 1}), "
                f"got {self.burn_in}"
            )


    @property
    def executed(self) -> int:
        """Actions of a chunk that are executed."""
        return self.chunk if self.execute is None else self.execute


class BCNet(nn.Module):
    """Normaliser and network."""

    def __init__(self, inputs: int, outputs: int, config: BCConfig) -> None:
        """Build with random weights, the normaliser not yet fitted."""
        super().__init__()
        sizes = {OBSERVATION: inputs, ACTION: outputs}
        self.normalizer = Normalizer(sizes, config.normalize)
        self.network: MLP | LSTM
        self._shape = (config.chunk, outputs) if config.chunk > 1 else (outputs,)
        if config.network == "mlp":
            self.network = MLP(inputs, config.chunk * outputs, config.hidden)
        else:
            self.network = LSTM(inputs, outputs, config.hidden, config.changes)

    def forward(self, observation: Tensor) -> Tensor:
        """Normalised actions: (..., inputs) -> (..., outputs), or with a chunk
        (..., chunk, outputs)."""
        flat = self.network(self.normalizer.normalize(OBSERVATION, observation))
        return flat.unflatten(-1, self._shape)

    def step(self, observation: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (rows, [chunk,] outputs) in their units, and the next memory."""
        x = self.normalizer.normalize(OBSERVATION, observation)
        y, memory = self.network.step(x, memory)
        y = y.unflatten(-1, self._shape)
        return self.normalizer.unnormalize(ACTION, y), memory


def bc_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of normalised actions, over the frames that count."""
    assert isinstance(model, BCNet)
    targets = model.normalizer.normalize(ACTION, batch["targets"])
    error = (model(batch["inputs"]) - targets).square().mean(-1)
    if "counts" not in batch:
        return error.mean()
    return (error * batch["counts"]).sum() / batch["counts"].sum()


def train(
    *,
    data: Path,
    task: str,
    out: Path,
    config: BCConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> TrainingResult:
    """Clone the demonstrations of a dataset into a checkpoint.

    Args:
        data: folder of the dataset.
        task: name of the task; the dataset must be of it.
        out: folder of the run, which becomes the checkpoint.
        config: what and how; None: the defaults.
        resume: go on where a training in ``out`` was interrupted, to the same bits.
        overwrite: whether a training in ``out`` makes way.
        progress: whether to draw a progress bar; None: on a terminal.

    Raises:
        UsageError: ``out`` exists, or nothing to resume, or data of another task.
        SandbotError: damaged data, a loss that is not finite, a folder that cannot be
            written.
    """
    from sims import make_task

    config = config or BCConfig()
    chosen = make_task(task)
    dataset = read_dataset(Path(data))
    inputs = Inputs.choose(chosen.obs_spec, config.groups, config.drop)
    _check_data(dataset, chosen, inputs)
    identity = {
        "policy": KIND,
        "task": chosen.name,
        "inputs": list(inputs.names),
        "network": {k: v for k, v in asdict(config).items() if k != "training"},
        "dataset_sha256": dataset.sha256(),
    }
    find_device(config.training.device)  # before anything is written
    open_run(out, resume=resume, overwrite=overwrite)
    with reproducible(config.training):
        trainer = _trainer(dataset, inputs, config, out, identity)
        complete = trainer.finished and (out / "config.json").is_file()
        result = _run_with_bar(trainer, progress)
    if not complete:
        about = {**identity, **_about(dataset, chosen, inputs, config, result)}
        write_checkpoint(
            out, config=about, weights=result.weights, card=_card(about, result)
        )
    return result


def load(
    folder: Path, task: "Task", num_envs: int, device: str = "cpu"
) -> NetworkPolicy:
    """A policy from a checkpoint.

    Args:
        folder: the checkpoint.
        task: that it will act in; the one it was trained for.
        num_envs: in how many environments.
        device: where the network runs: cpu, cuda or auto.

    Raises:
        UsageError: no checkpoint, or one for another task, or an unknown device.
        SandbotError: the checkpoint is damaged, or there is no such device.
    """
    folder = Path(folder)
    about = read_config(folder, KIND)
    trained_for = about.get("task")
    if not isinstance(trained_for, str):
        raise damaged(folder, "config.json names no task")
    if trained_for != task.name:
        raise UsageError(
            f"checkpoint {folder} is for task {trained_for!r}, not for {task.name!r}: "
            f"train one for {task.name!r}, or choose task {trained_for!r}"
        )
    try:
        config = _config_from(about["network"])
        inputs = Inputs.from_dict(about["observation"], about["inputs"])
        action_spec = ArraySpec.from_dict(about["action_spec"])
        control_dt = float(about["control_dt"])
        net = BCNet(len(inputs.names), action_spec.size, config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"config.json does not make sense ({error!r})") from error
    load_weights(folder, about, net)
    for group, spec in inputs.specs.items():
        there = task.obs_spec[group].names if group in task.obs_spec else ()
        if spec.names != there:
            raise UsageError(
                f"checkpoint {folder} observes {', '.join(spec.names)} in {group!r}; "
                f"{task.name!r} now has {', '.join(there) or 'nothing'}: train anew"
            )
    return NetworkPolicy(
        net,
        net.step,
        net.network.memory(num_envs),
        inputs=inputs,
        action_spec=action_spec,
        control_dt=control_dt,
        chunk=config.chunk,
        execute=config.executed,
        device=device,
    )


def _check_data(dataset: Demonstrations, task: "Task", inputs: Inputs) -> None:
    """See that a dataset is of a task: by its note, else by the names of its arrays."""
    noted = dataset.about.get("task", task.name)
    if noted != task.name:
        raise UsageError(
            f"dataset {dataset.folder} is of task {noted!r}, not of {task.name!r}: "
            f"collect one of {task.name!r}, or train for {noted!r}"
        )
    wanted = {PREFIX + group: spec for group, spec in inputs.specs.items()}
    for key, spec in (wanted | {ACTION: task.action_spec}).items():
        if key not in dataset.frames:
            raise unknown(f"feature of {dataset.folder}", key, dataset.frames)
        if dataset.names(key) != spec.names:
            raise UsageError(
                f"{key!r} of {dataset.folder} is {', '.join(dataset.names(key))}; "
                f"task {task.name!r} has {', '.join(spec.names)}"
            )


def _trainer(
    dataset: Demonstrations,
    chosen: Inputs,
    config: BCConfig,
    out: Path,
    identity: dict[str, Any],
) -> Trainer:
    """Network, normaliser and samples, all functions of the data and the seed."""
    training = config.training
    keys = [PREFIX + group for group in chosen.specs]
    inputs = chosen.gather({key: dataset.vectors(key) for key in keys}, PREFIX)
    targets = dataset.vectors(ACTION)
    lengths = dataset.bounds[:, 1] - dataset.bounds[:, 0]
    parts: list[Samples] = []
    net = BCNet(inputs.shape[1], targets.shape[1], config)
    split = split_episodes(len(lengths), training.validation_fraction, training.seed)
    for index, episodes in enumerate(split):
        rows = np.concatenate([np.arange(*dataset.bounds[e]) for e in episodes])
        x, y = inputs[rows], targets[rows]
        if index == 0:
            net.normalizer.fit({OBSERVATION: x, ACTION: y})
        if config.chunk > 1:
            parts.append(Chunks(x, y, lengths[episodes], chunk=config.chunk))
        elif config.network == "mlp":
            parts.append(Frames(x, y))
        else:
            size, skip = config.window, config.burn_in
            if index == 0:
                _fit_changes(net, x, lengths[episodes])
            windows = Windows(x, y, lengths[episodes], window=size, burn_in=skip)
            parts.append(windows)
    batch = training.batch_size
    batch = batch if config.network == "mlp" else max(1, batch // config.window)
    return Trainer(
        net,
        bc_loss,
        *parts,
        folder=out,
        config=training,
        batch=batch,
        identity=identity,
    )


def _fit_changes(net: BCNet, inputs: np.ndarray, lengths: np.ndarray) -> None:
    """Tell an LSTM how large the changes of its inputs are, within episodes."""
    assert isinstance(net.network, LSTM)
    x = net.normalizer.normalize(OBSERVATION, torch.from_numpy(inputs))
    inner = np.ones(len(inputs) - 1, bool)
    inner[np.cumsum(lengths)[:-1] - 1] = False
    net.network.fit_changes(torch.diff(x, dim=0)[torch.from_numpy(inner)])


def _run_with_bar(trainer: Trainer, progress: bool | None) -> TrainingResult:
    from tqdm import tqdm

    with tqdm(
        total=trainer.config.steps,
        initial=trainer.step,
        desc="train bc",
        unit="step",
        delay=2,
        disable=None if progress is None else not progress,
    ) as bar:

        def tell(step: int, best: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(validation=f"{best:.2e}", refresh=False)

        return trainer.run(tell)


def _about(
    dataset: Demonstrations,
    task: "Task",
    inputs: Inputs,
    config: BCConfig,
    result: TrainingResult,
) -> dict[str, Any]:
    """The rest of ``config.json``."""
    return {
        "robot": task.robot,
        "observation": inputs.to_dict(),
        "action_spec": task.action_spec.to_dict(),
        "control_dt": dataset.control_dt,
        "training": asdict(config.training),
        "dataset": dataset.folder.as_posix(),
        "dataset_episodes": len(dataset.episodes),
        "dataset_command": dataset.about.get("command"),
        "steps": result.steps,
        "best_step": result.best_step,
        "validation_loss": result.validation_loss,
        "seconds": round(result.seconds, 1),
        "command": command(),
        "commit": commit(),
        "versions": versions(),
    }


def _config_from(network: dict[str, Any]) -> BCConfig:
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in network.items()
    }
    return BCConfig(**values)


def _card(about: dict[str, Any], result: TrainingResult) -> str:
    network = about["network"]
    facts = {
        "task": about["task"],
        "robot": about["robot"],
        "network": f"{network['network']} {'x'.join(map(str, network['hidden']))}",
        "reads": ", ".join(about["inputs"]),
        "data": f"{about['dataset']}, {about['dataset_episodes']} episodes",
        "data, SHA-256": about["dataset_sha256"],
        "seed": about["training"]["seed"],
        "steps": f"{result.steps}, best at {result.best_step}",
        "validation loss": result.validation_loss,
        "training time": f"{result.seconds:.0f} s",
        "commit": about["commit"],
        "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
    }
    summary = (
        f"Behaviour cloning of demonstrations of `{about['task']}`. The loss is the "
        f"mean squared error of normalised actions on held-out episodes; it does not "
        f"tell how often the task is solved: evaluate."
    )
    return model_card(f"bc on {about['task']}", summary, facts, about["command"])
