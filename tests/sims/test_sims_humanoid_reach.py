"""Reaching: targets can be reached, what counts, and what is told of them."""

from typing import Any

import numpy as np
import pytest

from sims.observation import PRIVILEGED
from sims.tasks.humanoid_reach import FAR, TARGETS, HumanoidReach
from tests.sims.humanoid_motions import started, still
from tests.sims.humanoid_reacher import Reacher


class Frozen(HumanoidReach):
    """No physics."""

    def move(self, engine: Any, state: Any) -> None:
        pass


@pytest.mark.parametrize(("engine", "num"), [("mujoco", 16), ("bullet", 1)])
def test_targets_can_be_reached_without_a_fall(engine: str, num: int) -> None:
    """By statics alone; a learner, who may swing and step, can do no less."""
    env = started(HumanoidReach(), num, engine=engine, seed=3)
    reacher = Reacher(env)
    assert (reacher.errors < 0.03).all(), "each is within reach of the kinematics"
    info: dict[str, Any] = {}
    near = []
    for _ in range(env.max_steps):
        _, reward, *_, info = env.step(reacher())
        near.append(reward)
    assert not env.state.fallen.any()
    assert env.state.reached.mean() > 0.95
    assert info["success"].mean() > 0.9
    assert np.mean(near) > 0.7
    env.close()


def test_standing_reaches_none() -> None:
    env = started(HumanoidReach(), 200)
    state = env.state
    palms = env.task._hanging[1][state.hands]
    apart = np.linalg.norm(state.goals - palms, axis=2)
    assert apart.min() > 0.15, "three times what counts as near"
    for _ in range(20):
        env.step(still(env))
    assert not state.reached.any() and not state.held.any()
    assert np.abs(state.palms[:, :, 2] - env.task._hanging[1][0, 2]).max() < 0.1


def test_targets_lie_where_the_documentation_says() -> None:
    state = started(Frozen(), 1500).state
    shoulders = np.array([[0.0, 0.173, 1.0348], [0.0, -0.173, 1.0348]])
    away = state.goals - shoulders[state.hands]
    distance = np.linalg.norm(away, axis=2)
    assert distance.min() == pytest.approx(FAR[0], abs=1e-3)
    assert distance.max() == pytest.approx(FAR[1], abs=1e-3)
    out = np.degrees(
        np.arctan2(away[:, :, 1] * np.where(state.hands, -1, 1), away[:, :, 0])
    )
    up = np.degrees(np.arcsin(away[:, :, 2] / distance))
    for angles, low, high in ((out, -20, 80), (up, -50, 40)):
        assert angles.min() == pytest.approx(low, abs=0.5)
        assert angles.max() == pytest.approx(high, abs=0.5)
    assert 0.45 < state.hands.mean() < 0.55


def at_target(env: Any) -> None:
    """Say that the palm is where it should be."""
    env.state.palms[0, env.state.hand[0]] = env.task.target_place(env.state)[0]


CASES: dict[str, tuple[set[int], int]] = {
    "24 steps": ({*range(10, 34)}, 0),
    "25 steps": ({*range(10, 35)}, 1),
    "a gap": ({*range(10, 34), *range(35, 58)}, 0),
    "over the change": ({*range(130, 170)} - {151}, 0),
    "each in turn": ({n + 150 * k for k in range(4) for n in range(60, 90)}, 4),
    "at the last moment": ({150 * k - n for k in (1, 2, 3, 4) for n in range(25)}, 4),
}
"""In which control steps the palm is at the target, and how many that reaches."""


class Guided(Frozen):
    """Palms that are within reach in the control steps of :data:`CASES`."""

    def _see_palms(self, engine: Any, state: Any) -> None:
        super()._see_palms(engine, state)
        for i, (inside, _) in enumerate(CASES.values()):
            if int(state.steps[i]) in inside:
                state.palms[i, state.hand[i]] = self.target_place(state)[i] + 0.028


def test_a_target_is_reached_by_half_a_second_on_end_before_the_next() -> None:
    env = started(Guided(), len(CASES))
    info: dict[str, Any] = {}
    for _ in range(env.max_steps):
        info = env.step(still(env))[4]
    for i, (name, (_, count)) in enumerate(CASES.items()):
        assert env.state.reached[i].sum() == count, name
        assert info["success"][i] == (count == TARGETS), name


def test_a_fall_is_no_success() -> None:
    env = started(Frozen())
    env.state.reached[:] = True
    env.state.steps[:] = env.max_steps - 1
    env.state.fallen[:] = True
    _, reward, terminated, _, info = env.step(still(env))
    assert terminated[0] and reward[0] == 0 and not info["success"][0]


def test_what_is_told_of_a_target() -> None:
    """By the heading, from the pelvis and from the palm; the same wherever it is."""
    env = started(Frozen(), 2, seed=2)
    names = env.obs_spec["state"].names
    told = slice(names.index("target_ahead"), None)
    obs = env.step(still(env))[0]["state"][:, told]
    state = env.state
    for i in range(2):
        cos, sin = state.heading[i]
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        place = env.task.target_place(state)[i]
        np.testing.assert_allclose(obs[i, :3], turn @ (place - state.place[i]))
        palm = state.palms[i, state.hand[i]]
        np.testing.assert_allclose(obs[i, 3:6], turn @ (place - palm), atol=1e-12)
        # it started here, so that the pelvis is above the origin of the targets' frame
        up = [0, 0, env.task.stature]
        np.testing.assert_allclose(obs[i, :3], state.goal[i] - up, atol=1e-9)
    assert obs[:, 6:].sum(axis=1).tolist() == [1, 1]
    np.testing.assert_array_equal(obs[:, 7], state.hand)
    known = env.step(still(env))[0][PRIVILEGED][:, -2:]
    np.testing.assert_allclose(known, [[0, 2.96], [0, 2.96]])


def test_it_looks_in_a_mirror_as_the_other_hand_would() -> None:
    env = started(Frozen(), 2)
    state = env.state
    state.start[:] = [0, 0, 1, 0]
    state.heading[:] = [1, 0]
    state.place[:] = [0, 0, 0.7]
    state.hand[:] = [0, 1]
    state.goal[:] = [[0.3, 0.2, 1.0], [0.3, -0.2, 1.0]]
    state.palms[:] = env.task._hanging[1]
    told = env.task.told(state)
    width = told.shape[1]
    mirror = env.task.mirror["state"]
    rows = np.zeros((2, env.obs_spec["state"].size))
    rows[:, -width:] = told
    np.testing.assert_allclose(mirror(rows)[0, -width:], told[1])


def test_the_term_near_is_1_at_the_target_and_falls() -> None:
    env = started(Frozen())
    term = env.task.term_near
    at_target(env)
    assert term(env.engine, env.state)[0] == 1
    env.state.goal += 0.3
    assert 0 < term(env.engine, env.state)[0] < 0.2
    assert sum(env.task.weights.values()) == pytest.approx(1)


def test_a_person_may_set_the_target_and_sees_it() -> None:
    env = started(HumanoidReach(), 2)
    env.holds.hold(1, "target up", 0.9)
    for _ in range(3):
        env.step(still(env))
    ball, line = env.task.markers(env.state, 1)
    assert ball.points[0, 2] == 0.9
    np.testing.assert_array_equal(line.points[1], ball.points[0])
    assert len(env.task.sights(env.state, 0)) == 1


def test_levels_bring_targets_nearer_and_go_with_what_was_reached() -> None:
    env = started(Frozen(curriculum=True), 3)
    state, palms = env.state, env.task._hanging[1]
    near = np.linalg.norm(state.goals - palms[state.hands], axis=2)
    state.level[:] = 10
    env.reset(seed=0)
    far = np.linalg.norm(state.goals - palms[state.hands], axis=2)
    np.testing.assert_allclose(near, 0.25 * far, rtol=1e-9)
    state.level[:] = 5
    state.steps[:] = env.max_steps - 1
    state.reached[0] = True
    state.reached[1, :2] = True
    env.step(still(env))
    assert state.level.tolist() == [6, 5, 4]


def test_targets_are_drawn_for_the_episode() -> None:
    many, few = started(Frozen(), 20), started(Frozen(), 2)
    many.reset(seed=5)
    few.reset(seed=5, ids=np.array([13, 2]))
    np.testing.assert_array_equal(few.state.goals, many.state.goals[[13, 2]])
    np.testing.assert_array_equal(few.state.hands, many.state.hands[[13, 2]])
