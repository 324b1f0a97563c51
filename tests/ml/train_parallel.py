"""Trains small transformers, alone or in processes that share each batch."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ml.parallel import Parallel
from ml.samples import Batch, Chunks
from ml.step_draws import StepDraws
from ml.training import Terms, Trainer, TrainingResult
from ml.training_setup import TrainingConfig, open_run, reproducible
from ml.transformer import TransformerConfig, TransformerEncoder

CONFIG = TrainingConfig(
    steps=40,
    batch_size=10,
    learning_rate=3e-3,
    warmup_steps=5,
    validate_every=20,
    checkpoint_every=20,
    log_every=1,
    select="last",
    tensorboard=False,
)
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulate": 3},
    "more parts than samples": {"accumulate": 8},
    "half": {"precision": "bf16"},
    "recomputed": {"recompute": True},
    "long": {"steps": 60, "checkpoint_every": 15},
    "killed": {"steps": 60, "checkpoint_every": 15},
}
"""By name, what is changed."""


class Network(nn.Module):
    """Chunks of actions from an input and a drawn latent."""

    def __init__(self, recompute: bool, dropout: float) -> None:
        super().__init__()
        shape = TransformerConfig(
            width=16,
            heads=2,
            layers=2,
            feedforward=32,
            checkpoint=recompute,
            dropout=dropout,
        )
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 2)
        self.places = nn.Parameter(0.1 * torch.randn(6, 16))
        self.encoder = TransformerEncoder(shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.encoder(self.first(x)[:, None] + self.places))


def loss(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
    """Errors of the actions that there are: samples weigh differently."""
    said = model(batch["inputs"] + 0.1 * draws.normal("x", 4))
    error = (said - batch["targets"]).square().mean(-1) * batch["counts"]
    return Terms(error.sum(1), batch["counts"].sum(1), {"first": error[:, 0]})


def samples(seed: int, episodes: int) -> Chunks:
    """Smooth functions, in episodes of different lengths."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(6, 15, episodes)
    x = draw.normal(size=(lengths.sum(), 4))
    y = np.stack([np.sin(2 * x[:, 0]) * x[:, 1], x[:, 2] ** 2], 1)
    return Chunks(x, y, lengths, chunk=6)


def make(job: str, folder: Path, parallel: Parallel | None = None) -> Trainer:
    """One of :data:`JOBS`, ready to run; inside of ``reproducible``."""
    config = replace(CONFIG, **JOBS[job])
    # Dropout only where bits are compared with those of as many processes.
    return Trainer(
        Network(config.recompute, 0.1 if job in ("long", "killed") else 0.0),
        loss,
        samples(0, 30),
        samples(1, 6),
        folder=folder,
        config=config,
        batch=config.batch_size,
        identity={"job": job},
        parallel=parallel,
    )


def train(job: str, root: Path, kill: tuple[int, int] = (-1, 0)) -> TrainingResult:
    """Run one of :data:`JOBS`, or go on with it.

    Args:
        job: its name.
        root: where its folder lies.
        kill: which process ends itself by kill -9, and after which step; of the job
            "killed".
    """
    config, folder = replace(CONFIG, **JOBS[job]), root / job
    parallel = Parallel(config.device, config.precision)
    there = parallel.once(folder.exists)
    parallel.once(lambda: open_run(folder, resume=there))

    def tell(step: int, _: float) -> None:
        if job == "killed" and (parallel.rank, step) == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    with reproducible(config):
        return make(job, folder, parallel).run(tell)


def train_all(root: Path, jobs: tuple[str, ...], kill: tuple[int, int]) -> None:
    """One job after the other."""
    for job in jobs:
        train(job, root, kill)
