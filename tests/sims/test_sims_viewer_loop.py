"""The stepping loop behind the viewers: no window, no OpenGL, a clock moved by hand."""

from typing import Any

import numpy as np
import pytest

from assets import UsageError
from sims.viewers.loop import Session
from sims.viewers.pace import SPEEDS, speed_text
from sims.viewers.pushes import Pushing
from tests.sims.viewer_fakes import Clock, FakeEnv, FakePolicy

ENV_OPTIONS = ("max_steps", "autoreset")


def make(num_envs=1, clock=None, policy=None, **options):
    limits = {name: options.pop(name) for name in ENV_OPTIONS if name in options}
    env: Any = FakeEnv(num_envs, **limits)
    actor: Any = policy or FakePolicy()
    session = Session(env, actor, clock=clock or Clock(), hold=0.05, **options)
    return session, env, actor


def run(session, clock, seconds, frame=1 / 60):
    """Let wall clock pass, a frame at a time."""
    end = clock.now + seconds
    while clock.now < end - 1e-9:
        clock.now += min(frame, end - clock.now)
        session.advance()


@pytest.mark.parametrize("speed", SPEEDS)
def test_steps_as_many_as_fit_the_speed(speed):
    clock = Clock()
    session, env, _ = make(clock=clock, speed=speed, max_steps=10**6)
    run(session, clock, 4.0)
    assert len(env.actions) == pytest.approx(4.0 * speed / env.control_dt, abs=2)
    assert session.status().achieved == pytest.approx(speed, rel=0.2)


def test_speed_must_be_a_power_of_two_within_bounds():
    for wrong in (0.0, 3.0, 16.0, -1.0):
        with pytest.raises(UsageError, match=r"speed is one of 1/32, .*, 8, got"):
            make(speed=wrong)
    session, _, _ = make()
    session.faster(10)
    assert session.speed == 8
    session.faster(-20)
    assert session.speed == 1 / 32
    session.faster()
    assert session.speed == 1 / 16
    assert [speed_text(s) for s in (0.25, 1.0, 8.0, 0.9312)] == [
        "1/4x",
        "1x",
        "8x",
        "0.93x",
    ]


def test_a_slow_policy_lowers_the_achieved_factor_and_nothing_piles_up():
    clock = Clock()
    policy = FakePolicy(clock, takes=0.04)
    session, env, _ = make(clock=clock, policy=policy, max_steps=10**6)
    run(session, clock, 5.0)
    assert session.status().achieved < 0.3
    before = len(env.actions)
    policy.takes = 0.0
    run(session, clock, 1.0)
    assert len(env.actions) - before < 1.3 / env.control_dt


def test_pause_step_and_play():
    clock = Clock()
    session, env, _ = make(clock=clock, max_steps=10**6)
    run(session, clock, 0.1)
    session.toggle()
    taken = len(env.actions)
    run(session, clock, 1.0)
    assert len(env.actions) == taken
    assert session.status().paused and session.status().achieved == 0.0
    session.single_step()
    assert len(env.actions) == taken + 1 and session.paused
    session.toggle()
    run(session, clock, 0.1)
    assert taken + 8 <= len(env.actions) <= taken + 12


def test_reset_starts_the_next_episode_and_the_policy_afresh():
    session, _, policy = make()
    for _ in range(4):
        session.tick()
    assert session.status().time == pytest.approx(0.04)
    assert session.status().success is True
    session.reset()
    assert len(policy.resets) == 2 and policy.resets[-1] is None
    assert session.status().time == 0 and session.status().success is False
    session.tick()
    assert policy.seen[-1].tolist() == [[1, 0]]


def test_repeat_starts_the_same_episode_again():
    session, _, policy = make()
    session.reset()
    for _ in range(4):
        session.tick()
    session.repeat()
    assert len(policy.resets) == 3
    session.tick()
    assert policy.seen[-1].tolist() == [[1, 0]]


def test_the_end_of_an_episode_stands_for_a_moment_then_the_next_one_starts():
    session, env, policy = make(num_envs=2)
    for _ in range(10):
        session.tick()
    assert session.status().ended
    assert (session.episodes, session.successes) == (2, 1)
    for _ in range(5):
        assert len(env.actions) == 10
        session.tick()
    assert not session.status().ended and len(policy.resets) == 2
    session.tick()
    assert len(env.actions) == 11 and env.episode.tolist() == [1, 1]


def test_an_environment_that_ended_unseen_ends_when_it_is_shown():
    session, env, _ = make(num_envs=2)
    env.ends[1] = 4
    for _ in range(6):
        session.tick()
    assert session.episodes == 1 and not session.status().ended
    session.show(1)
    session.tick()
    assert session.status().ended and session.episodes == 1


def test_an_environment_that_resets_itself_resets_its_rows_of_the_policy():
    session, env, policy = make(num_envs=2, autoreset=True)
    env.ends[1] = 4
    for _ in range(4):
        session.tick()
    assert policy.resets[-1].tolist() == [False, True]
    assert session.episodes == 1 and session.successes == 0
    assert not session.status().ended


def test_a_failing_policy_pauses_and_says_so_in_one_line():
    clock = Clock()
    policy = FakePolicy(fails_at=3)
    session, env, _ = make(clock=clock, policy=policy)
    run(session, clock, 0.5)
    assert session.paused and len(env.actions) == 3
    assert session.error == "ValueError: the weights are gone"
    assert isinstance(session.failure, ValueError)
    assert session.error in session.status().line()
    session.play()
    assert session.error is None
    run(session, clock, 0.1)
    assert session.error and session.paused
    session.reset()
    assert session.error is None and session.paused
    policy.fails_at = None
    session.play()
    run(session, clock, 0.05)
    assert len(env.actions) > 3 and session.error is None


def test_a_push_acts_on_the_shown_environment_for_its_time():
    session, env, _ = make(num_envs=3, pushing=Pushing(force=30.0, seconds=0.03))
    session.show(1)
    session.push()
    arrow = session.markers()[-1]
    assert arrow.kind == "arrow" and np.allclose(arrow.points[1], [0.5, 0.6, 0.5])
    for _ in range(3):
        session.tick()
        wrench = env.engine.wrenches["hand"]
        assert np.linalg.norm(wrench[1]) == pytest.approx(30.0)
        assert not wrench[[0, 2]].any() and wrench[1, 1] == 0
        assert session.status().pushing
    session.tick()
    assert not env.engine.wrenches["hand"].any()
    assert not session.status().pushing and len(session.markers()) == 1


def test_a_drag_acts_until_it_is_let_go():
    session, env, _ = make()
    pull = np.array([1.0, 0, 2, 0, 3, 0])
    for _ in range(4):
        session.drag({"hand": pull})
        session.tick()
        assert env.engine.wrenches["hand"][0].tolist() == pull.tolist()
    session.drag({})
    session.tick()
    assert not env.engine.wrenches["hand"].any()


def test_a_drag_is_never_stronger_than_allowed():
    session, env, _ = make(pushing=Pushing(pull_force=50.0, pull_torque=20.0))
    session.drag({"hand": np.array([3e6, 0, 4e6, 0, 1e6, 0])})
    session.tick()
    assert np.allclose(env.engine.wrenches["hand"][0], [30, 0, 40, 0, 10, 0])
    session.drag({"hand": np.array([3e6, 0, 4e6, 0, 1e7, 0])})
    session.tick()
    assert np.allclose(env.engine.wrenches["hand"][0], [6, 0, 8, 0, 20, 0])


def test_choosing_environment_and_camera():
    session, _, _ = make(num_envs=3)
    session.show(-1)
    assert session.shown == 2 and session.markers()[0].points[0, 0] == 2.0
    session.show(3)
    assert session.shown == 0
    seen = []
    for _ in range(4):
        seen.append(session.camera)
        session.next_camera()
    assert seen == [None, "side", "corner", None]
    with pytest.raises(UsageError, match=r"unknown camera 'sid'. Did you mean 'side'"):
        session.look("sid")


def test_limits_end_the_session():
    session, env, _ = make(steps=7)
    while not session.finished:
        session.tick()
    assert len(env.actions) == 7 and session.limit == 7
    session, env, _ = make(num_envs=2, episodes=3)
    while not session.finished:
        session.tick()
    assert session.episodes == 4 and session.limit == 20
    assert len(env.actions) == 20 and env.episode.tolist() == [1, 1]
    with pytest.raises(UsageError, match="episodes must be at least 1, got 0"):
        make(episodes=0)


def test_the_status_line_says_what_plays_and_how():
    clock = Clock()
    session, env, _ = make(num_envs=2, clock=clock, speed=0.5)
    run(session, clock, 0.1)
    line = session.status().line()
    for part in ("fake-task", "fake-policy", "fake", "environment 1/2", "target 1/2x"):
        assert part in line
    assert "0/0 episodes succeeded" in line
    env.task.measured = False
    session.reset()
    assert "succeeded" not in session.status().line()
