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

import numpy as np

from benchmarks.record import bar, record
from ml.statistics import wilson_interval

MINUTES = 10.0
SPEED = 1.0
"""Of the walk straight ahead [m/s]."""
EPISODES = 200
TASK = "humanoid-walk"


def straight(folder: Path, episodes: int, device: str) -> dict[str, Any]:
    """Walk ahead at one speed for 20 s, nothing randomised: who falls, and how far."""
    from policies import make_policy
    from sims import make_env, make_task

    task: Any = make_task(TASK)
    policy = make_policy(folder, task, episodes, device=device)
    env = make_env(task, num_envs=episodes)
    obs = env.reset(ids=9_000_000 + np.arange(episodes))
    state: Any = env.state
    state.commands[:] = np.array([SPEED, 0.0, 0.0])
    state.command[:] = state.commands[:, 0]
    obs = {**obs, **task.observe(env.engine, state)}
    begun = state.place[:, :2].copy()
    fallen = np.zeros(episodes, bool)
    speeds = np.zeros(episodes)
    for step in range(env.max_steps):
        obs, _, terminated, _, _ = env.step(policy.act(obs))
        fallen |= terminated
        if step >= 100:
            speeds += np.where(fallen, 0.0, state.velocity[:, 0])
    moved = np.linalg.norm(state.place[:, :2] - begun, axis=1)
    env.close()
    upright = int((~fallen).sum())
    mean = speeds[~fallen] / (env.max_steps - 100)
    return {
        "n": episodes,
        "upright": upright,
        "interval": wilson_interval(upright, episodes),
        "speed": float(mean.mean()) if upright else 0.0,
        "distance": float(np.median(moved)),
    }


def own(folder: Path, episodes: int, randomize: str, device: str) -> dict[str, Any]:
    """The task's own episodes."""
    from policies import make_policy
    from policies.trial import try_out
    from sims import make_task

    task = make_task(TASK)
    policy = make_policy(folder, task, episodes, device=device)
    figures = try_out(policy, task, episodes, randomize=randomize)
    count = round(figures["success"] * episodes)
    return {"n": episodes, "interval": wilson_interval(count, episodes), **figures}


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

    from policies.rl.fastsac import FastSACConfig
    from policies.rl.recipes import find_recipe
    from policies.rl.training import train

    gpu = torch.cuda.is_available()
    if not gpu and not given.dry:
        print("not measured: no GPU was at hand")
        record("rl_gpu", {"not_measured": ["no GPU was at hand"], "bars": []})
        return
    recipe: dict[str, Any] = dict(find_recipe("fastsac", TASK, gpu=not given.dry))
    recipe |= {"steps": 10**10, "minutes": given.minutes, "seed": given.seed}
    recipe |= {"randomize": "train", "evaluate_minutes": 2.0, "tensorboard": False}
    if given.dry:
        recipe |= {"num_envs": 4, "steps": 80, "warmup": 8, "evaluate_episodes": 2}
    recipe |= {
        k: tuple(v) if isinstance(v, list) else v for k, v in given.settings.items()
    }
    resume = given.resume and given.out.exists()
    result = train(
        "fastsac",
        FastSACConfig(**recipe),
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
