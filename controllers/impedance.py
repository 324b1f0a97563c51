"""Impedance control: the arm feels like a spring and a damper around its reference.

Hogan (1985), "Impedance control", without inertia shaping, so that no force sensor is
needed for stability. In joint space

    tau = M qdd_d + c + g + K e + D ed

and in the space of the tip, with its inertia L = (J M^-1 J^T)^-1 (Khatib, 1987),

    tau = J^T [L (xdd_d - Jd qd) + K e + D ed + F] + c + g + N^T tau_0

D is made from K *and the inertia* by double diagonalisation (Albu-Schaffer, Ott,
Frese, Hirzinger, 2003): with L = C C^T, D = 2 zeta C sqrt(C^-1 K C^-T) C^T, every mode
has the damping ratio zeta. The rule ``2 sqrt(K)`` presumes an inertia of 1 kg.
"""

from dataclasses import dataclass

import numpy as np

from controllers.small import (
    cholesky,
    matmul,
    matvec,
    rmatvec,
    solve_lower,
    solve_spd,
    sqrt_spd,
)


def damping_matrix(
    inertia: np.ndarray, stiffness: np.ndarray, ratio: float = 1.0
) -> np.ndarray:
    """D (..., n, n) that damps every mode of inertia and stiffness alike.

    Args:
        inertia: (..., n, n), positive definite.
        stiffness: (..., n, n), symmetric; directions without stiffness get no damping.
        ratio: zeta; 1 is critical.
    """
    factor = cholesky(inertia)
    half = solve_lower(factor, np.broadcast_to(stiffness, inertia.shape))
    modes = solve_lower(factor, np.swapaxes(half, -1, -2))
    root = sqrt_spd(0.5 * (modes + np.swapaxes(modes, -1, -2)))
    transposed = np.swapaxes(factor, -1, -2)
    return 2.0 * ratio * matmul(factor, matmul(root, transposed))


def joint_impedance(
    mass: np.ndarray,
    bias: np.ndarray,
    error: np.ndarray,
    error_rate: np.ndarray,
    acceleration: np.ndarray | float = 0.0,
    *,
    stiffness: np.ndarray,
    ratio: float = 1.0,
) -> np.ndarray:
    """Joint torques (..., n) [N m].

    Args:
        mass: M(q) (..., n, n) [kg m^2].
        bias: c + g (..., n) [N m].
        error: q_d - q (..., n) [rad].
        error_rate: qd_d - qd (..., n) [rad/s].
        acceleration: qdd_d (..., n) [rad/s^2].
        stiffness: K (..., n, n) [N m/rad].
        ratio: damping ratio of every mode.
    """
    damping = damping_matrix(mass, stiffness, ratio)
    feedforward = matvec(mass, np.broadcast_to(acceleration, error.shape))
    return feedforward + bias + matvec(stiffness, error) + matvec(damping, error_rate)


@dataclass(frozen=True, kw_only=True)
class TaskSpace:
    """The arm as seen from the tip; m task directions, n joints."""

    jacobian: np.ndarray
    """J (..., m, n)"""
    mass: np.ndarray
    """M(q) (..., n, n) [kg m^2]"""
    bias: np.ndarray
    """c + g (..., n) [N m]"""
    drift: np.ndarray
    """Jd qd (..., m) [m/s^2]"""
    max_inertia: float = 10.0
    """The most that a direction weighs [kg]. Near a singularity the tip cannot be moved
    in some direction, as if it weighed infinitely much; this bounds the force."""

    def inertia(self) -> np.ndarray:
        """L (..., m, m) [kg]: what the tip weighs in each direction."""
        transposed = np.swapaxes(self.jacobian, -1, -2)
        mobility = matmul(self.jacobian, solve_spd(self.mass, transposed))
        identity = np.broadcast_to(np.eye(mobility.shape[-1]), mobility.shape)
        mobility = 0.5 * (mobility + np.swapaxes(mobility, -1, -2))
        return solve_spd(mobility + identity / self.max_inertia, identity)

    def null_torque(self, torque: np.ndarray) -> np.ndarray:
        """The part (..., n) of a joint torque that does not accelerate the tip.

        N^T tau_0 with the dynamically consistent N = I - M^-1 J^T L J. Exact but for
        what ``max_inertia`` rounds off.
        """
        motion = solve_spd(self.mass, torque[..., None])[..., 0]
        felt = matvec(self.inertia(), matvec(self.jacobian, motion))
        return torque - rmatvec(self.jacobian, felt)


def cartesian_impedance(
    space: TaskSpace,
    error: np.ndarray,
    error_rate: np.ndarray,
    acceleration: np.ndarray | float = 0.0,
    *,
    stiffness: np.ndarray,
    ratio: float = 1.0,
    force: np.ndarray | float = 0.0,
    null_torque: np.ndarray | None = None,
) -> np.ndarray:
    """Joint torques (..., n) [N m].

    Args:
        space: the arm now.
        error: x_d - x (..., m) [m].
        error_rate: xd_d - xd (..., m) [m/s].
        acceleration: xdd_d (..., m) [m/s^2].
        stiffness: K (..., m, m) [N/m]; zero along a direction that ``force`` governs.
        ratio: damping ratio of every mode.
        force: F (..., m) [N], such as a :class:`controllers.force.ForceLoop` asks for.
        null_torque: tau_0 (..., n) [N m], for an arm with joints to spare.
    """
    inertia = space.inertia()
    damping = damping_matrix(inertia, stiffness, ratio)
    total = matvec(inertia, acceleration - space.drift) + force
    total = total + matvec(stiffness, error) + matvec(damping, error_rate)
    torque = rmatvec(space.jacobian, total) + space.bias
    return torque if null_torque is None else torque + space.null_torque(null_torque)
