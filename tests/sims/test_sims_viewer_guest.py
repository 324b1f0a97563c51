"""A guest takes part in a session: it is told all, may wait, and may have the keys."""

from typing import Any

import mujoco
import numpy as np
import pytest

from sims.task import Marker
from sims.viewers.guest import KEY_NAMES, NEXT, REPEAT, RESET, Command, Guest
from sims.viewers.loop import Session
from sims.viewers.native import MOMENT, NAMES, Presses, _Flags, _help
from tests.sims.viewer_fakes import Clock, FakeEnv, FakePolicy


class Visitor(Guest):
    """Remembers what it is told; waits, takes drags and fails when told to."""

    commands = (
        Command(
            label="Wave",
            keys=("Enter", "R"),
            does="wave",
            tooltip="Wave a hand",
            run=lambda session: session.guest.hold(frozenset({"wave"})),
        ),
    )
    keys = frozenset({"W", "UpArrow", "RightArrow"})
    help = (("W", "walk"),)

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.held: list[frozenset[str]] = []
        self.waits = self.done = self.fails = False

    @property
    def finished(self) -> bool:
        return self.done

    def start(self, why: str) -> dict[str, Any]:
        if self.fails:
            raise ValueError("no more")
        self.told.append(why)
        return {}

    def begin(self, obs: Any) -> None:
        self.told.append(("begin", int(obs["state"][0, 0])))

    def ready(self) -> bool:
        return not self.waits

    def act(self, obs: Any, action: Any) -> Any:
        return action + 1.0

    def stepped(self, outcome: Any) -> None:
        self.told.append("step")

    def ended(self) -> None:
        self.told.append("ended")

    def hold(self, keys: frozenset[str]) -> None:
        self.held.append(keys)

    def drag(self, wrenches: Any) -> Any:
        self.told.append(sorted(wrenches))
        return {body: w for body, w in wrenches.items() if body != "mine"}

    def lines(self) -> tuple[str, ...]:
        return ("hello",)

    def markers(self) -> list[Marker]:
        return [Marker(kind="sphere", points=np.zeros((1, 3)), size=0.5)]


def make(**options: Any) -> tuple[Session, Any, Visitor]:
    env: Any = FakeEnv(max_steps=options.pop("max_steps", 3))
    guest = Visitor()
    policy: Any = FakePolicy()
    session = Session(env, policy, guest=guest, clock=Clock(), hold=0.02, **options)
    return session, env, guest


def test_a_guest_is_told_of_each_episode_and_step() -> None:
    session, env, guest = make()
    for _ in range(6):
        session.tick()
    first = [RESET, ("begin", 0), "step", "step", "step", "ended"]
    assert guest.told == [*first, NEXT, ("begin", 1), "step"]
    assert (env.actions[0] == 1.0).all(), "what it says is executed"
    session.repeat()
    session.reset()
    assert guest.told[-4:] == [REPEAT, ("begin", 1), RESET, ("begin", 2)]


def test_the_world_stands_still_while_a_guest_is_not_ready() -> None:
    session, env, guest = make()
    guest.waits = True
    for _ in range(10):
        session.tick()
    assert env.state.steps[0] == 0 and session.steps == 0
    guest.waits = False
    session.tick()
    assert env.state.steps[0] == 1


def test_an_episode_is_ended_and_its_pause_cut_short() -> None:
    session, _, guest = make(max_steps=100)
    session.tick()
    session.end()
    session.end()
    assert session.episodes == 1 and guest.told[-1] == "ended"
    session.proceed()
    session.tick()
    assert guest.told[-1] == ("begin", 1)
    guest.done = True
    assert session.finished


def test_a_start_that_fails_is_tried_again_and_steps_nothing() -> None:
    session, env, guest = make()
    for _ in range(3):
        session.tick()
    guest.fails = True
    for _ in range(5):
        session.tick()
    assert session.paused and session.error == "ValueError: no more"
    assert env.state.steps[0] == 3
    guest.fails = False
    session.play()
    session.tick()
    assert guest.told[-1] == ("begin", 1)


def test_drags_lines_and_markers_go_through_the_guest() -> None:
    session, env, guest = make(max_steps=100)
    session.drag({"mine": np.ones(6), "other": np.ones(6)})
    session.tick()
    assert list(env.engine.wrenches) == ["other"]
    session.drag({})
    session.tick()
    assert not env.engine.wrenches["other"].any(), "it is let go"
    assert session.status().lines == ("hello",) and "hello" in session.status().line()
    assert session.markers()[-1].size == 0.5
    guest.pushable = False
    session.push()
    session.drag({"third": np.ones(6)})
    assert not session.status().pushing


def test_the_window_counts_a_press_as_held_for_a_moment() -> None:
    session, _, guest = make()
    clock = Clock()
    presses = Presses(guest, clock)
    assert presses.press(session, ord("W"))
    assert guest.held[-1] == {"W"}
    clock.now += MOMENT / 2
    presses.press(session, 265)
    presses.hold(session)
    assert guest.held[-1] == {"W", "UpArrow"}
    told = len(guest.held)
    presses.press(session, ord("W"))
    assert guest.held[told:] == [{"UpArrow"}, {"W", "UpArrow"}], "down once more"
    clock.now += 2 * MOMENT
    presses.hold(session)
    assert guest.held[-1] == frozenset()


def test_a_guests_keys_come_before_the_windows() -> None:
    session, _, guest = make()
    presses = Presses(guest, Clock())
    assert presses.press(session, 257) and guest.held[-1] == {"wave"}
    assert presses.press(session, ord("R")) and presses.press(session, 262)
    assert not presses.press(session, ord("P"))
    text = _help(guest).split("\n")
    assert text[:2] == ["W walk", "Enter, R Wave"]
    assert "R repeat" not in text and "P push" in text


@pytest.mark.parametrize("name", KEY_NAMES)
def test_both_viewers_know_a_guests_keys(name: str) -> None:
    from mujoco.studio.dear_imgui import dear_imgui as imgui

    assert hasattr(imgui.Key, name)
    assert name in NAMES.values()


def test_the_window_draws_as_before_whatever_its_keys_toggled() -> None:
    class Viewer:
        def __init__(self) -> None:
            import threading

            self.opt, self.lock = mujoco.MjvOption(), threading.Lock
            self.user_scn = mujoco.MjvScene()

    viewer = Viewer()
    flags = _Flags(viewer)
    drawn = viewer.opt.flags.copy(), viewer.user_scn.flags.copy()
    viewer.opt.flags[:] = 1 - viewer.opt.flags
    viewer.user_scn.flags[:] = 1 - viewer.user_scn.flags
    viewer.opt.frame, viewer.opt.geomgroup[:] = 3, 0
    flags.restore()
    np.testing.assert_array_equal(viewer.opt.flags, drawn[0])
    np.testing.assert_array_equal(viewer.user_scn.flags, drawn[1])
    assert viewer.opt.frame == 0 and viewer.opt.geomgroup.any()
    viewer.opt.flags[:] = 1 - viewer.opt.flags
    viewer.user_scn.flags[:] = 1 - viewer.user_scn.flags
    flags.restore(everything=False)  # only what F and G switch besides
    same = viewer.opt.flags == drawn[0], viewer.user_scn.flags == drawn[1]
    assert [np.flatnonzero(s).tolist() for s in same] == [
        [int(mujoco.mjtVisFlag.mjVIS_CONTACTFORCE)],
        [int(mujoco.mjtRndFlag.mjRND_FOG)],
    ]
