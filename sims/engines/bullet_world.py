"""One PyBullet client with one copy of a scene, in MuJoCo's coordinates.

Bullet remembers more than positions and velocities: contact points, and the impulses
that start the next solution. :meth:`World.build` therefore makes the whole world anew
(half a millisecond for the arm), so that an episode after a reset has the same bits as
one in a fresh engine; :meth:`World.load` builds first, too, and then reads back what
:meth:`World.save` wrote.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from assets.quiet import quiet_stderr
from sims.engine import EngineError
from sims.engines.bullet_build import Built, base_frame, build
from sims.engines.bullet_layout import Layout, Tree
from sims.engines.bullet_shapes import Pose


def import_pybullet() -> Any:
    """The module ``pybullet``.

    Raises:
        EngineError: it is not installed; the message says how to get it.
    """
    try:
        # its greeting, printed once, when it is first imported
        with nullcontext() if "pybullet" in sys.modules else quiet_stderr():
            import pybullet
    except ImportError as error:
        raise EngineError(
            "the engine 'bullet' needs PyBullet, which is not installed. It has wheels "
            "up to Python 3.11: make an environment with python3.11 and run "
            "pip install 'pybullet>=3.2.6', or use the engine 'mujoco'."
        ) from error
    return pybullet


class World:
    """One client; ids, links and frames of Bullet do not leave it."""

    def __init__(self, layout: Layout):
        """Start a client, its world still empty.

        Args:
            layout: of the scene.

        Raises:
            EngineError: PyBullet is not installed, or gives no further client.
        """
        self._p = import_pybullet()
        self._layout = layout
        self.client = self._p.connect(self._p.DIRECT)
        if self.client < 0:
            raise EngineError(
                "PyBullet gives no further client: use fewer environments"
            )
        self._model: mujoco.MjModel | None = None
        self.built = Built(bodies=(), geoms={})
        self._joints: list[tuple[int, list[int], list[int], list[int], Any]] = []
        self._free: list[tuple[int, Tree, int, int]] = []

    def build(self, model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Make the scene anew, in a state.

        Args:
            model: this environment's model; kept.
            qpos: (nq,).
            qvel: (nv,).
        """
        self._model = model
        self.built = build(self._p, self.client, model, self._layout)
        self._joints, self._free = [], []
        for body, tree in zip(self.built.bodies, self._layout.trees, strict=True):
            joints = list(tree.joints)
            if tree.free >= 0:
                at = int(model.jnt_qposadr[tree.free]), int(model.jnt_dofadr[tree.free])
                self._free.append((body, tree, *at))
            if joints:
                positions = model.jnt_qposadr[joints].tolist()
                dofs = model.jnt_dofadr[joints].tolist()
                reference = model.qpos0[positions].tolist()
                links = list(tree.moving)
                self._joints.append((body, links, positions, dofs, reference))
        self._write(qpos, qvel)

    def _write(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        for body, tree, at_q, at_v in self._free:
            self._write_base(body, tree, qpos[at_q : at_q + 7], qvel[at_v : at_v + 6])
        for body, links, positions, dofs, reference in self._joints:
            for link, i, j, zero in zip(links, positions, dofs, reference, strict=True):
                self._p.resetJointState(
                    body, link, float(qpos[i]) - zero, float(qvel[j]), self.client
                )

    def _write_base(
        self, body: int, tree: Tree, qpos: np.ndarray, qvel: np.ndarray
    ) -> None:
        """Put a floating base into a state; MuJoCo's spin is in the body's axes."""
        assert self._model is not None
        quat = qpos[3:] / np.linalg.norm(qpos[3:])
        T_world_base = Pose(qpos[:3], quat) @ base_frame(self._model, tree)
        omega = np.empty(3)
        mujoco.mju_rotVecQuat(omega, qvel[3:], quat)
        linear = qvel[:3] + np.cross(omega, T_world_base.pos - qpos[:3])
        self._p.resetBasePositionAndOrientation(
            body, T_world_base.pos.tolist(), T_world_base.xyzw, self.client
        )
        self._p.resetBaseVelocity(body, linear.tolist(), omega.tolist(), self.client)

    def read(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Write the state into ``qpos`` (nq,) and ``qvel`` (nv,).

        A quaternion takes the sign that is nearer to what ``qpos`` held.
        """
        for body, links, positions, dofs, reference in self._joints:
            states = self._p.getJointStates(body, links, self.client)
            for state, i, j, zero in zip(
                states, positions, dofs, reference, strict=True
            ):
                qpos[i] = state[0] + zero
                qvel[j] = state[1]
        for body, tree, at_q, at_v in self._free:
            self._read_base(body, tree, qpos[at_q : at_q + 7], qvel[at_v : at_v + 6])

    def _read_base(
        self, body: int, tree: Tree, qpos: np.ndarray, qvel: np.ndarray
    ) -> None:
        assert self._model is not None
        centre, xyzw = self._p.getBasePositionAndOrientation(body, self.client)
        linear, angular = self._p.getBaseVelocity(body, self.client)
        T_world_base = Pose(np.array(centre), np.array([xyzw[3], *xyzw[:3]]))
        T_world_body = T_world_base @ base_frame(self._model, tree).inverse()
        omega, inverse = np.array(angular), np.empty(4)
        same_side = qpos[3:] @ T_world_body.quat >= 0
        qpos[:3] = T_world_body.pos
        qpos[3:] = T_world_body.quat if same_side else -T_world_body.quat
        qvel[:3] = linear + np.cross(omega, T_world_body.pos - T_world_base.pos)
        mujoco.mju_negQuat(inverse, T_world_body.quat)
        mujoco.mju_rotVecQuat(qvel[3:], omega, inverse)

    def push(self, force: np.ndarray, qpos: np.ndarray) -> None:
        """Apply generalised forces during the next step.

        Args:
            force: (nv,) in MuJoCo's coordinates [N, N m].
            qpos: (nq,) the present state.
        """
        values = force.tolist()
        for body, links, _, dofs, _ in self._joints:
            self._p.setJointMotorControlArray(
                body,
                links,
                self._p.TORQUE_CONTROL,
                forces=[values[j] for j in dofs],
                physicsClientId=self.client,
            )
        for body, tree, at_q, at_v in self._free:
            on_base = force[at_v : at_v + 6]
            if on_base.any():
                self._push_base(body, tree, on_base, qpos[at_q : at_q + 7])

    def _push_base(
        self, body: int, tree: Tree, force: np.ndarray, qpos: np.ndarray
    ) -> None:
        """Turn a free joint's force into a wrench at the base's centre of mass."""
        assert self._model is not None
        T_world_body = Pose(qpos[:3], qpos[3:])
        centre = (T_world_body @ base_frame(self._model, tree)).pos
        torque = np.empty(3)
        mujoco.mju_rotVecQuat(torque, force[3:], qpos[3:])
        torque -= np.cross(centre - qpos[:3], force[:3])
        world, client = self._p.WORLD_FRAME, self.client
        self._p.applyExternalForce(
            body, -1, force[:3].tolist(), centre.tolist(), world, client
        )
        self._p.applyExternalTorque(body, -1, torque.tolist(), world, client)

    def step(self) -> None:
        """Advance by one time step."""
        self._p.stepSimulation(self.client)

    def contacts(self) -> list[tuple[int, int, tuple]]:
        """Both geoms of each contact point of the last step, and PyBullet's record."""
        geoms = self.built.geoms
        return [
            (geoms[c[1], c[3]], geoms[c[2], c[4]], c)
            for c in self._p.getContactPoints(physicsClientId=self.client)
        ]

    def save(self, folder: Path) -> bytes:
        """All that Bullet remembers; ``folder`` is for a file in passing."""
        path = folder / "world.bullet"
        self._p.saveBullet(str(path), physicsClientId=self.client)
        return path.read_bytes()

    def load(self, saved: bytes, folder: Path) -> None:
        """Take over what another world of the same build remembered."""
        path = folder / "world.bullet"
        path.write_bytes(saved)
        self._p.restoreState(fileName=str(path), physicsClientId=self.client)

    def close(self) -> None:
        """End the client; may be called twice."""
        if self.client >= 0:
            self._p.disconnect(self.client)
            self.client = -1
