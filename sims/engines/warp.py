"""MuJoCo Warp, thousands of worlds on a GPU, as a :class:`~sims.engine.Engine`.

Everything that happens in a step, a reset or a change of constants is a graph that is
launched, on the CPU as on a GPU (:mod:`~sims.engines.warp_worlds`): so the CPU runs,
and its tests test, what the GPU runs; and few worlds go 200 times faster than by single
launches.

Single precision. Against ``mujoco``: 400 steps of a standing humanoid within 1e-5 [rad,
m], one-step ``qvel`` within 1e-4. On the CPU results repeat bit for bit, whatever the
other worlds do; on a GPU the order of sums may change from run to run.
"""

import mujoco
import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import Array, Mask, host
from sims.contacts import Contact, mujoco_contacts
from sims.engine import (
    FIELDS,
    EngineCameras,
    EngineError,
    EngineState,
    check_field,
    check_state,
    check_varied,
    restore_fields,
)
from sims.engines import warp_build
from sims.engines.warp_frames import Frames
from sims.engines.warp_views import make_views

STATE = (
    "time",
    "qpos",
    "qvel",
    "act",
    "history",
    "plastic",
    "qacc_warmstart",
    "ctrl",
    "qfrc_applied",
    "xfrc_applied",
    "eq_active",
    "mocap_pos",
    "mocap_quat",
    "userdata",
)
"""Arrays from which MuJoCo Warp goes on bit for bit."""


class WarpEngine:
    """``num_envs`` worlds on one device."""

    name = "warp"
    fields: tuple[str, ...] = FIELDS

    def __init__(
        self,
        model: mujoco.MjModel,
        num_envs: int,
        *,
        device: str | None = None,
        arrays: str = "numpy",
        nconmax: int | None = None,
        njmax: int | None = None,
    ):
        """Make the worlds, at the model's initial state.

        Args:
            model: the nominal model; copied.
            num_envs: how many.
            device: "cpu", "cuda:0", ...; None: the first GPU, or else the CPU.
            arrays: what tasks see and compute with. "numpy": the CPU's own memory, or
                on a GPU mirrors on the host; "torch": tensors over Warp's arrays,
                without a copy.
            nconmax: room for contacts per world; None: as
                :mod:`~sims.engines.warp_buffers` finds.
            njmax: room for constraint rows of one world; None: likewise.

        Raises:
            UsageError: ``num_envs`` below 1, or no such device or arrays.
            EngineError: MuJoCo Warp is not installed, or lacks what the scene uses.
        """
        if num_envs < 1:
            raise UsageError(f"num_envs must be at least 1, got {num_envs}")
        wp, mjw = warp_build.import_warp()
        from sims.engines.warp_worlds import Worlds

        self.device = warp_build.find_device(wp, device)
        self._look = make_views(wp, arrays, self.device)
        self.model = model
        self.num_envs = num_envs
        self.dt = float(model.opt.timestep)
        self.version = (
            f"mujoco_warp {mjw.__version__}, warp {wp.__version__}, single precision, "
            f"{self.device.split(':')[0]}"
        )
        self.worlds = Worlds(model, num_envs, self.device, nconmax, njmax)
        self._view()
        self._frames = Frames(model, self.worlds.data, self._look)
        self._snapshot: tuple[mujoco.MjModel, mujoco.MjData] | None = None
        self._cameras = EngineCameras()
        self.forward()

    def _view(self) -> None:
        """Look at the arrays of the device."""
        view, worlds, model = self._look.view, self.worlds, self.model
        self._where = view(worlds.where, writable=True)
        self._put = [view(array, writable=True) for array in worlds.new]
        self._broken = view(worlds.broken, writable=True)
        arrays = {name: getattr(worlds.data, name) for name in STATE}
        self._state: dict[str, Array] = {
            name: view(array, writable=True)
            for name, array in arrays.items()
            if array.size or name in ("qpos", "qvel", "ctrl")
        }
        self.qpos: Array = self._state["qpos"]
        self.qvel: Array = self._state["qvel"]
        self.ctrl: Array = self._state["ctrl"]
        self._sensed = view(worlds.sensors, writable=True)
        self._sensor_views = {
            (s := model.sensor(i)).name: self._sensed[:, s.adr[0] : s.adr[0] + s.dim[0]]
            for i in range(model.nsensor)
        }

    def reset(self, where: Mask, qpos: Array, qvel: Array) -> None:
        """See :meth:`Engine.reset <sims.engine.Engine.reset>`."""
        self._derive()
        for target, values in zip(self._put, (qpos, qvel), strict=True):
            self._look.write(target, values, where)
        self._run("reset", where)

    def step(self, substeps: int = 1) -> None:
        """See :meth:`Engine.step <sims.engine.Engine.step>`."""
        self._derive()
        self._look.push()
        for _ in range(substeps):
            self.worlds.launch("advance")
        self.worlds.launch("refresh")
        self._look.pull()
        self.worlds.check(wait=False)

    def forward(self) -> None:
        """See :meth:`Engine.forward <sims.engine.Engine.forward>`."""
        self._derive()
        self._run("settle", np.ones(self.num_envs, bool))

    def pose(self, frame: str) -> tuple[Array, Array]:
        """See :meth:`Engine.pose <sims.engine.Engine.pose>`."""
        return self._frames.pose(frame)

    def velocity(self, frame: str) -> Array:
        """See :meth:`Engine.velocity <sims.engine.Engine.velocity>`."""
        return self._frames.velocity(frame)

    def jacobian(self, frame: str) -> Array:
        """See :meth:`Engine.jacobian <sims.engine.Engine.jacobian>`."""
        return self._frames.jacobian(frame)

    def sensor(self, name: str) -> Array:
        """See :meth:`Engine.sensor <sims.engine.Engine.sensor>`."""
        try:
            return self._sensor_views[name]
        except KeyError:
            raise unknown("sensor", name, self._sensor_views) from None

    def set_field(self, field: str, values: Array, where: Mask) -> None:
        """See :meth:`Engine.set_field <sims.engine.Engine.set_field>`.

        Values are checked and kept on the host, whatever they came as.

        Raises:
            UsageError: as in the other engines.
            EngineError: friction of a joint that has none in the scene.
        """
        where = np.asarray(host(where), bool)
        rows, full = check_field(self, field, host(values), where)
        if field == "dof_frictionloss":
            self._check_friction(full)
        self.worlds.set_field(field, full, rows)

    def get_field(self, field: str) -> Array:
        """See :meth:`Engine.get_field <sims.engine.Engine.get_field>`; NumPy's."""
        check_varied(self, field)
        return self.worlds.fields.get(field)

    def apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        """See :meth:`Engine.apply_wrench <sims.engine.Engine.apply_wrench>`."""
        kind, index = self._frames.find(body)
        if kind != "body":
            raise UsageError(f"a wrench acts on a body, and {body!r} is a {kind}")
        self._look.write(self._state["xfrc_applied"][:, index], wrench, where)

    def render(self, cameras: list[str], ids: Array) -> dict[str, Array]:
        """See :meth:`Engine.render <sims.engine.Engine.render>`."""
        return self._cameras.render(self, cameras, ids)

    def save(self) -> EngineState:
        """See :meth:`Engine.save <sims.engine.Engine.save>`."""
        self.check()
        copy = self._look.copy
        arrays = {name: copy(view) for name, view in self._state.items()}
        arrays |= {"sensors": copy(self._sensed), "diverged": copy(self._broken)}
        varied = self.worlds.fields.values.items()
        arrays |= {f"field:{name}": values.copy() for name, values in varied}
        return EngineState(engine=self.name, arrays=arrays)

    def load(self, state: EngineState, where: Mask) -> None:
        """See :meth:`Engine.load <sims.engine.Engine.load>`."""
        check_state(self, state, state.arrays.get("qpos"), self.qpos)
        restore_fields(self, state, self.worlds.fields.values, where)
        self._derive()
        for name, view in self._state.items():
            self._look.write(view, state.arrays[name], where)
        self._run("settle", where)
        self._look.write(self._sensed, state.arrays["sensors"], where)
        self._look.write(self._broken, state.arrays["diverged"], where)

    def diverged(self) -> Mask:
        """See :meth:`Engine.diverged <sims.engine.Engine.diverged>`.

        A world that breaks down starts again from the model's own state at once, and
        holds up no other.
        """
        return self._broken != 0

    def snapshot(self, env: int = 0) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """See :meth:`Engine.snapshot <sims.engine.Engine.snapshot>`.

        The next call reuses the two objects.
        """
        import copy

        if not 0 <= env < self.num_envs:
            raise UsageError(f"environment {env} is not within 0..{self.num_envs - 1}")
        if self._snapshot is None:
            own = copy.copy(self.model)
            self._snapshot = own, mujoco.MjData(own)
        model, data = self._snapshot
        self.worlds.fields.write_into(model, data, env)
        for name, view in self._state.items():
            row = host(view[env])
            if name == "time":
                data.time = float(row)
            else:
                getattr(data, name)[:] = row
        mujoco.mj_forward(model, data)
        return model, data

    def contacts(self, env: int = 0) -> list[Contact]:
        """See :meth:`Engine.contacts <sims.engine.Engine.contacts>`: as the solver has
        them at the present state."""
        return mujoco_contacts(*self.snapshot(env))

    def check(self) -> None:
        """Wait for the device, and see that no buffer has overflowed.

        Raises:
            EngineError: one has; the message says which and the way out.
        """
        self.worlds.check(wait=True)

    def close(self) -> None:
        """See :meth:`Engine.close <sims.engine.Engine.close>`."""
        self._cameras.close()
        self.worlds.forget()

    def _check_friction(self, full: np.ndarray) -> None:
        """Its constraint rows are counted once and for all, from the scene."""
        without = self.model.dof_frictionloss == 0
        new = np.flatnonzero((full > 0).any(axis=0) & without)
        if len(new):
            joint = self.model.joint(int(self.model.dof_jntid[new[0]])).name
            raise EngineError(
                f"the engine 'warp' cannot give dof_frictionloss to the joint "
                f"{joint!r}, which has none in the scene: write a frictionloss above 0 "
                f"into the scene, or use the engine 'mujoco'"
            )

    def _derive(self) -> None:
        """Bring the constants of varied worlds up to date."""
        stale = self.worlds.take_stale()
        if stale.any():
            self._run("derive", stale)

    def _run(self, work: str, where: Mask) -> None:
        """Launch work that looks at which worlds it is for."""
        self._look.write(self._where, where)
        self._look.push()
        self.worlds.launch(work)
        self._look.pull()
        self.worlds.check(wait=False)
