"""Where physics says that engines must agree: the arm's rigid-body quantities.

Four sources, state by state and with masses of its own for each state: the engine
``mujoco``, PyBullet's own functions on the multibody of the engine ``bullet``
(``calculateMassMatrix``, ``calculateInverseDynamics``, ``getLinkState``,
``calculateJacobian``), the closed form of :mod:`controllers.arm2`, and Pinocchio.
"""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from assets import load_model
from controllers.arm2 import Arm2
from sims.engines.bullet import BulletEngine
from sims.engines.mujoco import MujocoEngine
from sims.tasks.arm import ELBOW_LIMIT, LINKS, SHOULDER_HEIGHT

QUANTITIES = ("mass_matrix", "gravity", "coriolis", "tip", "jacobian")
"""Mass matrix without armature, torques, tip (x, z) from the shoulder, its Jacobian."""
Quantities = dict[str, np.ndarray]
"""By name of :data:`QUANTITIES`, each (n, ...)."""


def draw(model: mujoco.MjModel, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Angles (n, 2) over the full range, velocities (n, 2), masses, inertias."""
    rng = np.random.default_rng(seed)
    span = np.array([np.pi, ELBOW_LIMIT])
    q, v = rng.uniform(-span, span, (n, 2)), rng.uniform(-5, 5, (n, 2))
    masses = np.repeat(model.body_mass[None], n, axis=0)
    inertias = np.repeat(model.body_inertia[None], n, axis=0)
    for link in LINKS:
        body = model.body(link).id
        masses[:, body] *= rng.uniform(0.3, 3.0, n)
        inertias[:, body] *= rng.uniform(0.3, 3.0, (n, 1))
    return q, v, masses, inertias


def agreement(n: int, seed: int) -> dict[str, dict[str, float]]:
    """Largest error of each source against ``mujoco``, over the largest value."""
    model = load_model("arm")
    draws = draw(model, n, seed)
    reference = from_mujoco(model, *draws)
    sources: dict[str, Callable[..., Quantities]] = {
        "bullet": from_bullet,
        "closed form": from_closed_form,
        "pinocchio": from_pinocchio,
    }
    return {
        name: {
            what: float(
                np.abs(values[what] - reference[what]).max()
                / np.abs(reference[what]).max()
            )
            for what in QUANTITIES
        }
        for name, source in sources.items()
        for values in [source(model, *draws)]
    }


def _fill(rows: list[tuple[Any, ...]]) -> Quantities:
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    return dict(zip(QUANTITIES, columns, strict=True))


def from_mujoco(
    model: mujoco.MjModel,
    q: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    inertias: np.ndarray,
) -> Quantities:
    """As the engine has them: one environment per state."""
    n = len(q)
    everywhere = np.ones(n, bool)
    engine = MujocoEngine(model, n, threads=1)
    engine.set_field("body_mass", masses, everywhere)
    engine.set_field("body_inertia", inertias, everywhere)
    engine.reset(everywhere, q, v)
    tip = engine.pose("tip")[0][:, [0, 2]] - [0, SHOULDER_HEIGHT]
    jacobian = engine.jacobian("tip")[:, [0, 2]]
    rows = []
    for i in range(n):
        mine, data = engine.snapshot(i)
        mass = np.zeros((2, 2))
        mujoco.mj_fullM(mine, data, mass)
        bias = data.qfrc_bias.copy()
        data.qvel[:] = 0.0
        mujoco.mj_forward(mine, data)
        gravity = data.qfrc_bias.copy()
        mass -= np.diag(mine.dof_armature)
        rows.append((mass, gravity, bias - gravity, tip[i], jacobian[i]))
    engine.close()
    return _fill(rows)


def from_bullet(
    model: mujoco.MjModel,
    q: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    inertias: np.ndarray,
) -> Quantities:
    """From PyBullet's own functions, on the multibody that the engine built.

    ``getLinkState`` has the centre of mass in double precision (elements 0 and 1),
    which is used here, and the link's frame in single (4 and 5): see
    :func:`link_frame_error`.
    """
    import pybullet as p

    engine = BulletEngine(model, 1)
    env = engine.envs[0]
    fore, everywhere = 1, np.ones(1, bool)
    owner = model.body("fore").id
    local = model.site("tip").pos.tolist()
    from_centre = _rotation(model.body_iquat[owner]).T @ (
        model.site("tip").pos - model.body_ipos[owner]
    )
    rows = []
    for angles, speeds, mass, inertia in zip(q, v, masses, inertias, strict=True):
        engine.set_field("body_mass", mass, everywhere)
        engine.set_field("body_inertia", inertia, everywhere)
        engine.reset(everywhere, angles, speeds)
        env.build()
        client, body = env.world.client, env.world.built.bodies[0]
        at, moving, still = angles.tolist(), speeds.tolist(), [0.0, 0.0]
        state = p.getLinkState(body, fore, 0, 1, client)
        turn = np.array(p.getMatrixFromQuaternion(state[1])).reshape(3, 3)
        tip = np.array(state[0]) + turn @ from_centre
        jacobian = p.calculateJacobian(body, fore, local, at, still, still, client)
        gravity = np.array(
            p.calculateInverseDynamics(body, at, still, still, physicsClientId=client)
        )
        bias = np.array(
            p.calculateInverseDynamics(body, at, moving, still, physicsClientId=client)
        )
        matrix = np.array(p.calculateMassMatrix(body, at, physicsClientId=client))
        rows.append(
            (
                matrix,
                gravity,
                bias - gravity,
                tip[[0, 2]] - [0, SHOULDER_HEIGHT],
                np.array(jacobian[0])[[0, 2]],
            )
        )
    engine.close()
    return _fill(rows)


def link_frame_error(n: int, seed: int) -> float:
    """Largest error of ``getLinkState``'s link frame [m], which is single precision."""
    import pybullet as p

    model = load_model("arm")
    engine = BulletEngine(model, 1)
    env, everywhere = engine.envs[0], np.ones(1, bool)
    worst = 0.0
    for angles in draw(model, n, seed)[0]:
        engine.reset(everywhere, angles, np.zeros(2))
        env.build()
        body = env.world.built.bodies[0]
        frame = np.array(p.getLinkState(body, 1, 0, 1, env.world.client)[4])
        worst = max(worst, float(np.abs(frame - engine.pose("fore")[0][0]).max()))
    engine.close()
    return worst


def from_closed_form(
    model: mujoco.MjModel,
    q: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    inertias: np.ndarray,
) -> Quantities:
    """From the textbook's equations."""
    varied = load_model("arm")
    rows = []
    for angles, speeds, mass, inertia in zip(q, v, masses, inertias, strict=True):
        varied.body_mass[:], varied.body_inertia[:] = mass, inertia
        arm = Arm2.from_model(varied)
        at, moving = angles[None], speeds[None]
        rows.append(
            (
                arm.mass_matrix(at)[0] - np.diag(arm.armature),
                arm.gravity_torque(at)[0],
                arm.coriolis(at, moving)[0],
                arm.forward(at)[0],
                arm.jacobian(at)[0],
            )
        )
    return _fill(rows)


def from_pinocchio(
    model: mujoco.MjModel,
    q: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    inertias: np.ndarray,
) -> Quantities:
    """From Pinocchio, the arm put together joint by joint."""
    import pinocchio as pin  # pyright: ignore[reportMissingImports]

    rows = []
    for angles, speeds, mass, inertia in zip(q, v, masses, inertias, strict=True):
        robot = pin.Model()
        parent = 0
        for link, joint in zip(LINKS, ("shoulder", "elbow"), strict=True):
            body = model.body(link).id
            turn = _rotation(model.body_iquat[body])
            parent = robot.addJoint(
                parent,
                pin.JointModelRevoluteUnaligned(model.joint(joint).axis),
                pin.SE3(np.eye(3), model.body_pos[body]),
                joint,
            )
            tensor = turn @ np.diag(inertia[body]) @ turn.T
            robot.appendBodyToJoint(
                parent,
                pin.Inertia(mass[body], model.body_ipos[body], tensor),
                pin.SE3.Identity(),
            )
        place = pin.SE3(np.eye(3), model.site("tip").pos)
        tip = robot.addFrame(pin.Frame("tip", parent, place, pin.FrameType.OP_FRAME))
        data = robot.createData()
        matrix = pin.crba(robot, data, angles)
        matrix = np.triu(matrix) + np.triu(matrix, 1).T
        gravity = pin.computeGeneralizedGravity(robot, data, angles).copy()
        bias = pin.nonLinearEffects(robot, data, angles, speeds).copy()
        world = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        jacobian = pin.computeFrameJacobian(robot, data, angles, tip, world)
        pin.framesForwardKinematics(robot, data, angles)
        position = data.oMf[tip].translation[[0, 2]] - [0, SHOULDER_HEIGHT]
        rows.append((matrix, gravity, bias - gravity, position, jacobian[[0, 2]]))
    return _fill(rows)


def _rotation(quat: np.ndarray) -> np.ndarray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)
