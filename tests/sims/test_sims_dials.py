"""What a person tells a robot in place of what was drawn, and nothing else changes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assets import UsageError
from sims import TASKS, make_env, make_task
from sims.dials import Dial, Holds, vector

OFFERED = [name for name in TASKS if make_task(name).dials]


def state(**arrays) -> Any:
    return SimpleNamespace(**arrays)


def run(env, steps, change=None):
    """(steps, num_envs, n) observations and rewards under the same actions; ``change``
    is called before the tenth step."""
    draw = np.random.default_rng(3)
    env.reset(seed=4)
    low, high = env.action_spec.limits()
    out = []
    for step in range(steps):
        if change is not None and step == 10:
            change(env)
        action = draw.uniform(low, high, (env.num_envs, env.action_spec.size))
        obs, reward, *_ = env.step(action)
        out.append(np.concatenate([*obs.values(), reward[:, None]], axis=1))
    return np.array(out)


@pytest.mark.parametrize("task", OFFERED)
def test_a_held_value_is_told_there_and_changes_nothing_elsewhere(task):
    env = make_env(task, num_envs=3)
    free = run(env, 25)
    for setting in env.holds.settings(1):
        dial = setting.dial
        assert dial.low <= setting.value <= dial.high, "drawn beyond the dial's range"
        value = dial.low if setting.value > (dial.low + dial.high) / 2 else dial.high
        held = run(env, 25, lambda env, d=dial, v=value: env.holds.hold(1, d.name, v))
        np.testing.assert_array_equal(held[:10], free[:10])
        np.testing.assert_array_equal(held[:, [0, 2]], free[:, [0, 2]])
        assert (held[10, 1] != free[10, 1]).any(), f"{dial.name} is not told at once"
        env.holds.release(1, dial.name)
        assert not env.holds
    env.close()


def test_a_release_tells_what_was_drawn():
    env = make_env("arm-reach", num_envs=2, autoreset=True)
    free = run(env, 30)
    held = run(
        env, 20, lambda env: [env.holds.hold(0, f"target {a}", 0.1) for a in "xz"]
    )
    assert np.allclose(held[12:, 0, 8:10], 0.1)
    assert [s.drawn for s in env.holds.settings(0)] == free[0, 0, 8:10].tolist()
    assert [s.drawn for s in env.holds.settings(1)] == [None, None]
    env.holds.release(0, "target x")
    obs, *_ = env.step(np.zeros((2, 2)))
    assert obs["state"][0, 8:10].tolist() == [free[0, 0, 8], 0.1]
    env.holds.release(0)
    obs, *_ = env.step(np.zeros((2, 2)))
    np.testing.assert_array_equal(obs["state"][:, 8:10], free[0, :, 8:10])
    env.close()


def test_a_hold_outlasts_the_episode_and_the_next_one_is_drawn_as_ever():
    env = make_env("arm-press", num_envs=2)
    free = [env.reset(seed=1)["state"][:, 9].copy(), env.reset()["state"][:, 9].copy()]
    env.reset(seed=1)
    env.holds.hold(1, "set force", 7.0)
    obs = env.reset()["state"]
    assert obs[:, 9].tolist() == [free[1][0], 7.0]
    assert env.holds.settings(1)[0].drawn == free[1][1]
    env.holds.release(1)
    assert env.state.target.tolist() == free[1].tolist()  # pyright: ignore
    env.close()


def test_a_saved_moment_knows_no_holds_and_a_loaded_one_keeps_them():
    env = make_env("arm-reach", num_envs=1)
    drawn = env.reset(seed=2)["state"][0, 8]
    env.holds.hold(0, "target x", 0.2)
    saved = env.save()
    assert saved["task"].target[0, 0] == drawn
    env.holds.hold(0, "target x", 0.3)
    assert env.load(saved)["state"][0, 8] == 0.3
    env.holds.release(0)
    assert env.load(saved)["state"][0, 8] == drawn
    env.close()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_drawn_anew_meanwhile_is_told_after_the_release(dtype):
    told = state(command=np.array([[0.3, 0.0], [0.4, 0.1]], dtype))
    dials = vector("command", ("forward", "left"), "m/s", -1.0, 1.0)
    holds = Holds(dials, told)
    holds.hold(0, "forward", 0.7)
    holds.apply()
    assert holds.settings(0)[0].drawn == dtype(0.3), "rounding is no draw"
    told.command[:, 0] = 0.9, 0.8
    holds.apply()
    assert told.command[:, 0].tolist() == [dtype(0.7), dtype(0.8)]
    holds.release(0)
    assert told.command[:, 0].tolist() == [dtype(0.9), dtype(0.8)]


def test_what_cannot_be_held_is_one_clear_error():
    dial = Dial(name="force", unit="N", low=5.0, high=20.0, field="target")
    holds = Holds((dial,), state(target=np.array([6.0])))
    with pytest.raises(UsageError, match="force lies within 5 and 20 N, got 21"):
        holds.hold(0, "force", 21.0)
    with pytest.raises(UsageError, match=r"unknown dial 'forc'. Did you mean 'force'"):
        holds.hold(0, "forc", 6.0)
    with pytest.raises(UsageError, match="unknown dial 'x'"):
        holds.release(0, "x")
    assert not holds
