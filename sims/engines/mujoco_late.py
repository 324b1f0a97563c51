"""The engine ``mujoco`` as a plain loop of ``mj_step`` leaves it.

After ``mj_step`` positions and velocities are the new ones, while all that is derived
from them (places, inertias, velocities and forces of bodies) is one evaluation old: of
the last physics step's begin, or, under RK4, of the last of its four stages. That is
what Gymnasium's environments observe. It cannot be had from the new state, so this
engine leaves out the pass that makes them current, which saves 5% as well.

Contact forces on bodies (``cfrc_ext``) come from a call that ``mj_step`` does not make,
``mj_rnePostConstraint``; Gymnasium makes it after each control step. A batch has no
place for it, unless each environment keeps an ``MjData`` of its own, which is copied
out and called with: about 10 us on one thread, for each environment with a contact.

A robot of one tree has one island of constraints, so the search for islands is switched
off where nothing else moves: that changes no bit, and saves 3%.
"""

import mujoco
import numpy as np

from assets.errors import UsageError
from sims.arrays import Array, Mask
from sims.engines.mujoco import MujocoEngine


class LateMujocoEngine(MujocoEngine):
    """See the module's top."""

    stage = int(mujoco.mjtStage.mjSTAGE_NONE)

    def __init__(
        self,
        model: mujoco.MjModel,
        num_envs: int,
        *,
        threads: int = 0,
        forces: bool = False,
    ):
        """Make the simulations, at the model's initial state.

        Args:
            model: the nominal model; it may lose its islands, see the module's top.
            num_envs: how many.
            threads: see :class:`~sims.engines.mujoco.MujocoEngine`.
            forces: whether contact forces on bodies are computed.

        Raises:
            UsageError: see :class:`~sims.engines.mujoco.MujocoEngine`.
        """
        if model.ntree == 1:
            model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ISLAND)
        self.persistent = forces
        self._forces: Array = np.zeros((num_envs if forces else 0, model.nbody, 6))
        self._scratch = mujoco.MjData(model)
        super().__init__(model, num_envs, threads=threads)
        if forces:
            self.batch.bind("ncon")

    def derived(self, field: str) -> Array:
        """(num_envs, ...): a field of ``MjData`` as the last call left it.

        Args:
            field: its name; ``cfrc_ext`` (num_envs, nbody, 6) is torque [N m], then
                force [N], by contacts and pushes, and 0 after a reset.

        Raises:
            UsageError: contact forces where they are not computed.
        """
        if field != "cfrc_ext":
            return self.batch.bind(field)
        if not len(self._forces):
            raise UsageError(
                "cfrc_ext is not computed: make the engine with forces=True"
            )
        return self._forces

    def reset(self, where: Mask, qpos: Array, qvel: Array) -> None:
        """See :meth:`Engine.reset <sims.engine.Engine.reset>`."""
        super().reset(where, qpos, qvel)
        if len(self._forces):
            self._forces[where] = 0.0

    def step(self, substeps: int = 1) -> None:
        """Advance by ``substeps * dt`` with ``ctrl`` held; what is derived is late."""
        super().step(substeps)
        if len(self._forces):
            self._press()

    def _press(self) -> None:
        """Forces on all bodies, as the last stage of the last step has them; there are
        none where nothing touches, and nobody pushes."""
        get, data, forces = self.batch.get_data, self._scratch, self._forces
        of_data = data.cfrc_ext
        forces[:] = 0.0
        some = (self.batch.bind("ncon") > 0) | self._wrench.any(axis=(1, 2))
        for env in np.flatnonzero(some).tolist():
            get(env, data)
            mujoco.mj_rnePostConstraint(self.model, data)
            forces[env] = of_data
