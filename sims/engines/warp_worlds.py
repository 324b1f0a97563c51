"""The worlds of the engine ``warp`` on their device, and the work done on all of them.

Each piece of work is captured into a graph when it is first asked for, and launched
from then on: a CUDA graph on a GPU, Warp's own replay on the CPU. Graphs hold the
addresses of arrays, so that they are dropped when an array is exchanged.
"""

from typing import Any

import mujoco
import numpy as np

from sims.engine import EngineError
from sims.engines import warp_buffers, warp_build, warp_kernels
from sims.engines.warp_fields import DEPENDED_ON, Fields

wp, mjw = warp_build.import_warp()
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


class Worlds:
    """All there is on the device: MuJoCo Warp's model and data, and a few arrays."""

    def __init__(
        self,
        model: mujoco.MjModel,
        count: int,
        device: str,
        nconmax: int | None,
        njmax: int | None,
    ):
        """Place the model and make room; see :class:`sims.engines.warp.WarpEngine`.

        Raises:
            EngineError: MuJoCo Warp lacks what the scene uses.
        """
        self.count = count
        self.device = device
        with wp.ScopedDevice(device):
            warp_build.warn_of_compilation(wp)
            self.model = warp_build.put_model(mjw, model)
            self.model.opt.graph_conditional = (
                device == "cpu" or wp.is_conditional_graph_supported()
            )
            sizes = nconmax, njmax
            self.buffers = warp_buffers.size(model, self.model, count, *sizes)
            self.data = mjw.make_data(
                model,
                nworld=count,
                naconmax=self.buffers.naconmax,
                njmax=self.buffers.njmax,
            )
            self.where = wp.zeros(count, dtype=bool)
            """Which worlds a reset, a settling or a deriving is for."""
            self.new = wp.zeros_like(self.data.qpos), wp.zeros_like(self.data.qvel)
            """Positions and velocities that a reset puts there."""
            self.broken = wp.zeros(count, dtype=int)
            """Whether each broke down since its last reset."""
            self.sensors = wp.zeros_like(self.data.sensordata)
            self.overflow = wp.zeros(4, dtype=int)
            """See :func:`warp_kernels.note_overflow`."""
            self._told = self.overflow
            if device != "cpu":
                self._told = wp.zeros(4, dtype=int, device="cpu", pinned=True)
        self.fields = Fields(model, self.model, count)
        self._whole = bool(set(model.sensor_type.tolist()) & _WHOLE)
        self._stale = np.zeros(count, bool)
        self._graphs: dict[str, Any] = {}

    def launch(self, work: str) -> None:
        """Launch "advance", "refresh", "reset", "settle" or "derive"."""
        with wp.ScopedDevice(self.device):
            if work not in self._graphs:
                with wp.ScopedCapture() as capture:
                    getattr(self, work)()
                self._graphs[work] = capture.graph
            wp.capture_launch(self._graphs[work])

    def set_field(self, field: str, values: np.ndarray, rows: np.ndarray) -> None:
        """Vary a field that was checked; its constants follow :meth:`take_stale`.

        Args:
            field: its name.
            values: (len(rows), *shape of the field).
            rows: which worlds.
        """
        with wp.ScopedDevice(self.device):
            if self.fields.set(field, values, rows):
                self._graphs.clear()
        if field in DEPENDED_ON:
            self._stale[rows] = True

    def take_stale(self) -> np.ndarray:
        """(count,) whose constants are out of date; from now on none are."""
        stale, self._stale = self._stale, np.zeros(self.count, bool)
        return stale

    def check(self, *, wait: bool) -> None:
        """See that no buffer has overflowed.

        On a GPU nothing needs to wait for the answer: it is read when it is there, at
        the next call or the one after. It is kept, so that it is never lost.

        Args:
            wait: for what was launched up to now.

        Raises:
            EngineError: one has; the message says which and the way out.
        """
        if self.device != "cpu":
            with wp.ScopedDevice(self.device):
                wp.copy(self._told, self.overflow)
                if wait:
                    wp.synchronize_device(self.device)
        seen = self._told.numpy()
        if seen[0]:
            sizes = self.buffers.naconmax, self.buffers.njmax, self.count
            raise EngineError(
                "a buffer of the engine 'warp' overflowed, and contacts were lost; "
                + warp_buffers.explain(seen, *sizes)
            )

    def forget(self) -> None:
        """Drop the graphs."""
        self._graphs.clear()

    def advance(self) -> None:
        """One step of all worlds."""
        data = self.data
        mjw.step(self.model, data)
        warp_buffers.note(data, self.overflow)
        inputs = [self.model.qpos0, data.qpos, data.qvel, data.act]
        inputs += [data.qacc_warmstart, data.sensordata, self.broken]
        wp.launch(warp_kernels.guard, dim=self.count, inputs=inputs)

    def refresh(self) -> None:
        """Poses, velocities and their sensors, after the last step."""
        if self._whole:
            mjw.fwd_position(self.model, self.data)
            mjw.fwd_velocity(self.model, self.data)
        else:
            mjw.fwd_kinematics(self.model, self.data)
            mjw.com_vel(self.model, self.data)
        mjw.sensor_pos(self.model, self.data)
        mjw.sensor_vel(self.model, self.data)
        wp.copy(self.sensors, self.data.sensordata)

    def reset(self) -> None:
        """New states of the chosen worlds, and all that follows from them."""
        mjw.reset_data(self.model, self.data, self.where)
        inputs = [self.where, *self.new, self.data.qpos, self.data.qvel, self.broken]
        wp.launch(warp_kernels.put_state, dim=self.count, inputs=inputs)
        self.settle()

    def settle(self) -> None:
        """Everything from the state; sensors of the chosen worlds alone."""
        mjw.forward(self.model, self.data)
        warp_buffers.note(self.data, self.overflow)
        if self.sensors.size:
            inputs = [self.where, True, self.data.sensordata, self.sensors]
            kernel = warp_kernels.copy_where(float, 2)
            wp.launch(kernel, dim=self.sensors.shape, inputs=inputs)

    def derive(self) -> None:
        """Constants of the chosen worlds from their fields."""
        self.fields.derive(self.data, self.where)
