"""MuJoCo's contact sensors, filled from Bullet's contact points.

The layout is that of MuJoCo's manual, "sensor/contact": the normal points from the
first to the second of the two, and a force is the one that the first exerts on the
second, in the contact's frame, or in the world's under ``reduce="netforce"``. The
tangents of a frame are a convention of each engine; the forces along them are not.

Bullet lists points that are near without touching, too; those that are apart and carry
no force are left out.
"""

from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np

from sims.contacts import Contact

_FIELDS = ("found", "force", "torque", "dist", "pos", "normal", "tangent")
_UNSUPPORTED_BITS = (1 << 7) | (1 << 8)
_WORLD = np.eye(3)
_NETFORCE, _MAXFORCE, _MINDIST = 3, 2, 1


def read_contacts(
    model: mujoco.MjModel, records: Sequence[tuple[int, int, tuple]]
) -> list[Contact]:
    """Contacts, geoms in MuJoCo's order (by type), from :meth:`World.contacts`.

    PyBullet's normal is on B and points at A; so its force on A is along it.
    """
    contacts = []
    for geom_a, geom_b, c in records:
        normal = np.array(c[7])
        force = c[9] * normal + c[10] * np.array(c[11]) + c[12] * np.array(c[13])
        if c[8] > 0 and not force.any():
            continue
        contact = Contact(
            geoms=(geom_b, geom_a),
            pos=0.5 * (np.array(c[5]) + np.array(c[6])),
            normal=normal,
            dist=c[8],
            force=force,
        )
        ordered = (model.geom_type[geom_b], geom_b) < (model.geom_type[geom_a], geom_a)
        contacts.append(contact if ordered else contact.flipped())
    return contacts


class ContactSensor:
    """One contact sensor of the scene."""

    def __init__(self, model: mujoco.MjModel, index: int):
        """Read what the sensor asks for.

        Args:
            model: the nominal model.
            index: the sensor's id.
        """
        self.columns = slice(
            int(model.sensor_adr[index]),
            int(model.sensor_adr[index] + model.sensor_dim[index]),
        )
        self._data, self._reduce, self._slots = model.sensor_intprm[index, :3].tolist()
        self._first = _members(
            model, model.sensor_objtype[index], model.sensor_objid[index]
        )
        self._second = _members(
            model, model.sensor_reftype[index], model.sensor_refid[index]
        )

    @staticmethod
    def supported(model: mujoco.MjModel, index: int) -> bool:
        """Whether Bullet can fill it: not by site, not with relative velocities."""
        by_site = model.sensor_objtype[index] == mujoco.mjtObj.mjOBJ_SITE
        return not (by_site or model.sensor_intprm[index, 0] & _UNSUPPORTED_BITS)

    def read(self, contacts: list[Contact]) -> np.ndarray:
        """The sensor's values."""
        matched = [m for c in contacts if (m := self._match(c)) is not None]
        size = self.columns.stop - self.columns.start
        values = np.zeros((self._slots, size // self._slots))
        if not matched:
            return values.ravel()
        if self._reduce == _NETFORCE:
            values[0] = self._pick(*_net(matched), len(matched))
            return values.ravel()
        if self._reduce == _MAXFORCE:
            matched.sort(key=lambda c: -float(np.linalg.norm(c.force)))
        elif self._reduce == _MINDIST:
            matched.sort(key=lambda c: c.dist)
        for row, contact in zip(values, matched, strict=False):
            frame = _frame(contact.normal)
            local = frame @ contact.force, np.zeros(3)
            row[:] = self._pick(contact, frame, *local, len(matched))
        return values.ravel()

    def _match(self, contact: Contact) -> Contact | None:
        """The contact as the sensor sees it, first to second; None: not its own."""
        for seen in (contact, contact.flipped()):
            first, second = seen.geoms
            if (self._first is None or first in self._first) and (
                self._second is None or second in self._second
            ):
                return seen
        return None

    def _pick(
        self,
        contact: Contact,
        frame: np.ndarray,
        force: np.ndarray,
        torque: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """The fields that the sensor asks for, in MuJoCo's order."""
        fields = {
            "found": [count],
            "force": force,
            "torque": torque,
            "dist": [contact.dist],
            "pos": contact.pos,
            "normal": frame[0],
            "tangent": frame[1],
        }
        chosen = [fields[f] for i, f in enumerate(_FIELDS) if self._data & (1 << i)]
        return np.concatenate(chosen)


def _members(model: mujoco.MjModel, kind: int, index: int) -> frozenset[int] | None:
    """Geoms that a criterion covers; None: all."""
    if index < 0:
        return None
    if kind == mujoco.mjtObj.mjOBJ_GEOM:
        return frozenset([int(index)])
    bodies = {int(index)}
    if kind == mujoco.mjtObj.mjOBJ_XBODY:  # a subtree
        for body in range(int(index) + 1, model.nbody):
            if int(model.body_parentid[body]) in bodies:
                bodies.add(body)
    owners = model.geom_bodyid.tolist()
    return frozenset(g for g, owner in enumerate(owners) if owner in bodies)


def _frame(normal: np.ndarray) -> np.ndarray:
    """(3, 3): normal, then two tangents, as rows."""
    helper = _WORLD[1 if abs(normal[1]) < 0.5 else 2]
    tangent = helper - normal * (normal @ helper)
    tangent /= np.linalg.norm(tangent)
    return np.stack([normal, tangent, np.cross(normal, tangent)])


def _net(
    contacts: list[Contact],
) -> tuple[Contact, np.ndarray, np.ndarray, np.ndarray]:
    """One contact with the effect of all: its place, frame, force and torque."""
    if len(contacts) == 1:
        only = replace(contacts[0], dist=0.0)
        return only, _WORLD, only.force, np.zeros(3)
    forces = np.array([c.force for c in contacts])
    places = np.array([c.pos for c in contacts])
    sizes = np.linalg.norm(forces, axis=1)
    weights = (
        sizes / sizes.sum() if sizes.any() else np.full(len(sizes), 1 / len(sizes))
    )
    centre = weights @ places
    force = forces.sum(axis=0)
    torque = np.cross(places - centre, forces).sum(axis=0)
    merged = Contact(
        geoms=contacts[0].geoms,
        pos=centre,
        normal=_WORLD[0],
        dist=0.0,
        force=force,
    )
    return merged, _WORLD, force, torque
