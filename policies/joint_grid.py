"""The two-link arm's joint space in cells, for planners that count states.

The shoulder turns without limit, so its cells wrap; the elbow's end at its limits. A
step moves each joint by one cell at most, nine actions in all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError
from controllers.angles import TURN, wrap
from ml.max_ent import NOWHERE, Steps

if TYPE_CHECKING:
    from controllers.arm2 import Arm2

MOVES = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
"""(actions, 2) cells by which each joint moves."""
STAY = 4
"""The action that moves neither."""


@dataclass(frozen=True, kw_only=True)
class JointGrid:
    """Cells of the shoulder's turn and the elbow's range."""

    cells: tuple[int, int]
    """Of each joint."""
    low: float
    """Of the elbow [rad]."""
    high: float
    """[rad]"""

    def __post_init__(self) -> None:
        """Refuse grids on which moving left and right is the same."""
        if min(self.cells) < 3:
            raise UsageError(f"a joint has 3 cells or more, got {self.cells}")

    @staticmethod
    def of(arm: "Arm2", cells: tuple[int, int]) -> "JointGrid":
        """The grid of an arm whose shoulder turns freely.

        Raises:
            UsageError: the arm's joints are limited otherwise.
        """
        if not np.isinf(arm.low[0]) or np.isinf(arm.low[1]):
            raise UsageError(
                "the grid is of an arm whose shoulder turns without limit and whose "
                "elbow has limits; this one is another"
            )
        return JointGrid(cells=cells, low=arm.low[1], high=arm.high[1])

    @property
    def size(self) -> np.ndarray:
        """(2,) of a cell [rad]."""
        return np.array([TURN, self.high - self.low]) / self.cells

    @property
    def states(self) -> int:
        """Number of cells."""
        return self.cells[0] * self.cells[1]

    def centres(self) -> np.ndarray:
        """(states, 2) [rad], the elbow's cell varying fastest."""
        first, second = np.divmod(np.arange(self.states), self.cells[1])
        return np.stack([first, second], 1) * self.size + self._origin + self.size / 2

    def cell(self, q: np.ndarray) -> np.ndarray:
        """(..., 2) int: the cell of each joint at angles (..., 2) [rad]."""
        angles = np.stack([wrap(q[..., 0]), q[..., 1]], -1)
        found = np.floor((angles - self._origin) / self.size).astype(int)
        return np.clip(found, 0, np.array(self.cells) - 1)

    def state(self, q: np.ndarray) -> np.ndarray:
        """(...) int: the number of the cell at angles (..., 2) [rad]."""
        cell = self.cell(q)
        return cell[..., 0] * self.cells[1] + cell[..., 1]

    def jump(self, q: np.ndarray) -> int:
        """The most cells that a joint moves between neighbours of (n, 2) [rad]."""
        moved = np.abs(np.diff(self.cell(q), axis=0))
        turned = self.cells[0] - moved[:, 0]
        moved[:, 0] = np.minimum(moved[:, 0], turned)
        return int(moved.max(initial=0))

    def steps(self) -> Steps:
        """Where each of :data:`MOVES` leads."""
        cell = np.stack(np.divmod(np.arange(self.states), self.cells[1]), 1)
        to = cell[:, None] + MOVES
        first, second = to[..., 0] % self.cells[0], to[..., 1]
        inside = (second >= 0) & (second < self.cells[1])
        return Steps(np.where(inside, first * self.cells[1] + second, NOWHERE))

    @property
    def _origin(self) -> np.ndarray:
        return np.array([-np.pi, self.low])
