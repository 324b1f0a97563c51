"""One environment of the engine ``bullet``: its model, its world, its kinematics.

Bullet steps; the ``MjData`` here holds what MuJoCo makes of Bullet's state: poses,
velocities, Jacobians and sensors of the scene, and the :class:`TorqueLaw`'s memory.
"""

from pathlib import Path

import mujoco
import numpy as np

from sims.contacts import Contact
from sims.engines.bullet_contact import ContactSensor, read_contacts
from sims.engines.bullet_layout import Layout
from sims.engines.bullet_rotors import has_rotors, with_rotors
from sims.engines.bullet_torque import TorqueLaw, coasts
from sims.engines.bullet_world import World

MEMORY = int(
    mujoco.mjtState.mjSTATE_TIME
    | mujoco.mjtState.mjSTATE_ACT
    | mujoco.mjtState.mjSTATE_HISTORY
    | mujoco.mjtState.mjSTATE_QFRC_APPLIED
    | mujoco.mjtState.mjSTATE_XFRC_APPLIED
)
"""What an ``MjData`` has to remember between steps; Bullet has the rest."""
ABSURD_SPEED = 1e5
"""A robot with a faster generalised velocity has diverged [rad/s, m/s]."""


class BulletEnv:
    """One environment. Rows of the engine's arrays are its state."""

    def __init__(
        self,
        model: mujoco.MjModel,
        layout: Layout,
        scratch: mujoco.MjData,
        qpos: np.ndarray,
        qvel: np.ndarray,
    ):
        """Start a client.

        Args:
            model: its own copy of the nominal model.
            layout: of the nominal model.
            scratch: of the nominal model, to work on; its contents do not matter.
            qpos: (nq,) live view, written by each step.
            qvel: (nv,) live view.
        """
        self.model = model
        self.data = mujoco.MjData(model)
        self.qpos, self.qvel = qpos, qvel
        self.world = World(layout)
        self._layout = layout
        self._rotors = has_rotors(layout)
        self.diverged = False
        self.stale = True
        """Whether Bullet's world is to be made anew."""
        self.underived = False
        """Whether the model's constants are those of older fields."""
        self._scratch = scratch
        self._law = TorqueLaw(model, self.data)
        kinds = model.sensor_type
        contact = np.flatnonzero(kinds == mujoco.mjtSensor.mjSENS_CONTACT)
        self._contact_sensors = [
            ContactSensor(model, int(i))
            for i in contact
            if ContactSensor.supported(model, int(i))
        ]

    def reset(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Start anew in a state; the world is built when it is next stepped."""
        mujoco.mj_resetData(self.model, self.data)
        self.qpos[:], self.qvel[:] = qpos, qvel
        self.diverged = False
        self.stale = True

    def advance(self, ctrl: np.ndarray, substeps: int) -> None:
        """Step ``substeps`` times; stop where the physics breaks down."""
        if self.diverged or not np.isfinite(ctrl).all():
            self.diverged = True
            return
        if self.stale:
            self.build()
        self.derive()
        self.data.ctrl[:] = ctrl
        idle = coasts(self.model, self.data)
        with self._law.alone():
            self._substeps(substeps, idle)

    def _substeps(self, substeps: int, idle: bool) -> None:
        world, law = self.world, self._law
        qpos, qvel = self.qpos.copy(), self.qvel.copy()
        for _ in range(substeps):
            if not idle:
                world.push(law.torque(qpos, qvel), qpos)
            world.step()
            world.read(qpos, qvel)
            if not qvel @ qvel < ABSURD_SPEED**2:
                self.diverged = True
                return
            if not idle:
                law.observe(qvel)
            self.qpos[:], self.qvel[:] = qpos, qvel
        if idle:
            self.data.time += substeps * self.model.opt.timestep

    def derive(self) -> None:
        """Bring the model's constants up to date with its fields."""
        if self.underived:
            mujoco.mj_setConst(self.model, self._scratch)
            self.underived = False

    def build(self) -> None:
        """Make the world anew from the model and the state."""
        self.derive()
        model = self.model
        if self._rotors:
            model = with_rotors(model, self._layout)
            self._law.see(model)
        self.world.build(model, self.qpos, self.qvel)
        self.stale = False

    def forward(self) -> None:
        """Make poses, velocities and their sensors those of the present state."""
        self.derive()
        model, data = self.model, self.data
        data.qpos[:], data.qvel[:] = self.qpos, self.qvel
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_sensorPos(model, data)
        mujoco.mj_fwdVelocity(model, data)
        mujoco.mj_sensorVel(model, data)

    def contacts(self) -> list[Contact]:
        """Bullet's contacts of the last step; none in a world that is not made yet."""
        records = [] if self.stale else self.world.contacts()
        return read_contacts(self.model, records)

    def read_contact_sensors(self, out: np.ndarray) -> None:
        """Fill the contact sensors' columns of ``out`` (nsensordata,)."""
        if self._contact_sensors:
            contacts = self.contacts()
            for sensor in self._contact_sensors:
                out[sensor.columns] = sensor.read(contacts)

    def save(self, folder: Path) -> tuple[np.ndarray, bytes]:
        """What the law remembers, and what Bullet does."""
        if self.stale:
            self.build()
        return self.memory(), self.world.save(folder)

    def memory(self) -> np.ndarray:
        """The part of MuJoCo's state that Bullet does not have."""
        memory = np.empty(mujoco.mj_stateSize(self.model, MEMORY))
        mujoco.mj_getState(self.model, self.data, memory, MEMORY)
        return memory

    def load(self, memory: np.ndarray, saved: bytes, folder: Path) -> None:
        """Go back; fields, ``qpos`` and ``qvel`` are those of the save already."""
        self.build()
        self.world.load(saved, folder)
        mujoco.mj_setState(self.model, self.data, memory, MEMORY)
