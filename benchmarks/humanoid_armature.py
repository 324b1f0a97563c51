"""What armature costs in PyBullet: how the humanoid answers to its servos.

Armature is the inertia of motors behind their gears. Bullet knows none: off contact the
engine ``bullet`` makes up for it in the torque, exactly; in contact Bullet's solver
works with another mass matrix than MuJoCo's, which is the error that is stated here.
Links that carry their motors (:mod:`sims.engines.bullet_rotors`) bring the two matrices
near each other; beside it stands what bare links, M without armature, would cost.

The robot stands, and all its servos' targets jump by :data:`JUMP`, each up or down as
drawn. Its answer is what the joints' velocities become, less what they are without the
jump, so that what both engines do to a robot at rest does not matter. The error is the
norm of the answers' difference over the norm of MuJoCo's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import numpy as np

from assets import load_model
from sims.engines import ENGINES

JUMP = 0.02
"""[rad]"""
SETTLE = 200
"""Physics steps before it."""
STEPS = (1, 2, 5, 20)
"""Physics steps after it, at which the answer is looked at."""
FLIGHT = 3.0
"""Height at which there is no contact [m]."""


def answer(engine: str, seed: int, height: float = 0.0) -> np.ndarray:
    """(len(STEPS), 29): the joints' velocities, less those without the jump [rad/s].

    Args:
        engine: its name.
        seed: of the jump.
        height: of the robot above the floor at first; in flight it does not settle [m].
    """
    model, here = load_model("humanoid"), np.ones(1, bool)
    jump = np.random.default_rng(seed).choice([-JUMP, JUMP], model.nu)
    start = model.key_qpos[0].copy()
    start[2] += height
    physics = ENGINES[engine].make(model, 1, threads=1)
    seen = []
    for targets in (model.key_ctrl[0], model.key_ctrl[0] + jump):
        physics.reset(here, start, np.zeros(model.nv))
        physics.ctrl[:] = model.key_ctrl[0]
        physics.step(1 if height else SETTLE)
        physics.ctrl[:] = targets
        path = []
        for before, after in zip((0, *STEPS), STEPS, strict=False):
            physics.step(after - before)
            path.append(physics.qvel[0, 6:].copy())
        seen.append(np.array(path))
    physics.close()
    return seen[1] - seen[0]


def bare() -> AbstractContextManager[object]:
    """While it lasts, Bullet's links are made without their motors."""
    return patch("sims.engines.bullet_env.has_rotors", lambda layout: False)


def errors(seeds: int) -> dict[str, list[float]]:
    """Of ``bullet`` against ``mujoco``, the median over jumps, after each of
    :data:`STEPS`."""
    kinds: dict[str, tuple[float, Callable[[], AbstractContextManager[object]]]] = {
        "off contact": (FLIGHT, nullcontext),
        "in contact": (0.0, nullcontext),
        "in contact, bare links": (0.0, bare),
    }
    found = {}
    for name, (height, how) in kinds.items():
        rows = []
        for seed in range(seeds):
            true = answer("mujoco", seed, height)
            with how():
                off = answer("bullet", seed, height) - true
            norms = np.linalg.norm(off, axis=1) / np.linalg.norm(true, axis=1)
            rows.append(norms)
        found[name] = [float(e) for e in np.median(rows, axis=0)]
    return found
