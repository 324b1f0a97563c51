"""How long a look takes: one chunk of actions, one robot, one core.

Each checkpoint's ``predict`` is called with one row, by PyTorch and through ONNX
Runtime with one thread, in turn, so that whatever else the machine does meets both. The
chunks are the same to 1e-4 of the actions' spread. A call holds the normaliser and all
steps of the sampler; the camera and the clipping to limits are not in it.

    python -m benchmarks.latency                 # all that come with the project
    python -m benchmarks.latency --checkpoint runs/act runs/flow
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import bar, record
from deployment.onnx_export import Chunker, example, export
from ml.lerobot.layout import ACTION
from policies.imitation.checkpoint import load_net
from policies.pretrained import FOLDER

LIMITS = {"act": (5.0, None), "flow": (10.0, 5), "diffusion": (40.0, 10)}
"""Milliseconds per chunk, at so many steps of sampling."""
AGREE = 1e-4
WARM_UP = 20
Call = Callable[[], np.ndarray]


def calls(folder: Path, scratch: Path) -> tuple[dict[str, Call], dict[str, Any]]:
    """A checkpoint's two ways to predict a chunk, and what it is."""
    import onnxruntime

    about, net, _ = load_net(folder)
    file = export(folder, scratch / "policy.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(
        file, options, providers=["CPUExecutionProvider"]
    )
    module, given = Chunker(net), example(net)
    feed = {name: value.numpy() for name, value in given.items()}
    tensors = tuple(given.values())

    def eager() -> np.ndarray:
        with torch.inference_mode():
            said = module(*tensors)
        return (said[0] if module.remembers else said).numpy()

    def onnx() -> np.ndarray:
        return np.asarray(session.run(None, feed)[0])

    scale = net.normalizer.get_buffer(f"{ACTION}:scale").numpy()
    difference = float(np.abs((eager() - onnx()) / scale).max())
    facts = {
        "policy": about["policy"],
        "task": about["task"],
        "parameters": sum(p.numel() for p in net.parameters()),
        "chunk": net.config.chunk,
        "sampling_steps": getattr(net.config, "sampling_steps", None),
        "megabytes": file.stat().st_size / 1e6,
        "difference": difference,
    }
    return {"eager": eager, "onnx": onnx}, facts


def measure(ways: dict[str, Call], n: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a call, in turn: by the clock, and of the processor."""
    walls: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(WARM_UP + n):
        for name, call in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            call()
            taken = time.process_time() - processor, time.perf_counter() - clock
            if index >= WARM_UP:
                busy[name].append(1e3 * taken[0])
                walls[name].append(1e3 * taken[1])
    return {
        name: {
            "median_ms": float(np.median(walls[name])),
            "p95_ms": float(np.quantile(walls[name], 0.95)),
            "median_cpu_ms": float(np.median(busy[name])),
            "p95_cpu_ms": float(np.quantile(busy[name], 0.95)),
        }
        for name in ways
    }


def bars(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The bars, each with its figure."""
    worst = max(found["difference"] for found in models)
    what = f"ONNX against PyTorch, worst of {len(models)}, over the actions' spread"
    lines = [bar(what, worst, "<=", AGREE)]
    for found in models:
        limit, steps = LIMITS.get(found["policy"], (None, None))
        if limit is not None and found["sampling_steps"] == steps:
            name = f"{found['policy']} of {found['task']}"
            drawn = f", {steps} steps" if steps else ""
            for way, engine in (("eager", "PyTorch"), ("onnx", "ONNX Runtime")):
                what = f"{name}{drawn}: a chunk by {engine}, one core, median [ms]"
                lines.append(bar(what, found[way]["median_ms"], "<=", limit))
    return lines


def pretrained() -> list[Path]:
    """All checkpoints that come with the project."""
    return sorted(path.parent for path in FOLDER.glob("*/*/config.json"))


def judge(folder: Path, n: int) -> dict[str, Any]:
    """All figures of a checkpoint."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        ways, facts = calls(folder, Path(scratch))
        found: dict[str, Any] = facts | measure(ways, n) | {"n": n}
    for way in ways:
        times = found[way]
        print(
            f"{found['policy']:10} {found['task']!s:20} {way:6}"
            f"{times['median_ms']:8.2f} ms (p95 {times['p95_ms']:.2f}), of the "
            f"processor {times['median_cpu_ms']:.2f} ms",
            flush=True,
        )
    return found


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=pretrained(),
        help="folders; by default those that come with the project",
    )
    parser.add_argument("--calls", type=int, default=400, help="of each way")
    parser.add_argument("--no-record", action="store_true")
    given = parser.parse_args()
    if not given.checkpoint:
        parser.error(f"no checkpoint is given, and there are none in {FOLDER}")
    rows = [judge(folder, given.calls) for folder in given.checkpoint]
    lines = bars(rows)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:80} {line['figure']:8.3g}  {line['bar']:9} {verdict}")
    result = {"n": given.calls, "models": rows, "bars": lines}
    if given.no_record:
        print(json.dumps(result, indent=2))
    else:
        record("latency", result)


if __name__ == "__main__":
    main()
