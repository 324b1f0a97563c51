"""AlohaPick: what is said, where things lie, what counts as placed; and the fetch."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import sims
from sims.tasks.aloha import SIDES
from sims.tasks.aloha_pick import (
    BOWLS,
    COLOURS,
    CUBES,
    TEMPLATES,
    parse_instruction,
)
from sims.tasks.mobile_fetch import BASE

make_env: Any = sims.make_env
"""Untyped: these tests reach into the tasks' own state."""
HOLD = np.array([0, -0.96, 1.16, 0, -0.3, 0, 0.1] * 2)
"""About where the arms begin."""


def test_each_sentence_says_which_cube_and_which_bowl() -> None:
    said = set()
    for template, colour, side in product(TEMPLATES, COLOURS, SIDES):
        sentence = template.format(colour=colour, side=side)
        assert parse_instruction(sentence) == (colour, side)
        said.add(sentence)
    assert len(said) == len(TEMPLATES) * 8 and len(TEMPLATES) >= 8


def test_sentence_and_command_agree_and_are_drawn_evenly() -> None:
    env = make_env("aloha-pick", num_envs=800, threads=1)
    obs = env.reset()["environment_state"]
    names = env.obs_spec["environment_state"].names
    values = dict(zip(names, obs.T, strict=True))
    words = env.instructions()
    for i, sentence in enumerate(words):
        colour, side = parse_instruction(sentence)
        assert values[f"target_{colour}_cube"][i] == 1.0
        assert values[f"target_{side}_bowl"][i] == 1.0
    commands = obs[:, [n.startswith("target_") for n in names]]
    np.testing.assert_array_equal(commands.sum(1), 2)
    assert commands.mean(0).min() > 0.2 and len(set(words)) == 80


def test_objects_do_not_overlap_and_lie_off_the_bowls() -> None:
    env = make_env("aloha-pick", num_envs=300, threads=1)
    env.reset()
    places = env.engine.qpos[:, env.task._object_columns].reshape(300, 6, 7)[..., :2]
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    assert gaps[:, ~np.eye(6, dtype=bool)].min() > 0.07
    bowls = np.stack([env.engine.pose(bowl)[0][:, :2] for bowl in BOWLS], axis=1)
    assert np.linalg.norm(places[:, :, None] - bowls[:, None], axis=-1).min() > 0.1
    assert np.ptp(bowls, axis=0).min() > 0.02


@pytest.mark.parametrize(
    ("thing", "bowl", "other", "solved"),
    [
        ("named", "named", None, True),
        ("named", "wrong", None, False),
        ("wrong", "named", None, False),
        ("named", "named", "wrong", False),
        ("named", "named", "red_cylinder", False),
    ],
)
def test_only_the_named_cube_in_the_named_bowl_counts(
    thing: str, bowl: str, other: str | None, solved: bool
) -> None:
    env = make_env("aloha-pick", num_envs=1, threads=1, seed=2)
    env.reset()
    target, place = int(env.state.target[0]), int(env.state.bowl[0])
    wrong = CUBES[(target + 1) % 4]
    cube = CUBES[target] if thing == "named" else wrong
    side = place if bowl == "named" else 1 - place
    qpos = env.engine.qpos[0].copy()
    put(env, qpos, cube, env.engine.pose(BOWLS[side])[0][0])
    if other is not None:
        thing = wrong if other == "wrong" else other
        put(env, qpos, thing, env.engine.pose(BOWLS[1 - side])[0][0])
    env.engine.reset(np.ones(1, bool), qpos, np.zeros(env.engine.model.nv))
    ends = False
    for _ in range(60):
        _, _, terminated, _, info = env.step(HOLD[None])
        ends |= bool(terminated[0] and info["success"][0])
    assert ends == solved
    assert info["outcomes"]["misplaced"][0] == (not solved)


def put(env: Any, qpos: np.ndarray, thing: str, place: np.ndarray) -> None:
    """Lay a thing into a bowl, just above its bottom."""
    start = int(env.engine.model.joint(thing).qposadr[0])
    qpos[start : start + 3] = place + np.array([0, 0, 0.03])
    qpos[start + 3 : start + 7] = [1, 0, 0, 0]


def test_the_base_goes_along_its_heading_only() -> None:
    env = make_env("mobile-aloha-fetch", num_envs=3, threads=1)
    obs = env.reset()["state"]
    begin = obs[:, -3:].copy()
    action = np.tile(np.append(HOLD, [-0.5, 0.0]), (3, 1))
    for _ in range(60):
        obs = env.step(action)[0]["state"]
    moved, yaw = obs[:, -3:] - begin, begin[:, 2]
    aside = -np.sin(yaw) * moved[:, 0] + np.cos(yaw) * moved[:, 1]
    along = np.cos(yaw) * moved[:, 0] + np.sin(yaw) * moved[:, 1]
    assert np.abs(aside).max() < 0.01
    np.testing.assert_allclose(along, -0.6, atol=0.06)
    assert env.task.obs_spec["state"].names[-3:] == BASE


def test_the_tray_is_beyond_the_arms_reach() -> None:
    env = make_env("mobile-aloha-fetch", num_envs=500, threads=1)
    env.reset()
    away = env.engine.pose("tray")[0] - env.engine.pose("cube")[0]
    assert np.linalg.norm(away[:, :2], axis=1).min() > 1.5
    assert (env.action_spec.size, env.obs_spec["state"].size) == (16, 17)


@pytest.mark.parametrize("task", ["aloha-pick", "mobile-aloha-fetch"])
@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_the_experts_solve_them(task: str, engine: str) -> None:
    from evaluation.rollout import rollout

    episodes = 10 if engine == "mujoco" else 2
    result = rollout(task, "expert", engine=engine, episodes=episodes, seed=1)
    assert result.success is not None
    assert result.success.all()
    assert result.clipped == 0.0
