"""A planar two-link arm in closed form.

Angles turn about one axis ``a``; in the plane, ``e1`` points along the first link at
zero angles and ``e2 = a x e1``, so that positive angles turn from e1 to e2 (for the arm
of this project e1 = x and e2 = z). Positions are (.., 2) in (e1, e2), relative to the
first joint. The equations are those of Spong, Hutchinson, Vidyasagar, "Robot Modeling
and Control", section 7.4, with centres of mass that need not lie on the links:

    M(q) qdd + c(q, qd) + g(q) = tau - damping qd

Numbers come from a nominal ``MjModel`` (rotor inertia, "armature", is part of M), never
from here. All functions take (..., 2) and are elementwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np

from assets.errors import UsageError, unknown
from controllers.angles import wrap

if TYPE_CHECKING:
    import mujoco

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Arm2:
    """The numbers of the arm, one per link; points in the link's own axes."""

    lengths: Pair
    """[m]"""
    masses: Pair
    """[kg]"""
    centres: tuple[Pair, Pair]
    """Centre of mass from the link's joint [m]."""
    inertias: Pair
    """About the centre of mass, around the joint axis [kg m^2]."""
    armature: Pair
    """Rotor inertia at the joint [kg m^2]."""
    damping: Pair
    """[N m s/rad]"""
    gravity: Pair
    """Along e1 and e2 [m/s^2]."""
    low: Pair
    """Joint limits [rad], -inf where there is none."""
    high: Pair
    """[rad]"""

    @staticmethod
    def from_model(
        model: "mujoco.MjModel",
        *,
        joints: tuple[str, str] = ("shoulder", "elbow"),
        tip: str = "tip",
    ) -> "Arm2":
        """Read the numbers of two parallel hinges and a site from a nominal model.

        Args:
            model: whatever else is in it does not matter.
            joints: names of the first and the second hinge.
            tip: site at the end of the second link, on its axis.

        Raises:
            UsageError: no such joint or site, or not a planar two-link arm.
        """
        import mujoco

        data = mujoco.MjData(model)
        data.qpos[:] = 0.0
        mujoco.mj_kinematics(model, data)
        ids = [_find(model, "joint", name) for name in joints]
        site = _find(model, "site", tip)
        bodies = [int(model.jnt_bodyid[j]) for j in ids]
        axis, plane, lengths = _plane(model, data, ids, site)
        links = [
            _lump(model, data, body, data.xanchor[j], axis, plane)
            for body, j in zip(bodies, ids, strict=True)
        ]
        dofs = model.jnt_dofadr[ids]
        unlimited = ~model.jnt_limited[ids].astype(bool)
        return Arm2(
            lengths=lengths,
            masses=_pair([mass for mass, _, _ in links]),
            centres=(links[0][1], links[1][1]),
            inertias=_pair([inertia for _, _, inertia in links]),
            armature=_pair(model.dof_armature[dofs]),
            damping=_pair(model.dof_damping[dofs]),
            gravity=_pair(plane @ model.opt.gravity),
            low=_pair(np.where(unlimited, -np.inf, model.jnt_range[ids, 0])),
            high=_pair(np.where(unlimited, np.inf, model.jnt_range[ids, 1])),
        )

    def forward(self, q: np.ndarray) -> np.ndarray:
        """Tip position (..., 2) [m]."""
        l1, l2 = self.lengths
        q1, q12 = _angles(q)
        return _stack(
            l1 * np.cos(q1) + l2 * np.cos(q12), l1 * np.sin(q1) + l2 * np.sin(q12)
        )

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """d tip / d q, (..., 2, 2) [m/rad]."""
        l1, l2 = self.lengths
        q1, q12 = _angles(q)
        s2, c2 = l2 * np.sin(q12), l2 * np.cos(q12)
        return np.stack(
            [_stack(-l1 * np.sin(q1) - s2, -s2), _stack(l1 * np.cos(q1) + c2, c2)], -2
        )

    def jacobian_rate(self, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        """d jacobian / d t, (..., 2, 2) [m/rad/s]."""
        l1, l2 = self.lengths
        q1, q12 = _angles(q)
        w1, w12 = _angles(qd)
        s2, c2 = l2 * w12 * np.sin(q12), l2 * w12 * np.cos(q12)
        return np.stack(
            [
                _stack(-l1 * w1 * np.cos(q1) - c2, -c2),
                _stack(-l1 * w1 * np.sin(q1) - s2, -s2),
            ],
            -2,
        )

    def mass_matrix(self, q: np.ndarray) -> np.ndarray:
        """M (..., 2, 2) [kg m^2], armature included."""
        (m1, m2), (i1, i2), (a1, a2) = self.masses, self.inertias, self.armature
        (x1, y1), (x2, y2) = self.centres
        l1 = self.lengths[0]
        q2 = _column(q, 1)
        coupling = m2 * l1 * (x2 * np.cos(q2) - y2 * np.sin(q2))
        own = i2 + m2 * (x2 * x2 + y2 * y2)
        rest = i1 + a1 + m1 * (x1 * x1 + y1 * y1) + m2 * l1 * l1 + own
        m12 = own + coupling
        m22 = np.full_like(coupling, own + a2)
        return np.stack([_stack(rest + 2.0 * coupling, m12), _stack(m12, m22)], -2)

    def coriolis(self, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        """c(q, qd) (..., 2) [N m]: Coriolis and centrifugal torques."""
        x2, y2 = self.centres[1]
        q2 = _column(q, 1)
        w1, w2 = _column(qd, 0), _column(qd, 1)
        h = self.masses[1] * self.lengths[0] * (x2 * np.sin(q2) + y2 * np.cos(q2))
        return _stack(-h * w2 * (2.0 * w1 + w2), h * w1 * w1)

    def gravity_torque(self, q: np.ndarray) -> np.ndarray:
        """g(q) (..., 2) [N m]: what holds the arm still."""
        (m1, m2), (gx, gy) = self.masses, self.gravity
        (x1, y1), (x2, y2) = self.centres
        q1, q12 = _angles(q)
        c1, s1, c12, s12 = np.cos(q1), np.sin(q1), np.cos(q12), np.sin(q12)
        u1, v1 = m1 * x1 + m2 * self.lengths[0], m1 * y1
        u2, v2 = m2 * x2, m2 * y2
        first = gx * (u1 * s1 + v1 * c1) - gy * (u1 * c1 - v1 * s1)
        second = gx * (u2 * s12 + v2 * c12) - gy * (u2 * c12 - v2 * s12)
        return _stack(first + second, second)

    def bias(self, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        """c + g (..., 2) [N m]; damping excluded, as in ``qfrc_bias``."""
        return self.coriolis(q, qd) + self.gravity_torque(q)

    def inverse(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both postures that put the tip at a position.

        Args:
            position: (..., 2) relative to the first joint [m].

        Returns:
            Angles (..., 2, 2) [rad], elbow positive then negative, shoulder within
            [-pi, pi); and whether each is a solution, (..., 2) bool: the position lies
            within reach and the elbow within its limits. Where it does not, the angles
            are those of the nearest posture that the arm has, straight towards the
            position or folded as far as it goes.
        """
        l1, l2 = self.lengths
        x, y = _column(position, 0), _column(position, 1)
        cosine = (x * x + y * y - l1 * l1 - l2 * l2) / (2.0 * l1 * l2)
        inside = np.abs(cosine) <= 1.0
        bend = np.arccos(np.clip(cosine, -1.0, 1.0))
        direction = np.arctan2(y, x)
        branches, valid = [], []
        for sign in (1.0, -1.0):
            q2 = np.clip(sign * bend, self.low[1], self.high[1])
            inner = np.arctan2(l2 * np.sin(q2), l1 + l2 * np.cos(q2))
            branches.append(_stack(wrap(direction - inner), q2))
            valid.append(inside & (q2 == sign * bend))
        return np.stack(branches, -2), np.stack(valid, -1)

    def difference(self, goal: np.ndarray, q: np.ndarray) -> np.ndarray:
        """goal - q (..., 2) [rad], the short way round for a joint without limits."""
        turns = np.isinf(self.low)
        error = goal - q
        return np.where(turns, wrap(error), error)

    def nearest(self, position: np.ndarray, q: np.ndarray) -> np.ndarray:
        """The one of :meth:`inverse`'s postures that is nearer to q, (..., 2) [rad].

        Where the position is out of reach it is the nearest posture the arm has.
        """
        postures, _ = self.inverse(position)
        gaps = [self.difference(postures[..., k, :], q) for k in (0, 1)]
        first, second = (gap[..., 0] ** 2 + gap[..., 1] ** 2 for gap in gaps)
        return np.where(
            (first <= second)[..., None], postures[..., 0, :], postures[..., 1, :]
        )


def _column(values: np.ndarray, index: int) -> np.ndarray:
    """One column, contiguous: numpy's strided loops may round differently."""
    return np.ascontiguousarray(np.asarray(values, float)[..., index])


def _angles(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle of each link against e1 (its rate, given rates)."""
    first = _column(q, 0)
    return first, first + _column(q, 1)


def _stack(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second], axis=-1)


def _pair(values: Iterable[SupportsFloat]) -> Pair:
    first, second = values
    return float(first), float(second)


def _find(model: "mujoco.MjModel", kind: str, name: str) -> int:
    """Id of a named joint or site."""
    count = {"joint": model.njnt, "site": model.nsite}[kind]
    names = [getattr(model, kind)(index).name for index in range(count)]
    if name not in names:
        raise unknown(kind, name, [n for n in names if n])
    return names.index(name)


def _plane(
    model: "mujoco.MjModel", data: "mujoco.MjData", ids: list[int], site: int
) -> tuple[np.ndarray, np.ndarray, Pair]:
    """Joint axis (3,), rows e1 and e2 (2, 3), link lengths; checks the rest."""
    import mujoco

    axis = data.xaxis[ids[0]]
    along = data.xanchor[ids[1]] - data.xanchor[ids[0]]
    along = along - axis * (axis @ along)
    e1 = along / np.linalg.norm(along)
    reach = data.site_xpos[site] - data.xanchor[ids[1]]
    reach = reach - axis * (axis @ reach)
    bodies = model.jnt_bodyid[ids]
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    faults = {
        "both joints are hinges": all(model.jnt_type[j] == hinge for j in ids),
        "their axes are parallel": np.allclose(data.xaxis[ids[1]], axis, atol=1e-9),
        "the second link is mounted on the first": model.body_weldid[
            model.body_parentid[bodies[1]]
        ]
        == bodies[0],
        "the first link is mounted on the world": model.body_weldid[
            model.body_parentid[bodies[0]]
        ]
        == 0,
        "the tip is fixed to the second link": model.body_weldid[
            model.site_bodyid[site]
        ]
        == bodies[1],
        "at zero angles the arm is stretched": np.allclose(
            reach, e1 * np.linalg.norm(reach), atol=1e-9
        ),
    }
    for assumption, holds in faults.items():
        if not holds:
            raise UsageError(
                f"the closed form needs a planar two-link arm, and it is not so that "
                f"{assumption}: use controllers.kinematics and controllers.dynamics"
            )
    lengths = _pair([np.linalg.norm(along), np.linalg.norm(reach)])
    return axis, np.stack([e1, np.cross(axis, e1)]), lengths


def _lump(
    model: "mujoco.MjModel",
    data: "mujoco.MjData",
    body: int,
    anchor: np.ndarray,
    axis: np.ndarray,
    plane: np.ndarray,
) -> tuple[float, Pair, float]:
    """Mass, centre in the plane and inertia about the axis of a link at zero angles.

    A link is its jointed body and all that is welded to it.
    """
    members = np.flatnonzero(model.body_weldid == body)
    masses = model.body_mass[members]
    offsets = (data.xipos[members] - anchor) @ plane.T
    centre = masses @ offsets / masses.sum()
    inertia = 0.0
    for member, mass, offset in zip(members, masses, offsets, strict=True):
        principal = data.ximat[member].reshape(3, 3).T @ axis
        inertia += float(model.body_inertia[member] @ principal**2)
        inertia += float(mass * ((offset - centre) ** 2).sum())
    return float(masses.sum()), _pair(centre), inertia
