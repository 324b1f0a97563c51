"""Cameras as sensors of a batch of environments: one OpenGL context, kept open.

A :class:`CameraRig` draws from a scene of its own. Of each environment it takes over
what can be seen (positions, and model fields that change a shape's place or looks) and
computes the kinematics anew, so that no engine has to make a whole snapshot, each
engine is drawn alike, and nothing that is drawn can reach the physics.

Groups are named as in a dataset: ``images.<camera>`` (num_envs, height, width, 3)
uint8, ``depth.<camera>`` (num_envs, height, width) float32 [m] and
``segmentation.<camera>`` (num_envs, height, width) int32, ids of geoms. A camera of a
part of the robot, ``left/wrist``, has the group ``images.left_wrist``, since a slash
separates folders.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.arrays import Mask, Obs
from sims.engine import FIELDS

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.render import Shot

SEEN_FIELDS = tuple(
    field
    for field in FIELDS
    if field.startswith(("body_pos", "body_quat", "geom_pos", "geom_quat"))
    or field.startswith(("geom_size", "geom_rgba", "site_"))
)
"""Model fields of an engine that change what is seen."""


def group_name(kind: str, camera: str) -> str:
    """Name of a camera's group of observations, such as "images.left_wrist"."""
    return f"{kind}.{camera.replace('/', '_')}"


def find_cameras(given: Iterable[str], present: Sequence[str]) -> tuple[str, ...]:
    """A scene's cameras from their names, or from their names in a group.

    Raises:
        UsageError: no such camera, or one that is named twice.
    """
    by_name = {name.replace("/", "_"): name for name in present}
    by_name |= {name: name for name in present}
    found: list[str] = []
    for name in given:
        if name not in by_name:
            raise unknown("camera", name, present)
        if by_name[name] in found:
            raise UsageError(f"the camera {name!r} is named twice: once is enough")
        found.append(by_name[name])
    return tuple(found)


class CameraRig:
    """Cameras of every environment of an engine. Used by one thread."""

    def __init__(
        self,
        engine: "Engine",
        cameras: Iterable[str],
        *,
        image_size: tuple[int, int] = (320, 240),
        quality: str = "fast",
        depth: bool = False,
        segmentation: bool = False,
    ):
        """Open a context for the engine's scene.

        Args:
            engine: that holds a scene of MuJoCo; stays open.
            cameras: names of the scene's.
            image_size: width and height [pixels].
            quality: see :class:`~sims.render.Renderer`.
            depth: whether there are groups ``depth.<camera>``.
            segmentation: whether there are groups ``segmentation.<camera>``.

        Raises:
            UsageError: an unknown camera or quality, or a size that is not positive.
            SandbotError: pictures cannot be drawn here.
        """
        import mujoco

        from sims.render import Renderer, camera_names, clip_planes, find_camera

        self._engine = engine
        self.cameras = find_cameras(cameras, camera_names(engine.model))
        if not self.cameras:
            raise UsageError(
                "no camera is named; the scene has "
                f"{', '.join(camera_names(engine.model)) or 'none'}"
            )
        width, height = image_size
        self._renderer = Renderer(engine.model, width, height, quality=quality)
        self._model = self._renderer.model
        self._data = mujoco.MjData(self._model)
        self._views = {name: find_camera(self._model, name) for name in self.cameras}
        self._kinds = ["images"]
        self._kinds += ["depth"] * depth + ["segmentation"] * segmentation
        far = clip_planes(self._model)[1]
        self.specs = {
            group_name(kind, camera): spec
            for kind, spec in _specs(width, height, far, self._model.ngeom).items()
            if kind in self._kinds
            for camera in self.cameras
        }
        """What one environment's row of each group is."""
        self._seen = {field: self._slot(field) for field in SEEN_FIELDS}

    def render(self, ids: Iterable[int]) -> Obs:
        """What the cameras of some environments see, (len(ids), height, width, ...)."""
        rows: dict[str, list[np.ndarray]] = {group: [] for group in self.specs}
        fields = {f: self._engine.get_field(f) for f in self._seen}
        for env in ids:
            self._follow(int(env), fields)
            for camera in self.cameras:
                shot = self._shoot(camera)
                for kind, picture in zip(
                    ("images", "depth", "segmentation"), shot, strict=True
                ):
                    if picture is not None:
                        rows[group_name(kind, camera)].append(picture)
        return {group: np.stack(pictures) for group, pictures in rows.items()}

    def update(self, obs: Obs, where: Mask) -> Obs:
        """Groups of which some environments' rows are drawn anew, the rest as given."""
        fresh = self.render(np.flatnonzero(where))
        mixed = {}
        for group, rows in fresh.items():
            mixed[group] = obs[group].copy()
            mixed[group][where] = rows
        return mixed

    def close(self) -> None:
        """Free the context; may be called twice."""
        self._renderer.close()

    def _shoot(self, camera: str) -> "Shot":
        return self._renderer.capture(
            self._data,
            self._views[camera],
            depth="depth" in self._kinds,
            segmentation="segmentation" in self._kinds,
        )

    def _follow(self, env: int, fields: dict[str, np.ndarray]) -> None:
        """Put our own scene where an environment is."""
        import mujoco

        model, data = self._model, self._data
        for field, values in fields.items():
            self._seen[field][:] = values[env]
        data.qpos[:] = self._engine.qpos[env]
        if model.nmocap:
            theirs = self._engine.snapshot(env)[1]
            data.mocap_pos[:], data.mocap_quat[:] = theirs.mocap_pos, theirs.mocap_quat
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        mujoco.mj_flex(model, data)
        mujoco.mj_tendon(model, data)

    def _slot(self, field: str) -> np.ndarray:
        return getattr(self._model, field)


def _specs(width: int, height: int, far: float, geoms: int) -> dict[str, ArraySpec]:
    """Of one picture of each kind."""
    return {
        "images": ArraySpec(
            shape=(height, width, 3), low=(0,), high=(255,), units=("1",), dtype="uint8"
        ),
        "depth": ArraySpec(
            shape=(height, width), low=(0,), high=(far,), units=("m",), dtype="float32"
        ),
        "segmentation": ArraySpec(
            shape=(height, width), low=(-1,), high=(geoms - 1,), dtype="int32"
        ),
    }
