"""LeRobot's side of the race: runs in LeRobot's own interpreter, and takes orders.

Each line on standard input is an order in JSON; each answer is one line on standard
output. Nothing of this project is imported: LeRobot has an environment of its own.

    {"make": {"kind": "act", "batch": 8, ...}}   -> {"parameters": ...}
    {"steps": 5}                                 -> {"wall": ..., "cpu": ...} [s]
"""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import torch

STATE, ENVIRONMENT = "observation.state", "observation.environment_state"


def make(job: dict[str, Any]) -> tuple[Any, torch.optim.Optimizer, dict[str, Any]]:
    """Policy, optimiser and batch of a job; sizes are named as in LeRobot."""
    types = import_module("lerobot.configs.types")
    feature, kind = types.PolicyFeature, types.FeatureType
    inputs = {
        STATE: feature(kind.STATE, (job["state"],)),
        ENVIRONMENT: feature(kind.ENV, (job["environment"],)),
    }
    outputs = {"action": feature(kind.ACTION, (job["action"],))}
    shape = {"input_features": inputs, "output_features": outputs, "device": "cpu"}
    name, prefix = {"act": ("act", "ACT"), "diffusion": ("diffusion", "Diffusion")}[
        job["kind"]
    ]
    folder = f"lerobot.policies.{name}"
    configuration = import_module(f"{folder}.configuration_{name}")
    modeling = import_module(f"{folder}.modeling_{name}")
    config = getattr(configuration, f"{prefix}Config")(**shape, **job["options"])
    policy = getattr(modeling, f"{prefix}Policy")(config)
    steps = () if name == "act" else (config.n_obs_steps,)
    seen = (job["batch"], *steps)
    draw = torch.Generator().manual_seed(0)
    length = (job["batch"], job["chunk"])
    batch = {
        STATE: torch.randn(*seen, job["state"], generator=draw),
        ENVIRONMENT: torch.randn(*seen, job["environment"], generator=draw),
        "action": torch.rand(*length, job["action"], generator=draw) * 2 - 1,
        "action_is_pad": torch.zeros(length, dtype=torch.bool),
    }
    # Its own preset: AdamW (ACT) or Adam (diffusion), with LeRobot's settings.
    preset = policy.config.get_optimizer_preset()
    optimizer = preset.build(policy.get_optim_params())
    return policy.train(), optimizer, batch


def run(
    policy: Any, optimizer: torch.optim.Optimizer, batch: dict[str, Any], steps: int
) -> dict[str, float]:
    """So many steps of training; seconds by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        loss, _ = policy.forward(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return taken | {"loss": float(loss.detach())}


def main() -> None:
    """Take orders until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made: list[Any] = []
    for line in sys.stdin:
        order = json.loads(line)
        if "make" in order:
            made = list(make(order["make"]))
            count = sum(p.numel() for p in made[0].parameters())
            answer: dict[str, Any] = {"parameters": count}
            answer["versions"] = {
                "lerobot": import_module("lerobot").__version__,
                "torch": torch.__version__,
            }
        else:
            answer = run(*made, steps=order["steps"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
