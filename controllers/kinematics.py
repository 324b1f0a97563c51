"""Forward kinematics, Jacobian and inverse kinematics of any arm.

The arm is what stands between the world and a site of a nominal ``MjModel``: a chain of
hinges and slides. The inverse is damped least squares in the form of Levenberg and
Marquardt: Nakamura and Hanafusa (1986), "Inverse kinematic solutions with singularity
robustness", with the damping proportional to the remaining error (Sugihara, 2011,
"Solvability-unconcerned inverse kinematics by the Levenberg-Marquardt method"), the
Jacobian of the SO(3) logarithm in the error, and joint limits as an active set, so that
no answer ever leaves them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from controllers import so3
from controllers.angles import wrap
from controllers.dynamics import find_joints

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, kw_only=True)
class IkOptions:
    """When the inverse kinematics stops."""

    position_tolerance: float = 1e-6
    """[m]"""
    rotation_tolerance: float = 1e-6
    """[rad]"""
    iterations: int = 100
    """Per attempt."""
    attempts: int = 20
    """From the given seed first, then from random postures within the limits."""
    damping: float = 1e-3
    """Added to J^T J, as a multiple of the squared error."""
    rotation_weight: float = 0.3
    """Metres that one radian counts as."""
    max_step: float = 0.5
    """Largest change of a joint in one iteration [rad | m]."""
    seed: int = 0
    """Of the random postures."""


@dataclass(frozen=True, kw_only=True)
class IkResult:
    """Answers, one row per target; look at ``converged`` before using ``q``."""

    q: np.ndarray
    """(num, n) within the limits [rad | m]; the best found where not converged."""
    converged: np.ndarray
    """(num,) bool"""
    position_error: np.ndarray
    """(num,) [m]"""
    rotation_error: np.ndarray
    """(num,) [rad]; 0 where no orientation was asked for."""
    iterations: np.ndarray
    """(num,) over all attempts."""


class Kinematics:
    """Kinematics of a site; rows are computed one by one in a scratch ``MjData``."""

    def __init__(
        self,
        model: "mujoco.MjModel",
        site: str,
        joints: tuple[str, ...] | None = None,
    ):
        """Find the chain.

        Args:
            model: the nominal model.
            site: name of the site to steer.
            joints: names of its hinges and slides; None: all that move the site.

        Raises:
            UsageError: no such site or joint, or a ball or free joint among them.
        """
        import mujoco

        names = [model.site(i).name for i in range(model.nsite)]
        if site not in names:
            raise unknown("site", site, [n for n in names if n])
        self.model = model
        self.data = mujoco.MjData(model)
        self.site = names.index(site)
        if joints is None:
            joints = _chain(model, int(model.site_bodyid[self.site]))
        ids = find_joints(model, joints)
        self.joints = joints
        self.qpos_ids = model.jnt_qposadr[ids]
        self.dofs = model.jnt_dofadr[ids]
        free = ~model.jnt_limited[ids].astype(bool)
        self.turns = free & (model.jnt_type[ids] == mujoco.mjtJoint.mjJNT_HINGE)
        """(n,) bool: hinges without a limit."""
        self.low = np.where(free, -np.inf, model.jnt_range[ids, 0])
        """(n,) [rad | m]"""
        self.high = np.where(free, np.inf, model.jnt_range[ids, 1])

    def forward(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (num, 3) [m] and rotation matrices (num, 3, 3) of the site.

        Args:
            q: (num, n) [rad | m].
        """
        positions = np.empty((len(q), 3))
        rotations = np.empty((len(q), 3, 3))
        for i, row in enumerate(q):
            self._place(row)
            positions[i] = self.data.site_xpos[self.site]
            rotations[i] = self.data.site_xmat[self.site].reshape(3, 3)
        return positions, rotations

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """(num, 6, n), linear before angular, world axes."""
        out = np.empty((len(q), 6, len(self.dofs)))
        for i, row in enumerate(q):
            self._place(row)
            out[i] = self._jacobian()
        return out

    def inverse(
        self,
        position: np.ndarray,
        rotation: np.ndarray | None = None,
        seed: np.ndarray | None = None,
        options: IkOptions | None = None,
    ) -> IkResult:
        """Joint positions that put the site at a pose.

        Args:
            position: (num, 3) [m].
            rotation: (num, 3, 3) or None for any orientation.
            seed: (num, n) where to start; None: the model's rest posture.
            options: when to stop.

        Raises:
            UsageError: arrays whose shapes do not fit.
        """
        options = IkOptions() if options is None else options
        num, n = len(position), len(self.dofs)
        if seed is None:
            seed = np.tile(self.model.qpos0[self.qpos_ids], (num, 1))
        wanted = {"position": (num, 3), "seed": (num, n), "rotation": (num, 3, 3)}
        given = {"position": position, "seed": seed, "rotation": rotation}
        for name, array in given.items():
            if array is not None and np.shape(array) != wanted[name]:
                raise UsageError(
                    f"inverse takes {name} of shape {wanted[name]}, got "
                    f"{np.shape(array)}"
                )
        rows = [
            self._solve(
                position[i], None if rotation is None else rotation[i], seed[i], options
            )
            for i in range(num)
        ]
        q, errors, counts = (np.array(column) for column in zip(*rows, strict=True))
        return IkResult(
            q=q,
            converged=(errors[:, 0] <= options.position_tolerance)
            & (errors[:, 1] <= options.rotation_tolerance),
            position_error=errors[:, 0],
            rotation_error=errors[:, 1],
            iterations=counts,
        )

    def _solve(
        self,
        position: np.ndarray,
        rotation: np.ndarray | None,
        seed: np.ndarray,
        options: IkOptions,
    ) -> tuple[np.ndarray, tuple[float, float], int]:
        """The best of the attempts: posture, errors, iterations."""
        random = np.random.default_rng(options.seed)
        low = np.where(np.isfinite(self.low), self.low, -np.pi)
        high = np.where(np.isfinite(self.high), self.high, np.pi)
        best, best_errors, best_score, count = seed, (np.inf, np.inf), np.inf, 0
        for attempt in range(options.attempts):
            q = seed if attempt == 0 else random.uniform(low, high)
            q, errors, used = self._descend(position, rotation, q, options)
            count += used
            score = errors[0] + options.rotation_weight * errors[1]
            if score < best_score:
                best, best_errors, best_score = q, errors, score
            if (
                best_errors[0] <= options.position_tolerance
                and best_errors[1] <= options.rotation_tolerance
            ):
                break
        return np.where(self.turns, wrap(best), best), best_errors, count

    def _descend(
        self,
        position: np.ndarray,
        rotation: np.ndarray | None,
        q: np.ndarray,
        options: IkOptions,
    ) -> tuple[np.ndarray, tuple[float, float], int]:
        """Levenberg-Marquardt from one start, within the limits."""
        q = np.clip(q, self.low, self.high)
        residual, jac = self._residual(position, rotation, q, options)
        scale = 1.0
        for iteration in range(options.iterations):
            errors = self._errors(residual, options)
            if (
                errors[0] <= options.position_tolerance
                and errors[1] <= options.rotation_tolerance
            ) or scale > 1e8:
                return q, errors, iteration
            damping = scale * options.damping * float(residual @ residual) + 1e-12
            step = self._step(q, residual, jac, damping)
            step *= min(1.0, options.max_step / max(np.abs(step).max(), 1e-12))
            trial = np.clip(q + step, self.low, self.high)
            trial_residual, trial_jac = self._residual(
                position, rotation, trial, options
            )
            if trial_residual @ trial_residual < residual @ residual:
                q, residual, jac = trial, trial_residual, trial_jac
                scale = max(scale / 4.0, 1e-3)
            else:
                scale *= 8.0
        return q, self._errors(residual, options), options.iterations

    def _step(
        self, q: np.ndarray, residual: np.ndarray, jac: np.ndarray, damping: float
    ) -> np.ndarray:
        """Damped Gauss-Newton step of the joints that are free to move."""
        free = np.ones(len(q), bool)
        step = np.zeros(len(q))
        for _ in range(len(q) + 1):
            part = jac[:, free]
            step[:] = 0.0
            step[free] = np.linalg.solve(
                part.T @ part + damping * np.eye(free.sum()), part.T @ residual
            )
            stuck = free & (
                ((q <= self.low) & (step < 0)) | ((q >= self.high) & (step > 0))
            )
            if not stuck.any():
                break
            free &= ~stuck
            if not free.any():
                return np.zeros(len(q))
        return step

    def _residual(
        self,
        position: np.ndarray,
        rotation: np.ndarray | None,
        q: np.ndarray,
        options: IkOptions,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weighted error (3,) or (6,) and what a joint step takes off it."""
        self._place(q)
        jac = self._jacobian()
        linear = position - self.data.site_xpos[self.site]
        if rotation is None:
            return linear, jac[:3]
        turn = so3.error(rotation, self.data.site_xmat[self.site].reshape(3, 3))
        # d log(R_target R^T) = -J_l^-1(-error) omega, seen from the world
        jac[3:] = so3.inverse_left_jacobian(-turn) @ jac[3:]
        weight = options.rotation_weight
        jac[3:] *= weight
        return np.concatenate([linear, weight * turn]), jac

    def _errors(self, residual: np.ndarray, options: IkOptions) -> tuple[float, float]:
        turn = residual[3:] / options.rotation_weight
        return float(np.linalg.norm(residual[:3])), float(np.linalg.norm(turn))

    def _place(self, q: np.ndarray) -> None:
        import mujoco

        self.data.qpos[:] = self.model.qpos0
        self.data.qpos[self.qpos_ids] = q
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def _jacobian(self) -> np.ndarray:
        import mujoco

        linear, angular = np.empty((2, 3, self.model.nv))
        mujoco.mj_jacSite(self.model, self.data, linear, angular, self.site)
        return np.concatenate([linear[:, self.dofs], angular[:, self.dofs]])


def _chain(model: "mujoco.MjModel", body: int) -> tuple[str, ...]:
    """Names of the joints between the world and a body, from the root."""
    names: list[str] = []
    while body:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        names = [model.joint(first + k).name for k in range(count)] + names
        body = int(model.body_parentid[body])
    return tuple(names)
