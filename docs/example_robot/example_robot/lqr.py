"""The policy: a linear-quadratic regulator about the upright pole.

The linear model is MuJoCo's own, of one physics step; the gain is the one that would
be best if it acted at each of them.
"""

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from scipy.linalg import solve_discrete_are

from assets import load_model
from policies import PolicyEntry
from sims.arrays import Array, Mask, Obs

if TYPE_CHECKING:
    from sims.task import Task

STATE_COST = (1.0, 10.0, 0.1, 0.1)
"""Of place, lean and their speeds."""
PUSH_COST = 0.01


class CartPoleLqr:
    """See the module's top; a `sims.policy.Policy`."""

    name = "cart-pole-lqr"

    def __init__(self, task: "Task", num_envs: int):
        self.obs_spec = dict(task.obs_spec)
        self.action_spec = task.action_spec
        self.control_dt = task.control_dt
        self.gain = _gain(load_model(task.robot, task.scene))

    def reset(self, where: Mask | None = None) -> None:
        """It has no memory."""

    def act(self, obs: Obs) -> Array:
        """(num_envs, 1) [N]"""
        return np.clip(-(obs["state"] * self.gain).sum(1), -10.0, 10.0)[:, None]


def _gain(model: mujoco.MjModel) -> np.ndarray:
    """(4,) push per unit of each element of the state."""
    data = mujoco.MjData(model)
    a, b = np.zeros((4, 4)), np.zeros((4, 1))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, a, b, None, None)
    cost, price = np.diag(STATE_COST), np.array([[PUSH_COST]])
    p = solve_discrete_are(a, b, cost, price)
    return np.linalg.solve(price + b.T @ p @ b, b.T @ p @ a)[0]


def entry() -> PolicyEntry:
    """What the entry point names."""
    return PolicyEntry(
        description="a linear-quadratic regulator about the upright pole",
        tasks=("cart-pole-balance",),
        make=lambda task, num_envs, seed: CartPoleLqr(task, num_envs),
        reactive=True,
    )
