"""PyBullet behind the :class:`~sims.engine.Engine`: the second opinion.

One client per environment, built body by body from the compiled ``MjModel``; so there
is no second model file. Rigid-body motion, contact and joint limits are Bullet's;
everything else is one torque (:mod:`sims.engines.bullet_torque`), and poses,
velocities, Jacobians and sensors are MuJoCo's kinematics at Bullet's state.

What agrees and what does not (figures: ``benchmarks/engines.py``):

- Off contact a step is MuJoCo's to rounding: mass matrix, gravity, Coriolis terms,
  armature, damping, springs, servos, integrator. A free joint whose centre of mass is
  not at the body's origin differs by the square of the step.
- In contact Bullet's solver sees the mass without armature, and the torque makes good
  for it one step later: the arm's steady force on the wall is within 0.5% of what its
  torques say (29% short without), the impulse of hitting it within 4% of MuJoCo's.
- Contacts and joint limits are hard where MuJoCo's are soft: a hit is a blow of one
  step, eight to ten times the peak force. ``frictionloss`` is approximate.
- Bits depend neither on the number of environments nor on what was simulated before.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path

import mujoco
import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import Array, Mask, assign
from sims.contacts import Contact
from sims.engine import (
    FIELDS,
    EngineCameras,
    EngineError,
    EngineState,
    check_field,
    check_state,
    check_varied,
    default_field,
    find_frame,
    nominal_rows,
    restore_fields,
)
from sims.engines.bullet_contact import ContactSensor
from sims.engines.bullet_env import MEMORY, BulletEnv
from sims.engines.bullet_layout import make_layout
from sims.engines.bullet_shapes import BULLET_CONTACT_VERSION

MAX_ENVS = 64
"""A client takes about 28 MB, and at about 1,000 the process ends without a word."""
_REBUILT = (
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "body_mass",
    "body_pos",
    "dof_frictionloss",
    "geom_friction",
    "geom_size",
    "opt.gravity",
)
"""Fields that Bullet's world is built from; the others are the torque's alone."""


class BulletEngine:
    """``num_envs`` PyBullet clients."""

    name = "bullet"
    device = "cpu"
    fields: tuple[str, ...] = FIELDS

    def __init__(
        self, model: mujoco.MjModel, num_envs: int, *, max_envs: int = MAX_ENVS
    ):
        """Start the clients, at the model's initial state.

        Args:
            model: the nominal model; copied.
            num_envs: how many.
            max_envs: the most that are allowed.

        Raises:
            UsageError: ``num_envs`` is not within 1 and ``max_envs``.
            EngineError: PyBullet is missing, or the scene has something that it or
                this engine cannot do.
        """
        if not 1 <= num_envs <= max_envs:
            raise UsageError(
                f"the engine 'bullet' takes 1 to {max_envs} environments (one client "
                f"of 28 MB each), got {num_envs}: use fewer, or the engine 'mujoco'"
            )
        self.model = model
        self.num_envs = num_envs
        self.dt = float(model.opt.timestep)
        self.qpos: Array = np.repeat(model.qpos0[None], num_envs, axis=0)
        self.qvel: Array = np.zeros((num_envs, model.nv))
        self.ctrl: Array = np.zeros((num_envs, model.nu))
        self._sensors = np.zeros((num_envs, model.nsensordata))
        scratch = mujoco.MjData(model)
        self._fields: dict[str, np.ndarray] = {}
        self._frames: dict[str, tuple[str, int]] = {}
        layout = make_layout(model)
        self._sensor_views = self._view_sensors()
        self.envs: list[BulletEnv] = []
        self._cameras = EngineCameras()
        try:
            for i in range(num_envs):
                copy = mujoco.MjModel.__copy__(model)
                env = BulletEnv(copy, layout, scratch, self.qpos[i], self.qvel[i])
                self.envs.append(env)
                env.build()
        except BaseException:
            self.close()
            raise
        self.forward()

    @property
    def version(self) -> str:
        """See :class:`~sims.engine.Engine`."""
        return f"pybullet {version('pybullet')}, contact model {BULLET_CONTACT_VERSION}"

    def reset(self, where: Mask, qpos: Array, qvel: Array) -> None:
        """See :meth:`Engine.reset <sims.engine.Engine.reset>`.

        Contact sensors read zero until the next step.
        """
        qpos = np.broadcast_to(qpos, self.qpos.shape)
        qvel = np.broadcast_to(qvel, self.qvel.shape)
        if not (np.isfinite(qpos[where]).all() and np.isfinite(qvel[where]).all()):
            raise UsageError("a reset takes finite qpos and qvel, got NaN or infinity")
        for i in np.flatnonzero(where).tolist():
            self.envs[i].reset(qpos[i], qvel[i])
            self.ctrl[i] = 0.0
            self._refresh(i)

    def step(self, substeps: int = 1) -> None:
        """See :meth:`Engine.step <sims.engine.Engine.step>`."""
        for i, env in enumerate(self.envs):
            env.advance(self.ctrl[i], substeps)
            self._refresh(i)

    def forward(self) -> None:
        """See :meth:`Engine.forward <sims.engine.Engine.forward>`."""
        for i in range(self.num_envs):
            self._refresh(i)

    def pose(self, frame: str) -> tuple[Array, Array]:
        """See :meth:`Engine.pose <sims.engine.Engine.pose>`."""
        kind, index = self._frame(frame)
        prefix = {"site": "site_x", "body": "x", "geom": "geom_x"}[kind]
        position = self._gather(f"{prefix}pos", index)
        if kind == "body":
            return position, self._gather("xquat", index)
        quaternion = np.empty((self.num_envs, 4))
        for row, matrix in zip(
            quaternion, self._gather(f"{prefix}mat", index), strict=True
        ):
            mujoco.mju_mat2Quat(row, matrix)
        return position, quaternion

    def velocity(self, frame: str) -> Array:
        """See :meth:`Engine.velocity <sims.engine.Engine.velocity>`."""
        kind, index = self._frame(frame)
        what = {"site": "SITE", "body": "XBODY", "geom": "GEOM"}[kind]
        kind_id = int(getattr(mujoco.mjtObj, f"mjOBJ_{what}"))
        spatial = np.empty((self.num_envs, 6))
        for env, row in zip(self.envs, spatial, strict=True):
            mujoco.mj_objectVelocity(env.model, env.data, kind_id, index, row, 0)
        return np.concatenate([spatial[:, 3:], spatial[:, :3]], axis=1)

    def jacobian(self, frame: str) -> Array:
        """See :meth:`Engine.jacobian <sims.engine.Engine.jacobian>`."""
        kind, index = self._frame(frame)
        body = index if kind == "body" else getattr(self.model, f"{kind}_bodyid")[index]
        points = self.pose(frame)[0]
        rows = np.empty((self.num_envs, 6, self.model.nv))
        for env, row, point in zip(self.envs, rows, points, strict=True):
            mujoco.mj_jac(env.model, env.data, row[:3], row[3:], point, int(body))
        return rows

    def sensor(self, name: str) -> Array:
        """See :meth:`Engine.sensor <sims.engine.Engine.sensor>`.

        Raises:
            UsageError: no such sensor.
            EngineError: a sensor of MuJoCo's own constraint forces, or a contact sensor
                by site or with relative velocities.
        """
        if name not in self._sensor_views:
            raise unknown("sensor", name, self._sensor_views)
        view = self._sensor_views[name]
        if view is None:
            raise EngineError(
                f"the engine 'bullet' cannot fill the sensor {name!r}: of the sensors "
                "of forces and accelerations it has contact sensors only, by geom, "
                "body or subtree. Use one of these, or the engine 'mujoco'."
            )
        return view

    def set_field(self, field: str, values: Array, where: Mask) -> None:
        """See :meth:`Engine.set_field <sims.engine.Engine.set_field>`.

        Fields that Bullet's world is built from (those of bodies, friction, gravity)
        make it anew at the next step, in the present state: contacts start without
        their warm start then.
        """
        rows, full = check_field(self, field, values, where)
        if field not in self._fields:
            self._fields[field] = self.get_field(field)
        self._fields[field][rows] = full
        for i, value in zip(rows.tolist(), full, strict=True):
            env = self.envs[i]
            default_field(env.model, field)[:] = value
            env.stale |= field in _REBUILT
            env.underived = True

    def get_field(self, field: str) -> Array:
        """See :meth:`Engine.get_field <sims.engine.Engine.get_field>`."""
        check_varied(self, field)
        if field in self._fields:
            return self._fields[field].copy()
        return nominal_rows(self.model, field, self.num_envs)

    def apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        """See :meth:`Engine.apply_wrench <sims.engine.Engine.apply_wrench>`."""
        kind, index = self._frame(body)
        if kind != "body":
            raise UsageError(f"a wrench acts on a body, and {body!r} is a {kind}")
        rows = np.broadcast_to(wrench, (self.num_envs, 6))
        for i in np.flatnonzero(where).tolist():
            self.envs[i].data.xfrc_applied[index] = rows[i]

    def render(self, cameras: list[str], ids: Array) -> dict[str, Array]:
        """See :meth:`Engine.render <sims.engine.Engine.render>`."""
        return self._cameras.render(self, cameras, ids)

    def save(self) -> EngineState:
        """See :meth:`Engine.save <sims.engine.Engine.save>`."""
        memories, worlds = [], np.empty(self.num_envs, object)
        with tempfile.TemporaryDirectory() as folder:
            for i, env in enumerate(self.envs):
                memory, worlds[i] = env.save(Path(folder))
                memories.append(memory)
        arrays = {
            "qpos": self.qpos.copy(),
            "qvel": self.qvel.copy(),
            "ctrl": self.ctrl.copy(),
            "sensors": self._sensors.copy(),
            "diverged": self.diverged(),
            "memory": np.array(memories),
            "world": worlds,
        }
        arrays |= {f"field:{name}": v.copy() for name, v in self._fields.items()}
        return EngineState(engine=self.name, arrays=arrays)

    def load(self, state: EngineState, where: Mask) -> None:
        """See :meth:`Engine.load <sims.engine.Engine.load>`."""
        saved = state.arrays
        check_state(self, state, saved.get("qpos"), self.qpos)
        restore_fields(self, state, self._fields, where)
        for mine, key in (
            (self.qpos, "qpos"),
            (self.qvel, "qvel"),
            (self.ctrl, "ctrl"),
        ):
            assign(mine, saved[key], where)
        with tempfile.TemporaryDirectory() as folder:
            for i in np.flatnonzero(where).tolist():
                env = self.envs[i]
                env.load(saved["memory"][i], saved["world"][i], Path(folder))
                env.diverged = bool(saved["diverged"][i])
                env.forward()
        assign(self._sensors, saved["sensors"], where)

    def diverged(self) -> Mask:
        """See :meth:`Engine.diverged <sims.engine.Engine.diverged>`.

        Such an environment stands still, at its last sound state, until its reset.
        """
        return np.array([env.diverged for env in self.envs])

    def snapshot(self, env: int = 0) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """See :meth:`Engine.snapshot <sims.engine.Engine.snapshot>`."""
        if not 0 <= env < self.num_envs:
            raise UsageError(f"environment {env} is not within 0..{self.num_envs - 1}")
        mine = self.envs[env]
        mine.derive()
        model = mujoco.MjModel.__copy__(mine.model)
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = self.qpos[env], self.qvel[env]
        data.ctrl[:] = self.ctrl[env]
        mujoco.mj_setState(model, data, mine.memory(), MEMORY)
        data.qfrc_applied[:] = 0.0  # the torque's memory of contact
        mujoco.mj_forward(model, data)
        return model, data

    def contacts(self, env: int = 0) -> list[Contact]:
        """See :meth:`Engine.contacts <sims.engine.Engine.contacts>`: Bullet's own, of
        its last step."""
        return [c for c in self.envs[env].contacts() if c.force.any()]

    def close(self) -> None:
        """See :meth:`Engine.close <sims.engine.Engine.close>`."""
        self._cameras.close()
        for env in self.envs:
            env.world.close()

    def _refresh(self, index: int) -> None:
        """Make one environment's poses and sensors current."""
        env = self.envs[index]
        env.forward()
        self._sensors[index] = env.data.sensordata
        env.read_contact_sensors(self._sensors[index])

    def _gather(self, field: str, index: int) -> np.ndarray:
        """(num_envs, ...): one row of a field of each ``MjData``."""
        return np.array([getattr(env.data, field)[index] for env in self.envs])

    def _frame(self, frame: str) -> tuple[str, int]:
        if frame not in self._frames:
            self._frames[frame] = find_frame(self.model, frame)
        return self._frames[frame]

    def _view_sensors(self) -> dict[str, np.ndarray | None]:
        """By name, the sensor's columns; None: one that this engine cannot fill."""
        views: dict[str, np.ndarray | None] = {}
        for i in range(self.model.nsensor):
            sensor = self.model.sensor(i)
            if self.model.sensor_type[i] == mujoco.mjtSensor.mjSENS_CONTACT:
                known = ContactSensor.supported(self.model, i)
            else:
                stage = self.model.sensor_needstage[i]
                known = stage != mujoco.mjtStage.mjSTAGE_ACC
            start, size = int(sensor.adr[0]), int(sensor.dim[0])
            views[sensor.name] = (
                self._sensors[:, start : start + size] if known else None
            )
        return views
