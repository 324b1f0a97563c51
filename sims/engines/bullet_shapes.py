"""Shapes of geoms, which of them touch, and how, in one Bullet world.

Friction: MuJoCo takes the larger coefficient of two touching geoms, Bullet the product.
:func:`friction_factors` finds coefficients whose products are MuJoCo's values.
Torsional and rolling friction (``condim`` 4 and 6) are not modelled, ``frictionloss``
of joints only roughly, as a motor that holds the joint still with that force.
"""

import math
import warnings
from typing import Any, NamedTuple

import mujoco
import numpy as np

from sims.engines.bullet_layout import Layout

BULLET_CONTACT_VERSION = 1
"""Frozen with :data:`CONTACT_PARAMETERS`; results name it."""
CONTACT_PARAMETERS: dict[str, float] = {
    "contactERP": 0.2,
    "erp": 0.2,
    "frictionERP": 0.2,
    "numSolverIterations": 50,
    "solverResidualThreshold": 0.0,
    "restitutionVelocityThreshold": 0.2,
    "enableConeFriction": 1,
}
"""Bullet's side of contact. ERP: the fraction of a penetration undone per step."""


class Pose(NamedTuple):
    """Position (3,) [m] and orientation (4,) wxyz of one frame in another."""

    pos: np.ndarray
    quat: np.ndarray

    def __matmul__(self, other: "Pose") -> "Pose":
        pos, quat = np.empty(3), np.empty(4)
        mujoco.mju_mulPose(pos, quat, self.pos, self.quat, other.pos, other.quat)
        return Pose(pos, quat)

    def inverse(self) -> "Pose":
        """The second frame's view of the first."""
        pos, quat = np.empty(3), np.empty(4)
        mujoco.mju_negPose(pos, quat, self.pos, self.quat)
        return Pose(pos, quat)

    @property
    def xyzw(self) -> list[float]:
        """The quaternion in Bullet's order."""
        return [*self.quat[1:].tolist(), float(self.quat[0])]


IDENTITY = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))


def make_shape(
    p: Any, client: int, model: mujoco.MjModel, geom: int, T_frame_body: Pose
) -> int:
    """Make a geom's shape in the frame of its link; -1 for no geom."""
    if geom < 0:
        return -1
    T = T_frame_body @ Pose(model.geom_pos[geom], model.geom_quat[geom])
    size = model.geom_size[geom].tolist()
    kinds = mujoco.mjtGeom
    options: dict[str, Any] = {
        int(kinds.mjGEOM_PLANE): {"shapeType": p.GEOM_PLANE, "planeNormal": [0, 0, 1]},
        int(kinds.mjGEOM_SPHERE): {"shapeType": p.GEOM_SPHERE, "radius": size[0]},
        int(kinds.mjGEOM_BOX): {"shapeType": p.GEOM_BOX, "halfExtents": size},
        int(kinds.mjGEOM_CAPSULE): {
            "shapeType": p.GEOM_CAPSULE,
            "radius": size[0],
            "height": 2 * size[1],
        },
        int(kinds.mjGEOM_CYLINDER): {
            "shapeType": p.GEOM_CYLINDER,
            "radius": size[0],
            "height": 2 * size[1],
        },
        int(kinds.mjGEOM_MESH): {"shapeType": p.GEOM_MESH},
    }[int(model.geom_type[geom])]
    if model.geom_type[geom] == kinds.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start = model.mesh_vertadr[mesh]
        vertices = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
        options["vertices"] = vertices.astype(float).tolist()
    return p.createCollisionShape(
        collisionFramePosition=T.pos.tolist(),
        collisionFrameOrientation=T.xyzw,
        physicsClientId=client,
        **options,
    )


def make_field(p: Any, client: int, model: mujoco.MjModel, geom: int) -> int:
    """Make a height field's shape, in a frame of its own: see :func:`field_frame`.

    Bullet looks at which edges stand out, so that what slides over a plane does not
    catch on the edges within; it takes 4 us a point, at each reset.
    """
    field = int(model.geom_dataid[geom])
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    heights = _heights(model, field)[:, ::-1].T
    spacing = 2 * model.hfield_size[field, :2] / (columns - 1, rows - 1)
    return p.createCollisionShape(
        p.GEOM_HEIGHTFIELD,
        flags=p.GEOM_CONCAVE_INTERNAL_EDGE,
        meshScale=[float(spacing[1]), float(spacing[0]), 1.0],
        heightfieldData=heights.ravel().tolist(),
        # as Bullet counts: its rows lie one after the other along its x
        numHeightfieldRows=rows,
        numHeightfieldColumns=columns,
        physicsClientId=client,
    )


def field_frame(model: mujoco.MjModel, geom: int) -> Pose:
    """``T_geom_field``: where the body of a height field's shape stands in its geom.

    Bullet's origin is halfway between the lowest and the highest point, and its
    diagonals, by which a cell is cut into triangles, run from (x, y + 1) to (x + 1, y),
    MuJoCo's from (x, y) to (x + 1, y + 1). Turned by a right angle about z, with the
    heights turned back, it cuts as MuJoCo does. PyBullet ignores a frame of the shape
    itself here, so the body takes it.
    """
    heights = _heights(model, int(model.geom_dataid[geom]))
    middle = np.array([0.0, 0.0, (heights.min() + heights.max()) / 2])
    return Pose(middle, np.array([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]))


def _heights(model: mujoco.MjModel, field: int) -> np.ndarray:
    """(points along y, points along x) above the geom's origin [m]."""
    shape = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    start = model.hfield_adr[field]
    data = model.hfield_data[start : start + shape[0] * shape[1]].reshape(shape)
    return data.astype(float) * model.hfield_size[field, 2]


def set_contacts(
    p: Any,
    client: int,
    model: mujoco.MjModel,
    layout: Layout,
    geoms: dict[tuple[int, int], int],
) -> None:
    """Which parts can touch, and how rough they are.

    A pair is allowed by name, everything else by groups that never match. The pairs
    come first: setting a group makes Bullet look for overlaps anew.
    """
    places = {geom: place for place, geom in geoms.items()}
    for g1, g2 in layout.pairs:
        (body1, link1), (body2, link2) = places[g1], places[g2]
        p.setCollisionFilterPair(body1, body2, link1, link2, 1, client)
    factors = friction_factors(model, layout.pairs)
    for geom, (body, link) in places.items():
        p.setCollisionFilterGroupMask(body, link, 0, 0, client)
        p.changeDynamics(
            body,
            link,
            lateralFriction=factors[geom],
            spinningFriction=0.0,
            rollingFriction=0.0,
            restitution=0.0,
            physicsClientId=client,
        )


def friction_factors(
    model: mujoco.MjModel, pairs: tuple[tuple[int, int], ...]
) -> dict[int, float]:
    """A coefficient for each geom, so that products over pairs are MuJoCo's friction.

    Least squares in the logarithms; exact wherever such coefficients exist, as in every
    scene where one body touches several others.
    """
    geoms = sorted({geom for pair in pairs for geom in pair})
    column = {geom: i for i, geom in enumerate(geoms)}
    matrix = np.zeros((len(pairs), len(geoms)))
    logs = np.zeros(len(pairs))
    for row, (g1, g2) in enumerate(pairs):
        matrix[row, [column[g1], column[g2]]] = 1
        logs[row] = math.log(max(_pair_friction(model, g1, g2), 1e-6))
    solution = np.linalg.lstsq(matrix, logs, rcond=None)[0]
    error = float(np.abs(np.expm1(matrix @ solution - logs)).max(initial=0.0))
    if error > 1e-6:
        warnings.warn(
            f"friction between some geoms is off by up to {error:.0%} in 'bullet': no "
            "coefficients have MuJoCo's pairwise values as their products",
            stacklevel=2,
        )
    return dict(zip(geoms, np.exp(solution).tolist(), strict=True))


def _pair_friction(model: mujoco.MjModel, g1: int, g2: int) -> float:
    """Sliding friction of two geoms, as MuJoCo combines it."""
    if max(model.geom_condim[g1], model.geom_condim[g2]) == 1:
        return 0.0
    first, second = model.geom_friction[[g1, g2], 0].tolist()
    rank = int(model.geom_priority[g1]) - int(model.geom_priority[g2])
    if rank:
        return first if rank > 0 else second
    return max(first, second)
