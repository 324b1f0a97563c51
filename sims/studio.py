"""Where an environment is drawn: a scene of our own that follows it, and a context.

The physics is only read. What can be seen of it (joint positions, bodies that are moved
by hand, model fields that change a shape's place or looks) is copied, and kinematics
are computed anew: microseconds, where a snapshot of the engine takes milliseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sims.engine import FIELDS

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine
    from sims.image_randomization import ImageRandomizer
    from sims.render import Shot
    from sims.task import Marker

SEEN_FIELDS = tuple(
    field
    for field in FIELDS
    if field.startswith(("body_pos", "body_quat", "geom_pos", "geom_quat"))
    or field.startswith(("geom_size", "geom_rgba", "geom_matid", "site_", "mat_"))
)
"""Model fields of an engine that change what is seen."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What can be seen of some environments, (n, ...) each."""

    ids: list[int]
    """Which they are."""
    qpos: np.ndarray
    fields: dict[str, np.ndarray]
    """Those of :data:`SEEN_FIELDS`."""
    mocap: np.ndarray
    """(n, nmocap, 7): positions [m] and orientations wxyz."""


def look_at(engine: "Engine", ids: Iterable[int]) -> Moment:
    """Read off an engine what can be seen of some environments."""
    ids = [int(env) for env in ids]
    model = engine.model
    mocap = np.zeros((len(ids), model.nmocap, 7))
    if model.nmocap:
        for row, env in zip(mocap, ids, strict=True):
            data = engine.snapshot(env)[1]
            row[:, :3], row[:, 3:] = data.mocap_pos, data.mocap_quat
    return Moment(
        ids=ids,
        qpos=np.asarray(engine.qpos)[ids],
        fields={field: engine.get_field(field)[ids] for field in SEEN_FIELDS},
        mocap=mocap,
    )


class Studio:
    """See the module's top. Any thread may use it, as long as it is one at a time."""

    def __init__(
        self,
        model: "mujoco.MjModel",
        cameras: Iterable[str],
        image_size: tuple[int, int],
        quality: str,
    ):
        """Open a context for a scene.

        Args:
            model: copied, never written to.
            cameras: names of the scene's, through which is looked.
            image_size: width and height [pixels].
            quality: see :class:`~sims.render.Renderer`.

        Raises:
            UsageError: an unknown camera or quality, or a size that is not positive.
            SandbotError: pictures cannot be drawn here.
        """
        import mujoco

        from sims.render import Renderer, find_camera

        self.renderer = Renderer(model, *image_size, quality=quality)
        self.model = self.renderer.model
        self.data = mujoco.MjData(self.model)
        self._views = {name: find_camera(self.model, name) for name in cameras}

    def follow(
        self, moment: Moment, row: int, looks: "ImageRandomizer | None" = None
    ) -> None:
        """Be where an environment is, and look like it.

        Args:
            moment: of some environments.
            row: which of them.
            looks: what differs in its looks.
        """
        import mujoco

        model, data = self.model, self.data
        for field, values in moment.fields.items():
            getattr(model, field)[:] = values[row]
        if looks is not None:
            for texture in looks.dress(model, moment.ids[row]):
                self.renderer.upload_texture(texture)
        data.qpos[:] = moment.qpos[row]
        data.mocap_pos[:], data.mocap_quat[:] = np.split(moment.mocap[row], [3], axis=1)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        mujoco.mj_flex(model, data)
        mujoco.mj_tendon(model, data)

    def shoot(
        self,
        camera: str,
        depth: bool,
        segmentation: bool,
        sights: "Iterable[Marker]" = (),
    ) -> "Shot":
        """What a camera sees of the environment that is followed, and of ``sights``
        beside the scene."""
        return self.renderer.capture(
            self.data,
            self._views[camera],
            markers=sights,
            depth=depth,
            segmentation=segmentation,
        )

    def close(self) -> None:
        """Free the context; may be called twice."""
        self.renderer.close()
