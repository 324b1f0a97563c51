"""What happens next? Physics only: an engine knows no task.

Every engine is built from one compiled ``MjModel``, the *nominal* model, and steps
``num_envs`` copies of it whose fields may then differ (:meth:`Engine.set_field`).
Arrays are batched, SI units, world frame, quaternions ``wxyz``, velocities linear
before angular.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets.errors import SandbotError, UsageError, unknown
from sims.arrays import Array, Mask
from sims.contacts import Contact
from sims.physical import CHECKS

if TYPE_CHECKING:
    import mujoco

    from sims.cameras import CameraRig

FIELDS = (
    "actuator_biasprm",
    "actuator_forcerange",
    "actuator_gainprm",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "body_mass",
    "body_pos",
    "dof_armature",
    "dof_damping",
    "dof_frictionloss",
    "geom_friction",
    "geom_size",
    "jnt_stiffness",
    "opt.gravity",
)
"""Model fields that can differ from environment to environment."""
_SIGNED = (
    "actuator_biasprm",
    "actuator_forcerange",
    "body_ipos",
    "body_iquat",
    "body_pos",
    "opt.gravity",
)


class EngineError(SandbotError):
    """An engine cannot do what was asked of it; the message says which can."""


@dataclass
class EngineState:
    """Everything an engine needs to go on from here, bit for bit.

    Opaque to all but the engine that saved it: positions, velocities, actuator state,
    delay buffers, warm start, mocap, per-environment fields.
    """

    engine: str
    """Name of the engine that saved it."""
    arrays: dict[str, Array]
    """By name, each (num_envs, ...)."""


class Engine(Protocol):
    """``num_envs`` copies of one scene. See the module's top for conventions."""

    name: str
    """Name on the command line."""
    model: "mujoco.MjModel"
    """The nominal model; never written to."""
    num_envs: int
    dt: float
    """Physics step [s]."""
    device: str
    fields: tuple[str, ...]
    """Of :data:`FIELDS`, those that it can vary."""
    qpos: Array
    """Live view (num_envs, nq); write through :meth:`reset`."""
    qvel: Array
    """Live view (num_envs, nv); write through :meth:`reset`."""
    ctrl: Array
    """Live view (num_envs, nu), for the task to write; clipped to ``ctrlrange``."""

    @property
    def version(self) -> str:
        """Of the library, and what of its settings moves results: "mujoco 4.0.0,
        multiccd off"."""
        ...

    def reset(self, where: Mask, qpos: Array, qvel: Array) -> None:
        """Put environments into a state, at time 0, with nothing left of the old one.

        Args:
            where: (num_envs,) which environments.
            qpos: (num_envs, nq) or (nq,); rows outside of ``where`` are not read.
            qvel: (num_envs, nv) or (nv,).
        """
        ...

    def step(self, substeps: int = 1) -> None:
        """Advance by ``substeps * dt`` with ``ctrl`` held.

        Poses, velocities and position- and velocity-dependent sensors are current when
        it returns; contact forces are those of the last substep.
        """
        ...

    def forward(self) -> None:
        """Make poses and sensors current without advancing time."""
        ...

    def pose(self, frame: str) -> tuple[Array, Array]:
        """Position (num_envs, 3) [m] and orientation (num_envs, 4) wxyz of a frame.

        A frame is the name of a site, else of a body, else of a geom.
        """
        ...

    def velocity(self, frame: str) -> Array:
        """Linear [m/s] then angular [rad/s] velocity (num_envs, 6), world axes."""
        ...

    def jacobian(self, frame: str) -> Array:
        """(num_envs, 6, nv): :meth:`velocity` is this times ``qvel``."""
        ...

    def sensor(self, name: str) -> Array:
        """(num_envs, dim): a sensor of the scene; contacts are contact sensors."""
        ...

    def set_field(self, field: str, values: Array, where: Mask) -> None:
        """Vary a model field; constants derived from it follow at once.

        Only the chosen environments cost anything.

        Args:
            field: one of :attr:`fields`.
            values: (num_envs, *shape of the field), or broadcastable to it; or a row
                for each of the chosen environments, in their order.
            where: (num_envs,) which environments.

        Raises:
            UsageError: unknown field, wrong shape, or a value that is not physical
                (negative mass, inertia, damping, friction ...), see
                :func:`check_field`. ``geom_size`` varies for boxes, up to the nominal
                size, which bounds them where collisions are looked for; mass and
                inertia are fields of their own.
            EngineError: a field that the engine cannot vary, in any or in this scene.
        """
        ...

    def get_field(self, field: str) -> Array:
        """(num_envs, *shape of the field): the values in force."""
        ...

    def apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        """Push a body at its centre of mass until told otherwise or reset.

        Args:
            body: its name.
            wrench: (num_envs, 6): force [N], then torque [N m], world axes.
            where: (num_envs,) which environments; the others keep theirs.
        """
        ...

    def render(self, cameras: list[str], ids: Array) -> dict[str, Array]:
        """Pictures (len(ids), height, width, 3) uint8, by camera."""
        ...

    def save(self) -> EngineState:
        """A copy of the state of all environments."""
        ...

    def load(self, state: EngineState, where: Mask) -> None:
        """Go back to a saved state in some environments."""
        ...

    def diverged(self) -> Mask:
        """(num_envs,) whether the physics broke down since the last reset."""
        ...

    def snapshot(self, env: int = 0) -> tuple["mujoco.MjModel", "mujoco.MjData"]:
        """One environment as MuJoCo sees it, forwarded, to draw it."""
        ...

    def contacts(self, env: int = 0) -> list[Contact]:
        """The contacts of one environment that press, to draw them."""
        ...

    def close(self) -> None:
        """Release threads, clients and contexts; may be called twice."""
        ...


def find_frame(model: "mujoco.MjModel", frame: str) -> tuple[str, int]:
    """Kind ("site", "body" or "geom") and id of the frame of that name.

    Raises:
        UsageError: no such frame; the message lists the ones there are.
    """
    names: list[str] = []
    for kind in ("site", "body", "geom"):
        count = getattr(model, f"n{kind}")
        for index in range(count):
            name = getattr(model, kind)(index).name
            if name == frame:
                return kind, index
            if name:
                names.append(name)
    raise unknown("frame", frame, names)


def check_field(
    engine: Engine, field: str, values: Array, where: Mask
) -> tuple[np.ndarray, np.ndarray]:
    """The chosen environments, and their values of a field, if they are physical.

    Args:
        engine: that is to vary it.
        field: its name.
        values: see :meth:`Engine.set_field`.
        where: (num_envs,) bool.

    Returns:
        Rows (n,) of the environments, and values (n, *shape of the field).

    Raises:
        UsageError: unknown field, wrong shape, not finite, or not physical.
        EngineError: the engine cannot vary this field.
    """
    check_varied(engine, field)
    model = engine.model
    rows = np.flatnonzero(where)
    full = _rows_of(default_field(model, field), field, values, rows, len(where))
    if not np.isfinite(full).all():
        raise UsageError(f"{field} must be finite, got NaN or infinity")
    if field not in _SIGNED and (full < 0).any():
        raise UsageError(f"{field} must not be negative, got {full.min():g}")
    check = CHECKS.get(field)
    if check is not None and len(rows):
        check(model, full)
    return rows, full


def check_varied(engine: Engine, field: str) -> None:
    """See that an engine can vary a field.

    Raises:
        UsageError: there is no such field.
        EngineError: the engine cannot; the message says what it can.
    """
    if field not in FIELDS:
        raise unknown("model field", field, FIELDS)
    if field not in engine.fields:
        can = ", ".join(engine.fields) or "none at all"
        raise EngineError(
            f"the engine {engine.name!r} cannot vary {field} from environment to "
            f"environment (it can: {can}): leave it out, or use the engine 'mujoco'"
        )


def _rows_of(
    default: np.ndarray, field: str, values: Array, rows: np.ndarray, num_envs: int
) -> np.ndarray:
    """(len(rows), *shape of the field): what is meant for these environments."""
    given = np.asarray(values, float)
    if given.shape == (len(rows), *default.shape):
        return given
    try:
        return np.broadcast_to(given, (num_envs, *default.shape))[rows]
    except ValueError as error:
        raise UsageError(
            f"{field} takes the shape {(num_envs, *default.shape)}, got {given.shape}"
        ) from error


def default_field(model: "mujoco.MjModel", field: str) -> np.ndarray:
    """The nominal value of a field of :data:`FIELDS`."""
    if field.startswith("opt."):
        return np.asarray(getattr(model.opt, field[4:]))
    return getattr(model, field)


def nominal_rows(model: "mujoco.MjModel", field: str, num_envs: int) -> np.ndarray:
    """(num_envs, *shape of the field): the nominal value everywhere, a copy."""
    default = default_field(model, field).astype(float)
    return np.repeat(default[None], num_envs, axis=0)


def check_state(
    engine: Engine, state: EngineState, saved: Array | None, mine: Array
) -> None:
    """Refuse a state that another engine, or one of another size, has saved.

    Args:
        engine: that is to go on from it.
        state: on offer.
        saved: the state's array of what every environment has.
        mine: the engine's own of that kind.

    Raises:
        EngineError: it does not fit.
    """
    if state.engine != engine.name:
        raise EngineError(
            f"a state saved by the engine {state.engine!r} cannot be loaded into "
            f"{engine.name!r}: save it from an engine of the same name"
        )
    if saved is None or saved.shape != mine.shape:
        given = "nothing" if saved is None else f"{saved.shape}"
        raise EngineError(
            f"the state holds {given} where this engine has {mine.shape} "
            "(num_envs, size): load it into an engine like the one that saved it"
        )


def restore_fields(
    engine: Engine, state: EngineState, varied: Iterable[str], where: Mask
) -> None:
    """Give fields the values of a saved state, or their nominal ones.

    Args:
        engine: to write to.
        state: whose arrays "field:<name>" hold what was varied when it was saved.
        varied: names of the fields that the engine varies now.
        where: (num_envs,) which environments.
    """
    saved = {k[6:]: v for k, v in state.arrays.items() if k.startswith("field:")}
    for name in sorted(saved.keys() | set(varied)):
        default = default_field(engine.model, name)
        engine.set_field(name, saved.get(name, default), where)


class EngineCameras:
    """Behind an engine's :meth:`Engine.render`: all cameras of its scene, which open
    when they are first looked through, and stay open."""

    def __init__(self, width: int = 320, height: int = 240):
        self._size = (width, height)
        self._rig: CameraRig | None = None

    def render(
        self, engine: Engine, cameras: list[str], ids: Array
    ) -> dict[str, Array]:
        """See :meth:`Engine.render`."""
        from sims.cameras import CameraRig, find_cameras, group_name
        from sims.render import camera_names

        names = find_cameras(cameras, camera_names(engine.model))
        if self._rig is None:
            self._rig = CameraRig(
                engine.model,
                camera_names(engine.model),
                image_size=self._size,
                quality="high",
            )
        seen = self._rig.render(engine, ids, cameras=names)
        return {
            given: seen[group_name("images", name)]
            for given, name in zip(cameras, names, strict=True)
        }

    def close(self) -> None:
        """Close them, if they are open."""
        if self._rig is not None:
            self._rig.close()
            self._rig = None


def render_snapshots(
    engine: Engine, cameras: list[str], ids: Array, width: int = 320, height: int = 240
) -> dict[str, Array]:
    """Draw some environments of any engine, each from its snapshot.

    Returns:
        (len(ids), height, width, 3) uint8, by camera.
    """
    from sims.render import Renderer

    with Renderer(engine.model, width, height) as renderer:
        pictures: dict[str, list[Array]] = {camera: [] for camera in cameras}
        for env in ids:
            model, data = engine.snapshot(int(env))
            renderer.follow(model)
            for camera in cameras:
                pictures[camera].append(renderer.render(data, camera))
    return {camera: np.stack(rows) for camera, rows in pictures.items()}
