"""Kill -9 a training ten times at random moments: the final weights are the same bits.

``sandbot train bc`` runs once undisturbed. Then the same training is started, killed
after a random time, resumed, killed again ... and finally left alone. Weights, training
state and log are compared byte by byte (the state without its clock).

    python -m benchmarks.resume
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import record
from ml.files import sha256
from ml.metrics_log import read_metrics
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.collect import collect

STEPS = 9000
EVERY = 100
"""Steps between two savings."""


def command(data: Path, out: Path) -> list[str]:
    """What is typed to train, or to go on."""
    words = f"train bc --task arm-reach --steps {STEPS} --checkpoint-every {EVERY} "
    words += "--patience 1000"  # early stopping would end it before the tenth kill
    places = ["--data", str(data), "--out", str(out)]
    again = ["--resume"] if out.exists() else []
    return [sys.executable, "-m", "sandbot.main", *words.split(), *places, *again]


def saved_step(out: Path) -> int:
    """The step that a resumed training would go on from."""
    return load_state(out / STATE)[1]["step"] if (out / STATE).is_file() else 0


def disturb(data: Path, out: Path, kills: int, seed: int) -> list[dict[str, Any]]:
    """Train with so many kills; when each came, and what was saved by then."""
    chance, found = random.Random(seed), []
    while True:
        began = time.perf_counter()
        process = subprocess.Popen(
            command(data, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if len(found) < kills:
            time.sleep(chance.uniform(2, 6.5))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                moment = round(time.perf_counter() - began, 2)
                found.append({"after_seconds": moment, "saved_step": saved_step(out)})
                print(f"killed after {moment} s, saved: step {saved_step(out)}")
                continue
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"training failed: {errors.decode()}")
        return found


def same_state(a: Path, b: Path) -> bool:
    """Whether two training states are equal: weights, average, moments, generator."""
    (one, first), (two, second) = load_state(a / STATE), load_state(b / STATE)
    clockless = [
        {k: v for k, v in n.items() if k != "seconds"} for n in (first, second)
    ]
    tensors = one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    return tensors and clockless[0] == clockless[1]


def main() -> None:
    """Train twice, compare, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, whole, killed = (Path(folder) / n for n in ("data", "whole", "killed"))
        collect("arm-reach", "expert", episodes=50, out=data, threads=1)
        subprocess.run(command(data, whole), check=True, stdout=subprocess.DEVNULL)
        kills = disturb(data, killed, given.kills, given.seed)
        same = {
            "weights": sha256(whole / "model.safetensors")
            == sha256(killed / "model.safetensors"),
            "training state": same_state(whole, killed),
            "log": read_metrics(whole) == read_metrics(killed),
        }
        weights = sha256(whole / "model.safetensors")
    moments = {kill["saved_step"] for kill in kills}
    print(f"{len(kills)} kills, after {len(moments)} different savings")
    for name, value in same.items():
        print(f"{name}: {'the same bits' if value else 'DIFFERENT'}")
    record(
        "resume",
        {
            "n": len(kills),
            "seed": given.seed,
            "steps": STEPS,
            "kills": kills,
            "weights_sha256": weights,
            "bars": [
                {
                    "what": f"{name} after {len(kills)} kill -9: differences",
                    "figure": float(not equal),
                    "bar": "<= 0",
                    "met": equal,
                }
                for name, equal in same.items()
            ],
        },
    )
    if not all(same.values()) or len(kills) < given.kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
