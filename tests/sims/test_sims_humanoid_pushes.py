"""The humanoid is pushed: by exactly what is stated, and harder level by level."""

from typing import Any

import mujoco
import numpy as np
import pytest

from sims.observation import PRIVILEGED
from sims.tasks.humanoid import TOP
from sims.tasks.humanoid_push import HumanoidPush
from sims.tasks.humanoid_stand import HumanoidStand
from sims.tasks.humanoid_walk import HumanoidWalk
from tests.sims.humanoid_motions import everywhere, make_env, started, still

PUSHED = (HumanoidStand, HumanoidPush)
ENGINES = ("mujoco", "bullet")


def test_the_posture_stands_where_nobody_pushes() -> None:
    task = HumanoidStand()
    task.sizes = (0.0, 0.0)
    env = started(task, 2)
    for _ in range(env.max_steps):
        _, reward, terminated, _, info = env.step(still(env))
    assert info["success"].all() and not terminated.any()
    assert reward.min() > 0.97


@pytest.mark.parametrize("make", PUSHED)
@pytest.mark.parametrize("engine", ENGINES)
def test_pushes_have_exactly_their_impulse(make: Any, engine: str) -> None:
    """Force times time, as told to the engine and as found in a robot that flies."""
    env = started(make(), 2, engine=engine, seed=3)
    state, physics = env.state, env.engine
    force, told = np.zeros((2, 2)), np.zeros((2, 2))
    step, apply = physics.step, physics.apply_wrench

    def record(body: str, wrench: np.ndarray, where: np.ndarray) -> None:
        force[where] = wrench[where, :2]
        assert body == "torso" and not wrench[:, 2:].any()
        apply(body, wrench, where)

    def count(substeps: int) -> None:
        told[:] += force * substeps * physics.dt
        step(substeps)

    physics.step, physics.apply_wrench = count, record
    state.begins[:] += 1000 - state.begins[:, :1]
    state.begins[1, 0] = 2
    qpos = physics.qpos.copy()
    qpos[:, 2] += 5.0
    physics.reset(everywhere(env), qpos, np.zeros_like(physics.qvel))
    for _ in range(10):
        env.step(still(env))
    impulse = np.array([[0.0, 0.0], state.pushes[1, 0] * env.task.duration])
    np.testing.assert_allclose(told, impulse, rtol=1e-12)
    assert 50 * env.task.duration < np.linalg.norm(impulse[1]) < 200 * env.task.duration
    found = [momentum(physics, i)[:2] for i in range(2)]
    np.testing.assert_allclose(found, impulse, atol=0.02 * float(np.abs(impulse).max()))
    env.close()


def momentum(engine: Any, env: int) -> np.ndarray:
    """(3,) of the robot [N s]."""
    model, data = engine.snapshot(env)
    mujoco.mj_subtreeVel(model, data)
    return data.subtree_linvel[1] * model.body_subtreemass[1]


def test_the_posture_takes_short_pushes_and_no_long_ones() -> None:
    """One push of 200 N from each of 8 sides, by the heading."""
    stood = {}
    for make in PUSHED:
        env = started(make(), 8)
        state, side = env.state, np.arange(8) * np.pi / 4
        state.begins[:] += 1000
        state.begins[:, 0] = 10
        yaw = np.arctan2(state.heading[:, 1], state.heading[:, 0])
        state.pushes[:, 0, 0] = 200 * np.cos(side + yaw)
        state.pushes[:, 0, 1] = 200 * np.sin(side + yaw)
        for _ in range(120):
            env.step(still(env))
        stood[make] = int((~state.fallen).sum())
    assert 2 <= stood[HumanoidStand] <= 6
    assert stood[HumanoidPush] == 0


@pytest.mark.parametrize("make", PUSHED)
def test_pushes_come_from_all_sides_at_their_times(make: Any) -> None:
    env = started(make(), 200)
    state, task = env.state, env.task
    pauses = np.diff(state.begins, axis=1, prepend=0) * task.control_dt
    assert pauses.min() >= task.pauses[0] - task.control_dt / 2
    assert pauses.max() <= task.pauses[1] + task.control_dt / 2
    assert (state.begins[:, -1] >= env.max_steps - 1).all(), "enough for an episode"
    sizes = np.linalg.norm(state.pushes, axis=2)
    assert 50 <= sizes.min() < 51 and 199 < sizes.max() <= 200
    sides = np.arctan2(state.pushes[..., 1], state.pushes[..., 0])
    share = np.histogram(sides, 8, (-np.pi, np.pi))[0] / sides.size
    assert share.min() > 0.1


def test_the_critic_sees_the_push_by_the_robots_heading() -> None:
    env = started(HumanoidStand(), 3)
    names = env.obs_spec[PRIVILEGED].names
    env.state.begins[:, 0] = 0
    obs = env.step(still(env))[0][PRIVILEGED]
    x, y = obs[:, names.index("push_x")], obs[:, names.index("push_y")]
    (cos, sin), world = env.state.heading.T, env.state.force
    np.testing.assert_allclose(cos * x - sin * y, world[:, 0], atol=1e-9)
    np.testing.assert_allclose(sin * x + cos * y, world[:, 1], atol=1e-9)
    np.testing.assert_array_equal(world, env.state.pushes[:, 0])
    (arrow,) = env.task.markers(env.state, 1)
    along = arrow.points[1] - arrow.points[0]
    np.testing.assert_allclose(along[:2], 0.003 * world[1], atol=1e-12)
    middle = env.engine.pose("torso")[0][1]
    assert 0.05 < np.linalg.norm((middle - arrow.points[1])[:2]) < 0.2
    env.state.begins[:, 0] = 500
    assert not env.task.markers(env.state, 1), "nobody has pushed yet"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_push_goes_on_after_a_load(engine: str) -> None:
    env = started(HumanoidStand(), 2, engine=engine)
    env.state.begins[:, 0] = [1, 3]
    for _ in range(3):
        env.step(still(env))
    saved = env.save()
    ends = []
    for _ in range(2):
        for _ in range(8):
            obs = env.step(still(env))[0]
        ends.append(np.concatenate(list(obs.values()), axis=1))
        env.load(saved)
    np.testing.assert_array_equal(*ends)
    env.close()


def topple(env: Any, *rows: int) -> None:
    """Lay some robots on their sides, in the air."""
    qpos = env.engine.qpos.copy()
    qpos[list(rows), 2:7] = [1.0, np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    env.engine.reset(everywhere(env), qpos, np.zeros_like(env.engine.qvel))


def test_levels_rise_with_success_and_sink_with_falls() -> None:
    env = started(HumanoidPush(curriculum=True), 3, autoreset=True)
    assert (env.state.level == 0).all()
    for k in range(3):
        env.state.steps[:] = env.max_steps - 1
        env.step(still(env))
        np.testing.assert_array_equal(env.state.level, k + 1)
    topple(env, 0, 1)
    env.state.steps[:] = [100, 600, 100]
    env.step(still(env))
    np.testing.assert_array_equal(env.state.level, [2, 3, 3])
    env.state.level[:] = TOP
    env.state.steps[:] = env.max_steps - 1
    env.step(still(env))
    assert (env.state.level == TOP).all()


def test_a_fall_counts_once() -> None:
    env = started(HumanoidPush(curriculum=True), 1)
    env.state.level[:] = 5
    topple(env, 0)
    for _ in range(5):
        env.step(still(env))
    assert env.state.level[0] == 4


@pytest.mark.parametrize("make", PUSHED)
def test_levels_grow_the_hardest_push(make: Any) -> None:
    env = make_env(make(curriculum=True), num_envs=33)
    env.state.level[:] = np.repeat([0, 5, TOP], 11)
    env.reset()
    hardest = np.linalg.norm(env.state.pushes, axis=2).max(axis=1).reshape(3, 11)
    np.testing.assert_allclose(hardest[0], 50)
    assert 100 < hardest[1].max() <= 125 and 180 < hardest[2].max() <= 200


def test_levels_widen_the_commands_and_need_the_right_velocity() -> None:
    env = make_env(HumanoidWalk(curriculum=True), num_envs=60)
    env.state.level[:] = np.repeat([0, 5, TOP], 20)
    env.reset()
    most = np.abs(env.state.commands).reshape(3, -1, 3).max(axis=1)
    assert (most <= np.array([[0.5, 0, 0], [0.75, 0.1, 0.25], [1, 0.2, 0.5]])).all()
    assert (most[1:] > 0.9 * np.array([[0.75, 0.1, 0.25], [1, 0.2, 0.5]])).all()
    env.state.level[:] = 3
    env.state.steps[:] = env.max_steps - 1
    env.state.counted[:] = 899
    env.state.errors[:30] = 0.1 * 899
    env.state.errors[30:] = [0.1 * 899, 0.3 * 899]
    env.step(still(env))
    np.testing.assert_array_equal(env.state.level, np.repeat([4, 3], 30))


def test_without_a_curriculum_all_is_the_task_itself() -> None:
    env = started(HumanoidPush(), 2, autoreset=True)
    topple(env, 0)
    assert env.step(still(env))[2].tolist() == [True, False]
    assert (env.state.level == TOP).all()


def test_levels_are_saved_and_loaded() -> None:
    env = started(HumanoidWalk(curriculum=True), 3)
    env.state.level[:] = [1, 5, 9]
    saved = env.save()
    env.state.level[:] = 0
    env.load(saved)
    np.testing.assert_array_equal(env.state.level, [1, 5, 9])
