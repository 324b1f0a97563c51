"""What touches, where and how hard, whichever engine says so."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One contact point."""

    geoms: tuple[int, int]
    """The two geoms; below 0: something that is no geom, such as a flex."""
    pos: np.ndarray
    """(3,) midway between the surfaces [m]."""
    normal: np.ndarray
    """(3,) from the first to the second."""
    dist: float
    """Negative in penetration [m]."""
    force: np.ndarray
    """(3,) of the first on the second, world axes [N]."""

    def flipped(self) -> "Contact":
        """The same, seen from the second."""
        return Contact(
            geoms=(self.geoms[1], self.geoms[0]),
            pos=self.pos,
            normal=-self.normal,
            dist=self.dist,
            force=-self.force,
        )


def mujoco_contacts(
    model: "mujoco.MjModel", data: "mujoco.MjData", atol: float = 1e-9
) -> list[Contact]:
    """MuJoCo's contacts that press, of data that are forwarded.

    Args:
        model: of the data.
        data: whose ``efc_force`` is that of the present contacts.
        atol: what presses less is left out [N].
    """
    import mujoco

    found, wrench = [], np.zeros(6)
    for index in range(data.ncon):
        contact = data.contact[index]
        if contact.efc_address < 0:  # near, and not touching
            continue
        mujoco.mj_contactForce(model, data, index, wrench)
        frame = np.array(contact.frame, float).reshape(3, 3)
        force = wrench[:3] @ frame
        if np.linalg.norm(force) > atol:
            found.append(
                Contact(
                    geoms=(int(contact.geom[0]), int(contact.geom[1])),
                    pos=np.array(contact.pos, float),
                    normal=frame[0].copy(),
                    dist=float(contact.dist),
                    force=force,
                )
            )
    return found
