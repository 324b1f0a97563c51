"""EnvPool's side of the race: runs in EnvPool's own interpreter, and takes orders.

Each line on standard input is an order in JSON; each answer is one line on standard
output. Nothing of this project is imported: EnvPool is no dependency of it.

    {"make": {"name": "a", "gym_id": ..., "num_envs": 64, ...}} -> {"version": ...}
    {"steps": 5, "name": "a"}                   -> {"wall": ..., "cpu": ...} [s]
"""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

ACTIONS = 16
"""Batches of random actions, taken in turn."""


def make(job: dict[str, Any]) -> tuple[Any, np.ndarray]:
    """Environments that have begun, and what they will do."""
    env = import_module("envpool").make_gymnasium(
        job["gym_id"],
        num_envs=job["num_envs"],
        num_threads=job["threads"],
        seed=0,
        **job["options"],
    )
    env.reset()
    low, high = env.action_space.low, env.action_space.high
    shape = (ACTIONS, job["num_envs"], len(low))
    return env, np.random.default_rng(0).uniform(low, high, shape)


def main() -> None:
    """Take orders until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    made: dict[str, tuple[Any, np.ndarray]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "make" in order:
            env, actions = made[order["make"]["name"]] = make(order["make"])
            answer: dict[str, Any] = {
                "version": import_module("envpool").__version__,
                "size": env.observation_space.shape[-1],
            }
        else:
            env, actions = made[order["name"]]
            wall, cpu = time.perf_counter(), time.process_time()
            for step in range(order["steps"]):
                env.step(actions[step % ACTIONS])
            answer = {"cpu": time.process_time() - cpu}
            answer["wall"] = time.perf_counter() - wall
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
