"""M(q), c(q, qd) + g(q) and g(q) of any robot, through its nominal ``MjModel``.

    M(q) qdd + bias(q, qd) = tau + passive + contact

``bias`` is MuJoCo's ``qfrc_bias``: Coriolis, centrifugal *and* gravity. Passive forces
(springs, damping) are not in it, and rotor inertia is in M. Everything is computed row
by row in a scratch ``MjData``, so the bits do not depend on the batch.
"""

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown

if TYPE_CHECKING:
    import mujoco


class Dynamics:
    """Dynamics of some joints of a model; the others rest where the model puts them."""

    def __init__(self, model: "mujoco.MjModel", joints: tuple[str, ...] | None = None):
        """Choose the joints.

        Args:
            model: the nominal model.
            joints: names of hinges and slides, in the order of the columns of what is
                returned; None: all joints of the model.

        Raises:
            UsageError: no such joint, or one that has more than one degree of freedom.
        """
        import mujoco

        self.model = model
        self.data = mujoco.MjData(model)
        ids = find_joints(model, joints)
        self.qpos_ids = model.jnt_qposadr[ids]
        """Where the joints' positions stand in ``qpos``."""
        self.dofs = model.jnt_dofadr[ids]
        """Where their velocities stand in ``qvel``."""

    def mass_matrix(self, q: np.ndarray) -> np.ndarray:
        """M (num, n, n) [kg m^2 | kg] at positions (num, n) [rad | m]."""
        import mujoco

        model, data = self.model, self.data
        out = np.empty((len(q), len(self.dofs), len(self.dofs)))
        full = np.empty((model.nv, model.nv))
        for row, position in zip(out, q, strict=True):
            self._place(position)
            mujoco.mj_makeM(model, data)
            mujoco.mj_fullM(model, data, full)
            row[:] = full[np.ix_(self.dofs, self.dofs)]
        return out

    def bias(self, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        """Coriolis, centrifugal and gravity forces (num, n) [N m | N].

        Args:
            q: (num, n) positions [rad | m].
            qd: (num, n) velocities [rad/s | m/s].
        """
        import mujoco

        model, data = self.model, self.data
        out = np.empty((len(q), len(self.dofs)))
        force = np.empty(model.nv)
        for row, position, velocity in zip(out, q, qd, strict=True):
            self._place(position)
            data.qvel[self.dofs] = velocity
            mujoco.mj_comVel(model, data)
            mujoco.mj_rne(model, data, 0, force)
            row[:] = force[self.dofs]
        return out

    def gravity(self, q: np.ndarray) -> np.ndarray:
        """Forces (num, n) [N m | N] that hold the robot still at (num, n) [rad | m]."""
        return self.bias(q, np.zeros_like(q))

    def _place(self, position: np.ndarray) -> None:
        import mujoco

        self.data.qpos[:] = self.model.qpos0
        self.data.qpos[self.qpos_ids] = position
        self.data.qvel[:] = 0.0
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)


def find_joints(model: "mujoco.MjModel", names: tuple[str, ...] | None) -> np.ndarray:
    """Ids of hinges and slides by name, or of all joints.

    Raises:
        UsageError: no such joint, or one that has more than one degree of freedom.
    """
    import mujoco

    known = [model.joint(j).name for j in range(model.njnt)]
    for name in names or ():
        if name not in known:
            raise unknown("joint", name, known)
    chosen = range(model.njnt) if names is None else [known.index(n) for n in names]
    ids = np.array(chosen, int)
    single = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    for j in ids:
        if model.jnt_type[j] not in single:
            raise UsageError(
                f"joint {known[j]!r} is a ball or free joint; these controllers take "
                f"hinges and slides: name the joints of the arm"
            )
    return ids
