"""A table of moves drives the real arm.

Where the table has a move, the arm aims at the centre of a cell some moves ahead, by
the expert's own law, computed torque; in the cell that holds the target the cells are
coarser than the task's 2 cm, and the law goes on with its own inverse kinematics. Until
then it knows no target: a table of zeros stays where it is.
"""

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from policies.arm import POSITION, JointReference
from policies.controllers import ComputedTorque

if TYPE_CHECKING:
    from policies.ladder.arm_cells import ArmCells
    from sims.task import Task

AHEAD = 3
"""Cells along the way at which the arm aims: less brakes at each cell."""


class TableDriver(ComputedTorque):
    """See the module's top."""

    def __init__(
        self, task: "Task", num_envs: int, *, cells: "ArmCells", actions: np.ndarray
    ) -> None:
        """Ready to act.

        Args:
            task: of the arm, with a target that rests in its observation.
            num_envs: how many environments.
            cells: what the table's states are.
            actions: (states,) int: the move in each.

        Raises:
            UsageError: another number of states.
        """
        super().__init__(task, num_envs)
        if actions.shape != (cells.states,):
            raise UsageError(
                f"the table has a move for each of {cells.states} states, got shape "
                f"{actions.shape}"
            )
        self.cells = cells
        rows = np.arange(cells.states)
        arrived = cells.arrives()
        self._arrived = arrived
        self._next = np.where(arrived, rows, cells.moves()[rows, actions])
        self._centres = cells.grid.centres()

    def reference(self, state: np.ndarray, q: np.ndarray) -> JointReference:
        """Some cells ahead, or the target itself from within its cell."""
        target = self.read(state, POSITION)
        here = self.cells.state(q, target)
        home = self._arrived[here]
        for _ in range(AHEAD):
            here = self._next[here]
        aim = self._centres[here % self.cells.grid.states].copy()
        aim[:, 0] += np.arctan2(target[:, 1], target[:, 0])
        goal = np.where(home[:, None], self.arm.nearest(target, q), aim)
        still = np.zeros_like(goal)
        return JointReference(q=goal, qd=still, qdd=still)
