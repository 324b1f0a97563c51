"""Commands under torchrun: as many processes as asked for, and one that talks."""

import os
import subprocess
import sys
from pathlib import Path

from ml.metrics_log import read_metrics
from policies.collect import collect
from sandbot.main import main

ROOT = Path(__file__).parents[2]
OPTIONS = "--steps 6 --batch-size 8 --log-every 1 --dims 8 16 --chunk 8 --execute 4 "
OPTIONS += "--denoiser unet --no-tensorboard"


def test_training_in_two_processes_is_typed_as_in_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    collect("arm-reach", "computed-torque", episodes=2, out=data, noise=0.1, threads=1)
    words = ["train", "flow", "--data", str(data), *OPTIONS.split(), "--out"]
    assert main([*words, str(tmp_path / "one")]) == 0
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*run, "--standalone", "-m", "sandbot.main", *words, str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("6 steps in") == 1
    losses = [
        [line["train_loss"] for line in read_metrics(tmp_path / name) if len(line) > 2]
        for name in ("one", "two")
    ]
    assert len(losses[0]) == len(losses[1]) == 6
    for alone, shared in zip(*losses, strict=True):
        assert abs(alone - shared) <= 1e-5 * abs(alone)
