"""Insertion and handover: starts, sizes, stages, strict and mild success."""

from typing import Any

import numpy as np
import pytest

import sims
from assets.errors import UsageError
from controllers.so3 import to_quaternion
from sims.tasks.aloha import upright
from sims.tasks.aloha_handover import DENSITY, SIZES
from sims.tasks.aloha_insertion import DEPTH

make_env: Any = sims.make_env
"""Untyped: these tests reach into the tasks' own state."""


def test_parts_lie_where_gym_alohas_do() -> None:
    env = make_env("aloha-peg-insertion", num_envs=2000, threads=1)
    poses = env.reset()["environment_state"]
    peg, socket = poses[:, :3], poses[:, 7:10]
    for part, low, high in ((peg, 0.1, 0.2), (socket, -0.2, -0.1)):
        assert low <= part[:, 0].min() < low + 2e-3
        assert high - 2e-3 < part[:, 0].max() <= high
        assert part[:, 1].min() >= 0.4 and part[:, 1].max() <= 0.6
        np.testing.assert_array_equal(part[:, 2], 0.05)
    assert abs(np.corrcoef(peg[:, 1], socket[:, 1])[0, 1]) < 0.1
    model = env.engine.model
    for part in ("peg", "socket"):
        assert model.body(part).mass[0] == pytest.approx(0.05)
    assert env.max_steps == 400


@pytest.mark.parametrize(
    ("offset", "turn", "depth"),
    [
        ((0.13, 0, 0), 0.0, 0.0),
        ((0.11, 0, 0), 0.0, 0.01),
        ((0.102, 0, 0), 0.0, 0.018),
        ((-0.102, 0, 0), 0.0, 0.018),
        ((0.102, 0, 0), np.pi, 0.018),
        ((0.102, 0.025, 0), 0.0, 0.0),
        ((0.102, 0, -0.03), 0.0, 0.0),
    ],
)
def test_depth_of_the_peg(offset: tuple, turn: float, depth: float) -> None:
    env = make_env("aloha-peg-insertion", num_envs=1, threads=1)
    env.reset()
    yaw = 0.7
    R = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0]])
    R = np.vstack([R, [0, 0, 1]])
    at = np.array([0.05, 0.5, 0.3])
    qpos = env.task.start()
    qpos[env.task._object_columns] = np.concatenate(
        [upright(at + R @ np.array(offset), yaw + turn), at, to_quaternion(R)]
    )
    env.engine.reset(np.ones(1, bool), qpos, np.zeros(env.engine.model.nv))
    assert env.task.depth(env.engine)[0] == pytest.approx(depth, abs=1e-9)
    assert (env.task.depth(env.engine)[0] >= DEPTH) == (depth >= DEPTH)


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_the_boxs_size_is_the_physics_own(engine: str) -> None:
    """It rests on its drawn height, and is as heavy as its volume."""
    env = make_env("aloha-handover", engine=engine, num_envs=6, threads=1)
    obs = env.reset()["environment_state"]
    sizes, body = obs[:, 7:10], int(env.engine.model.body("box").id)
    assert np.ptp(sizes, axis=0).min() > 0.002
    mass = env.engine.get_field("body_mass")[:, body]
    np.testing.assert_allclose(mass, DENSITY * 8 * sizes.prod(1), rtol=1e-6)
    inertia = env.engine.get_field("body_inertia")[:, body]
    np.testing.assert_allclose(
        inertia[:, 0], mass / 3 * (sizes[:, 1] ** 2 + sizes[:, 2] ** 2), rtol=1e-6
    )
    for _ in range(40):
        obs = env.step(np.tile(HOLD, (6, 1)))[0]["environment_state"]
    np.testing.assert_allclose(obs[:, 2], sizes[:, 2], atol=1e-3)
    model, data = env.engine.snapshot(3)
    np.testing.assert_allclose(model.geom("box").size, sizes[3], rtol=1e-6)
    assert data.body("box").xpos[2] == pytest.approx(sizes[3, 2], abs=1e-3)
    env.close()


HOLD = np.array([0, -0.96, 1.16, 0, -0.3, 0, 0.1] * 2)
"""About where the arms begin."""


def test_sizes_are_drawn_from_their_ranges_on_both_sides() -> None:
    env = make_env("aloha-handover", num_envs=1000, threads=1)
    obs = env.reset()["environment_state"]
    for axis, (low, high) in enumerate(SIZES):
        half = obs[:, 7 + axis]
        assert low <= half.min() and half.max() <= high
        assert np.ptp(half) > 0.95 * (high - low)
    to_left = obs[:, 10] > 0.5
    assert 0.4 < to_left.mean() < 0.6
    assert (obs[to_left, 0] > 0.04).all() and (obs[~to_left, 0] < -0.04).all()
    words = env.instructions()
    assert all(
        ("to the left" in w) == left for w, left in zip(words, to_left, strict=True)
    )


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_sizes_that_engines_refuse(engine: str) -> None:
    env = make_env("aloha-handover", engine=engine, num_envs=1, threads=1)
    sizes = env.engine.get_field("geom_size")
    box = int(env.engine.model.geom("box").id)
    hull = int(env.engine.model.geom("left/upper_arm_hull").id)
    for geom, change, message in (
        (box, 1.1, "may shrink"),
        (box, 0.0, "may shrink"),
        (hull, 0.9, "boxes only, and 'left/upper_arm_hull'"),
    ):
        wrong = sizes.copy()
        wrong[:, geom] *= change
        with pytest.raises(UsageError, match=message):
            env.engine.set_field("geom_size", wrong, np.ones(1, bool))
    env.close()


def test_who_gives_and_who_takes() -> None:
    """The same fingers are another stage when the box goes the other way."""
    env = make_env("aloha-handover", num_envs=2, threads=1)
    env.reset()
    env.state.to_left[:] = [True, False]
    own = env.engine.sensor
    for holding, stages in (("right", (2, 4)), ("left", (4, 2))):
        env.engine.sensor = lambda name, side=holding: np.full(
            (2, 1), float(name.startswith(side))
        )
        env.step(np.tile(HOLD, (2, 1)))
        terms = env.task.reward(env.engine, env.state)
        total = sum(terms.values())
        np.testing.assert_allclose(total, np.array(stages) / 4)
    env.engine.sensor = own


@pytest.mark.parametrize("task", ["aloha-peg-insertion", "aloha-handover"])
@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_the_experts_solve_them(task: str, engine: str) -> None:
    from evaluation.rollout import rollout

    episodes = 12 if engine == "mujoco" else 2
    result = rollout(task, "expert", engine=engine, episodes=episodes, seed=1)
    assert result.success is not None
    assert result.success.all()
    assert result.clipped == 0.0


@pytest.mark.parametrize("task", ["aloha-peg-insertion", "aloha-handover"])
def test_a_saved_moment_goes_on_with_the_same_bits(task: str) -> None:
    env = make_env(task, num_envs=2, threads=1, seed=3)
    env.reset()
    rng = np.random.default_rng(0)
    actions = HOLD + rng.uniform(-0.2, 0.2, (30, 2, 14))
    env.step(actions[0])
    saved, runs = env.save(), []
    for _ in range(2):
        runs.append([env.step(action)[0] for action in actions][-1])
        env.load(saved)
    for group in env.obs_spec:
        np.testing.assert_array_equal(runs[0][group], runs[1][group])
