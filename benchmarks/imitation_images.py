"""ArmReach from pictures of 64 x 64 pixels and joint angles alone, on two cores.

python -m benchmarks.imitation_images

The target is told by nothing but the ball that the camera sees: neither the target's
position nor the tip's nor a velocity is read. That the pictures are looked at is shown
by giving each episode those of another one. Each demonstration shows one target, and
how many of them there are matters most: with 200, success was 66%.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import bar, record
from evaluation.episodes import chunks, play
from ml.statistics import wilson_interval
from ml.training_setup import TrainingConfig
from policies import make_policy
from policies.bc import BCConfig
from policies.collect import collect
from policies.imitation import train
from policies.seeing import IMAGES, environment_of
from sims import make_task

TASK, CAMERA, SIZE = "arm-reach", "plane", (64, 64)
HIDDEN = ("joint_vel", "tip", "target")
"""What of the state is not read."""
SIDE_BY_SIDE = 20
MINUTES = 30.0


class Shuffled:
    """A policy that is shown each environment's state, and another one's pictures."""

    def __init__(self, policy: Any) -> None:
        """Around a policy."""
        self.policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def act(self, obs: dict[str, Any]) -> Any:
        """As the policy, with pictures passed on by one."""
        mixed = {
            k: np.roll(v, 1, axis=0) if k.startswith(IMAGES) else v
            for k, v in obs.items()
        }
        return self.policy.act(mixed)


def config(steps: int, seed: int) -> BCConfig:
    """What is learned, and how."""
    return BCConfig(
        drop=HIDDEN,
        cameras=(CAMERA,),
        image_size=SIZE,
        history=4,
        hidden=(256, 256, 256),
        training=TrainingConfig(
            steps=steps,
            batch_size=128,
            learning_rate=1e-3,
            warmup_steps=300,
            ema_decay=0.999,
            seed=seed,
            patience=1000,
        ),
    )


def judge(folder: Path, episodes: int, shuffle: bool) -> dict[str, Any]:
    """The row of a checkpoint, with its own pictures or another episode's."""
    task, successes = make_task(TASK), 0
    batches = list(chunks(episodes, SIDE_BY_SIDE))
    policy: Any = make_policy(folder, task, len(batches[0]))
    env = environment_of(policy, task, num_envs=len(batches[0]), threads=1)
    for ids in batches:
        actor: Any = Shuffled(policy) if shuffle else policy
        count = min(episodes - int(ids[0]), len(ids))
        successes += int(play(env, actor, ids, count, 0, None)["success"].sum())
    env.close()
    low, high = wilson_interval(successes, episodes)
    name = "BC from 64 x 64 pixels and joint angles"
    return {
        "task": TASK,
        "policy": name + ", another episode's pixels" * shuffle,
        "engine": "mujoco",
        "randomize": "none",
        "n": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "ci_low": low,
        "ci_high": high,
        "evaluation_seed": 0,
    }


def main() -> None:
    """Collect, train, judge, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demonstrations", type=int, default=600)
    parser.add_argument("--steps", type=int, default=15000)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/images"))
    given = parser.parse_args()
    data, out = given.runs / "data", given.runs / f"bc-{given.seed}"
    began = time.perf_counter()
    collect(
        TASK,
        "computed-torque",
        episodes=given.demonstrations,
        out=data,
        cameras=(CAMERA,),
        image_size=SIZE,
        resume=data.exists(),
    )
    collecting = time.perf_counter() - began
    result = train(
        config(given.steps, given.seed),
        data=data,
        task=TASK,
        out=out,
        resume=out.exists(),
    )
    table = [judge(out, given.episodes, shuffle) for shuffle in (False, True)]
    table[0] |= {"training_steps": result.steps, "training_seconds": result.seconds}
    figures = (
        (
            "ArmReach from pixels and angles: success",
            table[0]["success_rate"],
            ">=",
            0.8,
        ),
        ("the same, another episode's pixels", table[1]["success_rate"], "<=", 0.2),
        ("the same: training [min]", result.seconds / 60, "<=", MINUTES),
    )
    bars = [bar(*line) for line in figures]
    for line in bars:
        print(f"{line['what']}: {line['figure']:.3g} ({line['bar']})")
    path = record(
        "imitation_images",
        {"collecting_seconds": collecting, "rows": table, "bars": bars},
    )
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
