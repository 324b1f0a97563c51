"""Computed torque: cancel the arm's dynamics, and ask for an acceleration.

    tau = M(q) a + c(q, qd) + g(q) - passive,   a = qdd_d + kd ed + kp e

With the true model the error obeys ``edd + kd ed + kp e = 0`` (Luh, Walker, Paul, 1980,
"Resolved-acceleration control"). :func:`limited_acceleration` is the same law when the
error is small, and keeps speed and acceleration within bounds when it is not, without
memory: a function of the state alone, so that it can be learned from demonstrations.
"""

import numpy as np

from controllers.limits import soft_limit
from controllers.small import matvec


def computed_torque(
    mass: np.ndarray,
    bias: np.ndarray,
    acceleration: np.ndarray,
    passive: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Joint torques (..., n) [N m] that give an acceleration.

    Args:
        mass: M(q) (..., n, n) [kg m^2], armature included.
        bias: c + g (..., n) [N m], MuJoCo's ``qfrc_bias``.
        acceleration: wanted (..., n) [rad/s^2].
        passive: what acts besides the motors (..., n), such as ``-damping * qd`` [N m].
    """
    return matvec(mass, acceleration) + bias - passive


def limited_acceleration(
    error: np.ndarray,
    error_rate: np.ndarray,
    acceleration: np.ndarray | float = 0.0,
    *,
    position_gain: np.ndarray | float,
    velocity_gain: np.ndarray | float,
    max_speed: np.ndarray | float,
    max_acceleration: np.ndarray | float,
) -> np.ndarray:
    """Acceleration (..., n) [rad/s^2] that brings an error to zero within limits.

    A wanted closing speed ``limit(position_gain e)``, and an acceleration towards it,
    ``limit(velocity_gain (closing speed + ed))``. Small errors see kp = position_gain *
    velocity_gain and kd = velocity_gain.

    Args:
        error: q_d - q (..., n) [rad].
        error_rate: qd_d - qd (..., n) [rad/s].
        acceleration: of the reference, passed through unlimited (..., n) [rad/s^2].
        position_gain: [1/s]
        velocity_gain: [1/s]; four times position_gain damps critically.
        max_speed: of the approach [rad/s].
        max_acceleration: of the correction [rad/s^2].
    """
    closing = soft_limit(position_gain * error, max_speed)
    push = soft_limit(velocity_gain * (closing + error_rate), max_acceleration)
    return acceleration + push
