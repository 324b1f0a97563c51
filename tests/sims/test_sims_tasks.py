"""Each task: shapes, rewards, what counts as success, and that it is not free."""

from typing import Any

import numpy as np
import pytest

import sims
from sims import TASKS, make_task
from sims.tasks import arm
from sims.tasks.rewards import VALUE_AT_MARGIN, tolerance

make_env: Any = sims.make_env
"""Untyped: these tests reach into the tasks' own state."""


@pytest.mark.parametrize("name", TASKS)
def test_specs_match_what_flows(name: str) -> None:
    env = make_env(name, num_envs=5, randomize="train")
    task: Any = make_task(name)
    obs = env.reset()
    assert set(obs) == set(task.obs_spec)
    for group, spec in task.obs_spec.items():
        assert obs[group].shape == (5, *spec.shape)
        assert len(spec.names) == len(set(spec.names)) == len(spec.units) == spec.size
    model = env.engine.model
    actuators = {model.actuator(i).name: i for i in range(model.nu)}
    limits = np.stack(task.action_spec.limits(), axis=1)
    assert (limits[:, 0] < limits[:, 1]).all()
    named = [name.removeprefix("torque_") for name in task.action_spec.names]
    if task.robot == "humanoid":
        # offsets from a posture: 0.8 or 0.4 rad, or to a limit where that is nearer
        named = [name.removeprefix("offset_") for name in named]
        order = [actuators[name] for name in named]
        ranges = model.actuator_ctrlrange[order]
        assert (limits == [-1, 1]).all()
        far = np.abs(ranges - task.posture[:, None]).max(axis=1)
        span = np.where(model.jnt_axis[1:][order, 1] != 0, 0.8, 0.4)
        if name == "humanoid-reach":  # arms go everywhere
            span[12:] = np.inf
        np.testing.assert_allclose(task.reach, np.minimum(far, span))
        return
    direct = [i for i, name in enumerate(named) if name in actuators]
    assert direct, "no action is an actuator's own command"
    ranges = model.actuator_ctrlrange[[actuators[named[i]] for i in direct]]
    np.testing.assert_allclose(limits[direct], ranges, rtol=1e-6)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("policy", ["zero", "random"])
def test_doing_nothing_or_anything_does_not_succeed(name: str, policy: str) -> None:
    n = 128 if name.startswith("arm") else 12  # of few, not one
    if name.startswith("humanoid"):  # a heap of limbs is slow to simulate
        n = 6
    env = make_env(name, num_envs=n, seed=11, threads=1)
    env.reset()
    rng = np.random.default_rng(0)
    low, high = env.action_spec.limits()
    over = np.zeros(n, bool)
    for _ in range(env.max_steps):
        drawn = rng.uniform(low, high, (n, len(low)))
        action = np.zeros_like(drawn) if policy == "zero" else drawn
        _, reward, terminated, _, info = env.step(action)
        total = sum(info["terms"].values())
        np.testing.assert_array_equal(reward, total)
        assert reward.min() >= 0
        assert reward.max() <= 1 + 1e-12
        over |= terminated
        if over.all():
            break
    assert info["success"].mean() < 0.05


@pytest.mark.parametrize("name", TASKS)
def test_observing_changes_nothing(name: str) -> None:
    env = make_env(name, num_envs=3)
    env.reset()
    env.step(np.ones((3, env.action_spec.size)))
    before = env.state.copy()
    once = env.task.observe(env.engine, env.state)
    env.task.reward(env.engine, env.state)
    env.task.metrics(env.engine, env.state)
    env.task.markers(env.state, 1)
    twice = env.task.observe(env.engine, env.state)
    for group in env.task.obs_spec:
        np.testing.assert_array_equal(once[group], twice[group])
    for field, value in vars(before).items():
        np.testing.assert_array_equal(getattr(env.state, field), value)


def test_reach_targets_fill_the_annulus_uniformly() -> None:
    env = make_env("arm-reach", num_envs=4000)
    env.reset()
    radius = np.linalg.norm(env.state.target, axis=1)
    inner, outer = arm.reachable_radii()
    assert radius.min() >= inner
    assert radius.max() <= outer
    area = (radius**2 - inner**2) / (outer**2 - inner**2)
    assert np.histogram(area, 4, (0, 1))[0].min() > 900
    angle = np.arctan2(env.state.target[:, 1], env.state.target[:, 0])
    assert np.histogram(angle, 4, (-np.pi, np.pi))[0].min() > 900


def test_reach_needs_half_a_second_on_end() -> None:
    env = make_env("arm-reach", num_envs=1)
    env.reset()
    state, task = env.state, env.task
    need = round(0.5 / task.control_dt)
    for near in [True] * (need - 1) + [False] + [True] * (need - 1):
        tip = np.stack(task.tip(env.engine), axis=1)
        state.target = tip + (0.0 if near else 1.0)
        env.engine.qvel[:] = 0.0
        holding = env.engine.batch.bind("qpos").copy()
        env.step(np.zeros((1, 2)))
        env.engine.reset(np.ones(1, bool), holding, np.zeros(2))
        assert not state.solved[0]
    state.target = np.stack(task.tip(env.engine), axis=1)
    env.step(np.zeros((1, 2)))
    assert state.solved[0]


def test_track_reference_is_consistent() -> None:
    """Velocity and acceleration are derivatives of position, all of it in reach."""
    env = make_env("arm-track", num_envs=300)
    env.reset()
    task, state, h = env.task, env.state, 1e-4
    inner, outer = arm.reachable_radii()
    for t in np.linspace(0, 6, 40):
        before, here, after = (task._reference(state, t + d) for d in (-h, 0, h))
        slope = (after[0] - before[0]) / (2 * h)
        np.testing.assert_allclose(slope, here[1], atol=1e-6)
        slope = (after[1] - before[1]) / (2 * h)
        np.testing.assert_allclose(slope, here[2], atol=1e-5)
        radius = np.linalg.norm(here[0], axis=1)
        assert (radius > inner + 0.01).all()
        assert (radius < outer - 0.02).all()


def test_track_is_judged_at_the_end_after_the_grace() -> None:
    env = make_env("arm-track", num_envs=2)
    env.reset()
    state, task = env.state, env.task
    state.steps[:] = env.max_steps - 1
    state.square[:] = [0.9, 1.1]
    state.square *= 500 * 0.005**2
    error = task._error
    task._error = lambda engine, state: np.zeros(2)
    env.step(np.zeros((2, 2)))
    assert state.solved.tolist() == [True, False]
    task._error = error


def test_press_force_is_the_engines_and_positive_when_pressing() -> None:
    """At rest against the wall, the contact carries the spring's force: k times x."""
    for engine in ("mujoco", "bullet"):
        env = make_env("arm-press", engine=engine, num_envs=3)
        env.reset()
        for _ in range(400):
            angles = env.engine.qpos[:, :2]
            elbow = angles.sum(axis=1)
            jacobian_x = np.stack(
                [
                    -0.4 * np.sin(angles[:, 0]) - 0.35 * np.sin(elbow),
                    -0.35 * np.sin(elbow),
                ],
                axis=1,
            )
            jacobian_z = np.stack(
                [
                    0.4 * np.cos(angles[:, 0]) + 0.35 * np.cos(elbow),
                    0.35 * np.cos(elbow),
                ],
                axis=1,
            )
            bias = np.stack(
                [
                    9.81 * (1.6 * 0.18 + 0.9 * 0.4) * np.cos(angles[:, 0])
                    + 9.81 * 0.9 * 0.14 * np.cos(elbow),
                    9.81 * 0.9 * 0.14 * np.cos(elbow),
                ],
                axis=1,
            )
            z = env.task.tip(env.engine)[1]
            hold = -80 * z[:, None] * jacobian_z - 1.5 * env.engine.qvel[:, :2]
            env.step(bias + 10 * jacobian_x + hold)
        stiffness = env.engine.get_field("jnt_stiffness")[:, 2]
        spring = stiffness * env.engine.qpos[:, 2]
        assert (env.state.force > 5).all()
        np.testing.assert_allclose(env.state.force, spring, rtol=0.05)
        env.close()


def test_tolerance() -> None:
    x = np.array([0.0, 1.0, 3.0, 1e6])
    value = tolerance(x, upper=1.0, margin=2.0)
    np.testing.assert_allclose(value, [1, 1, VALUE_AT_MARGIN, 0], atol=1e-12)
