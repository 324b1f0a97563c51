"""What the engines do over time: free swings, energy, contact with the wall, speed."""

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from assets import load_model
from controllers.arm2 import Arm2
from sims.engines.bullet import BulletEngine
from sims.engines.bullet_torque import TorqueLaw
from sims.engines.mujoco import MujocoEngine
from sims.tasks.arm import ELBOW_LIMIT, elbow_posture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sims.engine import Engine

ENGINES = {"mujoco": MujocoEngine, "bullet": BulletEngine}
INTEGRATORS = {
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
    "rk4": mujoco.mjtIntegrator.mjINT_RK4,
}
_NO_LIMITS = int(mujoco.mjtDisableBit.mjDSBL_LIMIT)


def free_arm(integrator: str, dt: float, *, damping: bool) -> mujoco.MjModel:
    """The arm without joint limits, and without damping if so told."""
    model = load_model("arm")
    model.opt.integrator = int(INTEGRATORS[integrator])
    model.opt.timestep = dt
    model.opt.disableflags |= _NO_LIMITS
    if not damping:
        model.dof_damping[:] = 0.0
    return model


def states(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles (n, 2) over the full range, velocities (n, 2)."""
    rng = np.random.default_rng(seed)
    span = np.array([np.pi, ELBOW_LIMIT])
    return rng.uniform(-span, span, (n, 2)), rng.uniform(-2, 2, (n, 2))


def free_swing(n: int, seed: int, integrator: str, *, damping: bool) -> float:
    """Largest difference of joint angles between the engines over 1 s [rad]."""
    model = free_arm(integrator, 0.001, damping=damping)
    engines = [make(model, n) for make in ENGINES.values()]
    start, everywhere = states(n, seed), np.ones(n, bool)
    worst = 0.0
    for engine in engines:
        engine.reset(everywhere, *start)
    for _ in range(100):
        for engine in engines:
            engine.step(10)
        worst = max(worst, float(np.abs(engines[0].qpos - engines[1].qpos).max()))
    for engine in engines:
        engine.close()
    return worst


def energy_drift(
    engine: str, integrator: str, dt: float, n: int, seed: int, seconds: float = 10.0
) -> np.ndarray:
    """Largest change of energy in each swing (n,), over its largest kinetic energy.

    Without damping, limits, torques or contact; energy is looked at every 10 ms.
    """
    model = free_arm(integrator, dt, damping=False)
    world = ENGINES[engine](model, n)
    world.reset(np.ones(n, bool), *states(n, seed))
    data = mujoco.MjData(model)
    total, kinetic = [], []
    for _ in range(round(seconds / 0.01) + 1):
        pair = world.qpos, world.qvel
        rows = [_energy(model, data, *row) for row in zip(*pair, strict=True)]
        total.append([sum(row) for row in rows])
        kinetic.append([row[1] for row in rows])
        world.step(round(0.01 / dt))
    world.close()
    change = np.abs(np.array(total) - total[0]).max(axis=0)
    return change / np.array(kinetic).max(axis=0)


def _energy(
    model: mujoco.MjModel, data: mujoco.MjData, qpos: np.ndarray, qvel: np.ndarray
) -> tuple[float, float]:
    """Potential and kinetic energy [J]."""
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_fwdPosition(model, data)
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    return float(data.energy[0]), float(data.energy[1])


@contextmanager
def without_memory_of_contact() -> "Iterator[None]":
    """Within this, the one torque ignores what contact did in the step before."""
    observe = TorqueLaw.observe
    TorqueLaw.observe = lambda self, qvel: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        TorqueLaw.observe = observe  # type: ignore[method-assign]


def press(engine: str, force: float, stiffness: float, seconds: float) -> np.ndarray:
    """Push the wall open-loop; its contact force along x at each ms, (steps,) [N].

    The arm carries its weight, pushes with ``force`` along x and holds its height; the
    force that the wall feels is not fed back, so that it shows what the engine makes of
    the torques.
    """
    model = load_model("arm", "wall")
    arm = Arm2.from_model(model)
    world = ENGINES[engine](model, 1)
    everywhere = np.ones(1, bool)
    values = model.jnt_stiffness.copy()
    values[model.joint("wall").id] = stiffness
    world.set_field("jnt_stiffness", values, everywhere)
    start = elbow_posture(np.array([0.46]), np.array([0.05]), np.array([1.0]))
    world.reset(everywhere, np.append(start[0], 0.0), np.zeros(3))
    forces = np.empty(round(seconds / world.dt))
    for i in range(len(forces)):
        world.ctrl[:] = _push(world, arm, force)
        world.step(1)
        forces[i] = -world.sensor("wall_contact")[0, 0]
    world.close()
    return forces


def _push(world: "Engine", arm: Arm2, force: float) -> np.ndarray:
    """Joint torques (1, 2) of :func:`press`."""
    q, qd = world.qpos[:, :2], world.qvel[:, :2]
    jacobian = arm.jacobian(q)
    height = arm.forward(q)[:, 1]
    speed = np.einsum("nij,nj->ni", jacobian, qd)
    wanted = np.stack(
        [force - 40 * speed[:, 0], 800 * (0.05 - height) - 40 * speed[:, 1]], axis=1
    )
    return arm.gravity_torque(q) + np.einsum("nji,nj->ni", jacobian, wanted)


def contact(force: float, stiffness: float) -> dict[str, dict[str, float]]:
    """Steady force and first impact on the wall, by engine."""
    runs = {engine: press(engine, force, stiffness, 2.0) for engine in ENGINES}
    with without_memory_of_contact():
        runs["bullet, contact not counted on"] = press("bullet", force, stiffness, 2.0)
    rows = {}
    for name, forces in runs.items():
        first = int(np.argmax(forces > 0))
        rows[name] = {
            "steady_force_N": float(forces[-500:].mean()),
            "steady_error": float(forces[-500:].mean() / force - 1),
            "steady_std_N": float(forces[-500:].std()),
            "impact_peak_N": float(forces[first : first + 50].max()),
            "impulse_50ms_Ns": float(forces[first : first + 50].sum() * 1e-3),
        }
    return rows


def speed(scene: str, num_envs: int, rounds: int = 20) -> dict[str, float]:
    """Median processor time of a step of ``bullet`` [us].

    On the scene "wall" the arm presses it. "Bare" is Bullet's step alone, the arm let
    go: what is left for reading, torque and kinematics is the difference.
    """
    model = load_model("arm", scene)
    arm = Arm2.from_model(model)
    world = BulletEngine(model, num_envs)
    everywhere = np.ones(num_envs, bool)
    start = elbow_posture(np.array([0.49]), np.array([0.05]), np.array([1.0]))[0]
    world.reset(everywhere, np.append(start, 0.0)[: model.nq], np.zeros(model.nv))
    whole, own = [], []
    for _ in range(rounds):
        world.ctrl[:] = _push(world, arm, 10.0)
        begin = time.process_time()
        world.step(50)
        whole.append((time.process_time() - begin) / (50 * num_envs))
    for _ in range(rounds):
        begin = time.process_time()
        for env in world.envs:
            for _ in range(50):
                env.world.step()
        own.append((time.process_time() - begin) / (50 * num_envs))
    world.close()
    return {
        "us_per_step": float(np.median(whole) * 1e6),
        "us_bare_bullet": float(np.median(own) * 1e6),
    }
