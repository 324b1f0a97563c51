"""MobileAlohaFetch: take a cube from one table, and put it on a tray on another.

Mobile ALOHA (Fu, Zhao, Finn 2024, arXiv:2401.02117): to the 14 commands of both arms
come the base's velocity along its heading and its rate of turn; a differential drive
cannot go sideways. The tray is at least 1.5 m from the cube, far beyond the arms'
reach. Solved: the cube lies on the tray, still and let go of, for half a second.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ml.spec import ArraySpec
from sims.arrays import Array, Mask, assign, copied, like, namespace, sent, zeros
from sims.draws import Draws
from sims.engine import Engine
from sims.randomization import FieldTerm, Randomization
from sims.tasks.aloha import SIDES, AlohaState, AlohaTask, upright

BASE = ("base_x", "base_y", "base_yaw")
SPEED, TURN = 0.8, 1.5
"""Limits of the base [m/s], [rad/s]."""
TRAY_HALF = 0.085
"""Half the tray's width inside [m]."""
LIFTED, LYING = 0.04, 0.05
"""Heights of a cube that is off the table, and below which it lies on the tray [m]."""
CARRIED = 1.0
"""How far from its start a cube is carried [m]."""
STILL = 0.05
"""Below this speed it lies [m/s]."""

_SPREAD = np.array([0.05, 0.04, 0.1])
"""Of the base at the start, either way [m], [m], [rad]."""


def _tray_place(axis: int, low: float, high: float) -> FieldTerm:
    return FieldTerm(
        name=f"tray_{'xy'[axis]}",
        parts=(("body_pos", axis),),
        elements=("tray",),
        low=low,
        high=high,
        operation="add",
    )


@dataclass
class FetchState(AlohaState):
    """Memory of MobileAlohaFetch."""

    begin: Array
    """(num_envs, 2) where the cube began [m]."""


class MobileAlohaFetch(AlohaTask):
    """See the module's top."""

    name = "mobile-aloha-fetch"
    gym_id = "sandbot/MobileAlohaFetch-v0"
    description = "fetch the cube from the table and put it on the tray"
    robot = "mobile-aloha"
    scene = "fetch"
    expert = "mobile-aloha-script"
    max_steps = 1200
    objects = ("cube",)
    stages = ("touched", "lifted", "carried", "placed")
    variation = Randomization(
        fields=(_tray_place(0, -0.2, 0.2), _tray_place(1, -0.02, 0.06))
    )

    @cached_property
    def action_spec(self) -> ArraySpec:
        """Both arms, then the base."""
        arms = super().action_spec
        return replace(
            arms,
            shape=(arms.size + 2,),
            low=(*arms.low, -SPEED, -TURN),
            high=(*arms.high, SPEED, TURN),
            names=(*arms.names, "base_velocity", "base_turn"),
            units=(*arms.units, "m/s", "rad/s"),
        )

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """``state`` has the base's pose as well, from its wheels."""
        names, units = self.environment_names()
        arms = self.action_spec
        return {
            "state": ArraySpec(
                shape=(17,),
                names=(*arms.names[:14], *BASE),
                units=(*arms.units[:14], "m", "m", "rad"),
            ),
            "environment_state": ArraySpec(
                shape=(len(names),), names=names, units=units
            ),
        }

    def environment_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names, units = super().environment_names()
        return (*names, "tray_x", "tray_y"), (*units, "m", "m")

    @cached_property
    def _base(self) -> tuple[np.ndarray, np.ndarray]:
        """Of qpos and of ctrl: the base's three."""
        joints = [int(self.model.joint(name).qposadr[0]) for name in BASE]
        servos = [int(self.model.actuator(name).id) for name in BASE]
        return np.array(joints), np.array(servos)

    def new_state(self, engine: Engine) -> FetchState:
        return FetchState(**self.memory(engine), begin=zeros(engine.qpos, 2))

    def reset(
        self, engine: Engine, state: FetchState, where: Mask, draws: Draws
    ) -> None:
        super().reset(engine, state, where, draws)
        qpos = copied(engine.qpos)
        drawn = sent(draws.uniform("base", -_SPREAD, _SPREAD, (3,)), qpos)
        qpos[:, like(self._base[0], qpos)] = drawn
        engine.reset(where, qpos, namespace(qpos).zeros_like(engine.qvel))
        assign(state.begin, engine.pose("cube")[0][:, :2], where)

    def place(self, draws: Draws) -> Array:
        x = draws.uniform("cube_x", 0.62, 0.70)
        y = draws.uniform("cube_y", -0.2, 0.2)
        yaw = draws.uniform("cube_yaw", -0.3, 0.3)
        xp = namespace(x)
        return upright(xp.stack([x, y, xp.full_like(x, 0.03)], axis=1), yaw)[:, None]

    def command(self, engine: Engine, action: Array) -> None:
        """The arms' servos, and the base's along its heading."""
        super().command(engine, action)
        joints, servos = self._base
        yaw, xp = engine.qpos[:, joints[2]], namespace(action)
        drive = xp.clip(action[:, 14], -SPEED, SPEED)
        engine.ctrl[:, servos[0]] = drive * xp.cos(yaw)
        engine.ctrl[:, servos[1]] = drive * xp.sin(yaw)
        engine.ctrl[:, servos[2]] = xp.clip(action[:, 15], -TURN, TURN)

    def sensed(self, engine: Engine) -> Array:
        arms = super().sensed(engine)
        base = engine.qpos[:, like(self._base[0], engine.qpos)]
        return namespace(arms).concat([arms, base], axis=1)

    def surroundings(self, engine: Engine, state: FetchState) -> Array:
        poses = super().surroundings(engine, state)
        tray = engine.pose("tray")[0][:, :2]
        return namespace(poses).concat([poses, tray], axis=1)

    def conditions(self, engine: Engine, state: FetchState) -> list[Mask]:
        cube, tray = engine.pose("cube")[0], engine.pose("tray")[0]
        hands = [self.touches(engine, f"{side}/gripper", "cube") for side in SIDES]
        touched = hands[0] | hands[1]
        lifted = touched & (cube[:, 2] > LIFTED)
        norm = namespace(cube).linalg.vector_norm
        far = norm(cube[:, :2] - state.begin, axis=1) > CARRIED
        on = (abs(cube - tray)[:, :2] < TRAY_HALF).all(1) & (cube[:, 2] < LYING)
        still = norm(engine.velocity("cube")[:, :3], axis=1) < STILL
        return [touched, lifted, lifted & far, on & still & ~touched]
