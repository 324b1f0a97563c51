"""The humanoid in a mirror: what its image senses, and how its image acts.

The robot's left and right sides mirror each other, and so does flat ground; reflect a
motion in the plane between them, and it is a motion that physics allows, too. A learner
may so take every transition twice, the second time as its mirror image.

An element of the image is an element of the original, of the other side where the name
says left or right, with another sign where it points to a side (y), or turns about an
axis that lies in the mirror (roll and yaw).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.errors import UsageError
from sims.arrays import like

_OTHER = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Of one group of observations, or of actions; it is its own inverse."""

    order: np.ndarray
    """(size,) int64: element i of the image is element ``order[i]`` of the original."""
    signs: np.ndarray
    """(size,) 1 or -1: times this."""

    def __call__(self, values: Any) -> Any:
        """The images of rows (..., size), NumPy's or torch's."""
        return values[..., like(self.order, values)] * like(self.signs, values)


def mirror_by_name(names: tuple[str, ...], flipped: Collection[str]) -> Mirror:
    """The mirror of elements whose names say what they are.

    Args:
        names: of the elements; "left" and "right" are parts between underscores.
        flipped: names whose sign changes.

    Raises:
        UsageError: an element has no counterpart on the other side, or one of another
            sign.
    """
    places = {name: i for i, name in enumerate(names)}
    order = []
    for name in names:
        twin = "_".join(_OTHER.get(part, part) for part in name.split("_"))
        if twin not in places or (name in flipped) != (twin in flipped):
            raise UsageError(
                f"the element {name!r} has no mirror image {twin!r}: name both sides "
                f"alike, with 'left' and 'right', and let both change sign or neither"
            )
        order.append(places[twin])
    signs = [-1.0 if name in flipped else 1.0 for name in names]
    return Mirror(order=np.array(order), signs=np.array(signs))
