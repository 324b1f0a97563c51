"""Point clouds from depth images, in the world's frame [m].

A pinhole camera (Hartley and Zisserman 2004, "Multiple view geometry", eq. 6.4) sees a
point ``p = R^T (x - t)`` of its own frame at the pixel

    u = f_x p_x / -p_z + c_x,    v = -f_y p_y / -p_z + c_y,

for MuJoCo's cameras look along their ``-z`` axis with ``y`` up, while rows of a picture
count downwards. ``-p_z`` is the depth, so that each pixel of a depth image is a point.
``u`` and ``v`` are measured from the picture's upper left corner: the middle of the
first pixel lies at (0.5, 0.5).

How exact it is: the depth buffer has 24 bits or more, spread over ``1 / depth``, so
that the error grows with the square of the depth over that of the near plane
(``vis.map.znear`` times the scene's extent, nearer than which all is cut away): 15
micrometres at 1.5 m in a scene whose near plane lies at 12 mm. Round shapes are drawn
with facets (``vis.quality.numslices``), whose middles lie deeper by up to about 1% of
the radius.
Pixels at the border of two shapes are of one or the other, never of a depth between.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, kw_only=True)
class Pinhole:
    """What a camera is, and where."""

    width: int
    """[pixels]"""
    height: int
    """[pixels]"""
    intrinsics: np.ndarray
    """(3, 3): f_x, f_y and c_x, c_y [pixels]."""
    position: np.ndarray
    """(3,) of the camera in the world [m]."""
    rotation: np.ndarray
    """(3, 3) from the camera's frame (x right, y up, -z forward) to the world's."""
    near: float
    """Depth of the near plane [m]."""
    far: float
    """Depth of the far plane [m], and of pixels that show nothing."""

    def directions(self) -> np.ndarray:
        """(height, width, 3): from the camera through each pixel's middle, in the
        world, as long as a depth of 1 m."""
        fx, fy = self.intrinsics[0, 0], self.intrinsics[1, 1]
        u = (np.arange(self.width) + 0.5 - self.intrinsics[0, 2]) / fx
        v = (np.arange(self.height) + 0.5 - self.intrinsics[1, 2]) / fy
        rays = np.empty((self.height, self.width, 3))
        rays[..., 0], rays[..., 1], rays[..., 2] = u[None], -v[:, None], -1.0
        return rays @ self.rotation.T

    def pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points are seen: u, v (n, 2) [pixels], and their depths (n,) [m].

        Args:
            points: (n, 3) in the world [m].
        """
        own = (points - self.position) @ self.rotation
        depth = -own[:, 2]
        fx, fy = self.intrinsics[0, 0], self.intrinsics[1, 1]
        u = fx * own[:, 0] / depth + self.intrinsics[0, 2]
        v = -fy * own[:, 1] / depth + self.intrinsics[1, 2]
        return np.stack([u, v], axis=1), depth


def pinhole(
    model: "mujoco.MjModel",
    data: "mujoco.MjData",
    camera: str,
    image_size: tuple[int, int],
) -> Pinhole:
    """A camera of a scene, from its field of view or its sensor.

    Args:
        model: the scene.
        data: of it, with camera poses computed.
        camera: its name.
        image_size: width and height of the pictures [pixels].

    Raises:
        UsageError: no such camera, or one without perspective.
    """
    import mujoco

    from sims.render import camera_names, clip_planes

    names = camera_names(model)
    if camera not in names:
        raise unknown("camera", camera, names)
    index = names.index(camera)
    if model.cam_projection[index] != mujoco.mjtProjection.mjPROJ_PERSPECTIVE:
        raise UsageError(
            f"the camera {camera!r} has no perspective (orthographic): its depth image "
            f"is no pinhole's"
        )
    width, height = image_size
    near, far = clip_planes(model)
    return Pinhole(
        width=width,
        height=height,
        intrinsics=_intrinsics(model, index, width, height),
        position=np.array(data.cam_xpos[index]),
        rotation=np.array(data.cam_xmat[index]).reshape(3, 3),
        near=near,
        far=far,
    )


def _intrinsics(
    model: "mujoco.MjModel", index: int, width: int, height: int
) -> np.ndarray:
    """(3, 3) [pixels], as MuJoCo's frustum has them.

    A camera with a sensor has its focal lengths and principal point in metres on it,
    and its picture is stretched over ours.
    """
    sensor = model.cam_sensorsize[index]
    if sensor[0] > 0 and sensor[1] > 0:
        fx, fy, cx, cy = model.cam_intrinsic[index]
        across, down = width / sensor[0], height / sensor[1]
        return np.array(
            [
                [fx * across, 0, width / 2 - cx * across],
                [0, fy * down, height / 2 - cy * down],
                [0, 0, 1],
            ]
        )
    focal = height / 2 / np.tan(np.radians(model.cam_fovy[index]) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


@dataclass(frozen=True, kw_only=True)
class PointCloud:
    """Points in the world, row by row of the picture they come from."""

    points: np.ndarray
    """(n, 3) [m]."""
    colours: np.ndarray | None = None
    """(n, 3) uint8."""
    labels: np.ndarray | None = None
    """(n,) int32: ids of geoms, of a segmentation."""

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: np.ndarray) -> "PointCloud":
        """Some of the points, by index or mask."""
        return PointCloud(
            points=self.points[rows],
            colours=None if self.colours is None else self.colours[rows],
            labels=None if self.labels is None else self.labels[rows],
        )

    def crop(self, low: np.ndarray, high: np.ndarray) -> "PointCloud":
        """The points within a box, borders included.

        Args:
            low: (3,) its lowest corner in the world [m].
            high: (3,) its highest corner.
        """
        outside = np.logical_or(self.points < low, self.points > high)
        return self.take(np.logical_not(outside.any(axis=1)))

    def thin(self, size: float) -> "PointCloud":
        """One point, the first, of each cube of a grid.

        Args:
            size: of the cubes' edges [m].

        Raises:
            UsageError: a size that is not above 0.
        """
        if not size > 0:
            raise UsageError(f"cubes are larger than 0 m, got {size:g}")
        cells = np.floor(self.points / size).astype(np.int64)
        _, first = np.unique(cells, axis=0, return_index=True)
        return self.take(np.sort(first))

    def farthest(self, count: int) -> "PointCloud":
        """So many points, each in turn the one farthest from those before (Eldar et al.
        1997, "The farthest point strategy for progressive image sampling").

        Args:
            count: how many; all points if there are not more. The first is the first.

        Raises:
            UsageError: a count below 1.
        """
        if count < 1:
            raise UsageError(f"at least 1 point is taken, got {count}")
        if count >= len(self):
            return self
        chosen = np.zeros(count, np.int64)
        distance = np.full(len(self), np.inf)
        for i in range(1, count):
            step = self.points - self.points[chosen[i - 1]]
            np.minimum(distance, (step * step).sum(axis=1), out=distance)
            chosen[i] = distance.argmax()
        return self.take(chosen)


def point_cloud(
    depth: np.ndarray,
    camera: Pinhole,
    image: np.ndarray | None = None,
    segmentation: np.ndarray | None = None,
) -> PointCloud:
    """The points that a depth image shows; what lies at the far plane is nothing.

    Args:
        depth: (height, width) [m], of that camera.
        camera: what and where it was.
        image: (height, width, 3) uint8, to colour the points.
        segmentation: (height, width) int32, to label them.

    Raises:
        UsageError: pictures of another size than the camera's.
    """
    for what, picture in (
        ("depth image", depth),
        ("image", image),
        ("segmentation", segmentation),
    ):
        if picture is not None and picture.shape[:2] != (camera.height, camera.width):
            raise UsageError(
                f"the camera has {camera.height} x {camera.width} pixels (height, "
                f"width), the {what} {' x '.join(map(str, picture.shape))}"
            )
    seen = depth < 0.999 * camera.far
    rays = camera.directions()[seen]
    return PointCloud(
        points=camera.position + rays * depth[seen][:, None],
        colours=None if image is None else image[seen],
        labels=None if segmentation is None else segmentation[seen],
    )
