"""Cameras as sensors of a batch of environments: a context that stays open.

Groups are named as in a dataset: ``images.<camera>`` (num_envs, height, width, 3)
uint8, ``depth.<camera>`` (num_envs, height, width) float32 [m] along the camera's axis
and ``segmentation.<camera>`` (num_envs, height, width) int32, ids of geoms
(:attr:`CameraRig.legend`). A camera of a part of the robot, ``left/wrist``, has the
group ``images.left_wrist``, since a slash separates folders.

A picture depends on its environment alone: not on how many there are, nor on the
engine, nor on what was drawn before (:mod:`sims.studio`).

One context draws them all, one after another. A context per core, each on a thread of
its own, was tried: it drew small pictures faster where cores were idle, none faster
where they were busy, and ended the process once with a segmentation fault.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs
from sims.studio import Studio, look_at
from sims.task import Marker

if TYPE_CHECKING:
    import mujoco

    from sims.draws import Draws
    from sims.engine import Engine
    from sims.image_randomization import ImageTerm
    from sims.pointcloud import Pinhole

Sights = Callable[[int], Iterable[Marker]]
"""Of an environment: what its cameras see beside the scene."""
KINDS = ("images", "depth", "segmentation")
"""What a camera can observe, as its groups' names begin."""


def group_name(kind: str, camera: str) -> str:
    """Name of a camera's group of observations, such as "images.left_wrist"."""
    return f"{kind}.{camera.replace('/', '_')}"


def find_cameras(given: Iterable[str], present: Sequence[str]) -> tuple[str, ...]:
    """A scene's cameras from their names, or from their names in a group.

    Raises:
        UsageError: no such camera, or one that is named twice, or none at all.
    """
    if isinstance(given, str):
        raise UsageError(f"cameras is a list of names, got {given!r}")
    by_name = {name.replace("/", "_"): name for name in present}
    by_name |= {name: name for name in present}
    found: list[str] = []
    for name in given:
        if name not in by_name:
            raise unknown("camera", name, present)
        if by_name[name] in found:
            raise UsageError(f"the camera {name!r} is named twice: once is enough")
        found.append(by_name[name])
    if not found:
        raise UsageError(
            f"images are of at least one camera; the scene has "
            f"{', '.join(present) or 'none'}"
        )
    return tuple(found)


class CameraRig:
    """Cameras of a scene, for the environments of any engine of it."""

    def __init__(
        self,
        model: "mujoco.MjModel",
        cameras: Iterable[str],
        *,
        image_size: tuple[int, int] = (320, 240),
        quality: str = "fast",
        depth: bool = False,
        segmentation: bool = False,
        terms: "tuple[ImageTerm, ...]" = (),
    ):
        """Open a context for the scene.

        Args:
            model: the scene; copied.
            cameras: names of its cameras.
            image_size: width and height [pixels].
            quality: see :class:`~sims.render.Renderer`.
            depth: whether there are groups ``depth.<camera>``.
            segmentation: whether there are groups ``segmentation.<camera>``.
            terms: what varies in the pictures; drawn by :meth:`begin`.

        Raises:
            UsageError: an unknown camera, quality or element of a term, or a size that
                is not allowed.
            SandbotError: pictures cannot be drawn here.
        """
        from sims.image_randomization import ImageRandomizer
        from sims.render import camera_names, clip_planes

        self._size = width, height = check_size(image_size)
        self.cameras = find_cameras(cameras, camera_names(model))
        self._kinds = KINDS[:1] + ("depth",) * depth + ("segmentation",) * segmentation
        shapes = _specs(width, height, clip_planes(model)[1], model.ngeom)
        self.specs = {
            group_name(kind, camera): shapes[kind]
            for kind in self._kinds
            for camera in self.cameras
        }
        """What one environment's row of each group is."""
        self.legend = _legend(model)
        """By id, the name of each geom in a segmentation; unnamed: of its body."""
        self._looks = ImageRandomizer(model, terms) if terms else None
        self._studio = Studio(model, self.cameras, self._size, quality)
        self.backend: str = self._studio.renderer.backend
        """What draws, such as "EGL, llvmpipe (LLVM 15.0.6, 256 bits)"."""

    def begin(self, where: Mask, draws: "Draws") -> None:
        """Draw the looks of the episodes that begin in some environments.

        Args:
            where: (num_envs,) which environments.
            draws: of the present episodes of all.
        """
        if self._looks is not None:
            self._looks.reset(where, draws)

    def render(
        self,
        engine: "Engine",
        ids: Iterable[int],
        steps: Array | None = None,
        cameras: Iterable[str] | None = None,
        sights: Sights | None = None,
    ) -> Obs:
        """What the cameras of some environments see, (len(ids), height, width, ...).

        Args:
            engine: of the same scene.
            ids: which environments.
            steps: (num_envs,) control steps since the reset, of which noise is new at
                each; None: none.
            cameras: some of :attr:`cameras`; None: all of them.
            sights: of an environment, what is seen beside the scene
                (:meth:`sims.env.Env.sights`); None: nothing. Depth and segmentation
                are of the scene alone.

        Raises:
            UsageError: a camera that is not among them.
        """
        if cameras is None:
            cameras = self.cameras
        else:
            cameras = find_cameras(cameras, self.cameras)
        moment = look_at(engine, ids)
        out = {
            group: np.empty(
                (len(moment.ids), *self.specs[group].shape), self.specs[group].dtype
            )
            for kind in self._kinds
            for group in (group_name(kind, camera) for camera in cameras)
        }
        for row, env in enumerate(moment.ids):
            self._studio.follow(moment, row, self._looks)
            step = 0 if steps is None else int(steps[env])
            beside = () if sights is None else sights(env)
            for camera in cameras:
                for kind, picture in self._shoot(camera, env, step, beside):
                    out[group_name(kind, camera)][row] = picture
        return out

    def update(
        self,
        engine: "Engine",
        obs: Obs,
        where: Mask,
        steps: Array | None = None,
        sights: Sights | None = None,
    ) -> Obs:
        """The groups of an observation with some environments' rows drawn anew."""
        fresh = self.render(engine, np.flatnonzero(where), steps, sights=sights)
        mixed = {}
        for group, rows in fresh.items():
            mixed[group] = obs[group].copy()
            mixed[group][where] = rows
        return mixed

    def pinhole(self, engine: "Engine", camera: str, env: int = 0) -> "Pinhole":
        """What and where a camera of an environment is, as its pictures show it.

        Args:
            engine: of the same scene.
            camera: one of :attr:`cameras`.
            env: which environment.

        Raises:
            UsageError: a camera that is not among them.
        """
        from sims.pointcloud import pinhole

        (name,) = find_cameras([camera], self.cameras)
        studio = self._studio
        studio.follow(look_at(engine, [env]), 0, self._looks)
        return pinhole(studio.model, studio.data, name, self._size)

    def close(self) -> None:
        """Free the context; may be called twice."""
        self._studio.close()

    def _shoot(
        self, camera: str, env: int, step: int, sights: Iterable[Marker]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Kinds and pictures that a camera takes of the environment in the studio."""
        shot = self._studio.shoot(
            camera, "depth" in self._kinds, "segmentation" in self._kinds, sights
        )
        image = shot.image
        if self._looks is not None:
            image = self._looks.develop(image, env, camera, step)
        yield "images", image
        if shot.depth is not None:
            yield "depth", shot.depth
        if shot.segmentation is not None:
            yield "segmentation", shot.segmentation


def check_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of pictures [pixels].

    Raises:
        UsageError: not two whole numbers above 0.
    """
    try:
        width, height = image_size
        if int(width) == width > 0 and int(height) == height > 0:
            return int(width), int(height)
    except (TypeError, ValueError):
        pass
    raise UsageError(
        f"an image size is width and height in pixels, such as (320, 240), got "
        f"{image_size!r}"
    )


def _legend(model: "mujoco.MjModel") -> dict[int, str]:
    """By geom's id, its name, or that of its body."""
    names = {}
    for index in range(model.ngeom):
        geom = model.geom(index)
        names[index] = geom.name or model.body(int(geom.bodyid[0])).name
    return names


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
