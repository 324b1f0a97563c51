"""Before the first step: what a training is told, its folder, its random generator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from assets.errors import UsageError, unknown
from ml.files import remove_folder, writing

STATE = "training_state/state.safetensors"
"""Where a run's folder keeps what it needs to go on."""
PRECISIONS = ("no", "bf16", "fp16")
SELECTIONS = ("validation", "last", "success")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained."""

    steps: int = 6000
    """Steps of the optimiser, unless the validation loss stops falling before."""
    batch_size: int = 1024
    """Frames per step, over all processes."""
    accumulate: int = 1
    """Parts in which a process computes its share of a batch: less memory, and the
    same gradient."""
    learning_rate: float = 2e-3
    """At the peak, after the warm-up."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises."""
    final_rate: float = 0.0
    """Learning rate at the end, as a fraction of the peak."""
    weight_decay: float = 1e-4
    """Of the weight matrices; biases are left alone."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW's two moments."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of all weights."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """In which the network computes; no: single precision throughout."""
    recompute: bool = False
    """Whether layers are computed again in the backward pass rather than remembered
    (gradient checkpointing): less memory, more time. Transformers only."""
    ema_decay: float = 0.9999
    """The largest decay of the average of the weights; it grows from 0."""
    validation_fraction: float = 0.1
    """Of the episodes, held out."""
    validate_every: int = 250
    """Steps between two validations."""
    select: Literal["validation", "last", "success"] = "validation"
    """Which averaged weights become the checkpoint: those of the lowest validation
    loss, the last ones, or those with the most successes in evaluations on the way
    (on episodes that no test uses)."""
    patience: int = 12
    """Validations without a new best after which the training ends; only where the
    validation loss selects."""
    evaluate_every: int = 0
    """Steps between two evaluations in the task's environment; 0: none."""
    evaluate_episodes: int = 50
    """Episodes of an evaluation on the way."""
    checkpoint_every: int = 250
    """Steps between two savings of the training state."""
    log_every: int = 50
    """Steps between two lines of the log."""
    seed: int = 0
    """Of initial weights, order of the samples and choice of held-out episodes."""
    threads: int = 1
    """Threads of torch; more of them rarely help networks this small."""
    device: str = "cpu"
    """cpu, cuda or auto. Only on the CPU is a resumed training the same to the bit."""
    tensorboard: bool = True
    """Whether to write TensorBoard's event files beside metrics.jsonl."""
    debug: bool = False
    """Whether to check, before the first step, that gradients are right and that one
    batch can be learned by heart; the report is debug.json. The training's bits stay
    the same."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        for name in (
            *("steps", "batch_size", "learning_rate", "gradient_clip", "patience"),
            *("validate_every", "checkpoint_every", "log_every", "threads"),
            *("accumulate", "evaluate_episodes"),
        ):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("validation_fraction", "ema_decay", "final_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is from 0 to 1, got {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.select not in SELECTIONS:
            raise unknown("selection of weights", self.select, SELECTIONS)
        if self.evaluate_every < 0 or (
            self.select == "success" and not self.evaluate_every
        ):
            raise UsageError(
                f"evaluate_every is at least 0, and above 0 where success selects, got "
                f"{self.evaluate_every} with select {self.select}"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"betas lie in 0 to 1, got {self.betas}")
        if self.warmup_steps < 0 or self.weight_decay < 0 or self.seed < 0:
            raise UsageError(
                "warmup_steps, weight_decay and seed must not be negative, got "
                f"{self.warmup_steps}, {self.weight_decay}, {self.seed}"
            )


def check_run(folder: Path, *, resume: bool, overwrite: bool = False) -> None:
    """See that a run may begin, or go on, in a folder; nothing is touched.

    Raises:
        UsageError: the folder exists and neither ``resume`` nor ``overwrite`` is asked
            for; or there is nothing to resume; or both are asked for.
    """
    if resume and overwrite:
        raise UsageError("resume and overwrite exclude each other: choose one")
    if resume and not folder.is_dir():
        raise UsageError(f"nothing to resume: there is no folder {folder}")
    if folder.exists() and not resume:
        if not overwrite:
            raise UsageError(
                f"{folder} exists: --resume continues the training in it; otherwise "
                f"name another folder or remove it"
            )
        known = (STATE.split("/")[0], "config.json", "metrics.jsonl")
        if folder.is_dir() and not any((folder / name).exists() for name in known):
            raise UsageError(
                f"{folder} does not look like a training's folder, and is not "
                f"overwritten: remove it yourself, or name another"
            )


def open_run(folder: Path, *, resume: bool, overwrite: bool = False) -> None:
    """Let a run begin, or go on, in a folder; with ``overwrite`` one in it makes way.

    Raises:
        UsageError: see :func:`check_run`.
        SandbotError: it cannot be written.
    """
    check_run(folder, resume=resume, overwrite=overwrite)
    if folder.exists() and not resume:
        remove_folder(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STATE).parent.mkdir(exist_ok=True)


@contextmanager
def reproducible(config: TrainingConfig) -> Iterator[None]:
    """Seed torch and set its threads inside the block; as before behind it."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
