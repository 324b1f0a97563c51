"""Sensors that tell all there is to compare of two engines.

They are added to a task's scene: poses of all bodies that move, and the contacts of
every pair of bodies that can touch. Sensors have no effect on what moves, and every
engine fills them, so that nothing here knows which engine it reads.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from assets import load_spec

if TYPE_CHECKING:
    import mujoco

    from sims.engine import Engine

PREFIX = "side by side:"
POINTS = 4
"""Contact points of a pair that are told apart: those of the largest force."""
_FOUND, _FORCE = 1, 2
"""Bits of a contact sensor's data specification."""
_MAXFORCE = 2
"""A contact sensor's reduction: the contacts of the largest force come first."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the sensors say in one or more environments; leading axes (...)."""

    position: np.ndarray
    """(..., bodies, 3) of each body that moves [m]."""
    quaternion: np.ndarray
    """(..., bodies, 4) wxyz."""
    points: np.ndarray
    """(..., pairs) number of points at which each pair touches."""
    normal: np.ndarray
    """(..., pairs) normal force of each pair, summed over the points [N]."""
    friction: np.ndarray
    """(..., pairs) size of its tangential force, summed over the points [N]."""

    def at(self, index: Any) -> "Reading":
        """Some of it, by an index of the leading axes."""
        return Reading(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def stack(readings: "list[Reading]") -> Reading:
    """Readings one after the other, along a new first axis."""
    rows = {
        f.name: np.stack([getattr(one, f.name) for one in readings])
        for f in fields(Reading)
    }
    return Reading(**rows)


class Instruments:
    """A scene with sensors, and the way to read them."""

    def __init__(self, robot: str, scene: str):
        """Add the sensors.

        Args:
            robot: a name in :data:`assets.ROBOTS`.
            scene: one of its scenes.
        """
        spec = load_spec(robot, scene)
        for i, body in enumerate(spec.bodies):
            body.name = body.name or f"body {i}"
        bare = spec.compile()
        self.bodies = [b for b in range(1, bare.nbody) if bare.body_weldid[b] != 0]
        """Ids of the bodies that can move."""
        self.names = [bare.body(b).name for b in self.bodies]
        self.touching = touching(bare)
        """By ids of two bodies that can touch, the lower one first, their geoms that
        can."""
        self.pairs = list(self.touching)
        self._contacts = []
        self._poses = []
        for body in self.names:
            self._poses.append(_add_pose(spec, body))
        for pair in self.pairs:
            first, second = (bare.body(b).name for b in pair)
            self._contacts.append(_add_contact(spec, first, second))
        self.model: mujoco.MjModel = spec.compile()
        """The scene's model with the sensors."""

    def read(self, engine: "Engine") -> Reading:
        """What they say now, (num_envs, ...); contacts are of the last substep."""
        poses = [[engine.sensor(name) for name in pair] for pair in self._poses]
        rows = (engine.num_envs, len(self.pairs), POINTS, 4)
        points = np.zeros(rows)
        for i, name in enumerate(self._contacts):
            points[:, i] = np.asarray(engine.sensor(name)).reshape(-1, POINTS, 4)
        return Reading(
            position=np.stack([np.array(place) for place, _ in poses], axis=1),
            quaternion=np.stack([np.array(turn) for _, turn in poses], axis=1),
            points=points[..., 0].max(axis=-1),
            normal=points[..., 1].sum(axis=-1),
            friction=np.hypot(points[..., 2], points[..., 3]).sum(axis=-1),
        )

    def pair_name(self, index: int) -> str:
        """Both bodies of a pair, as people write them."""
        first, second = (self.model.body(b).name for b in self.pairs[index])
        return f"{second} on {first}" if self.pairs[index][0] else f"{second} on world"

    def coefficients(self, friction: np.ndarray) -> np.ndarray:
        """The least coefficient of sliding friction of each pair.

        Args:
            friction: (..., ngeom, 3) model field ``geom_friction``.

        Returns:
            (..., pairs)
        """
        rank, columns = self.model.geom_priority, []
        for geoms in self.touching.values():
            each = []
            for a, b in geoms:
                sides = [g for g in (a, b) if rank[g] == max(rank[a], rank[b])]
                each.append(friction[..., sides, 0].max(axis=-1))
            columns.append(np.min(each, axis=0))
        return np.stack(columns, axis=-1) if columns else friction[..., :0, 0]

    def pairs_of(self, body: int) -> list[int]:
        """Indices of the pairs with a body of the same tree."""
        root = self.model.body_rootid
        return [
            i
            for i, pair in enumerate(self.pairs)
            if any(b and root[b] == root[body] for b in pair)
        ]

    def servos(self, body: int) -> list[int]:
        """Ids of the actuators of joints of a body's tree."""
        import mujoco

        model = self.model
        on_joint = model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT
        joint = np.where(on_joint, model.actuator_trnid[:, 0], 0)
        root = model.body_rootid
        own = root[model.jnt_bodyid[joint]] == root[body]
        return np.flatnonzero(on_joint & own).tolist()

    def joints(self, body: int) -> list[int]:
        """Ids of the hinges and slides of a body's tree."""
        import mujoco

        model = self.model
        own = model.body_rootid[model.jnt_bodyid] == model.body_rootid[body]
        hinge = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
        slide = model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE
        return np.flatnonzero(own & (hinge | slide)).tolist()


def touching(
    model: "mujoco.MjModel",
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Geoms that may touch, by their bodies, at least one of which moves."""
    from sims.engines.bullet_layout import colliding_pairs

    owner, weld = model.geom_bodyid, model.body_weldid
    explicit = zip(model.pair_geom1.tolist(), model.pair_geom2.tolist(), strict=True)
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for geoms in (*colliding_pairs(model), *explicit):
        first, second = sorted(int(owner[g]) for g in geoms)
        if weld[first] or weld[second]:
            found.setdefault((first, second), []).append(geoms)
    return dict(sorted(found.items()))


def _add_pose(spec: "mujoco.MjSpec", body: str) -> tuple[str, str]:
    """Sensors of a body's position and orientation; their names."""
    import mujoco

    kinds = mujoco.mjtSensor.mjSENS_FRAMEPOS, mujoco.mjtSensor.mjSENS_FRAMEQUAT
    names = f"{PREFIX}{body} position", f"{PREFIX}{body} quaternion"
    for kind, name in zip(kinds, names, strict=True):
        spec.add_sensor(
            name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_XBODY, objname=body
        )
    return names


def _add_contact(spec: "mujoco.MjSpec", first: str, second: str) -> str:
    """A sensor of two bodies' contacts; its name."""
    import mujoco

    name = f"{PREFIX}{first} and {second}"
    spec.add_sensor(
        name=name,
        type=mujoco.mjtSensor.mjSENS_CONTACT,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname=first,
        reftype=mujoco.mjtObj.mjOBJ_BODY,
        refname=second,
        intprm=[_FOUND | _FORCE, _MAXFORCE, POINTS],
    )
    return name
