"""What ONNX Runtime computes of an exported policy is what PyTorch computes."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from deployment.onnx_export import MEMORY, NOISE, Chunker, example, export
from ml.training_setup import TrainingConfig
from policies.act import ACTConfig
from policies.bc import BCConfig
from policies.collect import collect
from policies.diffusion import DiffusionConfig
from policies.flow import FlowConfig
from policies.imitation import ImitationConfig, train
from policies.imitation.checkpoint import load_net
from sims.tasks.arm_reach import ArmReach

SHORT = TrainingConfig(steps=2, batch_size=8, tensorboard=False, select="last")
UNET = {"chunk": 8, "execute": 4, "dims": (8, 16), "training": SHORT}
KINDS: dict[str, ImitationConfig] = {
    "act": ACTConfig(
        chunk=8,
        execute=4,
        width=16,
        feedforward=16,
        encoder_layers=1,
        cameras=("side",),
        image_size=(32, 32),
        training=SHORT,
    ),
    "flow": FlowConfig(sampling_steps=5, history=2, **UNET),
    "diffusion": DiffusionConfig(noise_steps=10, sampling_steps=4, **UNET),
    "mixture": BCConfig(hidden=(16,), modes=3, chunk=4, training=SHORT),
    "lstm": BCConfig(network="lstm", hidden=(8,), training=SHORT),
}
READS = {
    "act": ["inputs", "images.side"],
    "flow": ["inputs", NOISE],
    "diffusion": ["inputs", NOISE],
    "mixture": ["inputs", NOISE],
    "lstm": ["inputs", MEMORY],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A barely trained checkpoint of each."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArmReach, "max_steps", 80)  # each is drawn, in software
        collect(
            "arm-reach",
            "computed-torque",
            episodes=2,
            out=root / "data",
            cameras=("side",),
            image_size=(32, 32),
            noise=0.1,
            keep_failures=True,
            threads=1,
        )
    for name, config in KINDS.items():
        train(config, data=root / "data", out=root / name, progress=False)
    return root


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Exports a checkpoint, the first time that it is asked for."""
    return cache(
        lambda folder: export(folder, tmp_path_factory.mktemp("onnx") / "policy.onnx")
    )


@pytest.mark.parametrize("name", KINDS)
def test_onnx_runtime_agrees(
    runs: Path, exported: Callable[[Path], Path], name: str
) -> None:
    import onnxruntime

    file = exported(runs / name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(file, options)
    assert [x.name for x in session.get_inputs()] == READS[name]
    _, net, _ = load_net(runs / name)
    said = []
    for seed in range(3):
        given = example(net, seed)
        got = session.run(None, {k: v.numpy() for k, v in given.items()})
        with torch.no_grad():
            expected = Chunker(net)(*given.values())
        wanted = expected if isinstance(expected, tuple) else (expected,)
        assert len(got) == len(wanted) == (2 if name == "lstm" else 1)
        for a, b in zip(got, wanted, strict=True):
            close = np.allclose(np.asarray(a), b.numpy(), atol=1e-4, rtol=1e-4)
            assert close
        said.append(np.asarray(got[0]))
    assert np.ptp(said, axis=0).max() > 1e-3  # it depends on what it is given
    assert said[0].shape == (1, net.config.chunk, 2)


def test_what_cannot_be_exported(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="is not a checkpoint"):
        export(tmp_path / "nothing", tmp_path / "policy.onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(SandbotError, match="cannot write"):
        export(runs / "mixture", tmp_path / "file" / "policy.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SandbotError, match=r"pip install 'sandbot\[deploy\]'"):
        export(runs / "mixture", tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


def test_latency_is_measured_of_both(
    runs: Path,
    exported: Callable[[Path], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from benchmarks import latency
    from benchmarks.latency import bars, judge

    monkeypatch.setattr(latency, "export", lambda folder, file: exported(folder))
    found = judge(runs / "flow", n=5)
    assert found["policy"] == "flow" and found["difference"] < 1e-4
    assert 0 < found["onnx"]["median_ms"] <= found["onnx"]["p95_ms"]
    other = judge(runs / "diffusion", n=5)  # 4 steps: no bar for that
    agreement, eager, onnx = bars([found, other])
    assert agreement["met"] and eager["bar"] == onnx["bar"] == "<= 10"
    assert agreement["figure"] == max(found["difference"], other["difference"])
    assert "of the processor" in capsys.readouterr().out
