"""Small trainings by trial and error, and how two of them are compared."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ml.metrics_log import read_metrics
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.fastsac import FastSACConfig
from policies.rl.state import PIECES
from policies.rl.training import RLResult, train
from policies.rl.worlds import Worlds
from sims import make_task

SMALL: dict[str, Any] = {
    **{"num_envs": 4, "steps": 200, "replay": 120, "warmup": 40, "batch_size": 16},
    **{"hidden": (16,), "critic_hidden": (16,), "updates": 1.5, "n_step": 3},
    **{"atoms": 11, "evaluate_episodes": 2, "evaluate_steps": 64, "log_seconds": 0.0},
    **{"threads": 1, "engine_threads": 1, "tensorboard": False},
}
"""Of a training that takes a second: the ring fills, and is written over."""
CLOCKS = ("seconds", "judged_seconds", "steps_per_second", "updates_per_second")
"""What two equal trainings need not have in common."""


@pytest.fixture(autouse=True, scope="module")
def short() -> Iterator[None]:
    """Episodes of 30 steps: their ends are met, and an evaluation takes no second."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("arm-reach", "humanoid-walk"):
            patch.setattr(type(make_task(name)), "max_steps", 30)
        yield


def config(**changes: Any) -> FastSACConfig:
    """Of a small training."""
    return FastSACConfig(**SMALL | changes)


def run(
    out: Path, task: str = "arm-reach", *, resume: bool = False, **changes: Any
) -> RLResult:
    """Train."""
    chosen = config(**changes)
    return train("fastsac", chosen, task=task, out=out, resume=resume, progress=False)


def at_step(
    monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[Worlds], object]
) -> None:
    """Let something happen in that control step of the next training."""
    step, count = Worlds.step, 0

    def counting(self: Worlds, action: Tensor) -> Any:
        nonlocal count
        count += 1
        if count == number:
            act(self)
        return step(self, action)

    monkeypatch.setattr(Worlds, "step", counting)


def interrupt(_: Worlds) -> None:
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def assert_same(a: Path, b: Path) -> None:
    """That two trainings ended with the same bits."""
    weights = [(folder / "model.safetensors").read_bytes() for folder in (a, b)]
    assert weights[0] == weights[1]
    assert _state(a)[1] == _state(b)[1]
    for one, two in ((_state(a)[0], _state(b)[0]), (replay_of(a), replay_of(b))):
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert torch.equal(value, two[name]), name
    assert _metrics(a) == _metrics(b)


def replay_of(folder: Path) -> dict[str, Tensor]:
    """The transitions of a saved state, the oldest first."""
    _, numbers = load_state(folder / STATE)
    parts = [load_state(folder / PIECES / name)[0] for name in numbers["pieces"]]
    config = numbers["identity"]["config"]
    slots = config["replay"] // config["num_envs"]
    return {k: torch.cat([p[k] for p in parts])[-slots:] for k in parts[0]}


def _state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, numbers = load_state(folder / STATE)
    hidden = (*CLOCKS, "pieces")
    return tensors, {k: v for k, v in numbers.items() if k not in hidden}


def _metrics(folder: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in line.items() if k not in (*CLOCKS, "threads")}
        for line in read_metrics(folder)
    ]
