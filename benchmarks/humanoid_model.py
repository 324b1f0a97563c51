"""Where physics says that models must agree: the humanoid's rigid-body quantities.

Three sources, state by state: the engine ``mujoco``, PyBullet's own functions on the
multibody of the engine ``bullet``, and Pinocchio. The base floats, so states are
positions (num, 36) and velocities (num, 35) in MuJoCo's coordinates: the base's linear
velocity in the world's axes, its spin in its own. All are compared without what motors
add (armature, damping), and forces and matrices as MuJoCo has them:

    M(q) qdd + coriolis(q, qd) + gravity(q) = tau

With it, how the robot stands under its servos alone, and lands from 5 cm, in all three
engines, and what armature costs in PyBullet (:mod:`benchmarks.humanoid_armature`).

python -m benchmarks.humanoid_model
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any

import mujoco
import numpy as np

from assets import load_model
from benchmarks.humanoid_armature import STEPS, errors
from benchmarks.record import bar, record
from sims.engines import ENGINES
from sims.engines.bullet import BulletEngine
from sims.engines.bullet_env import BulletEnv
from sims.engines.mujoco import MujocoEngine

QUANTITIES = ("mass_matrix", "gravity", "coriolis", "centre_of_mass", "places", "turns")
"""The last two: positions and rotation matrices of all links' inertial frames."""
LIMIT = 1e-9
"""Of the largest error, relative to the largest value."""
STEPPED_LIMIT = 1e-6
"""The same of Coriolis forces in PyBullet, which come from one step of :data:`TINY`."""
TINY = 1e-6
"""[s]"""
STANDING = {"sink [m]": 0.01, "tilt [rad]": 0.05, "drift [m]": 0.02, "speed": 0.02}
"""Of 10 s under the servos alone: how far the pelvis goes down and sideways, how far it
leans, and the fastest degree of freedom at the end [rad/s, m/s]."""
DROP = 0.05
"""[m]"""
ANSWER = {"off contact": 1e-6, "in contact": 0.3}
"""Of the relative error of a robot's answer to its servos in PyBullet, which sees no
armature; see :mod:`benchmarks.humanoid_armature`."""
Quantities = dict[str, np.ndarray]
"""By name of :data:`QUANTITIES`, each (num, ...)."""


def bare_model() -> mujoco.MjModel:
    """The humanoid without what motors, contact and limits add to rigid bodies.

    Its geoms may still touch the floor, which is far: PyBullet's inverse dynamics
    leaves gravity out where the base has no shape.
    """
    model = load_model("humanoid")
    model.opt.timestep = TINY
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_LIMIT)
    model.geom_contype[model.geom_bodyid > 0] = 0
    model.dof_armature[:] = 0.0
    model.dof_damping[:] = 0.0
    model.actuator_gainprm[:] = 0.0
    model.actuator_biasprm[:] = 0.0
    return model


def draw(model: mujoco.MjModel, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """States all over: joints within their limits, any orientation, fast."""
    rng = np.random.default_rng(seed)
    q = np.empty((num, model.nq))
    q[:, :3] = rng.uniform([-1, -1, 4], [1, 1, 6], (num, 3))
    q[:, 3:7] = rng.normal(size=(num, 4))
    q[:, 3:7] /= np.linalg.norm(q[:, 3:7], axis=1, keepdims=True)
    low, high = model.jnt_range[1:].T
    q[:, 7:] = rng.uniform(low, high, (num, model.nu))
    return q, rng.uniform(-3, 3, (num, model.nv))


def agreement(num: int, seed: int) -> dict[str, dict[str, float]]:
    """Largest error of each source against ``mujoco``, over the largest value."""
    model = bare_model()
    states = draw(model, num, seed)
    reference = from_mujoco(model, *states)
    sources: dict[str, Callable[..., Quantities]] = {
        "bullet": from_bullet,
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
        for values in [source(model, *states)]
    }


def _fill(rows: list[tuple[Any, ...]]) -> Quantities:
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    return dict(zip(QUANTITIES, columns, strict=True))


def from_mujoco(model: mujoco.MjModel, q: np.ndarray, v: np.ndarray) -> Quantities:
    """As the engine has them."""
    engine, here = MujocoEngine(model, 1, threads=1), np.ones(1, bool)
    rows = []
    for position, velocity in zip(q, v, strict=True):
        engine.reset(here, position, velocity)
        mine, data = engine.snapshot()
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(mine, data, mass)
        bias = data.qfrc_bias.copy()
        centre = data.subtree_com[0].copy()
        places, turns = data.xipos[1:].copy(), data.ximat[1:].copy()
        data.qvel[:] = 0.0
        mujoco.mj_forward(mine, data)
        gravity = data.qfrc_bias.copy()
        rows.append((mass, gravity, bias - gravity, centre, places, turns))
    engine.close()
    return _fill(rows)


def from_bullet(model: mujoco.MjModel, q: np.ndarray, v: np.ndarray) -> Quantities:
    """From PyBullet, on the multibody that the engine built.

    ``calculateInverseDynamics`` of a floating base knows no velocities that we could
    make sense of; so Coriolis forces come from what Bullet's step does to a velocity.
    """
    engine, here = BulletEngine(model, 1), np.ones(1, bool)
    env = engine.envs[0]
    centre = model.body_ipos[1]
    rows = []
    for position, velocity in zip(q, v, strict=True):
        engine.reset(here, position, velocity)
        env.build()
        turn = _rotation(position[3:7])
        mass = _bullet_mass(env, turn, position)
        gravity = _bullet_gravity(env, turn, centre, position)
        links = _bullet_links(env)
        after, speed = position.copy(), velocity.copy()
        env.world.step()
        env.world.read(after, speed)
        bias = -mass @ ((speed - velocity) / TINY)
        rows.append((mass, gravity, bias - gravity, *links))
    engine.close()
    return _fill(rows)


def _bullet_mass(env: BulletEnv, turn: np.ndarray, position: np.ndarray) -> np.ndarray:
    """``calculateMassMatrix``, whose order is spin, linear, joints in the base's own
    axes at its centre of mass, in MuJoCo's coordinates."""
    import pybullet as p

    model, body = env.model, env.world.built.bodies[0]
    angles = position[7:].tolist()
    theirs = p.calculateMassMatrix(body, angles, physicsClientId=env.world.client)
    inertial = _rotation(model.body_iquat[1])
    jacobian = np.eye(model.nv)
    jacobian[:6, :6] = 0.0
    jacobian[:3, 3:6] = inertial.T
    jacobian[3:6, :3] = inertial.T @ turn.T
    jacobian[3:6, 3:6] = -inertial.T @ _cross(model.body_ipos[1])
    return jacobian.T @ np.array(theirs) @ jacobian


def _bullet_gravity(
    env: BulletEnv, turn: np.ndarray, centre: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """``calculateInverseDynamics`` at rest: a wrench at the base's centre of mass, in
    the world's axes, a zero, the joints' torques."""
    import pybullet as p

    body = env.world.built.bodies[0]
    place = [*position[:3], *position[4:7], position[3], *position[7:]]
    still = [0.0] * len(place)
    found = np.array(
        p.calculateInverseDynamics(
            body, place, still, still, flags=1, physicsClientId=env.world.client
        )
    )
    force, torque = found[:3], turn.T @ found[3:6]
    torque += np.cross(centre, turn.T @ force)
    return np.concatenate([force, torque, found[7:]])


def _bullet_links(env: BulletEnv) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre of mass, links' places and their rotation matrices."""
    import pybullet as p

    client, body = env.world.client, env.world.built.bodies[0]
    poses = [p.getBasePositionAndOrientation(body, client)]
    poses += [
        p.getLinkState(body, i, 0, 1, client)[:2]
        for i in range(p.getNumJoints(body, client))
    ]
    masses = [
        p.getDynamicsInfo(body, i - 1, client)[0] for i in range(len(poses))
    ]  # -1 is the base
    places = np.array([place for place, _ in poses])
    turns = np.array([p.getMatrixFromQuaternion(quat) for _, quat in poses])
    moving = np.array(masses) > 0  # not the links that carry a second shape only
    places, turns, weights = places[moving], turns[moving], np.array(masses)[moving]
    return weights @ places / weights.sum(), places, turns


def from_pinocchio(model: mujoco.MjModel, q: np.ndarray, v: np.ndarray) -> Quantities:
    """From Pinocchio, the robot put together joint by joint.

    Its base's velocity is in the base's axes, all of it: vdot of MuJoCo's zero
    acceleration is -omega x v there.
    """
    pin: Any = import_module("pinocchio")
    robot, joints = _pinocchio_model(model)
    data = robot.createData()
    rows = []
    for position, velocity in zip(q, v, strict=True):
        turn = _rotation(position[3:7])
        place = np.concatenate([position[:3], position[4:7], position[3:4]])
        place = np.concatenate([place, position[7:]])
        jacobian = np.eye(model.nv)
        jacobian[:3, :3] = turn.T
        moving, still = jacobian @ velocity, np.zeros(model.nv)
        carried = np.zeros(model.nv)
        carried[:3] = -np.cross(velocity[3:6], moving[:3])
        mass = pin.crba(robot, data, place)
        mass = np.triu(mass) + np.triu(mass, 1).T
        gravity = jacobian.T @ pin.rnea(robot, data, place, still, still)
        bias = jacobian.T @ pin.rnea(robot, data, place, moving, carried)
        centre = pin.centerOfMass(robot, data, place).copy()
        places, turns = [], []
        for joint, body in joints:
            T = data.oMi[joint]
            places.append(T.act(model.body_ipos[body]))
            turns.append((T.rotation @ _rotation(model.body_iquat[body])).ravel())
        mass = jacobian.T @ mass @ jacobian
        rows.append((mass, gravity, bias - gravity, centre, places, turns))
    return _fill(rows)


def _pinocchio_model(model: mujoco.MjModel) -> tuple[Any, list[tuple[int, int]]]:
    """Pinocchio's model, and its joint's id beside MuJoCo's body for each body."""
    pin: Any = import_module("pinocchio")
    robot = pin.Model()
    ids = {0: 0}
    for body in range(1, model.nbody):
        joint = model.joint(int(model.body_jntadr[body]))
        free = joint.type == mujoco.mjtJoint.mjJNT_FREE
        kind = (
            pin.JointModelFreeFlyer()
            if free
            else pin.JointModelRevoluteUnaligned(joint.axis)
        )
        place = pin.SE3.Identity()
        if not free:
            place = pin.SE3(_rotation(model.body_quat[body]), model.body_pos[body])
        parent = ids[int(model.body_parentid[body])]
        ids[body] = robot.addJoint(parent, kind, place, joint.name)
        turn = _rotation(model.body_iquat[body])
        tensor = turn @ np.diag(model.body_inertia[body]) @ turn.T
        inertia = pin.Inertia(model.body_mass[body], model.body_ipos[body], tensor)
        robot.appendBodyToJoint(ids[body], inertia, pin.SE3.Identity())
    return robot, [(ids[body], body) for body in range(1, model.nbody)]


def stand(engine: str, height: float, seconds: float = 10.0) -> dict[str, float]:
    """How the robot stands under its servos alone, from above the floor.

    Args:
        engine: its name.
        height: of the fall [m].
        seconds: how long.

    Returns:
        The figures of :data:`STANDING`; all but "speed" are the worst after the first
        second, and "peak force" is the hardest that both feet press [N].
    """
    model = load_model("humanoid")
    physics, here = ENGINES[engine].make(model, 1, threads=1), np.ones(1, bool)
    start = model.key_qpos[0].copy()
    start[2] += height
    physics.reset(here, start, np.zeros(model.nv))
    physics.ctrl[:] = model.key_ctrl[0]
    path, force = [], 0.0
    for _ in range(round(seconds / physics.dt)):
        physics.step()
        path.append(physics.qpos[0, :7].copy())
        feet = [physics.sensor(f"{s}_foot_contact")[0, 3] for s in ("left", "right")]
        force = max(force, -sum(feet))
    later = np.array(path)[round(1.0 / physics.dt) :]
    upright = 1 - 2 * (later[:, 4] ** 2 + later[:, 5] ** 2)
    figures = {
        "sink [m]": float(model.key_qpos[0, 2] - later[:, 2].min()),
        "tilt [rad]": float(np.arccos(np.clip(upright, -1, 1)).max()),
        "drift [m]": float(np.linalg.norm(later[:, :2], axis=1).max()),
        "speed": float(np.abs(physics.qvel).max()),
        "peak force [N]": float(force),
    }
    physics.close()
    return figures


def _rotation(quat: np.ndarray) -> np.ndarray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def _cross(a: np.ndarray) -> np.ndarray:
    """(3, 3): the matrix of ``a`` x."""
    return np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])


def main() -> None:
    """Measure, print, record; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="is the humanoid one robot?")
    parser.add_argument("--states", type=int, default=1000, help="random states")
    parser.add_argument("--jumps", type=int, default=20, help="of the servos' targets")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    apart = agreement(args.states, args.seed)
    bars = [
        bar(f"{what}, {source}", error, "<=", limit(source, what))
        for source, row in apart.items()
        for what, error in row.items()
    ]
    standing: dict[str, dict[str, float]] = {}
    for engine in ENGINES:
        for height in (0.0, DROP):
            name = f"{engine}, {f'dropped from {height:g} m' if height else 'standing'}"
            standing[name] = stand(engine, height)
            bars += [
                bar(f"{name}: {what}", standing[name][what], "<=", most)
                for what, most in STANDING.items()
            ]
    answers = errors(args.jumps)
    told = "what armature costs in bullet, {} after {} steps"
    for name, row in answers.items():
        most = ANSWER.get(name)
        for steps, error in zip(STEPS, row, strict=True):
            what = told.format(name, steps)
            print(f"{what:70s} {error:.2e}")
            if most is not None:
                bars.append(bar(what, error, "<=", most))
    for line in bars:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']:70s} {line['figure']:.2e} {line['bar']} {met}")
    result = {"n": args.states, "seed": args.seed, "errors": apart}
    result |= {"standing": standing, "answer_after_steps": STEPS, "answers": answers}
    path = record("humanoid_model", result | {"bars": bars})
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(line["met"] for line in bars):
        raise SystemExit(1)


def limit(source: str, what: str) -> float:
    """The bar of an error."""
    stepped = source == "bullet" and what == "coriolis"
    return STEPPED_LIMIT if stepped else LIMIT


if __name__ == "__main__":
    main()
