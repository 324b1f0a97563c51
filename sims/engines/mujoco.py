"""MuJoCo on CPU threads: ``mujoco.batch.Batch`` as a :class:`~sims.engine.Engine`.

Bits do not depend on the number of threads or environments. Three facts shape the code:

- A non-persistent batch runs many environments through one ``MjData``; a field that a
  call does not compute holds another environment's value. Hence each reset and load
  ends in a whole forward pass, and sensors are read from a copy.
- After ``step(stage=VEL)`` poses, velocities and their sensors are current, while
  contact forces are those of the last substep, as in a plain loop of ``mj_step``.
- A forward pass overwrites the solver's warm start, so :meth:`MujocoEngine.load` writes
  the state once more after it.
"""

from functools import partial

import mujoco
import numpy as np
from mujoco.batch import Batch

from assets.errors import UsageError, unknown
from sims.arrays import Array, Mask, assign
from sims.contacts import Contact, mujoco_contacts
from sims.engine import (
    FIELDS,
    EngineCameras,
    EngineState,
    check_field,
    check_state,
    check_varied,
    find_frame,
    nominal_rows,
    restore_fields,
)
from sims.engines.mujoco_warnings import WarningCount

_VEL = int(mujoco.mjtStage.mjSTAGE_VEL)
_ACC = int(mujoco.mjtStage.mjSTAGE_ACC)
_BAD = slice(
    int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1
)
_SETCONST = frozenset(mujoco.MjModel._setconst_inputs)


class MujocoEngine:
    """``num_envs`` simulations on a thread pool."""

    name = "mujoco"
    device = "cpu"
    fields: tuple[str, ...] = FIELDS
    persistent = False
    """Whether each environment keeps an ``MjData`` of its own."""
    stage = _VEL
    """What is made current after a step."""

    def __init__(self, model: mujoco.MjModel, num_envs: int, *, threads: int = 0):
        """Make the simulations, at the model's initial state.

        Args:
            model: the nominal model; copied.
            num_envs: how many.
            threads: threads to step on; 0: one per core, and one for one environment.

        Raises:
            UsageError: ``num_envs`` below 1 or ``threads`` below 0.
        """
        if num_envs < 1:
            raise UsageError(f"num_envs must be at least 1, got {num_envs}")
        if threads < 0:
            raise UsageError(f"threads must be 0 (one per core) or more, got {threads}")
        self.model = model
        self.num_envs = num_envs
        self.dt = float(model.opt.timestep)
        multiccd = not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_MULTICCD
        self.version = f"mujoco {mujoco.__version__}, multiccd " + (
            "on" if multiccd else "off"
        )
        threads = 1 if num_envs == 1 else threads
        self.batch = Batch(model, num_envs, threads, self.persistent)
        self.qpos: Array = self.batch.bind("qpos")
        self.qvel: Array = self.batch.bind("qvel")
        self.ctrl: Array = self.batch.bind("ctrl")
        self._wrench = self.batch.bind("xfrc_applied")
        self._live_sensors = self.batch.bind("sensordata")
        self._sensors = np.zeros_like(self._live_sensors)
        self._sensor_views = {
            (s := model.sensor(i)).name: self._sensors[
                :, s.adr[0] : s.adr[0] + s.dim[0]
            ]
            for i in range(model.nsensor)
        }
        self._frames: dict[str, tuple[str, int]] = {}
        self._bad = self.batch.warning[:, _BAD, 1]
        self._warned = WarningCount(self.batch.warning)
        self._fields: dict[str, np.ndarray] = {}
        self._stale: np.ndarray | None = None
        self._snapshot: tuple[mujoco.MjModel, mujoco.MjData] | None = None
        self._cameras = EngineCameras()
        for field in ("xpos", "xquat", "cvel", "subtree_com"):
            self.batch.bind(field)
        if model.nsite:
            self.batch.bind("site_xpos")
            self.batch.bind("site_xmat")
        self.forward()

    def reset(self, where: Mask, qpos: Array, qvel: Array) -> None:
        """See :meth:`Engine.reset <sims.engine.Engine.reset>`."""
        self.batch.reset(where, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        assign(self.qpos, qpos, where)
        assign(self.qvel, qvel, where)
        self._settle(where)

    def step(self, substeps: int = 1) -> None:
        """See :meth:`Engine.step <sims.engine.Engine.step>`."""
        if self._stale is not None:
            self._derive()
        self.batch.step(nstep=substeps, stage=self.stage)
        self._warned.note()
        self._sensors[:] = self._live_sensors

    def forward(self) -> None:
        """See :meth:`Engine.forward <sims.engine.Engine.forward>`."""
        self._settle(np.ones(self.num_envs, bool))

    def pose(self, frame: str) -> tuple[Array, Array]:
        """See :meth:`Engine.pose <sims.engine.Engine.pose>`."""
        kind, index = self._frame(frame)
        prefix = {"site": "site_x", "body": "x", "geom": "geom_x"}[kind]
        position = self.batch.bind(f"{prefix}pos")[:, index]
        if kind == "body":
            return position, self.batch.bind("xquat")[:, index]
        quaternion = np.empty((self.num_envs, 4))
        for row, matrix in zip(
            quaternion, self.batch.bind(f"{prefix}mat")[:, index], strict=True
        ):
            mujoco.mju_mat2Quat(row, matrix.ravel())
        return position, quaternion

    def velocity(self, frame: str) -> Array:
        """See :meth:`Engine.velocity <sims.engine.Engine.velocity>`."""
        body = self._body(frame)
        root = self.model.body_rootid[body]
        spatial = self.batch.bind("cvel")[:, body]
        arm = self.pose(frame)[0] - self.batch.bind("subtree_com")[:, root]
        angular, linear = spatial[:, :3], spatial[:, 3:]
        return np.concatenate([linear + np.cross(angular, arm), angular], axis=1)

    def jacobian(self, frame: str) -> Array:
        """See :meth:`Engine.jacobian <sims.engine.Engine.jacobian>`."""
        linear, angular = self.batch.jac(self._body(frame), self.pose(frame)[0])
        return np.concatenate([linear, angular], axis=1)

    def sensor(self, name: str) -> Array:
        """See :meth:`Engine.sensor <sims.engine.Engine.sensor>`."""
        try:
            return self._sensor_views[name]
        except KeyError:
            raise unknown("sensor", name, self._sensor_views) from None

    def set_field(self, field: str, values: Array, where: Mask) -> None:
        """See :meth:`Engine.set_field <sims.engine.Engine.set_field>`."""
        rows, full = check_field(self, field, values, where)
        if field not in self._fields:
            self._fields[field] = self.batch.expand(field)
        self._fields[field][rows] = full
        if field == "geom_size":
            self._bound(full, rows)
        if field in _SETCONST or field.startswith("opt."):
            if self._stale is None:
                self._stale = np.zeros(self.num_envs, bool)
            self._stale[rows] = True

    def get_field(self, field: str) -> Array:
        """See :meth:`Engine.get_field <sims.engine.Engine.get_field>`."""
        if field in self._fields:
            return self._fields[field].copy()
        check_varied(self, field)
        return nominal_rows(self.model, field, self.num_envs)

    def apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        """See :meth:`Engine.apply_wrench <sims.engine.Engine.apply_wrench>`."""
        kind, index = self._frame(body)
        if kind != "body":
            raise UsageError(f"a wrench acts on a body, and {body!r} is a {kind}")
        assign(self._wrench[:, index], wrench, where)

    def render(self, cameras: list[str], ids: Array) -> dict[str, Array]:
        """See :meth:`Engine.render <sims.engine.Engine.render>`."""
        return self._cameras.render(self, cameras, ids)

    def save(self) -> EngineState:
        """See :meth:`Engine.save <sims.engine.Engine.save>`."""
        arrays = {
            "state": self.batch.state.copy(),
            "warning": self.batch.warning.copy(),
            "sensors": self._sensors.copy(),
        }
        arrays |= {f"field:{name}": v.copy() for name, v in self._fields.items()}
        return EngineState(engine=self.name, arrays=arrays)

    def load(self, state: EngineState, where: Mask) -> None:
        """See :meth:`Engine.load <sims.engine.Engine.load>`."""
        check_state(self, state, state.arrays.get("state"), self.batch.state)
        where = np.asarray(where, bool)
        restore_fields(self, state, self._fields, where)
        write = partial(assign, self.batch.state, state.arrays["state"], where)
        write()
        self._settle(where)
        write()
        assign(self.batch.warning, state.arrays["warning"], where)
        self._warned.accept()
        assign(self._sensors, state.arrays["sensors"], where)

    def diverged(self) -> Mask:
        """See :meth:`Engine.diverged <sims.engine.Engine.diverged>`."""
        return self._bad.any(axis=(1,))

    @property
    def warnings(self) -> dict[str, int]:
        """How often MuJoCo warned, by kind, over all environments since the start:
        breakdowns ("BADQACC") and lost contacts ("CONTACTFULL") among them."""
        return self._warned.by_kind()

    def snapshot(self, env: int = 0) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """See :meth:`Engine.snapshot <sims.engine.Engine.snapshot>`.

        The next call reuses the two objects.
        """
        if not 0 <= env < self.num_envs:
            raise UsageError(f"environment {env} is not within 0..{self.num_envs - 1}")
        if self._stale is not None:
            self._derive()
        if self._snapshot is None:
            self._snapshot = self.batch.get_model(env), self.batch.get_data(env)
        model, data = self._snapshot
        self.batch.get_model(env, model)
        self.batch.get_data(env, data)
        mujoco.mj_forward(model, data)
        return model, data

    def contacts(self, env: int = 0) -> list[Contact]:
        """See :meth:`Engine.contacts <sims.engine.Engine.contacts>`: as the solver has
        them at the present state."""
        return mujoco_contacts(*self.snapshot(env))

    def close(self) -> None:
        """See :meth:`Engine.close <sims.engine.Engine.close>`; threads end with us."""
        self._cameras.close()

    def _settle(self, where: Mask) -> None:
        """Derive everything from the state of these environments."""
        if self._stale is not None:
            self._derive()
        self.batch.forward(where, stage=_ACC)
        self._warned.note()
        assign(self._sensors, self._live_sensors, where)

    def _bound(self, sizes: np.ndarray, rows: np.ndarray) -> None:
        """What collisions are looked for in: the boxes' spheres and aligned boxes."""
        box = self.model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
        radii = self.batch.expand("geom_rbound")
        radii[np.ix_(rows, box)] = np.linalg.norm(sizes[:, box], axis=-1)
        bounds = self.batch.expand("geom_aabb")
        bounds[np.ix_(rows, box, np.arange(3, 6))] = sizes[:, box]

    def _derive(self) -> None:
        """Recompute the constants that follow from varied fields."""
        self.batch.set_const(self._stale)
        self._stale = None

    def _frame(self, frame: str) -> tuple[str, int]:
        if frame not in self._frames:
            self._frames[frame] = find_frame(self.model, frame)
            if self._frames[frame][0] == "geom":
                self.batch.bind("geom_xpos")
                self.batch.bind("geom_xmat")
                self.batch.forward(stage=_VEL)
        return self._frames[frame]

    def _body(self, frame: str) -> int:
        """Id of the body that carries a frame."""
        kind, index = self._frame(frame)
        if kind == "body":
            return index
        return int(getattr(self.model, f"{kind}_bodyid")[index])
