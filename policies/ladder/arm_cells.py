"""Reaching with the two-link arm as a finite process, all targets in one table.

Joint space in cells is :mod:`policies.joint_grid`'s. The shoulder turns without limit,
so only its angle *from the target's direction* matters, and of the target only its
distance, which is the bend of the elbow that reaches it: targets are as many rings as
the elbow has cells on one side. A state is a ring and a cell, a move shifts each joint
by one cell at most, costs 1, and ends the episode in a cell that holds one of the two
postures which put the tip on the ring's target. Now and then (``slip``) it is another
move than was asked for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from policies.joint_grid import MOVES, JointGrid
from policies.ladder.mdp import FiniteMDP

if TYPE_CHECKING:
    from controllers.arm2 import Arm2


@dataclass(frozen=True, kw_only=True)
class ArmCells:
    """The arm, its cells, and the rings of targets."""

    arm: "Arm2"
    grid: JointGrid

    @staticmethod
    def of(arm: "Arm2", cells: tuple[int, int] = (24, 18)) -> "ArmCells":
        """Cut an arm's joint space into cells of the shoulder and of the elbow.

        Raises:
            UsageError: the elbow's cells are not the same on both sides of 0.
        """
        grid = JointGrid.of(arm, cells)
        if cells[1] % 2 or not np.isclose(grid.low, -grid.high):
            raise UsageError(
                f"the elbow has an even number of cells, as many on both sides of 0, "
                f"got {cells[1]} from {grid.low:g} to {grid.high:g} rad"
            )
        return ArmCells(arm=arm, grid=grid)

    @property
    def rings(self) -> int:
        """How many."""
        return self.grid.cells[1] // 2

    @property
    def states(self) -> int:
        """Rings times cells."""
        return self.rings * self.grid.states

    def ring(self, target: np.ndarray) -> np.ndarray:
        """(...) int of targets (..., 2) [m], the outermost first."""
        bend = self.arm.inverse(target)[0][..., 0, 1]
        found = np.floor(bend / self.grid.size[1]).astype(int)
        return np.clip(found, 0, self.rings - 1)

    def seen(self, q: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(..., 2) [rad]: postures with the shoulder's angle from the target."""
        direction = np.arctan2(target[..., 1], target[..., 0])
        return np.stack([q[..., 0] - direction, q[..., 1]], -1)

    def state(self, q: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(...) int of postures (..., 2) [rad] and targets (..., 2) [m]."""
        cell = self.grid.state(self.seen(q, target))
        return self.ring(target) * self.grid.states + cell

    def goals(self) -> np.ndarray:
        """(rings, 2) int: the cells of the two postures that reach, elbow up, down."""
        bend = (np.arange(self.rings) + 0.5) * self.grid.size[1]
        tip = self.arm.forward(np.stack([np.zeros_like(bend), bend], -1))
        away = np.stack([np.hypot(tip[:, 0], tip[:, 1]), np.zeros_like(bend)], -1)
        return self.grid.state(self.arm.inverse(away)[0])

    def arrives(self) -> np.ndarray:
        """(states,) bool: whether the state is a goal."""
        found = np.zeros((self.rings, self.grid.states), bool)
        found[np.arange(self.rings)[:, None], self.goals()] = True
        return found.ravel()

    def moves(self) -> np.ndarray:
        """(states, actions) int: where a move leads; beyond the elbow's limit it leads
        nowhere, and the arm stays."""
        steps = self.grid.steps()
        cells = np.arange(self.grid.states)[:, None]
        blocked = ~np.isfinite(steps.blocked)
        inside = np.where(blocked, cells, steps.successors)
        ring = np.arange(self.rings)[:, None, None] * self.grid.states
        return (ring + inside).reshape(self.states, len(MOVES))

    def mdp(self, slip: float = 0.1) -> FiniteMDP:
        """The process; episodes start in any state that is no goal.

        Args:
            slip: probability that any of the moves is made in place of the one asked.

        Raises:
            UsageError: it is no probability.
        """
        if not 0 <= slip <= 1:
            raise UsageError(f"slip is a probability, got {slip:g}")
        moves, arrives = self.moves(), self.arrives()
        count = len(MOVES)
        others = np.broadcast_to(moves[:, None], (self.states, count, count))
        to = np.concatenate([moves[..., None], others], -1)
        p = np.full(to.shape, slip / count)
        p[..., 0] = 1 - slip
        at_goal = arrives[:, None, None]
        return FiniteMDP(
            successors=to,
            probabilities=p,
            rewards=np.where(at_goal, 0.0, -1.0) * np.ones(to.shape),
            ends=arrives[to] | at_goal,
            start=~arrives / (~arrives).sum(),
        )
