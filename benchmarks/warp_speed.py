"""Is the engine ``warp`` as fast as MuJoCo Warp's own speed test on the same model?

    python -m benchmarks.warp_speed          # needs an NVIDIA GPU; under ten minutes
    python -m benchmarks.warp_speed --dry    # the same lines on the CPU, few worlds

``mjwarp-testspeed`` launches a graph of one step and nothing else; it adds noise to the
commands between the steps, which it does not count. Here the engine is driven as a task
drives it: commands are written through its tensors, four steps are taken, poses,
velocities and sensors are made current, broken worlds are looked for, and so are full
buffers. The wall clock counts all of it. Both get the same room for contacts and
constraints, the one that the engine's warm-up pass finds. The reset is that of one
world in a hundred at a time, as among worlds whose episodes end at other times.

Without a GPU it is recorded that nothing was measured; a dry run records nothing, and
otherwise does all that the real one does.

**What it needs.** From a checkout's root, with nothing of this project installed: a
Python of 3.11 or later with PyTorch for CUDA and NumPy, an NVIDIA driver, and these
packages, which may be wheels that were carried there and installed with ``pip install
--no-index --no-deps``:

    mujoco==4.0.0 mujoco-core==4.0.0 mujoco-warp==4.0.0 warp-lang>=1.15
    array-api-compat absl-py etils[epath] (with fsspec importlib_resources zipp)

The wheel of ``warp-lang`` is the large one. Kernels compile in the first minute or two;
after :data:`BUDGET` seconds no further round is begun, and each number of worlds is
recorded as soon as it is measured.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from assets import ROBOTS, load_model
from benchmarks.record import bar, record
from sims.engines.warp import WarpEngine

ROBOT, SCENE = "humanoid", "flat"
WORLDS = (4096, 8192)
SUBSTEPS = 4
"""Physics steps per control step."""
WHAT = "steps/s of warp over mjwarp-testspeed's, {} worlds of " + f"{ROBOT} {SCENE}"
SHARE = 0.8
"""Of the speed test's steps per second."""
ROUNDS = 3
"""The two take turns; the median counts."""
BUDGET = 420.0
"""Time after which no further round begins [s]."""


def testspeed(engine: WarpEngine, steps: int) -> list[str]:
    """The command that runs MuJoCo Warp's speed test as the engine was made."""
    return [
        *(sys.executable, "-m", "mujoco_warp.testspeed"),
        str(ROBOTS[ROBOT]().scenes[SCENE]),
        f"--nworld={engine.num_envs}",
        f"--nstep={steps}",
        f"--nconmax={-(-engine.worlds.buffers.naconmax // engine.num_envs)}",
        f"--njmax={engine.worlds.buffers.njmax}",
        f"--device={engine.device}",
        "--format=json",
    ]


def reference(engine: WarpEngine, steps: int) -> dict[str, Any]:
    """What the speed test says; on the CPU, where it refuses to run, how it refuses."""
    done = subprocess.run(
        testspeed(engine, steps), capture_output=True, text=True, check=False
    )
    if engine.device == "cpu":
        refusal = "testspeed available for gpu only"
        if refusal not in done.stderr:
            raise SystemExit(f"the speed test did not refuse:\n{done.stderr[-2000:]}")
        return {"steps_per_second": float("nan"), "refused": refusal}
    if done.returncode:
        raise SystemExit(
            f"the speed test failed:\n{(done.stdout + done.stderr)[-2000:]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def stand(engine: WarpEngine) -> None:
    """All worlds where the scene's first keyframe has them."""
    import torch

    key = engine.model.key(0)
    everywhere = torch.ones(engine.num_envs, dtype=torch.bool, device=engine.device)
    engine.reset(everywhere, key.qpos, key.qvel)
    engine.ctrl[:] = torch.as_tensor(key.ctrl, dtype=torch.float32)


def measure(engine: WarpEngine, steps: int) -> dict[str, float]:
    """Steps of all worlds per second of wall clock, and what a reset takes [s]."""
    import torch
    import warp as wp

    stand(engine)
    rest = engine.ctrl.clone()
    engine.step(SUBSTEPS)  # captures, and compiles what there is to compile
    some = torch.zeros(engine.num_envs, dtype=torch.bool, device=engine.device)
    some[::100] = True
    key = engine.model.key(0)
    engine.reset(some, key.qpos, key.qvel)
    wp.synchronize_device(engine.device)
    began = time.perf_counter()
    for _ in range(steps // SUBSTEPS):
        noise = torch.randn_like(engine.ctrl).mul_(0.01)
        engine.ctrl.copy_(rest).add_(noise)
        engine.step(SUBSTEPS)
        wp.synchronize_device(engine.device)
    seconds = time.perf_counter() - began
    engine.check()
    began = time.perf_counter()
    for _ in range(10):
        engine.reset(some, key.qpos, key.qvel)
    wp.synchronize_device(engine.device)
    return {
        "steps_per_second": steps // SUBSTEPS * SUBSTEPS * engine.num_envs / seconds,
        "reset_seconds": (time.perf_counter() - began) / 10,
        "diverged": int(engine.diverged().sum()),
    }


def compare(
    device: str, worlds: int, steps: int, rounds: int, until: float
) -> dict[str, Any]:
    """Both at one number of worlds, in turn.

    Args:
        device: Warp's.
        worlds: how many.
        steps: physics steps of a round.
        rounds: the most.
        until: after this time on the clock of :func:`time.monotonic` only the first
            round is begun [s].
    """
    import numpy as np

    model = load_model(ROBOT, SCENE)
    engine = WarpEngine(model, worlds, device=device, arrays="torch")
    ours, theirs = [], []
    for index in range(rounds):
        if index and time.monotonic() > until:
            break
        theirs.append(reference(engine, steps))
        ours.append(measure(engine, steps))
    engine.close()
    mine = float(np.median([one["steps_per_second"] for one in ours]))
    their = float(np.median([one["steps_per_second"] for one in theirs]))
    row = {
        "worlds": worlds,
        "naconmax": engine.worlds.buffers.naconmax,
        "njmax": engine.worlds.buffers.njmax,
        "warp_steps_per_second": mine,
        "testspeed_steps_per_second": their,
        "share": mine / their,
        "reset_seconds": float(np.median([one["reset_seconds"] for one in ours])),
        "diverged": max(one["diverged"] for one in ours),
        "rounds": {"warp": ours, "testspeed": theirs},
    }
    print(
        f"{worlds} worlds: warp {mine:,.0f} steps/s, testspeed {their:,.0f}, share "
        f"{mine / their:.2f}; a reset of one in a hundred {row['reset_seconds']:.4f} s"
    )
    return row


def gpu() -> str | None:
    """The first GPU as Warp knows it; None: there is none."""
    from sims.engines.warp_build import find_device, import_warp

    device = find_device(import_warp()[0], None)
    return None if device == "cpu" else device


def measure_all(
    device: str, worlds: Sequence[int], steps: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """What is to be recorded, more of it after each number of worlds."""
    import warp as wp

    until = time.monotonic() + BUDGET
    name, rows = wp.get_device(device).name, []
    for count in worlds:
        rows.append(compare(device, count, steps, rounds, until))
        bars = [bar(WHAT.format(r["worlds"]), r["share"], ">=", SHARE) for r in rows]
        yield {"gpu": name, "rows": rows, "bars": bars}


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description="speed of the engine warp on a GPU")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--dry", action="store_true", help="on the CPU, few worlds")
    given = parser.parse_args()
    if given.dry:
        for result in measure_all("cpu", (8,), 8 * SUBSTEPS, 1):
            json.dumps(result)
        print("a dry run: nothing is recorded")
        return
    device = gpu()
    if device is None:
        open_ = [f"{WHAT.format(count)}: no GPU was at hand" for count in WORLDS]
        print("not measured: " + "; ".join(open_))
        record("warp_speed", {"not_measured": open_, "rows": [], "bars": []})
        return
    for result in measure_all(device, WORLDS, given.steps, ROUNDS):
        record("warp_speed", result)
        line = result["bars"][-1]
        print(f"{'met' if line['met'] else 'MISSED'}: {line['what']} {line['figure']}")


if __name__ == "__main__":
    main()
