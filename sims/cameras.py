"""Cameras as sensors of a batch of environments: contexts that stay open.

Groups are named as in a dataset: ``images.<camera>`` (num_envs, height, width, 3)
uint8, ``depth.<camera>`` (num_envs, height, width) float32 [m] along the camera's axis
and ``segmentation.<camera>`` (num_envs, height, width) int32, ids of geoms
(:attr:`CameraRig.legend`). A camera of a part of the robot, ``left/wrist``, has the
group ``images.left_wrist``, since a slash separates folders.

Where no GPU draws, pictures are spread over a context per core
(:mod:`sims.studio`, :mod:`sims.opengl`). A picture depends on its environment alone:
not on how many there are, on the engine, or on the context that drew it.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs
from sims.studio import Moment, Studio, look_at

if TYPE_CHECKING:
    import mujoco

    from sims.draws import Draws
    from sims.engine import Engine
    from sims.image_randomization import ImageTerm
    from sims.pointcloud import Pinhole

KINDS = ("images", "depth", "segmentation")
"""What a camera can observe, as its groups' names begin."""
MOST_CONTEXTS = 8
"""A context holds the scene's textures and its own compiled shaders."""


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
        contexts: int = 0,
    ):
        """Open a context; more follow where there is work for them.

        Args:
            model: the scene; copied.
            cameras: names of its cameras.
            image_size: width and height [pixels].
            quality: see :class:`~sims.render.Renderer`.
            depth: whether there are groups ``depth.<camera>``.
            segmentation: whether there are groups ``segmentation.<camera>``.
            terms: what varies in the pictures; drawn by :meth:`begin`.
            contexts: the most to draw with; 0: one per core where no GPU draws (up to
                :data:`MOST_CONTEXTS`), else one.

        Raises:
            UsageError: an unknown camera, quality or element of a term, or a size or
                number that is not allowed.
            SandbotError: pictures cannot be drawn here.
        """
        from sims.image_randomization import ImageRandomizer
        from sims.opengl import is_software, one_thread_per_context
        from sims.render import camera_names, clip_planes

        if contexts < 0:
            raise UsageError(f"contexts must be 0 (choose) or more, got {contexts}")
        width, height = check_size(image_size)
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
        self._recipe = (model, self.cameras, (width, height), quality)
        many = quality == "fast" and contexts != 1
        with one_thread_per_context() if many else nullcontext():
            self._studios = [Studio(*self._recipe)]
        self.backend: str = self._studios[0].renderer.backend
        """What draws, such as "EGL, llvmpipe (LLVM 15.0.6, 256 bits)"."""
        self._most = contexts or (_cores() if is_software(self.backend) else 1)
        self._pool: ThreadPoolExecutor | None = None

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
    ) -> Obs:
        """What the cameras of some environments see, (len(ids), height, width, ...).

        Args:
            engine: of the same scene.
            ids: which environments.
            steps: (num_envs,) control steps since the reset, of which noise is new at
                each; None: none.
            cameras: some of :attr:`cameras`; None: all of them.

        Raises:
            UsageError: a camera that is not among them.
        """
        if cameras is None:
            cameras = self.cameras
        else:
            cameras = find_cameras(cameras, self.cameras)
        moment = look_at(engine, ids)
        count = len(moment.ids)
        out = {
            group: np.empty((count, *self.specs[group].shape), self.specs[group].dtype)
            for kind in self._kinds
            for group in (group_name(kind, camera) for camera in cameras)
        }
        work = [(row, camera) for row in range(count) for camera in cameras]
        parts = np.array_split(np.arange(len(work)), self._open(len(work)))

        def draw(studio: Studio, part: np.ndarray) -> None:
            self._draw(studio, moment, [work[i] for i in part], steps, out)

        pairs = list(zip(self._studios, parts, strict=False))
        if self._pool is None or len(pairs) == 1:
            for studio, part in pairs:
                draw(studio, part)
        else:
            for done in [self._pool.submit(draw, *pair) for pair in pairs]:
                done.result()
        return out

    def update(
        self, engine: "Engine", obs: Obs, where: Mask, steps: Array | None = None
    ) -> Obs:
        """The groups of an observation with some environments' rows drawn anew."""
        fresh = self.render(engine, np.flatnonzero(where), steps)
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
        studio = self._studios[0]
        studio.follow(look_at(engine, [env]), 0, self._looks)
        return pinhole(studio.model, studio.data, name, self._recipe[2])

    def close(self) -> None:
        """Free the contexts; may be called twice."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        for studio in self._studios:
            studio.close()

    def _open(self, pictures: int) -> int:
        """Open the contexts that so many pictures are worth; how many that is."""
        wanted = max(1, min(self._most, pictures))
        while len(self._studios) < wanted:
            self._studios.append(Studio(*self._recipe))
        if self._pool is None and wanted > 1:
            self._pool = ThreadPoolExecutor(self._most, "cameras")
        return wanted

    def _draw(
        self,
        studio: Studio,
        moment: Moment,
        work: list[tuple[int, str]],
        steps: Array | None,
        out: Obs,
    ) -> None:
        """Fill rows of ``out`` with what some cameras of some environments see."""
        followed = -1
        for row, camera in work:
            env = moment.ids[row]
            if row != followed:
                studio.follow(moment, row, self._looks)
                followed = row
            shot = studio.shoot(
                camera, "depth" in self._kinds, "segmentation" in self._kinds
            )
            image = shot.image
            if self._looks is not None:
                step = 0 if steps is None else int(steps[env])
                image = self._looks.develop(image, env, camera, step)
            for kind, picture in zip(KINDS, (image, *shot[1:]), strict=True):
                if picture is not None:
                    out[group_name(kind, camera)][row] = picture


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


def _cores() -> int:
    """Cores that this process may use, up to :data:`MOST_CONTEXTS`."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_CONTEXTS)
    return min(os.cpu_count() or 1, MOST_CONTEXTS)


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
