"""Other inertias that a body could have: its mass stretched, sheared, shifted, scaled.

Mass, centre of mass and inertia of a body are moments of one distribution of mass,
gathered in the 4 x 4 pseudo-inertia (Wensing, Kim, Slotine 2018, arXiv:1701.04395)

    J = [[S + m c c^T, m c], [m c^T, m]],   S = integral of r r^T dm about the centre,

and a body can have them if and only if J is positive definite. To draw the ten numbers
one by one leads out of that set: to a centre that moves away from its inertia, to a
moment greater than the sum of the other two. A congruence J -> T J T^T does not, for
any regular T. Here T is triangular, as in the log-Cholesky parameters of Rucker and
Wensing (2022, "Smooth parameterization of rigid-body inertia", RA-L 7(2)),

    T = sqrt(f) [[A, t], [0, 1]],   A = [[a1, s1, s3], [0, a2, s2], [0, 0, a3]],

and what it does can be seen: every point of the body moves to A r + c + t, and all of
it weighs f times as much. Hence m' = f m, c' = c + t and S' = f A S A^T. In the axes
of the body's principal moments I, where A acts, S is diagonal, with
S1 = (I2 + I3 - I1) / 2, and I' = trace(S') 1 - S'.
"""

import numpy as np

from controllers.so3 import from_quaternion, to_quaternion


def second_moments(inertia: np.ndarray) -> np.ndarray:
    """S (..., 3) [kg m^2] of principal moments (..., 3), in their axes."""
    half = 0.5 * inertia.sum(axis=-1, keepdims=True)
    return np.maximum(half - inertia, 0.0)


def stretched(inertia: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Principal moments after a stretch along their axes, which stay.

    Args:
        inertia: (..., 3) [kg m^2].
        stretch: (..., 3) factors of the body's extent.
    """
    moments = second_moments(inertia) * stretch**2
    return moments.sum(axis=-1, keepdims=True) - moments


def sheared(
    inertia: np.ndarray, iquat: np.ndarray, stretch: np.ndarray, shear: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Principal moments and their axes after a stretch and a shear.

    Args:
        inertia: (..., 3) [kg m^2].
        iquat: (..., 4) of their axes, wxyz.
        stretch: (..., 3) a1, a2, a3.
        shear: (..., 3) s1, s2, s3.

    Returns:
        The same two of the new body.
    """
    affine = np.zeros((*inertia.shape, 3))
    for i in range(3):
        affine[..., i, i] = stretch[..., i]
    affine[..., 0, 1], affine[..., 1, 2] = shear[..., 0], shear[..., 1]
    affine[..., 0, 2] = shear[..., 2]
    moments = second_moments(inertia)[..., None, :]
    values, axes = np.linalg.eigh((affine * moments) @ np.swapaxes(affine, -1, -2))
    values = np.maximum(values, 0.0)
    axes[..., 0] *= np.sign(np.linalg.det(axes))[..., None]  # no reflection
    turned = multiply(iquat, to_quaternion(axes))
    return values.sum(axis=-1, keepdims=True) - values, turned


def multiply(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The product (..., 4) of quaternions (..., 4) wxyz."""
    a, b, c, d = np.moveaxis(first, -1, 0)
    w, x, y, z = np.moveaxis(then, -1, 0)
    product = np.empty(np.broadcast_shapes(first.shape, then.shape))
    product[..., 0] = a * w - b * x - c * y - d * z
    product[..., 1] = a * x + b * w + c * z - d * y
    product[..., 2] = a * y - b * z + c * w + d * x
    product[..., 3] = a * z + b * y - c * x + d * w
    return product


def pseudo_inertia(
    mass: np.ndarray, ipos: np.ndarray, inertia: np.ndarray, iquat: np.ndarray
) -> np.ndarray:
    """J (..., 4, 4) about the body's origin, in its axes.

    Args:
        mass: (...) [kg].
        ipos: (..., 3) centre of mass [m].
        inertia: (..., 3) principal moments about it [kg m^2].
        iquat: (..., 4) of their axes, wxyz.
    """
    turn = from_quaternion(iquat)
    about_centre = (turn * second_moments(inertia)[..., None, :]) @ np.swapaxes(
        turn, -1, -2
    )
    joint = np.zeros((*np.shape(mass), 4, 4))
    first = mass[..., None] * ipos
    joint[..., :3, :3] = about_centre + first[..., :, None] * ipos[..., None, :]
    joint[..., :3, 3] = joint[..., 3, :3] = first
    joint[..., 3, 3] = mass
    return joint
