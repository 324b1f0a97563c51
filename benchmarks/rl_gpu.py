"""Does the humanoid learn to walk on one GPU within ten minutes?

    python -m benchmarks.rl_gpu                  # needs an NVIDIA GPU
    python -m benchmarks.rl_gpu --dry            # the same lines on the CPU, few worlds
    python -m benchmarks.rl_gpu --resume         # goes on, where it was stopped

FastSAC on HumanoidWalk in the engine ``warp``, under the whole profile ``train``, for
at most :data:`MINUTES` of wall clock, compilation included. Then the best policy walks
in the engine ``mujoco``: 20 s straight ahead at 1 m/s, and the task's own episodes
under ``none`` and ``train``. One call trains, evaluates and records; the checkpoint
lies in ``--out``.

What it needs beside PyTorch for CUDA stands in :mod:`benchmarks.warp_speed`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.record import bar, record
from benchmarks.rl_walking import SPEED, TASK, own, straight

MINUTES = 10.0
EPISODES = 200


def main() -> None:
    """Train, evaluate, record."""
    parser = argparse.ArgumentParser(description="FastSAC on one GPU")
    parser.add_argument("--out", type=Path, default=Path("runs/rl-gpu"))
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--dry", action="store_true", help="on the CPU, few worlds")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON, on top")
    given = parser.parse_args()
    import torch

    from policies.rl.recipes import configure
    from policies.rl.training import train

    gpu = torch.cuda.is_available()
    if not gpu and not given.dry:
        print("not measured: no GPU was at hand")
        record("rl_gpu", {"not_measured": ["no GPU was at hand"], "bars": []})
        return
    settings: dict[str, Any] = {
        "steps": 10**10,
        "minutes": given.minutes,
        "seed": given.seed,
        "randomize": "train",
        "evaluate_minutes": 2.0,
        "tensorboard": False,
    }
    if given.dry:
        settings |= {"num_envs": 4, "steps": 80, "warmup": 8, "evaluate_episodes": 2}
    settings |= {
        k: tuple(v) if isinstance(v, list) else v for k, v in given.settings.items()
    }
    resume = given.resume and given.out.exists()
    result = train(
        "fastsac",
        configure("fastsac", TASK, gpu=not given.dry, **settings),
        task=TASK,
        out=given.out,
        engine="warp",
        resume=resume,
        overwrite=given.out.exists() and not resume,
        progress=False,
    )
    print(result.line, flush=True)
    episodes = 4 if given.dry else EPISODES
    device = "cuda" if gpu else "cpu"
    ahead = straight(given.out, episodes, device)
    print("straight ahead", ahead, flush=True)
    found = {name: own(given.out, episodes, name, device) for name in ("none", "train")}
    for name, figures in found.items():
        print(name, figures, flush=True)
    if given.dry:
        print("a dry run: nothing is recorded")
        return
    share = ahead["upright"] / episodes
    record(
        "rl_gpu",
        {
            "gpu": torch.cuda.get_device_name(),
            "minutes": result.seconds / 60,
            "steps": result.steps,
            "updates": result.updates,
            "seed": given.seed,
            "ahead": ahead,
            "own": found,
            "bars": [
                bar(f"20 s at {SPEED:g} m/s without a fall, share", share, ">=", 0.95),
                bar("their mean speed [m/s]", ahead["speed"], ">=", 0.9 * SPEED),
                bar("wall clock of training [min]", result.seconds / 60, "<=", 10.5),
            ],
        },
    )


if __name__ == "__main__":
    main()
