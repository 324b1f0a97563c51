"""Poses, velocities and Jacobians of frames, from the arrays of MuJoCo Warp.

The same lines serve NumPy and torch. MuJoCo keeps the motion of a body as its
angular velocity and the velocity of the point that moves with it through the centre of
mass of its tree (``cvel``), and that of each degree of freedom likewise (``cdof``).
"""

from typing import Any

import mujoco
import numpy as np

from sims.arrays import Array, like, namespace
from sims.engine import find_frame
from sims.engines.warp_views import Views


class Frames:
    """All frames of a scene."""

    def __init__(self, model: mujoco.MjModel, data: Any, views: Views):
        """Nothing is looked at yet.

        Args:
            model: of the scene.
            data: MuJoCo Warp's.
            views: how to see its arrays.
        """
        self._model = model
        self._data = data
        self._look = views
        self._seen: dict[str, Array] = {}
        self._found: dict[str, tuple[str, int]] = {}
        self._moves: dict[int, np.ndarray] = {}

    def find(self, frame: str) -> tuple[str, int]:
        """See :func:`sims.engine.find_frame`."""
        if frame not in self._found:
            self._found[frame] = find_frame(self._model, frame)
        return self._found[frame]

    def pose(self, frame: str) -> tuple[Array, Array]:
        """See :meth:`Engine.pose <sims.engine.Engine.pose>`."""
        kind, index = self.find(frame)
        if kind == "body":
            return self._array("xpos")[:, index], self._array("xquat")[:, index]
        turn = self._array("xquat")[:, self._body(frame)]
        return self._array(f"{kind}_xpos")[:, index], _multiply(
            turn, getattr(self._model, f"{kind}_quat")[index]
        )

    def velocity(self, frame: str) -> Array:
        """See :meth:`Engine.velocity <sims.engine.Engine.velocity>`."""
        spatial = self._array("cvel")[:, self._body(frame)]
        xp = namespace(spatial)
        angular, linear = spatial[:, :3], spatial[:, 3:]
        swing = xp.linalg.cross(angular, self._arm(frame))
        return xp.concat([linear + swing, angular], axis=1)

    def jacobian(self, frame: str) -> Array:
        """See :meth:`Engine.jacobian <sims.engine.Engine.jacobian>`."""
        motion = self._array("cdof")
        xp = namespace(motion)
        moves = like(self._movers(self._body(frame)), motion)
        angular, linear = motion[..., :3], motion[..., 3:]
        arm = xp.broadcast_to(self._arm(frame)[:, None], angular.shape)
        columns = xp.concat([linear + xp.linalg.cross(angular, arm), angular], axis=2)
        return xp.permute_dims(columns * moves[:, None], (0, 2, 1))

    def _arm(self, frame: str) -> Array:
        """(num_envs, 3) from the centre of mass of its tree to the frame."""
        root = self._model.body_rootid[self._body(frame)]
        kind, index = self.find(frame)
        name = "xpos" if kind == "body" else f"{kind}_xpos"
        return self._array(name)[:, index] - self._array("subtree_com")[:, root]

    def _movers(self, body: int) -> np.ndarray:
        """(nv,) 1 for the degrees of freedom that move a body, 0 for the others."""
        if body not in self._moves:
            self._moves[body] = np.zeros(self._model.nv, np.float32)
            above = body
            while above > 0:
                first = self._model.body_dofadr[above]
                count = self._model.body_dofnum[above]
                if count:
                    self._moves[body][first : first + count] = 1
                above = self._model.body_parentid[above]
        return self._moves[body]

    def _body(self, frame: str) -> int:
        """Id of the body that carries a frame."""
        kind, index = self.find(frame)
        if kind == "body":
            return index
        return int(getattr(self._model, f"{kind}_bodyid")[index])

    def _array(self, name: str) -> Array:
        if name not in self._seen:
            self._seen[name] = self._look.view(getattr(self._data, name))
        return self._seen[name]


def _multiply(a: Array, b: np.ndarray) -> Array:
    """Quaternions (n, 4) times one constant (4,), wxyz."""
    xp = namespace(a)
    w, x, y, z = (float(value) for value in b)
    p, q, r, s = (a[:, i] for i in range(4))
    return xp.stack(
        [
            p * w - q * x - r * y - s * z,
            p * x + q * w + r * z - s * y,
            p * y - q * z + r * w + s * x,
            p * z + q * y - r * x + s * w,
        ],
        axis=1,
    )
