"""What nature, or MuJoCo, forbids of a model field beside its sign.

Each check takes a scene and the values (n, *shape of the field) that are to go into it,
and raises a :class:`~assets.errors.UsageError` that says what is wrong.
"""

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError

if TYPE_CHECKING:
    import mujoco


def _check_masses(model: "mujoco.MjModel", full: np.ndarray) -> None:
    moving = full[:, model.body_mass > 0]
    if not (moving > 0).all():
        raise UsageError(
            f"body_mass of a moving body must be above 0 kg, got {moving.min():g}"
        )


def _check_inertias(model: "mujoco.MjModel", full: np.ndarray) -> None:
    """Of three principal moments of any body, none exceeds the sum of the others."""
    bad = 2 * full.max(axis=2) > full.sum(axis=2) * (1 + 1e-6)
    if bad.any():
        env, body = np.argwhere(bad)[0]
        raise UsageError(
            f"body_inertia of {model.body(int(body)).name!r} is {full[env, body]}, "
            f"which no body can have: none of the three moments exceeds the sum of the "
            f"other two. Vary mass, centre and shape together, by the term inertia()"
        )


def _check_centres(model: "mujoco.MjModel", full: np.ndarray) -> None:
    check_simple(model, (full != model.body_ipos).any(axis=(0, 2)))


def _check_turns(model: "mujoco.MjModel", full: np.ndarray) -> None:
    norms = np.linalg.norm(full, axis=2)
    if (np.abs(norms - 1) > 1e-6).any():
        raise UsageError(
            f"body_iquat must hold unit quaternions, got the norm {norms.min():g} to "
            f"{norms.max():g}"
        )
    check_simple(model, (full != model.body_iquat).any(axis=(0, 2)))


def check_simple(model: "mujoco.MjModel", changed: np.ndarray) -> None:
    """Refuse other centres of mass and axes of inertia where MuJoCo has none.

    A body that is alone on its joint, with its centre of mass on the spot, is compiled
    as "simple": its part of the mass matrix has no room for anything off the diagonal.

    Args:
        model: of the scene.
        changed: (nbody,) bool, bodies that are to change.

    Raises:
        UsageError: one of them is such a body.
    """
    simple = np.flatnonzero(changed & (model.body_simple != 0))
    if len(simple):
        raise UsageError(
            f"the body {model.body(int(simple[0])).name!r} is compiled as simple, so "
            f"that its centre of mass and axes of inertia are fixed: write "
            f'simple="false" to it in the scene, or vary other bodies'
        )


def _check_limits(model: "mujoco.MjModel", full: np.ndarray) -> None:
    """Only where there is a limit can it change; and it keeps its order."""
    changed = (full != model.actuator_forcerange).any(axis=(0, 2))
    free = np.flatnonzero(changed & (model.actuator_forcelimited == 0))
    if len(free):
        raise UsageError(
            f"the actuator {model.actuator(int(free[0])).name!r} has no limit of its "
            f"force in the scene, so that actuator_forcerange is not looked at: give "
            f"it a forcerange there, or leave it out"
        )
    if (full[..., 0] > full[..., 1]).any():
        raise UsageError("actuator_forcerange runs from low to high")


def _check_sizes(model: "mujoco.MjModel", full: np.ndarray) -> None:
    """See that boxes alone change, and do not outgrow what bounds them."""
    import mujoco

    box = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
    changed = (full != model.geom_size).any(axis=(0, 2))
    other = np.flatnonzero(changed & ~box)
    if len(other):
        raise UsageError(
            f"geom_size varies for boxes only, and {model.geom(int(other[0])).name!r} "
            f"is none: make it a box, or leave its size"
        )
    if (full[:, box] > model.geom_size[box] * (1 + 1e-9)).any() or (
        full[:, box] <= 0
    ).any():
        raise UsageError(
            "a box may shrink from its nominal geom_size, to something above 0, and "
            "not grow: give the scene its largest size"
        )


CHECKS = {
    "actuator_forcerange": _check_limits,
    "body_inertia": _check_inertias,
    "body_ipos": _check_centres,
    "body_iquat": _check_turns,
    "body_mass": _check_masses,
    "geom_size": _check_sizes,
}
"""By field."""
