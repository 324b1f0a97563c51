"""Rotations: the logarithm, its Jacobian, and conversions. Quaternions are wxyz.

An orientation error is the rotation vector ``log(R_target R^T)``: its length is the
angle that is left. Shortcuts (the vector part of a quaternion, sums of cross products
of axes) lose half their gain or vanish near 180 degrees. Sola, Deray, Atchuthan (2018),
"A micro Lie theory", equations 133 to 146.
"""

import numpy as np
from array_api_compat import array_namespace, is_torch_array


def from_quaternion(quat: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4), of any non-zero norm; of
    tensors they are tensors."""
    if is_torch_array(quat):
        xp = array_namespace(quat)
    else:
        xp, quat = np, np.asarray(quat, float)
    w, x, y, z = (quat[..., i] for i in range(4))
    s = 2.0 / (w * w + x * x + y * y + z * z)
    rows = [
        [1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
        [s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x)],
        [s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y)],
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def to_quaternion(rotation: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) with w >= 0 of rotation matrices (..., 3, 3).

    Of the four ways to divide, the one with the largest divisor (Shepperd, 1978).
    """
    r = np.asarray(rotation, float)
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    squares = np.stack(
        [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1
    )
    wx, wy, wz = (
        r[..., 2, 1] - r[..., 1, 2],
        r[..., 0, 2] - r[..., 2, 0],
        r[..., 1, 0] - r[..., 0, 1],
    )
    xy, xz, yz = (
        r[..., 1, 0] + r[..., 0, 1],
        r[..., 0, 2] + r[..., 2, 0],
        r[..., 2, 1] + r[..., 1, 2],
    )
    rows = np.stack(
        [
            np.stack([squares[..., 0], wx, wy, wz], -1),
            np.stack([wx, squares[..., 1], xy, xz], -1),
            np.stack([wy, xy, squares[..., 2], yz], -1),
            np.stack([wz, xz, yz, squares[..., 3]], -1),
        ],
        axis=-2,
    )
    best = np.argmax(squares, axis=-1)[..., None, None]
    quat = np.take_along_axis(rows, best, axis=-2)[..., 0, :]
    quat = quat / np.sqrt((quat**2).sum(axis=-1, keepdims=True))
    return np.where(quat[..., :1] < 0, -quat, quat)


def log(rotation: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) [rad], length at most pi, of matrices (..., 3, 3)."""
    quat = to_quaternion(rotation)
    w, vector = quat[..., :1], quat[..., 1:]
    sine = np.sqrt((vector**2).sum(axis=-1, keepdims=True))
    small = sine < 1e-9
    scale = 2.0 * np.arctan2(sine, w) / np.where(small, 1.0, sine)
    return np.where(small, 2.0 / w, scale) * vector


def error(target: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """``log(target rotation^T)`` (..., 3) [rad], world axes: the turn to go."""
    return log(np.asarray(target) @ np.swapaxes(rotation, -1, -2))


def inverse_left_jacobian(vector: np.ndarray) -> np.ndarray:
    """``J_l^-1`` (3, 3) at a rotation vector (3,): d log(exp(w) R) = J_l^-1(log R) w.

    It makes the derivative of an orientation error exact far from the target, where
    ``d error = -omega`` holds along the error's own axis only.
    """
    x, y, z = vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    square = float(vector @ vector)
    if square < 1e-8:
        factor = 1.0 / 12.0
    else:
        angle = np.sqrt(square)
        factor = 1.0 / square - 0.5 / (angle * np.tan(0.5 * angle))
    return np.eye(3) - 0.5 * cross + factor * (cross @ cross)
