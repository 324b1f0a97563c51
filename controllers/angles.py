"""Angles on the circle."""

import numpy as np

TURN = 2.0 * np.pi


def wrap(angle: np.ndarray) -> np.ndarray:
    """The same angle within [-pi, pi) [rad]."""
    return angle - TURN * np.floor(angle / TURN + 0.5)
