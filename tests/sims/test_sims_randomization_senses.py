"""Noise, bias, delay and pushes: the same in each engine and in any number of
environments; nothing accumulates, and one environment's reset is no other's business.
The checks fail where the feature is broken on purpose."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.spec import ArraySpec
from sims import make_env
from sims.arrays import Chosen
from sims.draws import Draws
from sims.engines import ENGINES
from sims.randomization import Push, Randomization, encoder_bias, sensor_noise
from sims.sensing import Sensing

TABLE = Randomization(
    sensors=(encoder_bias(0.05, "joint_*"), sensor_noise("tip_noise", 0.02, "tip_*")),
    observation_noise=0.01,
    action_delay=(0, 3),
    push=Push(body="fore", force=(1.0, 4.0), duration=0.04, interval=0.2),
)
IDS = np.array([5, 17, 63])


def run(engine: str, ids: np.ndarray, steps: int = 30) -> dict[str, np.ndarray]:
    """What was wrong with each observation, how late actions were, and all pushes."""
    num = len(ids)
    env = make_env("arm-reach", engine=engine, num_envs=num, randomize=TABLE, threads=1)
    pushes = np.zeros((steps, num, 6))
    apply: Any = env.engine.apply_wrench
    wrong: list[np.ndarray] = []

    def noted(body: str, wrench: np.ndarray, where: np.ndarray) -> None:
        pushes[len(wrong) :, where] = wrench[where]
        apply(body, wrench, where)

    env.engine.apply_wrench = noted  # pyright: ignore[reportAttributeAccessIssue]
    env.reset(seed=4, ids=ids)
    for _ in range(steps):
        obs = env.step(np.zeros((num, 2)))[0]
        truth = env.task.observe(env.engine, env.state)
        wrong.append(obs["state"] - truth["state"])
    line = env._sensing._act_line
    assert line is not None
    delay = line.delay.copy()
    env.close()
    return {"wrong": np.array(wrong), "delay": delay, "pushes": pushes}


@pytest.fixture(scope="module")
def among_many() -> dict[str, np.ndarray]:
    return run("mujoco", np.arange(64))


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_is_sensed_and_pushed_alike(
    engine: str, among_many: dict[str, np.ndarray]
) -> None:
    few = run(engine, IDS)
    close = 1e-6 if engine == "warp" else 1e-12
    np.testing.assert_allclose(
        few["wrong"], among_many["wrong"][:, IDS], atol=close, rtol=0
    )
    np.testing.assert_array_equal(few["delay"], among_many["delay"][IDS])
    np.testing.assert_array_equal(few["pushes"], among_many["pushes"][:, IDS])
    sizes = np.linalg.norm(among_many["pushes"][..., :3], axis=2)
    assert 1.0 <= sizes[sizes > 0].min() < 1.2
    assert 3.8 < sizes.max() <= 4.0
    assert set(among_many["delay"].tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_of_some_leaves_the_view_of_others(engine: str) -> None:
    """What the others see, late, noisy and biased, is what a look at all would show."""
    late = replace(TABLE, observation_delay=(0, 2))
    env = make_env(
        "arm-press", engine=engine, num_envs=3, randomize=late, autoreset=True
    )
    env.reset(seed=6)
    for step in range(20):
        if step in (9, 14):
            env.state.steps[step % 3] = env.max_steps - 1
        obs, *_, info = env.step(np.ones((3, 2)))
        if "final_obs" in info:
            kept = np.arange(3) != step % 3
            before, after = info["final_obs"]["state"], obs["state"]
            np.testing.assert_array_equal(after[kept], before[kept])
            whole = env._sense(env.task.observe(env.engine, env.state))
            np.testing.assert_array_equal(after, whole["state"])
    env.close()


def sensing(num: int) -> Sensing:
    names = ("joint_a", "joint_b", "tip_x", "target_x")
    spec = {"state": ArraySpec(shape=(4,), names=names)}
    return Sensing(TABLE, spec, ArraySpec(shape=(2,)), num)


def keys(episodes: np.ndarray, ids: np.ndarray = IDS) -> Draws:
    return Draws(0, ids, episodes)


def view(senses: Sensing, draws: Draws) -> np.ndarray:
    """(num, 4) what is seen of nothing."""
    num = len(draws.keys)
    return senses.read({"state": np.zeros((num, 4))}, np.zeros(num, int), draws)[
        "state"
    ]


def check_bias(resets: int = 1000) -> None:
    """After many resets of all kinds, each has its own episode's bias, delay and
    noise, as an environment that is alone in its first one."""
    senses, random = sensing(3), np.random.default_rng(0)
    episodes = np.zeros(3, int)
    senses.reset(np.ones(3, bool), keys(episodes))
    for _ in range(resets):
        where = random.random(3) < 0.7
        episodes[where] += 1
        senses.reset(where, keys(episodes))
    seen = view(senses, keys(episodes))
    assert senses._act_line is not None
    for env in range(3):
        alone, own = sensing(1), keys(episodes[env : env + 1], IDS[env : env + 1])
        alone.reset(np.ones(1, bool), own)
        np.testing.assert_array_equal(seen[env], view(alone, own)[0])
        assert alone._act_line is not None
        assert senses._act_line.delay[env] == alone._act_line.delay[0]


def test_nothing_accumulates_over_a_thousand_resets() -> None:
    check_bias()


def adding_up(self: Sensing, chosen: Chosen, draws: Draws) -> None:
    for group, term, columns in self._biased:
        size = (len(columns),)
        drawn = chosen.draws(draws).uniform(f"{term.name}:{group}", *term.bias, size)
        self._bias[group][np.ix_(chosen.rows, columns)] += drawn


def for_everybody(self: Sensing, chosen: Chosen, draws: Draws) -> None:
    for group, term, columns in self._biased:
        size = (len(columns),)
        drawn = draws.uniform(f"{term.name}:{group}", *term.bias, size)
        if len(chosen.rows):
            self._bias[group][:, columns] = drawn[chosen.rows[0]]


@pytest.mark.parametrize("broken", [adding_up, for_everybody])
def test_the_check_fails_where_it_is_broken(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sensing, "_draw_biases", broken)
    with pytest.raises(AssertionError):
        check_bias(20)
