"""Steps of training per second: our ACT and diffusion against LeRobot's, side by side.

Equal sizes, batch and data; a step is loss, gradients and the optimiser's step, on one
thread. LeRobot runs in an interpreter of its own (``SANDBOT_LEROBOT_PYTHON``), where it
waits while ours works: blocks of steps alternate on one core, so that whatever else the
machine does meets both. Given is the median over rounds of ours over theirs, by the
clock and by the processor's time, which other programs disturb less; the bar is on the
latter.

Ours normalises its inputs within the step; LeRobot's pipeline does that elsewhere, and
here its data come normalised. Each has the optimiser that it trains with.

    SANDBOT_LEROBOT_PYTHON=.../bin/python python -m benchmarks.lerobot_speed
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import bar, record
from ml.lerobot.layout import ACTION
from ml.step_draws import StepDraws
from ml.training import _optimizer
from policies.act import ACTConfig
from policies.diffusion import DiffusionConfig
from policies.imitation.net import COUNTS, INPUTS, OBSERVATION, ImitationNet, Sizes
from policies.learners import find_learner

WORKER = Path(__file__).with_name("lerobot_worker.py")
STATE, ENVIRONMENT, ACTIONS = 14, 7, 14
"""Elements: two arms, a cube, and what they are told."""
SECONDS = 0.6
"""Of the processor, that a block takes about."""
MOST_APART = 0.03
"""Relative difference in the number of parameters."""


def act(batch: int) -> tuple[Any, dict[str, Any]]:
    """Ours and theirs, of equal size."""
    ours = ACTConfig(chunk=50, width=128, heads=4, feedforward=512, vae_layers=4)
    options = {"chunk_size": 50, "n_action_steps": 50, "dim_model": 128, "n_heads": 4}
    options |= {"dim_feedforward": 512, "n_encoder_layers": 4, "n_decoder_layers": 1}
    options |= {"n_vae_encoder_layers": 4, "latent_dim": 32, "dropout": 0.1}
    options |= {"pretrained_backbone_weights": None}
    return ours, {"kind": "act", "batch": batch, "chunk": 50, "options": options}


def unet(dims: tuple[int, ...], horizon: int, batch: int) -> tuple[Any, dict[str, Any]]:
    """Ours and theirs, of equal size."""
    ours = DiffusionConfig(
        chunk=horizon,
        execute=8,
        history=2,
        denoiser="unet",
        dims=dims,
        prediction="epsilon",
    )
    options = {"horizon": horizon, "n_action_steps": 8, "down_dims": dims}
    options |= {"n_obs_steps": 2, "kernel_size": 5, "n_groups": 8}
    options |= {"diffusion_step_embed_dim": 256}
    job = {"kind": "diffusion", "batch": batch, "chunk": horizon, "options": options}
    return ours, job


def jobs() -> dict[str, tuple[Any, dict[str, Any]]]:
    """What is raced, by name."""
    found = {f"ACT, batch {batch}": act(batch) for batch in (8, 64)}
    for dims in ((32, 64, 128), (64, 128, 256)):
        for horizon in (16, 48):
            name = f"diffusion, U-Net {'-'.join(map(str, dims))}, {horizon} actions"
            found[f"{name}, batch 64"] = unet(dims, horizon, 64)
    return found


class Ours:
    """Our network at work on one batch."""

    def __init__(self, config: Any, job: dict[str, Any]) -> None:
        """Make network, optimiser and batch."""
        groups = {"state": STATE, "environment_state": ENVIRONMENT}
        sizes = Sizes(groups=groups, outputs=ACTIONS, history=config.history)
        torch.manual_seed(0)
        self._net: ImitationNet = find_learner(config.kind).make(sizes, config).train()
        rows, chunk = job["batch"], job["chunk"]
        draw = np.random.default_rng(0)
        seen = draw.normal(size=(1000, sizes.inputs))
        actions = draw.uniform(-1, 1, (rows, chunk, ACTIONS))
        self._net.normalizer.fit(
            {OBSERVATION: seen, ACTION: actions.reshape(-1, ACTIONS)}
        )
        inputs = draw.normal(size=(rows, config.history * sizes.inputs))
        self._batch = {
            INPUTS: torch.from_numpy(inputs.astype(np.float32)),
            "targets": torch.from_numpy(actions.astype(np.float32)),
            COUNTS: torch.ones(rows, chunk),
        }
        self._rows, self._step = rows, 0
        self._optimizer = _optimizer(self._net, config.training)
        self.parameters = sum(p.numel() for p in self._net.parameters())

    def run(self, steps: int) -> dict[str, float]:
        """So many steps of training; seconds by the clock and of the processor."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            draws = StepDraws(0, self._step, slice(0, self._rows), self._rows)
            terms = self._net.loss(self._batch, draws)
            self._optimizer.zero_grad()
            (terms.total.sum() / terms.weight.sum()).backward()
            self._optimizer.step()
            self._step += 1
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"wall": wall, "cpu": cpu}


class Theirs:
    """LeRobot's, behind a pipe."""

    def __init__(self, python: str) -> None:
        """Start its interpreter."""
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)
        self._process = subprocess.Popen(
            [python, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """An order's answer."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("LeRobot's process ended: its message stands above")
        return json.loads(answer)

    def run(self, steps: int) -> dict[str, float]:
        """So many steps of training."""
        return self.ask({"steps": steps})

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


Runner = Callable[[int], dict[str, float]]


def race(ours: Runner, theirs: Runner, rounds: int) -> dict[str, Any]:
    """Blocks of steps in turn; who begins changes from round to round."""
    steps = max(2, round(2 * SECONDS / max(ours(2)["cpu"], 1e-3)))
    theirs(2)
    taken: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for index in range(rounds):
        order = [("ours", ours), ("theirs", theirs)][:: 1 if index % 2 else -1]
        for name, runner in order:
            taken[name].append(runner(steps))
    found: dict[str, Any] = {"steps": steps, "rounds": rounds}
    for clock in ("wall", "cpu"):
        pairs = zip(taken["ours"], taken["theirs"], strict=True)
        ratios = [b[clock] / a[clock] for a, b in pairs]
        found[f"ratio_{clock}"] = float(np.median(ratios))
        found[f"ratios_{clock}"] = [round(ratio, 3) for ratio in ratios]
        for name, blocks in taken.items():
            speed = steps / float(np.median([block[clock] for block in blocks]))
            found[f"{name}_per_{clock}_second"] = speed
    return found


def bars(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The bars, each with its figure."""
    lines = [
        bar(
            f"{name}: steps of training per second, ours over LeRobot's",
            figure,
            ">=",
            1,
        )
        for name, figure in ((name, row["ratio_cpu"]) for name, row in found.items())
    ]
    worst = max(abs(row["parameters"] / row["theirs"] - 1) for row in found.values())
    what = "the same: most apart in the number of parameters"
    return [*lines, bar(what, worst, "<=", MOST_APART)]


def main() -> None:
    """Race, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="names that hold this")
    given = parser.parse_args()
    python = os.environ.get("SANDBOT_LEROBOT_PYTHON")
    if python is None:
        parser.error("SANDBOT_LEROBOT_PYTHON names no interpreter that has lerobot")
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # the peer inherits it: the same core
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    peer, found, versions = Theirs(python), {}, {}
    sizes = {"state": STATE, "environment": ENVIRONMENT, "action": ACTIONS}
    for name, (config, job) in jobs().items():
        if given.only not in name:
            continue
        made = peer.ask({"make": job | sizes})
        versions = made["versions"]
        ours = Ours(config, job)
        row = {"parameters": ours.parameters, "theirs": made["parameters"]}
        found[name] = row | race(ours.run, peer.run, given.rounds)
        print(
            f"{name:50} {row['parameters']:9,} parameters, theirs {row['theirs']:9,}; "
            f"ours over theirs {found[name]['ratio_cpu']:.2f} by the processor, "
            f"{found[name]['ratio_wall']:.2f} by the clock",
            flush=True,
        )
    peer.close()
    lines = bars(found)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:90} {line['figure']:8.3g}  {line['bar']:7} {verdict}")
    if not given.only:
        more = {"threads": 1, "peer": versions, "models": found, "bars": lines}
        record("lerobot_speed", {"n": given.rounds, "rounds": given.rounds} | more)


if __name__ == "__main__":
    main()
