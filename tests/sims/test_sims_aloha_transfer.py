"""ALOHA's common part, and the transfer: starts, commands, stages, both successes."""

from typing import Any

import numpy as np
import pytest

import sims
from sims.tasks.aloha import CLOSED, OPEN, START

make_env: Any = sims.make_env
"""Untyped: these tests reach into the task's own state."""
NAME = "aloha-transfer-cube"
SENSORS = [f"{s}/{f}_finger" for s in ("left", "right") for f in ("left", "right")]


@pytest.fixture(scope="module")
def env() -> Any:
    return make_env(NAME, num_envs=1, threads=1)


def judged(env: Any, touching: set[str], on_table: bool = False) -> Any:
    """The state after one judgement with these fingers on the cube."""
    env.reset()
    values = {f"{name}:cube": name in touching for name in SENSORS}
    values["table:cube"] = on_table
    own = env.engine.sensor
    env.engine.sensor = lambda name: np.array([[float(values[name])]])
    try:
        env.step(np.zeros((1, 14)))
    finally:
        env.engine.sensor = own
    return env.state


def test_the_start_is_gym_alohas() -> None:
    env = make_env(NAME, num_envs=2000, threads=1)
    obs = env.reset()
    np.testing.assert_allclose(obs["state"][:, :6] - np.array(START), 0)
    np.testing.assert_allclose(obs["state"][:, [6, 13]], 0.0998, atol=5e-5)
    cube = obs["environment_state"]
    low, high = cube.min(0), cube.max(0)
    np.testing.assert_allclose(low[:3], [0.0, 0.4, 0.05], atol=2e-3)
    np.testing.assert_allclose(high[:3], [0.2, 0.6, 0.05], atol=2e-3)
    assert (low[0] >= 0) and (high[0] <= 0.2) and (low[1] >= 0.4) and (high[1] <= 0.6)
    np.testing.assert_array_equal(cube[:, 3:], np.tile([1.0, 0, 0, 0], (2000, 1)))
    assert (env.max_steps, env.control_dt) == (400, pytest.approx(0.02))


def test_the_cube_is_as_heavy_as_gym_alohas_and_a_cube(env: Any) -> None:
    model = env.engine.model
    assert model.body("cube").mass[0] == pytest.approx(0.05)
    side = 2 * model.geom("cube").size
    np.testing.assert_allclose(side, 0.04)
    inertia = 0.05 * 0.04**2 / 6
    np.testing.assert_allclose(model.body("cube").inertia, inertia, rtol=1e-9)


def test_commands_reach_the_servos_within_their_limits(env: Any) -> None:
    env.reset()
    action = np.linspace(-0.5, 0.5, 14)[None].repeat(1, axis=0)
    action[0, 0], action[0, 6], action[0, 13] = 9.0, 2.0, 0.0
    clipped = env.step(action)[4]["clipped"]
    assert clipped.tolist() == [2]
    ctrl = dict(
        zip(
            (env.engine.model.actuator(i).name for i in range(16)),
            env.engine.ctrl[0],
            strict=True,
        )
    )
    assert ctrl["left/waist"] == pytest.approx(3.14158)
    assert ctrl["left/shoulder"] == pytest.approx(action[0, 1])
    assert ctrl["right/waist"] == pytest.approx(action[0, 7])
    assert ctrl["left/left_finger"] == pytest.approx(OPEN)
    assert ctrl["left/right_finger"] == pytest.approx(-OPEN)
    assert ctrl["right/left_finger"] == pytest.approx(CLOSED)


@pytest.mark.parametrize(
    ("touching", "on_table", "stage"),
    [
        ((), False, 0),
        (("right/left_finger",), True, 1),
        (SENSORS[2:], True, 1),
        (SENSORS[2:], False, 2),
        (SENSORS, False, 3),
        ((*SENSORS[:2], SENSORS[3]), False, 3),
        (SENSORS[:2], False, 4),
        (SENSORS[:2], True, 0),
        (SENSORS[:1], False, 0),
    ],
)
def test_stages(env: Any, touching: tuple, on_table: bool, stage: int) -> None:
    state = judged(env, set(touching), on_table)
    terms = env.task.reward(env.engine, state)
    assert sum(float(t[0]) for t in terms.values()) == pytest.approx(stage / 4)
    benchmark = "left/left_finger" in touching and not on_table
    assert env.task.outcomes(env.engine, state)["benchmark_success"][0] == benchmark


def test_strictly_solved_is_only_what_the_left_hand_holds_alone(env: Any) -> None:
    """Half a second on end; the benchmark is content before."""
    env.reset()
    need = round(0.5 / env.control_dt)
    alone = {f"{name}:cube": name.startswith("left") for name in SENSORS}
    both = dict.fromkeys(alone, True)
    own = env.engine.sensor
    try:
        for values in [alone] * (need - 1) + [both] + [alone] * need:
            before = env.state.held.copy()
            env.engine.sensor = lambda name, v=values: np.array(
                [[float(v.get(name, False))]]
            )
            _, _, terminated, _, info = env.step(np.zeros((1, 14)))
            assert info["outcomes"]["benchmark_success"][0]
            assert info["success"][0] == terminated[0] == (env.state.held[0] >= need)
            assert env.state.held[0] == (0 if values is both else before[0] + 1)
    finally:
        env.engine.sensor = own
    assert info["success"][0]


def test_a_saved_moment_goes_on_with_the_same_bits() -> None:
    from policies import make_policy

    env = make_env(NAME, num_envs=2, randomize="train", threads=1)
    policy = make_policy("expert", env.task, 2)
    obs = env.reset()
    for _ in range(150):
        obs = env.step(policy.act(obs))[0]
    saved, actions = env.save(), []
    runs = []
    for attempt in range(2):
        for step in range(60):
            if attempt == 0:
                actions.append(policy.act(obs))
            obs, reward, *_ = env.step(actions[step])
        runs.append((obs["state"], obs["environment_state"], reward, env.state.held))
        env.load(saved)
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_the_expert_solves_it(engine: str) -> None:
    from evaluation.rollout import rollout

    result = rollout(
        NAME, "expert", engine=engine, episodes=12 if engine == "mujoco" else 2
    )
    assert result.rate == 1.0
    assert result.outcomes["benchmark_success"].all()
    assert result.clipped == 0.0
