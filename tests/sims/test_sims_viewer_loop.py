"""The stepping loop behind the viewers: no window, no OpenGL, a clock moved by hand."""

from typing import Any

import numpy as np
import pytest

from assets import UsageError
from sims.contacts import Contact
from sims.viewers.fleet import Fleet
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


def test_a_push_goes_where_it_is_set_to_go():
    clock = Clock()
    session, env, _ = make(clock=clock, max_steps=10**6)
    assert session.pushes.hardest == 20.0 and session.status().push.force == 8.0
    assert session.status().push.body == "hand"
    assert len(session.markers()) == 1, "no arrow before a push"
    config = Pushing(force=10.0, seconds=0.02, azimuth=90.0, elevation=30.0)
    session.pushes.configure(config)
    faint = session.markers()[-1]
    wanted = 10.0 * np.array([0.0, np.cos(np.pi / 6), 0.5])
    along = np.ptp(faint.points, axis=0)
    assert np.allclose(along / np.linalg.norm(along), wanted / 10.0)
    assert not env.engine.wrenches, "shown, not given"
    clock.now += 2.0
    assert len(session.markers()) == 1
    session.push()
    session.tick()
    assert np.allclose(env.engine.wrenches["hand"][0, :3], wanted)
    assert session.markers()[-1].rgba[3] > faint.rgba[3]
    for _ in range(2):
        session.tick()
    assert not env.engine.wrenches["hand"].any()


def test_a_harder_push_has_a_longer_arrow():
    session, _, _ = make()
    lengths = []
    for force in (8.0, 12.0, 20.0):
        session.push(force=np.array([force, 0.0, 0.0]))
        arrow = session.markers()[-1]
        lengths.append(float(np.linalg.norm(np.diff(arrow.points, axis=0))))
    assert lengths[0] < lengths[1] < lengths[2] == pytest.approx(0.6)


def test_a_push_that_cannot_be_is_one_clear_error():
    with pytest.raises(UsageError, match="force of a push must be above 0 N, got 0"):
        make(pushing=Pushing(force=0.0))
    session, _, _ = make()
    with pytest.raises(UsageError, match="seconds of a push must be above 0 s, got -1"):
        session.pushes.configure(Pushing(seconds=-1.0))
    with pytest.raises(UsageError, match="unknown body that can be pushed 'foot'"):
        session.pushes.configure(Pushing(body="foot"))


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
        seen.append(session.views.chosen)
        session.views.next()
    assert seen == [None, "side", "corner", None]
    with pytest.raises(UsageError, match=r"unknown camera 'sid'. Did you mean 'side'"):
        session.views.choose("sid")


def test_the_best_the_worst_and_the_fallen_are_found():
    session, env, _ = make(num_envs=4, max_steps=10**6)
    env.ends[2] = 3
    assert session.status().fallen is None
    session.fleet.show_ended()
    assert session.shown == 0, "none has fallen"
    for _ in range(5):
        session.tick()
    session.fleet.show_best()
    assert session.shown == 3, "its reward is the highest"
    session.fleet.show_worst()
    assert session.shown == 0
    assert session.status().fallen == 2
    session.fleet.show_ended()
    assert session.shown == 2
    session.tick()
    assert session.status().ended
    session.repeat()
    assert session.shown == 2 and session.status().fallen is None


def test_how_well_one_does_is_what_it_did_lately():
    fleet = Fleet(2, 0.01)
    for reward in ([1.0, 0.0],) * 300 + ([0.0, 0.5],) * 200:
        fleet.record(np.array(reward), np.zeros(2, bool))
    fleet.show_best()
    assert fleet.shown == 1


def test_a_dial_is_held_in_the_shown_environment_and_said_so():
    session, env, _ = make(num_envs=2)
    session.show(1)
    session.env.holds.hold(session.shown, "wish", 0.5)
    (told,) = session.status().told
    assert (told.value, told.drawn) == (0.5, 0.1)
    assert env.state.wish.tolist() == [0.0, 0.5]
    assert "held: wish 0.5 m" in session.status().line()
    session.show(0)
    assert session.status().told[0].drawn is None
    assert "held" not in session.status().line()


def test_contact_forces_are_drawn_where_they_are_asked_for():
    session, env, _ = make()
    contact = Contact(
        geoms=(0, 1),
        pos=np.array([0.0, 0.0, 0.1]),
        normal=np.array([0.0, 0.0, 1.0]),
        dist=-0.001,
        force=np.array([0.0, 0.0, 20.0]),
    )
    env.engine.touching = [contact, contact.flipped()]
    assert len(session.markers()) == 1 and not session.status().contacts
    session.contacts.toggle()
    for arrow in session.markers()[1:]:
        assert arrow.kind == "arrow" and np.allclose(arrow.points[0], [0, 0, 0.1])
        assert arrow.points[1, 2] > 0.1, "on the one that moves, up"
    assert "contact forces: 10 cm = 5 N" in session.status().line()


def test_what_a_person_asks_for_and_fails_pauses_and_is_told():
    session, _, _ = make()
    session.attempt(lambda session: session.views.choose("nowhere"))
    assert session.paused and "unknown camera 'nowhere'" in (session.error or "")


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
