"""How many pictures a second do cameras give, and what does each thing cost?

AlohaTransferCube, :data:`ENVS` environments, through
:class:`~sims.cameras.CameraRig` as ``make_env`` opens it: by size, quality, number of
cameras, depth, segmentation and randomised looks; what shadows, reflections and smooth
edges cost, each alone; MuJoCo's rays as the other way to depth; and whole steps of an
environment with and without cameras.

Candidates take turns, round after round, so that what else the machine does falls on
all of them alike; figures are medians over the rounds.

    python -m benchmarks.cameras
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from benchmarks.record import record
from sims import make_env
from sims.cameras import CameraRig
from sims.env import Env
from sims.image_randomization import TRAIN_IMAGES, texture
from sims.pointcloud import pinhole
from sims.randomization import Randomization

TASK = "aloha-transfer-cube"
ENVS = 8
STEPS = 20
"""Of an environment, in one go."""
SIZES = ((84, 84), (320, 240), (640, 480))
TOP = ("top",)
THREE = ("top", "left/wrist", "right/wrist")


@dataclass
class Candidate:
    """Something that makes ``pictures`` pictures (or steps) when it is called."""

    name: str
    pictures: int
    run: Callable[[], object]

    def rate(self) -> float:
        """Pictures a second, in one call."""
        start = time.perf_counter()
        self.run()
        return self.pictures / (time.perf_counter() - start)


def looking(name: str, env: Env, cameras: tuple[str, ...], **given: Any) -> Candidate:
    """A rig that looks at all environments through so many cameras."""
    rig = CameraRig(env.engine.model, cameras, **given)
    rig.begin(np.ones(env.num_envs, bool), env.draws)
    ids = range(env.num_envs)

    def run() -> None:
        rig.render(env.engine, ids, env.state.steps)

    return Candidate(name, env.num_envs * len(cameras), run)


def stepping(name: str, num_envs: int, **given: Any) -> Candidate:
    """Whole steps of an environment that holds its arms."""
    env = make_env(TASK, num_envs=num_envs, autoreset=True, **given)
    action = env.reset(seed=0)["state"].copy()

    def run() -> None:
        for _ in range(STEPS):
            env.step(action)

    return Candidate(name, STEPS * num_envs, run)


def by_size(env: Env, quality: str) -> list[Candidate]:
    """Of one camera, at every size."""
    return [
        looking(f"{w} x {h}, {quality}", env, TOP, image_size=(w, h), quality=quality)
        for w, h in SIZES
    ]


def fast(env: Env) -> list[Candidate]:
    """As ``make_env`` opens it."""
    found = by_size(env, "fast")
    for w, h in SIZES[:2]:
        size: dict[str, Any] = {"image_size": (w, h)}
        name = f"{w} x {h}, fast"
        found += [
            looking(f"{name}, 3 cameras", env, THREE, **size),
            looking(f"{name}, with depth", env, TOP, depth=True, **size),
            looking(f"{name}, with segmentation", env, TOP, segmentation=True, **size),
            looking(f"{name}, looks of train", env, TOP, terms=TRAIN_IMAGES, **size),
        ]
    floor = make_env("arm-reach", num_envs=ENVS)
    floor.reset(seed=0)
    size = {"image_size": SIZES[0]}
    name = "arm-reach, 84 x 84, fast"
    terms = (texture(0.5, 1.0, "floor"),)
    found += [
        looking(name, floor, ("side",), **size),
        looking(f"{name}, floor's texture", floor, ("side",), terms=terms, **size),
    ]
    seen = {"observe": "both", "cameras": TOP, "image_size": SIZES[0]}
    noisy = Randomization(images=TRAIN_IMAGES)
    return [
        *found,
        rays(env, SIZES[0]),
        stepping(f"steps, {ENVS} environments, state", ENVS),
        stepping(f"steps, {ENVS} environments, 84 x 84", ENVS, **seen),
        stepping(
            f"steps, {ENVS} environments, 84 x 84, looks of train",
            ENVS,
            randomize=noisy,
            **seen,
        ),
        stepping("steps, 1 environment, 84 x 84", 1, **seen),
    ]


def high(env: Env) -> list[Candidate]:
    """With shadows, reflections and smooth edges, and with one of them alone."""
    return by_size(env, "high") + [
        looking(f"320 x 240, high, {name}", altered(env, *off), TOP, quality="high")
        for name, off in {
            "none of them": ("shadows", "reflections", "edges"),
            "shadows alone": ("reflections", "edges"),
            "reflections alone": ("shadows", "edges"),
            "smooth edges alone": ("shadows", "reflections"),
        }.items()
    ]


def altered(env: Env, *off: str) -> Env:
    """The same environment, whose scene has no shadows, reflections or smoothing."""
    other = make_env(env.task, num_envs=env.num_envs)
    other.reset(seed=0)
    model = other.engine.model
    if "shadows" in off:
        model.light_castshadow[:] = 0
    if "reflections" in off:
        model.mat_reflectance[:] = 0
    if "edges" in off:
        model.vis.quality.offsamples = 0
    return other


def rays(env: Env, size: tuple[int, int]) -> Candidate:
    """Depth by a ray through each pixel, with MuJoCo's own ``mj_multiRay``."""
    model, data = env.engine.snapshot(0)
    camera = pinhole(model, data, "top", size)
    directions = camera.directions().reshape(-1, 3)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    count = len(directions)
    geom, distance = np.zeros(count, np.int32), np.zeros(count)
    flat = directions.ravel()

    def run() -> None:
        mujoco.mj_multiRay(
            model,
            data,
            camera.position,
            flat,
            None,
            1,
            -1,
            geom,
            distance,
            None,
            count,
            1e3,
        )

    return Candidate(f"{size[0]} x {size[1]}, depth by rays", 1, run)


def measure(rounds: int) -> tuple[str, dict[str, dict[str, float]]]:
    """The back end, and rates over interleaved rounds, after one to warm up."""
    env = make_env(TASK, num_envs=ENVS)
    env.reset(seed=0)
    candidates = fast(env) + high(env)
    rates: dict[str, list[float]] = {c.name: [] for c in candidates}
    for turn in range(rounds + 1):
        for candidate in candidates:
            rate = candidate.rate()
            if turn:
                rates[candidate.name].append(rate)
    backend = CameraRig(env.engine.model, TOP, image_size=SIZES[0]).backend
    return backend, {
        name: {
            "per_second": float(np.median(values)),
            "quartile_1": float(np.percentile(values, 25)),
            "quartile_3": float(np.percentile(values, 75)),
        }
        for name, values in rates.items()
    }


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description="pictures a second")
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    backend, rows = measure(rounds)
    print(f"{TASK}, {ENVS} environments, {backend}")
    for name, row in rows.items():
        print(
            f"{name:56s} {row['per_second']:8.1f} / s  "
            f"({row['quartile_1']:.1f} .. {row['quartile_3']:.1f})"
        )
    result = {"task": TASK, "backend": backend, "n": rounds, "rows": rows}
    path = record("cameras", result)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
