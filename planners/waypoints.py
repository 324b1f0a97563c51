"""Through postures at set times, without overshoot.

Between waypoints each joint follows Fritsch and Carlson's monotone cubic (1980, SIAM J.
Numer. Anal. 17, "Monotone piecewise cubic interpolation", as SciPy has it): continuous
velocity, at rest wherever a joint turns round or is given the same value twice, and
never outside of the two values that it runs between.
"""

import numpy as np

from assets.errors import UsageError


def through(times: np.ndarray, points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values on the way through waypoints.

    Args:
        times: (n,) increasing [s].
        points: (n, size) value of each joint there.
        at: (m,) times to evaluate [s]; outside of ``times`` the nearest end counts.

    Returns:
        (m, size).

    Raises:
        UsageError: fewer than two waypoints, or times that do not increase.
    """
    from scipy.interpolate import PchipInterpolator

    times = np.asarray(times, float)
    if len(times) < 2 or len(times) != len(points):
        raise UsageError(
            f"a path takes two waypoints or more, each with its time, got {len(times)} "
            f"times and {len(points)} points"
        )
    steps = np.diff(times)
    if not (steps > 0).all():
        late = int(np.argmin(steps))
        raise UsageError(
            f"the times of waypoints increase, got {times[late]:g} s and then "
            f"{times[late + 1]:g} s"
        )
    inside = np.clip(at, times[0], times[-1])
    return PchipInterpolator(times, points, axis=0)(inside)
