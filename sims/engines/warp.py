"""MuJoCo Warp, thousands of worlds on a GPU, as a :class:`~sims.engine.Engine`.

Everything that happens in a step, a reset or a change of constants is captured into a
graph once and launched from then on: a CUDA graph on a GPU, Warp's own replay on the
CPU, where it saves the same hundreds of launches (200 times faster for few worlds). So
the CPU runs, and its tests test, what the GPU runs. Graphs hold the addresses of
arrays, and are captured anew when a field gets a row per world.

Single precision. Against ``mujoco`` on the arm: one-step ``qvel`` within 1e-4. On the
CPU results repeat bit for bit; on a GPU the order of sums may change from run to run.
"""

from typing import Any

import mujoco
import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import Array, Mask
from sims.engine import (
    EngineCameras,
    EngineError,
    EngineState,
    check_field,
    check_state,
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
_S = mujoco.mjtSensor
_WHOLE = frozenset(
    int(kind)
    for kind in (
        _S.mjSENS_ACTUATORPOS,
        _S.mjSENS_ACTUATORVEL,
        _S.mjSENS_E_KINETIC,
        _S.mjSENS_GEOMDIST,
        _S.mjSENS_GEOMFROMTO,
        _S.mjSENS_GEOMNORMAL,
        _S.mjSENS_JOINTLIMITPOS,
        _S.mjSENS_JOINTLIMITVEL,
        _S.mjSENS_TENDONLIMITPOS,
        _S.mjSENS_TENDONLIMITVEL,
        _S.mjSENS_TENDONVEL,
    )
)
"""Sensors of positions and velocities that need more than kinematics."""


class WarpEngine:
    """``num_envs`` worlds on one device."""

    name = "warp"

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
            arrays: what tasks see. "numpy": the CPU's own memory, or on a GPU mirrors
                on the host; "torch": tensors over Warp's arrays, without a copy.
            nconmax: room for contacts per world; None: as
                :mod:`~sims.engines.warp_buffers` finds.
            njmax: room for constraint rows of one world; None: likewise.

        Raises:
            UsageError: ``num_envs`` below 1, or no such device or arrays.
            EngineError: MuJoCo Warp is not installed, or lacks what the scene uses.
        """
        if num_envs < 1:
            raise UsageError(f"num_envs must be at least 1, got {num_envs}")
        self._wp, self._mjw = warp_build.import_warp()
        from sims.engines import warp_buffers, warp_fields

        self._buffers = warp_buffers
        self.device = warp_build.find_device(self._wp, device)
        self._look = make_views(self._wp, arrays, self.device)
        self.model = model
        self.num_envs = num_envs
        self.dt = float(model.opt.timestep)
        self.version = (
            f"mujoco_warp {self._mjw.__version__}, warp {self._wp.__version__}, "
            f"single precision, {self.device.split(':')[0]}"
        )
        with self._wp.ScopedDevice(self.device):
            warp_build.warn_of_compilation(self._wp)
            self._model = warp_build.put_model(self._mjw, model)
            self._model.opt.graph_conditional = (
                self.device == "cpu" or self._wp.is_conditional_graph_supported()
            )
            self.buffers = warp_buffers.size(
                self._mjw, self._wp, model, self._model, num_envs, nconmax, njmax
            )
            self._data = self._mjw.make_data(
                model,
                nworld=num_envs,
                naconmax=self.buffers.naconmax,
                njmax=self.buffers.njmax,
            )
            self._fields = warp_fields.Fields(
                self._mjw, self._wp, model, self._model, num_envs
            )
            self._allocate()
        self._kinds = warp_buffers.flags(self._mjw)
        self._frames = Frames(model, self._data, self._look)
        self._graphs: dict[str, Any] = {}
        self._stale = np.zeros(num_envs, bool)
        self._snapshot: tuple[mujoco.MjModel, mujoco.MjData] | None = None
        self._cameras = EngineCameras()
        self.forward()

    def _allocate(self) -> None:
        """What there is on the device beside MuJoCo Warp's own, and its views."""
        wp, data, count = self._wp, self._data, self.num_envs
        self._whose = wp.zeros(count, dtype=bool)
        self._new = wp.zeros_like(data.qpos), wp.zeros_like(data.qvel)
        self._bad = wp.zeros(count, dtype=int)
        self._sensors = wp.zeros_like(data.sensordata)
        self._overflow = wp.zeros(4, dtype=int)
        on_gpu = self.device != "cpu"
        self._overflow_seen = (
            wp.zeros(4, dtype=int, device="cpu", pinned=True)
            if on_gpu
            else self._overflow
        )
        view = self._look.view
        self._where = view(self._whose, writable=True)
        self._put = [view(array, writable=True) for array in self._new]
        self._diverged = view(self._bad, writable=True)
        self._state: dict[str, Array] = {
            name: view(array, writable=True)
            for name in STATE
            if (array := getattr(data, name)).size
        }
        self.qpos: Array = self._state["qpos"]
        self.qvel: Array = self._state["qvel"]
        self.ctrl: Array = (
            self._state["ctrl"] if self.model.nu else view(data.ctrl, writable=True)
        )
        self._sensed = view(self._sensors, writable=True)
        self._sensor_views = {
            (s := self.model.sensor(i)).name: self._sensed[
                :, s.adr[0] : s.adr[0] + s.dim[0]
            ]
            for i in range(self.model.nsensor)
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
            self._launch("advance")
        self._launch("refresh")
        self._look.pull()
        self._note()

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
        """
        from sims.engines.warp_fields import DEPENDED_ON

        full = check_field(self.model, field, _host(values), self.num_envs)
        where = np.asarray(_host(where), bool)
        with self._wp.ScopedDevice(self.device):
            if self._fields.set(field, full, where):
                self._graphs.clear()
        if field in DEPENDED_ON:
            self._stale |= where

    def get_field(self, field: str) -> Array:
        """See :meth:`Engine.get_field <sims.engine.Engine.get_field>`; NumPy's."""
        return self._fields.get(field)

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
        arrays |= {"sensors": copy(self._sensed), "diverged": copy(self._diverged)}
        varied = self._fields.values.items()
        arrays |= {f"field:{name}": values.copy() for name, values in varied}
        return EngineState(engine=self.name, arrays=arrays)

    def load(self, state: EngineState, where: Mask) -> None:
        """See :meth:`Engine.load <sims.engine.Engine.load>`."""
        check_state(self, state, state.arrays.get("qpos"), self.qpos)
        restore_fields(self, state, self._fields.values, where)
        self._derive()
        for name, view in self._state.items():
            self._look.write(view, state.arrays[name], where)
        self._run("settle", where)
        self._look.write(self._sensed, state.arrays["sensors"], where)
        self._look.write(self._diverged, state.arrays["diverged"], where)

    def diverged(self) -> Mask:
        """See :meth:`Engine.diverged <sims.engine.Engine.diverged>`.

        A world that breaks down starts again from the model's own state at once, and
        holds up no other.
        """
        return self._diverged != 0

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
        self._fields.write_into(model, data, env)
        for name, view in self._state.items():
            row = np.asarray(_host(view[env]))
            if name == "time":
                data.time = float(row)
            else:
                getattr(data, name)[:] = row
        mujoco.mj_forward(model, data)
        return model, data

    def check(self) -> None:
        """Wait for the device, and see that no buffer has overflowed.

        Raises:
            EngineError: one has; the message says which and the way out.
        """
        if self.device != "cpu":
            with self._wp.ScopedDevice(self.device):
                self._wp.copy(self._overflow_seen, self._overflow)
                self._wp.synchronize_device(self.device)
        self._raise_overflow()

    def close(self) -> None:
        """See :meth:`Engine.close <sims.engine.Engine.close>`."""
        self._cameras.close()
        self._graphs.clear()

    def _derive(self) -> None:
        """Bring the constants of varied worlds up to date."""
        if self._stale.any():
            stale, self._stale = self._stale, np.zeros(self.num_envs, bool)
            self._run("derive", stale)

    def _run(self, work: str, where: Mask) -> None:
        """Launch work that looks at which worlds it is for."""
        everywhere = np.ones(self.num_envs, bool)
        self._look.write(self._where, where, everywhere)
        self._look.push()
        self._launch(work)
        self._look.pull()
        self._note()

    def _launch(self, work: str) -> None:
        """Launch the graph of this work, captured where there is none."""
        with self._wp.ScopedDevice(self.device):
            if work not in self._graphs:
                with self._wp.ScopedCapture() as capture:
                    getattr(self, f"_do_{work}")()
                self._graphs[work] = capture.graph
            self._wp.capture_launch(self._graphs[work])

    def _note(self) -> None:
        """Ask whether a buffer has overflowed, and raise what is known by now.

        On a GPU nothing waits for the answer: it is read at the next call at the
        earliest. It is kept, so that it is never lost.
        """
        if self.device != "cpu":
            with self._wp.ScopedDevice(self.device):
                self._wp.copy(self._overflow_seen, self._overflow)
        self._raise_overflow()

    def _raise_overflow(self) -> None:
        seen = self._overflow_seen.numpy()
        if seen[0]:
            sizes = self.buffers.naconmax, self.buffers.njmax
            raise EngineError(
                "a buffer of the engine 'warp' overflowed, and contacts were lost; "
                + self._buffers.explain(self._mjw, seen, *sizes, self.num_envs)
            )

    def _do_advance(self) -> None:
        """One step of all worlds."""
        from sims.engines import warp_kernels

        data = self._data
        self._mjw.step(self._model, data)
        inputs = [self._model.qpos0, data.qpos, data.qvel, data.act]
        inputs += [data.qacc_warmstart, data.sensordata, self._bad]
        self._buffers.note(self._wp, self._kinds, data, self._overflow)
        self._wp.launch(warp_kernels.guard, dim=self.num_envs, inputs=inputs)

    def _do_refresh(self) -> None:
        """Poses, velocities and their sensors, after the last step."""
        mjw, model, data = self._mjw, self._model, self._data
        if set(self.model.sensor_type.tolist()) & _WHOLE:
            mjw.fwd_position(model, data)
            mjw.fwd_velocity(model, data)
        else:
            mjw.fwd_kinematics(model, data)
            mjw.com_vel(model, data)
        mjw.sensor_pos(model, data)
        mjw.sensor_vel(model, data)
        self._wp.copy(self._sensors, data.sensordata)

    def _do_reset(self) -> None:
        """New states of the chosen worlds, and all that follows from them."""
        from sims.engines import warp_kernels

        self._mjw.reset_data(self._model, self._data, self._whose)
        inputs = [self._whose, *self._new, self._data.qpos, self._data.qvel, self._bad]
        self._wp.launch(warp_kernels.put_state, dim=self.num_envs, inputs=inputs)
        self._do_settle()

    def _do_settle(self) -> None:
        """Everything from the state; sensors of the chosen worlds alone."""
        from sims.engines import warp_kernels

        data = self._data
        self._mjw.forward(self._model, data)
        self._buffers.note(self._wp, self._kinds, data, self._overflow)
        if self._sensors.size:
            inputs = [self._whose, True, data.sensordata, self._sensors]
            kernel = warp_kernels.copy_where(float, 2)
            self._wp.launch(kernel, dim=self._sensors.shape, inputs=inputs)

    def _do_derive(self) -> None:
        """Constants of the chosen worlds from their fields."""
        self._fields.derive(self._data, self._whose)


def _host(values: Any) -> Any:
    """Values as NumPy takes them, from a torch tensor or as they are."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values
