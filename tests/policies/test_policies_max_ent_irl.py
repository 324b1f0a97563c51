"""Inverse RL of the arm: the grid, the reward that is found, and what follows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from assets.errors import SandbotError, UsageError
from evaluation.rollout import rollout
from ml.max_ent import NOWHERE
from policies import make_policy
from policies.arm_reward import RewardFollower
from policies.collect import collect
from policies.execution import Execution
from policies.joint_grid import MOVES, STAY, JointGrid
from policies.max_ent_irl import IRLConfig, IRLResult, load_reward, train
from sims import make_env, make_task

TASK = "arm-reach"
HELD_OUT = 3_000_000
"""Identity of the first state that nobody demonstrated."""
GRID = JointGrid(cells=(6, 4), low=-2.0, high=2.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve demonstrations."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect(TASK, "computed-torque", episodes=12, out=out, noise=0.0, threads=1)
    return out


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, IRLResult]:
    """The reward that explains them."""
    out = tmp_path_factory.mktemp("runs") / "irl"
    config = IRLConfig(demonstrations=12)
    return out, train(config, data=data, out=out, progress=False)


def test_cells_are_where_they_say_they_are() -> None:
    centres = GRID.centres()
    assert np.array_equal(GRID.state(centres), np.arange(24))
    assert np.array_equal(GRID.state(centres + np.array([2 * np.pi, 0])), np.arange(24))
    assert GRID.state(np.array([0.0, 9.0])) % 4 == 3, "beyond the limit: the last cell"
    turned = np.array([[np.pi - 0.01, 0.0], [np.pi + 0.01, 0.0]])
    assert GRID.jump(turned) == 1, "the shoulder goes round"
    assert GRID.jump(np.array([[0.0, -1.9], [0.0, 1.9]])) == 3


def test_steps_lead_to_neighbours_and_not_beyond_the_elbows_limits() -> None:
    steps, centres = GRID.steps(), GRID.centres()
    for state, action in np.ndindex(24, len(MOVES)):
        there = centres[state] + MOVES[action] * GRID.size
        inside = GRID.low < there[1] < GRID.high
        assert np.isfinite(steps.blocked[state, action]) == inside
        if inside:
            assert steps.successors[state, action] == GRID.state(there)
    assert np.array_equal(steps.successors[:, STAY], np.arange(24))
    assert NOWHERE < 0


def test_the_reward_ranks_states_that_nobody_showed_like_the_true_one(
    run: tuple[Path, IRLResult],
) -> None:
    """By what the environment pays there; the bar is 0.8."""
    _, result = run
    env = make_env(TASK, num_envs=500, threads=1)
    state = env.reset(ids=HELD_OUT + np.arange(500))["state"]
    true = env.task.reward(env.engine, env.state)["near"]
    env.close()
    angles = np.arctan2(state[:, 2:4], state[:, :2])
    found = result.reward(angles, state[:, 8:10])
    correlation: Any = spearmanr(found, true)
    assert correlation.statistic >= 0.8
    assert result.mismatch < 5e-3
    assert "iterations" in result.line


def test_features_are_shares_of_the_distance_and_the_joints(
    run: tuple[Path, IRLResult],
) -> None:
    reward = run[1].reward
    q = np.random.default_rng(0).uniform(-3, 3, (5, 2))
    target = reward.arm.forward(q)
    features = reward.features(q, target)
    assert len(reward.names) == features.shape[1] == len(reward.weights)
    assert np.allclose(features[:, :-4].sum(1), 1) and (features[:, :-4] >= 0).all()
    assert (features[:, :-4].argmax(1) == 0).all(), "the tip is on the target"
    joints = np.stack([np.cos(q[:, 0]), np.sin(q[:, 0]), np.cos(q[:, 1])], 1)
    assert np.allclose(features[:, -4:-1], joints)
    far = reward.features(q, np.array([50.0, 0.0]))
    assert np.allclose(far[:, -5], 1), "beyond the last one nothing falls off"


def test_it_drives_the_arm(run: tuple[Path, IRLResult]) -> None:
    judged = rollout(TASK, str(run[0]), episodes=20, threads=1)
    assert judged.rate is not None and judged.rate >= 0.8


def test_a_checkpoint_is_the_reward_that_was_found(
    run: tuple[Path, IRLResult], tmp_path: Path
) -> None:
    out, result = run
    reward, config, task = load_reward(out)
    assert np.array_equal(reward.weights, result.reward.weights)
    assert task == TASK and config.demonstrations == 12
    about = json.loads((out / "config.json").read_text())
    assert len(about["features"]) == len(about["seen"]) == len(about["expected"])
    assert "maximum entropy" in (out / "README.md").read_text()
    policy = make_policy(out, make_task(TASK), 2)
    assert isinstance(policy, RewardFollower)
    with pytest.raises(UsageError, match="is for task 'arm-reach'"):
        make_policy(out, make_task("arm-track"), 2)
    with pytest.raises(UsageError, match="has no chunks"):
        make_policy(out, make_task(TASK), 2, execution=Execution(execute=2))
    about["search"]["centres"] = 5
    for file in ("model.safetensors", "config.json"):
        (tmp_path / file).write_bytes((out / file).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(SandbotError, match="does not fit"):
        load_reward(tmp_path)
    about["search"]["hue"] = 1
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(SandbotError, match="does not make sense"):
        load_reward(tmp_path)


def test_actions_are_the_same_bits_in_any_batch(run: tuple[Path, IRLResult]) -> None:
    task = make_task(TASK)
    env = make_env(task, num_envs=6, threads=1)
    obs = env.reset(ids=np.arange(6))
    together, alone = make_policy(run[0], task, 6), make_policy(run[0], task, 1)
    for _ in range(3):
        action = together.act(obs)
        assert np.array_equal(action[2:3], alone.act({"state": obs["state"][2:3]}))
        obs = env.step(action)[0]
    env.close()


def test_data_that_cannot_be_explained_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="12 demonstrations, and 20 are"):
        train(IRLConfig(), data=data, out=tmp_path / "a")
    with pytest.raises(UsageError, match="skips cells"):
        few = IRLConfig(demonstrations=2, cells=(900, 900))
        train(few, data=data, out=tmp_path / "a")
    moving = tmp_path / "track"
    collect("arm-track", "computed-torque", episodes=1, out=moving, noise=0.0)
    with pytest.raises(UsageError, match="move"):
        train(IRLConfig(demonstrations=1), data=moving, out=tmp_path / "a")
    for wrong in ("centres", "horizon"):
        with pytest.raises(UsageError, match=wrong):
            IRLConfig(**{wrong: -1})  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="3 cells or more"):
        JointGrid(cells=(2, 5), low=-1, high=1)
