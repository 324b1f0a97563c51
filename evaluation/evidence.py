"""The figures behind a cause: what both engines did in one step from the same state."""

from dataclasses import dataclass

import mujoco
import numpy as np

from evaluation.instruments import Instruments, Reading

NO_FORCE = 1e-6
"""Smaller forces and torques are none [N, N m]."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One step of both engines, see :mod:`evaluation.one_step`."""

    instruments: Instruments
    engines: tuple[str, str]
    """What the two are called, see :func:`evaluation.causes.labels`."""
    body: int
    """Id of the body that is asked about."""
    readings: list[Reading]
    """Of the two, after the step."""
    torques: list[np.ndarray]
    """Of the two, (nu,) before it."""
    qpos: np.ndarray
    """(nq,) before it."""

    def tell(self, kind: str) -> tuple[str, str]:
        """Where a cause is, and what says so, in words."""
        tellers = {
            "friction": self._friction,
            "contact": self._contact,
            "servo": self._servo,
            "limit": self._limit,
            "growth": self._growth,
        }
        return tellers.get(kind, self._rest)()

    def _friction(self) -> tuple[str, str]:
        first, second = self.readings
        pair = self._pair(np.abs(first.friction - second.friction))
        if pair is None:
            return self._rest()
        words = [
            f"{r.friction[pair]:.3g} N under {r.normal[pair]:.3g} N in {engine}"
            for r, engine in zip(self.readings, self.engines, strict=True)
        ]
        return self.instruments.pair_name(pair), f"friction {', '.join(words)}"

    def _contact(self) -> tuple[str, str]:
        first, second = self.readings
        pair = self._pair(np.abs(first.normal - second.normal))
        if pair is None:
            return self._rest()
        touching = [bool(r.points[pair] > 0) for r in self.readings]
        name = self.instruments.pair_name(pair)
        if touching[0] != touching[1]:
            only = self.engines[touching.index(True)]
            force = self.readings[touching.index(True)].normal[pair]
            return name, f"they touch in {only} alone, with {force:.3g} N"
        words = [
            f"{r.normal[pair]:.3g} N at {_points(r.points[pair])} in {engine}"
            for r, engine in zip(self.readings, self.engines, strict=True)
        ]
        return name, f"normal force {', '.join(words)}"

    def _servo(self) -> tuple[str, str]:
        model = self.instruments.model
        apart = np.abs(self.torques[0] - self.torques[1])
        if not apart.max(initial=0.0) > NO_FORCE:
            place, _ = self._rest()
            return place, "the same torque in the same state, taken over differently"
        actuator = int(np.argmax(apart))
        joint = int(model.actuator_trnid[actuator, 0])
        slides = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
        unit = "N" if slides else "N m"
        words = [
            f"{torque[actuator]:.4g} {unit} in {engine}"
            for torque, engine in zip(self.torques, self.engines, strict=True)
        ]
        return model.joint(joint).name, f"from the same state {', '.join(words)}"

    def _limit(self) -> tuple[str, str]:
        """The joint that is nearest to the end of its range, or beyond."""
        model = self.instruments.model
        joints = [j for j in self.instruments.joints(self.body) if model.jnt_limited[j]]
        if not joints:
            return self._rest()
        angle = self.qpos[model.jnt_qposadr[joints]]
        low, high = model.jnt_range[joints].T
        left = np.minimum(angle - low, high - angle)
        nearest = int(np.argmin(left))
        unit = _unit(model, joints[nearest])
        name = model.joint(joints[nearest]).name
        return name, f"{left[nearest]:.2g} {unit} from the end of its range"

    def _growth(self) -> tuple[str, str]:
        return self._name(), "from the same state both do the same, to the bit"

    def _rest(self) -> tuple[str, str]:
        return (
            self._name(),
            "not by contact, a torque of a servo, or a limit of a joint",
        )

    def _pair(self, apart: np.ndarray) -> int | None:
        """The pair of the largest difference, of the body itself if it has one."""
        pairs = self.instruments.pairs
        near = self.instruments.pairs_of(self.body)
        own = [i for i in near if self.body in pairs[i]]
        for chosen in (own, near):
            if len(chosen) and apart[chosen].max() > NO_FORCE:
                return chosen[int(np.argmax(apart[chosen]))]
        return None

    def _name(self) -> str:
        return self.instruments.model.body(self.body).name


def _unit(model: mujoco.MjModel, joint: int) -> str:
    return "m" if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE else "rad"


def _points(count: float) -> str:
    return "1 point" if count == 1 else f"{count:.0f} points"
