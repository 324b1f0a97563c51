"""Which Jacobian of the constraints a scene asks for.

MuJoCo 4.0.0 forms a wrong Newton factor when the constraint Jacobian is sparse
(google-deepmind/mujoco#3767), which ``jacobian="auto"`` selects from 60 degrees of
freedom on. Scenes of up to 60 say ``dense``; MuJoCo Warp refuses dense above that, so
larger ones keep ``auto`` and get a warning.
"""

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mujoco

DENSE_LIMIT = 60
"""The largest number of degrees of freedom for which the Jacobian is made dense."""


def choose_jacobian(spec: "mujoco.MjSpec", size: int) -> None:
    """Make the constraint Jacobian dense where the solver needs it (see the top).

    Args:
        spec: changed in place.
        size: degrees of freedom of what it compiles to.
    """
    import mujoco

    if size <= DENSE_LIMIT:
        spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    elif mujoco.__version__ == "4.0.0":
        warnings.warn(
            f"{spec.modelname!r} has {size} degrees of freedom, and MuJoCo 4.0.0 "
            f"solves contacts wrongly with a sparse Jacobian (mujoco#3767), which it "
            f"takes above {DENSE_LIMIT}: split the scene, or use a later MuJoCo.",
            stacklevel=3,
        )
