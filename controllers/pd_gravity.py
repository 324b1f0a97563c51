"""PD with gravity compensation: tau = kp e + kd ed + g(q).

Takegaki and Arimoto (1981), "A new feedback method for dynamic control of
manipulators": it brings any arm to rest at a set point, whatever its mass matrix. It is
a regulator: on a moving reference it lags, and a payload that g does not know leaves a
steady error of (its torque) / kp. With the torque held over a control step it needs
kd dt < 2 times the joint's smallest inertia.
"""

import numpy as np


def pd_gravity(
    error: np.ndarray,
    error_rate: np.ndarray,
    gravity: np.ndarray,
    *,
    kp: np.ndarray | float,
    kd: np.ndarray | float,
) -> np.ndarray:
    """Joint torques (..., n) [N m].

    Args:
        error: q_d - q (..., n) [rad], wrapped where a joint turns without limit.
        error_rate: qd_d - qd (..., n) [rad/s].
        gravity: g(q) (..., n) [N m]; of the position only, not ``qfrc_bias``.
        kp: [N m/rad]
        kd: [N m s/rad]
    """
    return kp * error + kd * error_rate + gravity
