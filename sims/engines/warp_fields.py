"""Model fields that differ from world to world, and the constants that follow.

MuJoCo Warp gives every field of its model a leading axis of length one, and reads the
row of a world by the remainder of its index: a field varies once its array has a row
per world. :func:`mujoco_warp.set_const` then derives the constants of all worlds in
single precision; worlds that were not varied keep those of the compiler.
"""

from typing import Any

import mujoco
import numpy as np

from sims.engine import default_field, nominal_rows
from sims.engines import warp_kernels as kernels
from sims.engines.warp_build import import_warp

wp, mjw = import_warp()

DEPENDED_ON = frozenset(
    {
        "body_inertia",
        "body_ipos",
        "body_iquat",
        "body_mass",
        "body_pos",
        "dof_armature",
        "geom_size",
    }
)
"""Fields that constants are derived from."""
DERIVED = (
    "actuator_acc0",
    "body_invweight0",
    "body_subtreemass",
    "cam_mat0",
    "cam_pos0",
    "cam_poscom0",
    "dof_invweight0",
    "eq_data",
    "geom_aabb",
    "geom_rbound",
    "light_dir0",
    "light_pos0",
    "light_poscom0",
    "tendon_invweight0",
    "tendon_length0",
)
"""What ``set_const`` writes."""


class Fields:
    """The fields that vary, of one model on the device."""

    def __init__(self, model: mujoco.MjModel, placed: Any, num_envs: int):
        """No field varies yet.

        Args:
            model: the nominal one.
            placed: the same, on the device; written to.
            num_envs: worlds.
        """
        self._model, self._placed = model, placed
        self._num_envs = num_envs
        self._derived: list[tuple[Any, Any]] = []
        self.values: dict[str, np.ndarray] = {}
        """What was set, by field, in double precision (num_envs, ...)."""

    def set(self, field: str, values: np.ndarray, rows: np.ndarray) -> bool:
        """Vary a field; whether arrays were exchanged, so that graphs are stale.

        Args:
            field: its name.
            values: as :func:`sims.engine.check_field` returns them.
            rows: likewise, which worlds.
        """
        exchanged = field not in self.values
        if exchanged:
            self.values[field] = self.nominal(field)
            self._expand(field)
            if field in DEPENDED_ON and not self._derived:
                self._expand_derived()
        self.values[field][rows] = values
        if len(rows):
            owner, name = self._owner(field)
            _write_rows(getattr(owner, name), values, rows)
        return exchanged

    def get(self, field: str) -> np.ndarray:
        """The values in force, a copy."""
        if field in self.values:
            return self.values[field].copy()
        return self.nominal(field)

    def nominal(self, field: str) -> np.ndarray:
        """The nominal values for every world, a copy."""
        return nominal_rows(self._model, field, self._num_envs)

    def derive(self, data: Any, where: Any) -> None:
        """Launch what brings the constants of the chosen worlds up to date.

        Args:
            data: MuJoCo Warp's; its kinematics are those of its state afterwards.
            where: (num_envs,) Warp array of bool.
        """
        placed = self._placed
        for live, saved in self._derived:
            wp.copy(saved, live)
        mjw.set_const(placed, data)
        for live, saved in self._derived:
            kernel = kernels.copy_where(live.dtype, live.ndim)
            wp.launch(kernel, dim=live.shape, inputs=[where, False, saved, live])
        inputs = [placed.geom_bodyid, placed.geom_pos, placed.geom_quat]
        inputs += [data.xpos, data.xquat, data.geom_xpos, data.geom_xmat]
        wp.launch(
            kernels.place_geoms, dim=(data.nworld, self._model.ngeom), inputs=inputs
        )

    def write_into(self, model: mujoco.MjModel, data: mujoco.MjData, env: int) -> None:
        """Give a copy of the nominal model the fields and constants of one world.

        Args:
            model: that copy.
            data: of it; its state is lost.
            env: which world.
        """
        for field, values in self.values.items():
            default_field(model, field)[:] = values[env]
        if "geom_size" in self.values:
            box = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
            model.geom_rbound[box] = np.linalg.norm(model.geom_size[box], axis=-1)
            model.geom_aabb[box, 3:] = model.geom_size[box]
        if self.values:
            mujoco.mj_setConst(model, data)

    def _owner(self, field: str) -> tuple[Any, str]:
        if field.startswith("opt."):
            return self._placed.opt, field[4:]
        return self._placed, field

    def _expand(self, field: str) -> None:
        """Give a field a row per world."""
        owner, name = self._owner(field)
        shared = getattr(owner, name)
        rows = np.repeat(shared.numpy()[:1], self._num_envs, axis=0)
        setattr(owner, name, wp.array(rows, dtype=shared.dtype))

    def _expand_derived(self) -> None:
        """The same for the constants that the scene has any of."""
        for name in DERIVED:
            if getattr(self._placed, name).size:
                self._expand(name)
                live = getattr(self._placed, name)
                self._derived.append((live, wp.empty_like(live)))


def _write_rows(target: Any, values: np.ndarray, rows: np.ndarray) -> None:
    """Write into some rows of a Warp array."""
    if target.device.is_cpu:
        held = target.numpy()
        held[rows] = values.reshape(len(rows), *held.shape[1:])
    else:
        send_rows(target, values, rows)


def send_rows(target: Any, values: np.ndarray, rows: np.ndarray) -> None:
    """The same by way of the device, to which these rows alone travel."""
    source = wp.array(values.astype(np.float32), dtype=target.dtype)
    inputs = [wp.array(rows.astype(np.int32), dtype=int), source, target]
    kernel = kernels.write_rows(target.dtype, target.ndim)
    wp.launch(kernel, dim=source.shape, inputs=inputs)
