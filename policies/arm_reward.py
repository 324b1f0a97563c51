"""A reward of the two-link arm as a weighted sum of features, and the arm led by it.

The features say where the tip is, seen from the target, and where the joints are:
normalised radial basis functions of the tip's distance (each in [0, 1], all together 1,
so that beyond the last one nothing falls off), and cosine and sine of both joints. That
nearer is better is in none of them: a weight may come out either way.

:class:`RewardFollower` acts on it. On the grid of joint space it plans by soft value
iteration with the reward at the episode's target, and goes where the soft-optimal
policy most likely goes. Where that stays, the cell is coarser than the reward, which is
a function of angles: the posture is the reward's maximum around the cell. The way there
is the expert's own law, computed torque, with the reward in the inverse kinematics'
place.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from policies.arm import POSITION, JointReference
from policies.controllers import ComputedTorque

if TYPE_CHECKING:
    from controllers.arm2 import Arm2
    from policies.joint_grid import JointGrid
    from sims.arrays import Mask
    from sims.task import Task

JOINT_FEATURES = ("cos shoulder", "sin shoulder", "cos elbow", "sin elbow")
AHEAD = 3
"""Cells along the planned way at which the arm aims: less brakes at each cell."""
ZOOMS, POINTS = 5, 7
"""Search for the reward's maximum: so many times a square of so many points a side, the
next one a third as wide around the best."""


@dataclass(frozen=True, kw_only=True)
class ArmReward:
    """What a posture is worth, given a target."""

    arm: "Arm2"
    centres: np.ndarray
    """(n,) of the basis functions [m]."""
    width: float
    """Their standard deviation [m]."""
    weights: np.ndarray
    """(n + 4,)"""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        near = (f"distance near {centre:.3g} m" for centre in self.centres)
        return (*near, *JOINT_FEATURES)

    def features(self, q: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(..., n + 4) of postures (..., 2) [rad] and targets (..., 2) [m]."""
        gap = self.arm.forward(q) - target
        distance = np.hypot(gap[..., 0], gap[..., 1])[..., None]
        exponent = -0.5 * ((distance - self.centres) / self.width) ** 2
        basis = np.exp(exponent - exponent.max(-1, keepdims=True))
        basis /= basis.sum(-1, keepdims=True)
        q = np.broadcast_to(q, gap.shape)
        joints = np.stack([np.cos(q), np.sin(q)], -1).reshape(*gap.shape[:-1], 4)
        return np.concatenate([basis, joints], -1)

    def __call__(self, q: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(...) the reward."""
        return self.features(q, target) @ self.weights


class RewardFollower(ComputedTorque):
    """Computed torque towards where the reward leads; see the module's top."""

    def __init__(
        self,
        task: "Task",
        num_envs: int,
        *,
        reward: ArmReward,
        grid: "JointGrid",
        horizon: int,
    ) -> None:
        """Ready to act.

        Args:
            task: of the arm, with a target in its observation.
            num_envs: how many environments.
            reward: what is followed.
            grid: on which it is planned.
            horizon: steps that the plan looks ahead.
        """
        super().__init__(task, num_envs)
        self.reward, self.grid, self.horizon = reward, grid, horizon
        self._steps = grid.steps()
        self._centres = grid.centres()
        self._next = np.zeros((num_envs, grid.states), int)
        self._target = np.full((num_envs, 2), np.nan)
        self._end = np.full(num_envs, -1)
        self._best = np.zeros((num_envs, 2))

    def reset(self, where: "Mask | None" = None) -> None:
        """Forget the plans of these environments, or of all."""
        super().reset(where)
        chosen = np.ones(self.num_envs, bool) if where is None else np.asarray(where)
        self._target[chosen] = np.nan

    def reference(self, state: np.ndarray, q: np.ndarray) -> JointReference:
        """Some cells ahead on the planned way, or the reward's maximum at its end."""
        target = self.read(state, POSITION)
        fresh = (target != self._target).any(1)
        if fresh.any():
            self._plan(fresh, target[fresh])
        rows, cell = np.arange(self.num_envs), self.grid.state(q)
        for _ in range(AHEAD):
            cell = self._next[rows, cell]
        ends = self._next[rows, cell] == cell
        late = ends & (self._end != cell)
        if late.any():
            self._best[late] = self._maximum(cell[late], target[late])
            self._end[late] = cell[late]
        goal = np.where(ends[:, None], self._best, self._centres[cell])
        still = np.zeros_like(goal)
        return JointReference(q=goal, qd=still, qdd=still)

    def _plan(self, where: np.ndarray, target: np.ndarray) -> None:
        """The likeliest next cell of each cell, for some environments' new targets."""
        reward = self.reward(self._centres, target[:, None])
        value = self._steps.soft_values(reward, self.horizon - 1)
        best = self._steps.soft_q(reward, value).argmax(2)
        rows = np.arange(self.grid.states)
        self._next[where] = self._steps.successors[rows, best]
        self._target[where] = target
        self._end[where] = -1

    def _maximum(self, cell: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Postures (n, 2) of the greatest reward within a cell's width of cells."""
        side = np.linspace(-1.0, 1.0, POINTS)
        square = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        best, reach = self._centres[cell], self.grid.size
        for _ in range(ZOOMS):
            tried = best[:, None] + square * reach
            tried[..., 1] = np.clip(tried[..., 1], self.grid.low, self.grid.high)
            chosen = self.reward(tried, target[:, None]).argmax(1)
            best = tried[np.arange(len(best)), chosen]
            reach = reach / 3
        return best
