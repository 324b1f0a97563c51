"""Trains a small network on made-up data; in processes that are killed, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ml.networks import MLP
from ml.samples import Batch, Frames
from ml.step_draws import StepDraws
from ml.training import Terms, Trainer, TrainingResult
from ml.training_setup import TrainingConfig, open_run, reproducible

CONFIG = TrainingConfig(
    steps=1500,
    batch_size=32,
    learning_rate=3e-3,
    warmup_steps=20,
    validate_every=60,
    checkpoint_every=70,
    log_every=40,
    tensorboard=False,
)


def loss(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
    """Mean squared error, with noise on the inputs: draws and generator matter."""
    x = batch["inputs"]
    if model.training:
        x = x + 0.05 * draws.normal("x", x.shape[1]) + 0.01 * torch.randn_like(x)
    error = (model(x) - batch["targets"]).square().mean(-1)
    return Terms(error, torch.ones_like(error))


def samples(seed: int, n: int) -> Frames:
    """A smooth function with noise."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 4))
    y = np.stack([np.sin(2 * x[:, 0]) * x[:, 1], x[:, 2] ** 2], 1)
    return Frames(x, y + 0.1 * draw.normal(size=y.shape))


def train(
    folder: Path,
    *,
    resume: bool = False,
    train: Frames | None = None,
    identity: str = "synthetic",
    **changes,
) -> TrainingResult:
    """One run of the training loop."""
    config = replace(CONFIG, **changes)
    open_run(folder, resume=resume)
    with reproducible(config):
        trainer = Trainer(
            MLP(4, 2, (32, 32)),
            loss,
            samples(0, 500) if train is None else train,
            samples(1, 100),
            folder=folder,
            config=config,
            batch=config.batch_size,
            identity={"data": identity},
        )
        return trainer.run()
