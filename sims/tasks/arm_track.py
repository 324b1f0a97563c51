"""ArmTrack: follow a Lissajous curve with the tip.

Centre, size, frequencies and phases are drawn per episode; the arm starts near the
curve. The observation has the reference's position, velocity and acceleration of now.
Solved when the tip's error is under 5 mm RMS from the first second to the end of the 6
s.
"""

from dataclasses import dataclass

import numpy as np

from sims.arrays import Array, Mask, Obs, assign, like, namespace, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.task import Marker
from sims.tasks.arm import ArmState, ArmTask, elbow_posture, point
from sims.tasks.rewards import tolerance

LIMIT = 0.005
"""Largest error that counts as tracked, RMS [m]."""
GRACE = 1.0
"""Time to settle before errors count [s]."""
RATIOS = np.array([(1, 2), (2, 1), (2, 3), (3, 2), (1, 1), (3, 4)])
"""Frequencies of x and z, in units of the curve's base frequency."""


@dataclass
class ArmTrackState(ArmState):
    """Memory of ArmTrack."""

    centre: Array
    """(num_envs, 2) [m]"""
    amplitude: Array
    """(num_envs, 2) [m]"""
    omega: Array
    """(num_envs, 2) angular frequencies [rad/s]"""
    phase: Array
    """(num_envs, 2) [rad]"""
    error: Array
    """(num_envs,) of the tip [m]"""
    square: Array
    """(num_envs,) sum of squared errors that count [m^2]"""


class ArmTrack(ArmTask):
    """See the module's top."""

    name = "arm-track"
    gym_id = "sandbot/ArmTrack-v0"
    description = "follow a Lissajous curve for 6 s, tip error under 5 mm RMS"
    expert = "computed-torque"
    max_steps = 600
    commands = (
        "target_x",
        "target_z",
        "target_vel_x",
        "target_vel_z",
        "target_acc_x",
        "target_acc_z",
    )
    command_units = ("m", "m", "m/s", "m/s", "m/s^2", "m/s^2")

    def new_state(self, engine: Engine) -> ArmTrackState:
        return ArmTrackState(
            **self.memory(engine),
            centre=zeros(engine.qpos, 2),
            amplitude=zeros(engine.qpos, 2),
            omega=zeros(engine.qpos, 2),
            phase=zeros(engine.qpos, 2),
            error=zeros(engine.qpos),
            square=zeros(engine.qpos),
        )

    def reset(
        self, engine: Engine, state: ArmTrackState, where: Mask, draws: Draws
    ) -> None:
        angle = draws.uniform("curve_angle", -np.pi, np.pi)
        radius = draws.uniform("curve_radius", 0.42, 0.50)
        xp, which = namespace(angle), draws.integers("curve_ratio", 0, len(RATIOS) - 1)
        centre = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        ratio = like(RATIOS, which)[which]
        base = 2 * np.pi * draws.uniform("curve_frequency", 0.10, 0.20)
        assign(state.centre, centre, where)
        assign(state.amplitude, draws.uniform("curve_size", 0.06, 0.14, (2,)), where)
        assign(state.omega, ratio * base[:, None], where)
        assign(state.phase, draws.uniform("curve_phase", 0, 2 * np.pi, (2,)), where)
        start = self._reference(state, 0.0)[0]
        angles = elbow_posture(start[:, 0], start[:, 1], draws.uniform("elbow", -1, 1))
        offset = draws.uniform("start_offset", -0.15, 0.15, (2,))
        self.place(engine, where, angles + offset)
        assign(state.square, 0.0, where)
        assign(state.solved, False, where)
        assign(state.error, self._error(engine, state), where)

    def advance(self, engine: Engine, state: ArmTrackState, action: Array) -> None:
        self.act(engine, state, action)
        state.error = self._error(engine, state)
        grace = round(GRACE / self.control_dt)
        counted = state.steps > grace
        state.square += counted * state.error * state.error
        count = namespace(state.steps).maximum(state.steps - grace, 1)
        state.solved = (state.steps >= self.max_steps) & (
            state.square < count * LIMIT**2
        )

    def observe(self, engine: Engine, state: ArmTrackState) -> Obs:
        obs = self.sensed(engine)
        position, velocity, acceleration = self._now(state)
        obs[:, 8:10] = position
        obs[:, 10:12] = velocity
        obs[:, 12:14] = acceleration
        return {"state": obs}

    def reward(self, engine: Engine, state: ArmTrackState) -> dict[str, Array]:
        return {"on_curve": tolerance(state.error, upper=LIMIT, margin=0.1)}

    def metrics(self, engine: Engine, state: ArmTrackState) -> dict[str, Array]:
        return {"tip_error [m]": state.error}

    def markers(self, state: ArmTrackState, env: int) -> list[Marker]:
        row = slice(env, env + 1)
        times = np.linspace(0.0, 2 * np.pi / np.min(state.omega[env]) * 3, 241)
        times = times[times <= self.max_steps * self.control_dt]
        path = [
            point(
                *(
                    state.centre
                    + state.amplitude * np.sin(state.omega * t + state.phase)
                )[row][0]
            )
            for t in times
        ]
        here = self._now(state)[0][env]
        return [
            Marker(
                kind="line",
                points=np.array(path),
                size=0.003,
                rgba=(0.2, 0.5, 0.9, 0.5),
            ),
            Marker(kind="sphere", points=point(*here)[None], size=0.015),
        ]

    def _now(self, state: ArmTrackState) -> tuple[Array, Array, Array]:
        return self._reference(state, (state.steps * self.control_dt)[:, None])

    def _reference(
        self, state: ArmTrackState, time: Array | float
    ) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration of the curve, (num_envs, 2) each."""
        angle = state.omega * time + state.phase
        xp = namespace(angle)
        swing = state.amplitude * xp.sin(angle)
        velocity = state.amplitude * state.omega * xp.cos(angle)
        return state.centre + swing, velocity, -state.omega * state.omega * swing

    def _error(self, engine: Engine, state: ArmTrackState) -> Array:
        x, z = self.tip(engine)
        target = self._now(state)[0]
        return namespace(x).hypot(x - target[:, 0], z - target[:, 1])
