"""The gradients of every algorithm's loss are those of the loss."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.debugging import FILE, FRACTION
from ml.gradient_check import check_gradients
from ml.lerobot.layout import ACTION
from ml.samples import Batch
from ml.training_setup import TrainingConfig
from policies.act import ACTConfig
from policies.bc import BCConfig
from policies.collect import collect
from policies.diffusion import DiffusionConfig
from policies.flow import FlowConfig
from policies.imitation import ImitationConfig, train
from policies.imitation.net import COUNTS, IMAGES, INPUTS, OBSERVATION, TARGETS, Sizes
from policies.learners import find_learner
from policies.mip import MIPConfig

ROWS, STATE, OUTPUTS = 4, 5, 3
UNET = {"chunk": 4, "execute": 4, "denoiser": "unet", "dims": (8, 16)}
KINDS: dict[str, ImitationConfig] = {
    "bc": BCConfig(hidden=(8,), chunk=4, execute=4),
    "mixture": BCConfig(hidden=(8,), modes=2),
    "gru": BCConfig(network="gru", hidden=(8,), window=6, burn_in=2),
    "act": ACTConfig(
        chunk=4,
        execute=4,
        width=8,
        heads=2,
        feedforward=8,
        encoder_layers=1,
        vae_layers=1,
        latent=4,
        cameras=("top",),
        image_size=(32, 32),
        state_noise=0.1,
        image_jitter=0.1,
    ),
    "diffusion": DiffusionConfig(**{**UNET, "history": 2}),
    "flow": FlowConfig(**{**UNET, "denoiser": "mlp", "width": 8, "layers": 1}),
    "flow transformer": FlowConfig(
        chunk=4,
        execute=4,
        denoiser="transformer",
        width=8,
        heads=2,
        feedforward=8,
        layers=1,
    ),
    "mip": MIPConfig(**{**UNET, "denoiser": "mlp", "width": 8, "layers": 1}),
}


def _batch(config: ImitationConfig) -> Batch:
    """Drawn samples, in the form that an algorithm learns from."""
    torch.manual_seed(1)
    steps = getattr(config, "window", 0) if config.kind == "bc" else 0
    if steps and getattr(config, "network", "mlp") != "mlp":
        inputs, targets = torch.randn(ROWS, steps, STATE), torch.randn(ROWS, steps, 3)
        return {INPUTS: inputs, TARGETS: targets, COUNTS: torch.ones(ROWS, steps)}
    counts = (torch.arange(config.chunk) < torch.tensor([[1], [2], [4], [4]])).float()
    found = {
        INPUTS: torch.randn(ROWS, config.history * STATE),
        TARGETS: torch.randn(ROWS, config.chunk, OUTPUTS),
        COUNTS: counts,
    }
    for camera in config.cameras:
        pictures = torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8)
        found[IMAGES + camera] = pictures
    return found


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_those_of_the_loss(name: str) -> None:
    """Weight by weight, in double precision; pictures, noise and padding included."""
    config = KINDS[name]
    sizes = Sizes(
        groups={"state": STATE},
        outputs=OUTPUTS,
        cameras=config.cameras,
        history=config.history,
    )
    torch.manual_seed(0)
    net = find_learner(config.kind).make(sizes, config)
    draw = np.random.default_rng(0)
    data = {OBSERVATION: draw.normal(size=(50, STATE))}
    net.normalizer.fit(data | {ACTION: draw.normal(size=(50, OUTPUTS))})
    if name == "gru":
        net.network.fit_changes(torch.randn(20, STATE))  # pyright: ignore
    found = check_gradients(net, lambda m, b, d: m.loss(b, d), _batch(config))  # pyright: ignore
    assert found.worst < 1e-4
    # ACT's queries start from zeros, so their first values are the bias alone.
    dead = ("decoder.layers.0.self_attention.value.weight",)
    assert found.dead == (dead if name == "act" else ())


def test_a_training_with_debug_says_what_it_found(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    collect("arm-reach", "computed-torque", episodes=2, out=data, noise=0.1, threads=1)
    training = TrainingConfig(steps=3, batch_size=32, tensorboard=False, debug=True)
    train(BCConfig(training=training), data=data, out=out, progress=False)
    report = json.loads((out / FILE).read_text())
    assert report["gradient_error"] < 1e-4 and report["dead_parameters"] == []
    assert report["learned"]["last"] < FRACTION * report["learned"]["first"]
