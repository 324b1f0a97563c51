"""Two processes against one: the loss of each step, and the bits after kills.

``sandbot train`` learns ACT (with its latent) and a flow policy in one process and,
through torchrun, in two; each also with batches computed in four parts. All draws are
keyed by step and sample, so at the same global batch the loss of each step is that of
one process, to rounding. Dropout is off there, since each process draws its own. Single
precision does not keep that for ever: what rounding does grows with the rate at which
is learned (the flow learns at a tenth of its usual one as well), and where one of ACT's
absolute errors is 0 but for rounding its sign, and so the gradient, may be another. In
double precision, which is compared as well, neither happens, and a fault would show.

Then two processes train ACT with dropout, are killed by -9 (all of them, or one of
the two, which torchrun answers by ending the other) and resumed, and end with the
weights, training state and log of two that were left alone.

    python -m benchmarks.distributed
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import bar, record
from benchmarks.resume import same_state, saved_step
from ml.files import sha256
from ml.metrics_log import read_metrics
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.collect import collect

COMMON = "--task arm-reach --batch-size 32 --log-every 1 --validate-every 100 "
COMMON += "--warmup-steps 20 --select last --no-tensorboard --chunk 16 --execute 8"
KINDS = {
    "act": "--width 32 --feedforward 64 --heads 4 --encoder-layers 2 --vae-layers 2",
    "flow": "--denoiser unet --dims 16 32",
    "flow at a tenth of the rate": "--denoiser unet --dims 16 32 --learning-rate 1e-4",
}
WAYS = {"accumulated": (1, 4), "two": (2, 1), "two, accumulated": (2, 4)}
"""Processes, and parts of a batch; compared with one process and one part."""
WAYS_IN_WORDS = {
    "two": "2 processes against 1",
    "accumulated": "4 parts against 1",
    "two, accumulated": "both",
}
LIMIT, LIMIT_DOUBLE = 1e-5, 1e-11
DOUBLE = "benchmarks.double"


def launch(
    kind: str,
    options: str,
    data: Path,
    out: Path,
    processes: int,
    program: str = "sandbot.main",
) -> subprocess.Popen[bytes]:
    """Start, or go on with, a training."""
    words = [sys.executable, "-m"]
    if processes > 1:
        words += ["torch.distributed.run", "--standalone"]
        words += ["--nproc-per-node", str(processes), "-m"]
    words += [program, "train", kind.split()[0], *COMMON.split(), *KINDS[kind].split()]
    words += [*options.split(), "--data", str(data), "--out", str(out)]
    words += ["--resume"] if out.exists() else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a training to end well."""
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"training failed: {errors.decode()}")


def figures(out: Path, name: str) -> list[float]:
    """One figure of each step."""
    return [line[name] for line in read_metrics(out) if name in line]


def apart(a: list[float], b: list[float]) -> float:
    """Largest relative difference."""
    return max(abs(x - y) / abs(y) for x, y in zip(a, b, strict=True))


def compare(kind: str, steps: int, data: Path, root: Path) -> dict[str, Any]:
    """One process against the other ways, step by step."""
    options = f"--steps {steps} --checkpoint-every {steps} "
    options += "--dropout 0 " if kind == "act" else ""
    alone = root / kind / "one"
    finish(launch(kind, options, data, alone, 1))
    whole = figures(alone, "train_loss")
    assert len(whole) == steps
    found = {"steps": steps, "first_loss": whole[0], "last_loss": whole[-1]}
    for way, (processes, parts) in WAYS.items():
        out = root / kind / way
        more = f"{options} --accumulate {parts}"
        finish(launch(kind, more, data, out, processes))
        for name in ("train_loss", "gradient_norm"):
            difference = apart(figures(out, name), figures(alone, name))
            found[f"{way}: {name}"] = difference
            print(f"{kind}, {way}: {name} at most {difference:.2g} apart", flush=True)
    alone, out = root / kind / "one, double", root / kind / "two, double"
    finish(launch(kind, options, data, alone, 1, DOUBLE))
    finish(launch(kind, f"{options} --accumulate 4", data, out, 2, DOUBLE))
    difference = apart(figures(out, "train_loss"), figures(alone, "train_loss"))
    found["two, accumulated, double: train_loss"] = difference
    print(f"{kind}, the same in double precision: {difference:.2g} apart", flush=True)
    return found


def disturb(
    options: str, data: Path, out: Path, kills: int, seed: int
) -> list[dict[str, Any]]:
    """Train in two processes with so many kills; what was saved by then."""
    chance, found = random.Random(seed), []
    while True:
        process = launch("act", options, data, out, 2)
        if len(found) < kills and _wait_for_work(process, out):
            time.sleep(chance.uniform(0, 0.5))
            if process.poll() is None:
                whom = ("all", "worker 0", "worker 1")[len(found) % 3]
                _kill(process, whom)
                process.communicate()
                found.append({"killed": whom, "saved_step": saved_step(out)})
                print(f"killed {whom}, saved: step {saved_step(out)}", flush=True)
                continue
        finish(process)
        return found


def _wait_for_work(process: subprocess.Popen[bytes], out: Path) -> bool:
    """Until it saves once more; whether it is still at work then."""
    before = saved_step(out)
    while process.poll() is None and saved_step(out) == before:
        time.sleep(0.02)
    return process.poll() is None


def _kill(process: subprocess.Popen[bytes], whom: str) -> None:
    """Kill -9 all of them, or one of the two workers."""
    import psutil

    launcher = psutil.Process(process.pid)
    workers = launcher.children()  # each in a group of its own, which outlives it
    if whom == "all":
        for one in (launcher, *workers):
            one.kill()
        return
    of_rank = {w.environ().get("RANK"): w for w in workers}
    of_rank[whom[-1]].kill()


def resumed(data: Path, root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """A training that was killed against one that was left alone."""
    options = f"--steps {given.killed_steps} --checkpoint-every 20 --dropout 0.1"
    whole, killed = root / "whole", root / "killed"
    finish(launch("act", options, data, whole, 2))
    kills = disturb(options, data, killed, given.kills, given.seed)
    tensors, _ = load_state(whole / STATE)
    weights = [sha256(p / "model.safetensors") for p in (whole, killed)]
    return {
        "steps": given.killed_steps,
        "kills": kills,
        "generators_in_state": sum(name.startswith("rng/") for name in tensors),
        "differences": {
            "weights": float(weights[0] != weights[1]),
            "training state": float(not same_state(whole, killed)),
            "loss of each step": float(read_metrics(whole) != read_metrics(killed)),
        },
    }


def bars(compared: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """The bars, each with its figure."""
    lines = []
    for kind, found in compared.items():
        what = f"{kind}: loss of each of {found['steps']} steps"
        for way, words in WAYS_IN_WORDS.items():
            figure = found[f"{way}: train_loss"]
            lines.append(bar(f"{what}, {words}, relative", figure, "<=", LIMIT))
        figure = found["two, accumulated, double: train_loss"]
        words = "both, in double precision"
        lines.append(bar(f"{what}, {words}", figure, "<=", LIMIT_DOUBLE))
    for name, figure in after["differences"].items():
        what = f"{name} of 2 processes after {len(after['kills'])} kill -9: differences"
        lines.append(bar(what, figure, "<=", 0))
    return lines


def main() -> None:
    """Collect, train in all ways, compare, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--killed-steps", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, data = Path(folder), Path(folder) / "data"
        collect("arm-reach", "computed-torque", episodes=20, out=data, threads=1)
        compared = {k: compare(k, given.steps, data, root) for k in KINDS}
        after = resumed(data, root, given)
    lines = bars(compared, after)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:72} {line['figure']:8.2g}  {line['bar']:9} {verdict}")
    record(
        "distributed",
        {
            "n": len(after["kills"]),
            "seed": given.seed,
            "batch": 32,
            "compared": compared,
            "resumed": after,
            "bars": lines,
        },
    )
    if not all(line["met"] for line in lines) or len(after["kills"]) < given.kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
