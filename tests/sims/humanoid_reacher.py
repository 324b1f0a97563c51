"""A humanoid that reaches by statics alone: proof that targets are within reach.

For each target, inverse kinematics of the whole body: the palm at the target, both feet
where they stand, the centre of mass above where it is in the posture. The servos go
there along a smooth ramp, those of waist and arms with what gravity asks of them on
top, and at the end the arm follows what is left of the palm's error.
"""

from typing import Any

import mujoco
import numpy as np

from sims.tasks.humanoid_feet import SIDES
from sims.tasks.humanoid_reach import TARGETS

LEGS = 12
ARMS = (np.arange(15, 22), np.arange(22, 29))
"""Joints, in the order of the servos."""
RAMP = 1.2
"""[s]"""
FEET = [f"{side}_foot" for side in SIDES]


def posture(task: Any, hand: int, goal: np.ndarray) -> tuple[np.ndarray, float]:
    """Servo targets (29,) that hold the palm at a goal, and how far off it is [m].

    Args:
        task: the robot's.
        hand: 0 left, 1 right.
        goal: (3,) where the robot starts at the origin, facing along x [m].
    """
    model, data = task.model, mujoco.MjData(task.model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    feet = [(data.body(f).xpos.copy(), data.body(f).xquat.copy()) for f in FEET]
    centre, site = data.subtree_com[0, :2].copy(), f"{SIDES[hand]}_palm"
    ease = np.ones(model.nv)
    ease[18:21] = 0.3  # the waist; arms move first
    ease[:18] = 0.5
    low, high = model.jnt_range[1:].T
    error = np.zeros(3)
    for _ in range(60):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error = goal - data.site(site).xpos
        rows, wanted = (
            [_jacobian(model, data, site)],
            [error * min(1, 0.05 / max(float(np.linalg.norm(error)), 1e-9))],
        )
        for name, (place, turn) in zip(FEET, feet, strict=True):
            body = data.body(name)
            linear, angular = np.zeros((3, model.nv)), np.zeros((3, model.nv))
            mujoco.mj_jacBody(model, data, linear, angular, body.id)
            off = np.zeros(3)
            mujoco.mju_subQuat(off, turn, body.xquat)
            rows += [linear, angular]
            wanted += [place - body.xpos, body.xmat.reshape(3, 3) @ off]
        balance = np.zeros((3, model.nv))
        mujoco.mj_jacSubtreeCom(model, data, balance, 0)
        rows.append(balance[:2])
        wanted.append(centre - data.subtree_com[0, :2])
        jacobian = np.concatenate(rows)
        square = (jacobian * ease) @ jacobian.T + 1e-4 * np.eye(len(jacobian))
        step = ease * (jacobian.T @ np.linalg.solve(square, np.concatenate(wanted)))
        mujoco.mj_integratePos(model, data.qpos, step, 1.0)
        data.qpos[7:] = np.clip(data.qpos[7:], low, high)
    data.qvel[:] = 0.0
    mujoco.mj_forward(model, data)
    sag = data.qfrc_bias[6:] / model.actuator_gainprm[:, 0]
    sag[:LEGS] = 0.0
    return data.qpos[7:] + sag, float(np.linalg.norm(error))


def _jacobian(model: mujoco.MjModel, data: mujoco.MjData, site: str) -> np.ndarray:
    linear = np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, linear, None, model.site(site).id)
    return linear


class Reacher:
    """Its actions in an environment of HumanoidReach, step by step."""

    def __init__(self, env: Any) -> None:
        """Solve for all targets.

        Args:
            env: just reset.
        """
        self.env, state = env, env.state
        found = [
            [
                posture(env.task, int(state.hands[i, k]), state.goals[i, k])
                for k in range(TARGETS)
            ]
            for i in range(env.num_envs)
        ]
        self.errors = np.array([[error for _, error in row] for row in found])
        """(num_envs, TARGETS) of the kinematics [m]."""
        self._wanted = np.array([[q for q, _ in row] for row in found])
        self._from = state.target.copy()
        self._rest = np.zeros((env.num_envs, 29))

    def __call__(self) -> np.ndarray:
        """(num_envs, 29) the next action."""
        task, state = self.env.task, self.env.state
        period = task.max_steps // TARGETS
        which, since = divmod(int(state.steps[0]), period)
        if since == 0:
            self._from, self._rest[:] = state.target.copy(), 0.0
        u = min((since + 1) * task.control_dt / RAMP, 1.0)
        share = u * u * (3 - 2 * u)
        goal = self._from + share * (self._wanted[:, which] - self._from)
        if u == 1.0:
            self._follow()
        return (goal + self._rest - task.posture) / task.reach

    def _follow(self) -> None:
        """Let the arms' targets follow the palms' errors, slowly."""
        env, state = self.env, self.env.state
        jacobians = [env.engine.jacobian(f"{side}_palm")[:, :3] for side in SIDES]
        for i, error in enumerate(env.task.offset(state)):
            arm = ARMS[state.hand[i]]
            jacobian = jacobians[state.hand[i]][i][:, 6 + arm]
            square = jacobian @ jacobian.T + 0.1**2 * np.eye(3)
            self._rest[i, arm] += 0.03 * jacobian.T @ np.linalg.solve(square, error)
