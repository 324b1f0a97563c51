"""Keys, mouse and gamepad say what they mean; hands do it within bounds."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from assets.errors import SandbotError, UsageError
from controllers.so3 import error
from policies.aloha.script import Pose, turned
from policies.teleop import gamepad
from policies.teleop.drag import FORCE, TORQUE, Drag
from policies.teleop.gamepad import DEAD, FULL, Gamepad, live
from policies.teleop.guided import EASE, FOLLOWER_LEASH, LEASH, TURN_LEASH, GuidedHand
from policies.teleop.keys import LONGEST, SILENCE, SLOW, Keys
from policies.teleop.leader import turn_to_go
from policies.teleop.operator import STEERED, Operator
from policies.teleop.teleoperate import open_inputs
from policies.teleop.wish import (
    DISCARD,
    DRIVE,
    GRIP,
    KEEP,
    MOVE,
    REDO,
    TURN,
    HandView,
    Twist,
    View,
    Wish,
    turn_axes,
)
from sims import make_env, make_task
from tests.sims.viewer_fakes import Clock

AXES = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])


def view(active=("right",), rotation=None, opening=0.1, yaw=0.0) -> View:
    pose = Pose(np.zeros(3), np.eye(3) if rotation is None else rotation)
    hand = HandView(grip=pose, target=pose, opening=opening)
    return View(
        hands={"left": hand, "right": hand},
        active=active,
        axes=AXES,
        base=np.array([1.0, 2.0, yaw]),
    )


def typed(*keys: str, drives: bool = False, **looks: Any) -> Wish:
    source = Keys(drives=drives)
    source.hold(frozenset(keys))
    return source.read(view(**looks))


@pytest.mark.parametrize(
    ("key", "way"),
    [
        ("D", (1, 0, 0)),
        ("A", (-1, 0, 0)),
        ("W", (0, 1, 0)),
        ("S", (0, -1, 0)),
        ("E", (0, 0, 1)),
        ("Q", (0, 0, -1)),
    ],
)
def test_a_held_key_moves_the_steered_hand(key: str, way: tuple[int, ...]) -> None:
    wish = typed(key)
    assert set(wish.hands) == {"right"} and not wish.idle
    np.testing.assert_allclose(wish.hands["right"].velocity, MOVE * np.array(way))
    both = typed(key, active=("left", "right"))
    np.testing.assert_array_equal(
        both.hands["left"].velocity, both.hands["right"].velocity
    )


@pytest.mark.parametrize("pointing", [(0.0, 0.0), (2.0, 1.0), (-1.0, 1.3)])
def test_turning_is_as_the_hand_points(pointing: tuple[float, float]) -> None:
    yaw, pitch = pointing
    rotation = turned(yaw=yaw, pitch=pitch, roll=0.4)

    def after(key: str) -> np.ndarray:
        turning = typed(key, rotation=rotation).hands["right"].turning
        return Rotation.from_rotvec(0.1 / TURN * turning).as_matrix() @ rotation

    assert after("I")[2, 0] > rotation[2, 0] + 0.02, "I tilts up"
    assert after("K")[2, 0] < rotation[2, 0] - 0.02
    heading = np.arctan2(rotation[1, 0], rotation[0, 0])
    left = after("J")
    assert np.arctan2(left[1, 0], left[0, 0]) == pytest.approx(heading + 0.1)
    np.testing.assert_allclose(after("O")[:, 0], rotation[:, 0], atol=1e-12)
    assert error(after("O"), rotation) @ rotation[:, 0] == pytest.approx(0.1)


def test_a_hand_that_points_down_can_be_tilted_in_every_roll() -> None:
    for roll in np.linspace(-3, 3, 7):
        axes = turn_axes(turned(pitch=np.pi / 2, roll=roll))
        assert abs(axes[2, 1]) < 1e-9 and np.linalg.norm(axes[:, 1]) == pytest.approx(1)


def test_shift_is_slow_and_opposite_keys_cancel() -> None:
    slow = typed("D", "LeftShift").hands["right"]
    np.testing.assert_allclose(slow.velocity, [SLOW * MOVE, 0, 0])
    assert typed("D", "A").idle and typed("LeftShift").idle


def test_a_press_counts_once_and_toggles() -> None:
    source = Keys()
    source.hold(frozenset({"F", "H"}))
    wish = source.read(view(opening=0.1))
    assert wish.hands["right"].opening == 1.0 and wish.next_hand
    source.hold(frozenset({"F", "H"}))
    again = source.read(view(opening=1.0))
    assert again.idle and not again.next_hand
    source.hold(frozenset())
    source.hold(frozenset({"F"}))
    assert source.read(view(opening=1.0)).hands["right"].opening == 0.0
    source.hold(frozenset())
    source.hold(frozenset({"F"}))
    source.begin({})
    assert source.read(view()).hands["right"].opening is None, "of another episode"


def test_a_viewer_that_falls_silent_has_let_go() -> None:
    clock = Clock()
    source = Keys(clock=clock)
    source.hold(frozenset({"D"}))
    clock.now += SILENCE / 2
    assert not source.read(view()).idle
    clock.now += SILENCE
    assert source.read(view()).idle


def test_no_key_counts_for_ever() -> None:
    clock = Clock()
    source = Keys(clock=clock)
    source.hold(frozenset({"D", "F"}))
    source.read(view())
    for _ in range(100):
        clock.now += LONGEST / 99
        source.hold(frozenset({"D", "F"}))
    assert source.read(view()).idle, "neither moved nor toggled again"
    source.hold(frozenset({"F"}))
    source.hold(frozenset({"D", "F"}))
    assert source.read(view()).hands["right"].velocity.any(), "pressed once more"


def test_arrows_drive_where_there_is_a_base() -> None:
    np.testing.assert_allclose(typed("UpArrow", drives=True).drive, DRIVE * [1, 0])
    np.testing.assert_allclose(typed("RightArrow", drives=True).drive, DRIVE * [0, -1])
    assert typed("UpArrow").idle


class Pad:
    """A gamepad in the shape of pygame's."""

    def __init__(self) -> None:
        self.axes, self.buttons, self.there = [0] * 6, set[int](), True

    def get_axis(self, axis: int) -> int:
        return self.axes[axis]

    def get_button(self, button: int) -> bool:
        return button in self.buttons

    def attached(self) -> bool:
        return self.there


def test_the_dead_zone_ends_without_a_jump() -> None:
    assert live(0.0) == live(DEAD) == 0.0
    assert DEAD * 1.001 * live(DEAD * 1.001) < 1e-3
    assert live(1.0) == 1.0 and 1.4 * live(1.4) == pytest.approx(1.0)
    pad = Pad()
    pad.axes[0] = pad.axes[1] = int(0.1 * FULL)
    assert Gamepad(pad).read(view()).idle


def test_sticks_move_and_turn() -> None:
    pad = Pad()
    source = Gamepad(pad)
    pad.axes[:4] = [FULL, 0, 0, -FULL]
    twist = source.read(view()).hands["right"]
    np.testing.assert_allclose(twist.velocity, [MOVE, 0, MOVE])
    pad.axes[:4] = [0, -FULL, -FULL, 0]
    twist = source.read(view()).hands["right"]
    np.testing.assert_allclose(twist.velocity, [0, MOVE, 0])
    np.testing.assert_allclose(twist.turning, [0, 0, TURN], atol=1e-12)
    pad.buttons.add(gamepad.LEFT_BUMPER)
    pad.axes[:4] = [FULL, 0, 0, 0]
    twist = source.read(view()).hands["right"]
    assert not twist.velocity.any()
    np.testing.assert_allclose(twist.turning, [TURN, 0, 0], atol=1e-12)


def test_triggers_and_buttons() -> None:
    pad = Pad()
    source = Gamepad(pad, drives=True)
    pad.axes[5] = FULL
    assert source.read(view()).hands["right"].grip == pytest.approx(-GRIP)
    pad.axes[4:] = [FULL, 0]
    assert source.read(view()).hands["right"].grip == pytest.approx(GRIP)
    pad.axes[4] = 0
    for button, request in ((0, KEEP), (1, DISCARD), (3, REDO)):
        pad.buttons = {button}
        wish = source.read(view())
        assert wish.requests == (request,) and wish.idle
        assert source.read(view()).requests == (), "a button that is held counts once"
    pad.buttons = {gamepad.RIGHT_BUMPER, gamepad.UP, gamepad.LEFT}
    wish = source.read(view())
    assert wish.next_hand
    np.testing.assert_allclose(wish.drive, DRIVE)


def test_a_pad_that_is_gone_is_one_clear_error() -> None:
    pad = Pad()
    source = Gamepad(pad)
    pad.there = False
    with pytest.raises(SandbotError, match="gamepad is gone: plug it in again"):
        source.read(view())


def test_pygame_is_asked_for_a_pad_without_a_window() -> None:
    from pygame._sdl2 import controller

    found = gamepad.find_gamepad()
    assert (found is not None) == (controller.get_count() > 0)


def test_a_pad_is_demanded_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = "policies.teleop.teleoperate.find_gamepad"
    monkeypatch.setattr(module, lambda drives: None)
    task = make_task("aloha-pick")
    assert set(open_inputs(["keys", "gamepad"], task, asked=False)) == {"keys"}
    with pytest.raises(SandbotError, match=r"no gamepad .* --input keys drag"):
        open_inputs(["gamepad"], task)
    monkeypatch.setattr(module, lambda drives: Gamepad(Pad(), drives=drives))
    assert set(open_inputs(["gamepad"], task)) == {"gamepad"}
    with pytest.raises(UsageError, match=r"unknown input 'kees'\. Did you mean"):
        open_inputs(["kees"], task)
    with pytest.raises(UsageError, match="nobody wrote a script that types for mobile"):
        open_inputs(["script"], make_task("mobile-aloha-fetch"))


def test_the_mouses_force_becomes_velocity_up_to_a_limit() -> None:
    clock = Clock()
    source = Drag(clock=clock)
    wrench = np.array([0.5 * FORCE, 0, 0, 0, 0, 9.0])
    others = source.pull({"left/upper_arm": wrench, "cube": wrench})
    assert list(others) == ["cube"], "what is no arm is not taken"
    hands = source.read(view()).hands
    assert set(hands) == {"left"}
    np.testing.assert_allclose(hands["left"].velocity, [0.5 * MOVE, 0, 0])
    assert not hands["left"].turning.any()
    source.pull({"right/gripper": 100 * wrench})
    np.testing.assert_allclose(
        source.read(view()).hands["right"].velocity, [MOVE, 0, 0]
    )
    source.pull({"right/gripper": np.array([0, 0, 0, 0, 0.5 * TORQUE, 0])})
    turning = source.read(view()).hands["right"].turning
    np.testing.assert_allclose(turning, [0, 0.5 * TURN, 0])
    clock.now += 2 * SILENCE
    assert source.read(view()).idle, "the page was closed"
    source.pull({"right/gripper": wrench})
    source.pull({})
    assert source.read(view()).idle


def test_a_pull_in_the_world_is_one_in_the_frame_of_a_base_that_has_turned() -> None:
    source = Drag()
    source.pull({"left/gripper": np.array([0, FORCE, 0, 0, 0, 0])})
    wish = source.read(view(yaw=np.pi / 2))
    np.testing.assert_allclose(wish.hands["left"].velocity, [MOVE, 0, 0], atol=1e-12)


def test_a_hand_gathers_speed_and_knows_where_it_will_rest() -> None:
    dt, start = 0.02, Pose(np.zeros(3), np.eye(3))
    hand, places = GuidedHand(start, dt), [0.0]
    for _ in range(50):
        hand.move(Twist(velocity=np.array([9.0, 0, 0])), start_at(hand), start_at(hand))
        places.append(hand.position[0])
    speeds = np.diff(places) / dt
    assert speeds.max() == pytest.approx(MOVE, rel=1e-3)
    assert speeds[0] < MOVE / 4 and speeds[round(EASE / dt) - 1] > 0.6 * MOVE
    rest = hand.view(start).target.position[0]
    for _ in range(200):
        hand.move(Twist(), start_at(hand), start_at(hand))
    assert hand.position[0] == pytest.approx(rest, abs=1e-6)


def start_at(hand: GuidedHand) -> Pose:
    """A leader and follower that are exactly where the hand is."""
    return Pose(hand.position.copy(), hand.rotation.copy())


def test_a_hand_never_runs_far_ahead() -> None:
    stuck = Pose(np.zeros(3), np.eye(3))
    hand = GuidedHand(stuck, 0.02)
    push = Twist(velocity=np.array([0, MOVE, 0]), turning=np.array([TURN, 0, 0]))
    for _ in range(500):
        hand.move(push, stuck, stuck)
    assert np.linalg.norm(hand.position) == pytest.approx(LEASH)
    turn = np.linalg.norm(error(hand.rotation, stuck.rotation))
    assert turn == pytest.approx(TURN_LEASH)
    for _ in range(500):  # the leader follows, the follower is held up
        hand.move(push, start_at(hand), stuck)
    assert np.linalg.norm(hand.position) == pytest.approx(FOLLOWER_LEASH)


def test_the_fast_logarithm_is_the_exact_one() -> None:
    turns = Rotation.random(200, rng=np.random.default_rng(0)).as_matrix()
    for target, rotation in zip(turns[::2], turns[1::2], strict=True):
        np.testing.assert_allclose(
            turn_to_go(target, rotation), error(target, rotation), atol=1e-12
        )


def test_a_gripper_opens_at_a_hands_speed() -> None:
    still = Pose(np.zeros(3), np.eye(3))
    hand = GuidedHand(still, 0.02)
    hand.move(Twist(opening=1.0), still, still)
    begun = hand.opening
    assert 0.1 < begun < 0.2
    for _ in range(30):
        hand.move(Twist(), still, still)
    assert hand.opening == 1.0
    for _ in range(5):
        hand.move(Twist(grip=-GRIP), still, still)
    assert hand.opening == pytest.approx(0.8)
    hand.move(Twist(), still, still)
    assert hand.opening == pytest.approx(0.8), (
        "a trigger that is let go leaves it there"
    )


def drive(operator: Operator, env: Any, keys: frozenset[str], steps: int) -> Any:
    obs = env.reset()
    operator.reset()
    operator.begin(obs)
    for _ in range(steps):
        operator.sources[0].hold(keys)  # type: ignore[attr-defined]
        obs = env.step(operator.act(obs))[0]
    return obs


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_the_follower_goes_where_the_keys_lead(engine: str) -> None:
    env = make_env("aloha-transfer-cube", engine=engine, threads=1)
    operator = Operator(env.task, 1, [Keys()])
    start = operator.leaders.follower("right", env.reset()["state"][0]).position
    obs = drive(operator, env, frozenset("A"), 50)
    moved = operator.leaders.follower("right", obs["state"][0]).position - start
    assert moved[0] == pytest.approx(-MOVE, abs=0.05)
    assert np.abs(moved[1:]).max() < 0.01
    left = operator.leaders.follower("left", obs["state"][0]).position
    rest = operator.leaders.grip("left").position
    assert np.linalg.norm(left - rest) < 0.01, "the other hand stays"
    env.close()


def test_hands_are_chosen_in_turn() -> None:
    task = make_task("aloha-pick")
    keys = Keys()
    operator = Operator(task, 1, [keys])
    for expected in (*STEERED[1:], STEERED[0]):
        keys.hold(frozenset())
        keys.hold(frozenset({"H"}))
        operator.poll()
        assert operator.active == expected


def test_a_base_is_driven_and_its_hands_go_with_it() -> None:
    env = make_env("mobile-aloha-fetch", threads=1)
    operator = Operator(env.task, 1, [Keys(drives=True)])
    base = env.reset()["state"][0, 14:].copy()
    obs = drive(operator, env, frozenset({"DownArrow"}), 50)
    heading = obs["state"][0, 16]
    along = (obs["state"][0, 14:16] - base[:2]) @ [np.cos(heading), np.sin(heading)]
    assert -0.4 < along < -0.2
    sphere = operator.markers()[0].points[0]
    seen = env.engine.pose("left/gripper")[0][0]
    assert np.linalg.norm(sphere - seen) < 0.25, "markers are in the world"
    obs = drive(operator, env, frozenset({"W"}), 40)
    assert operator.view().hands["right"].grip.position[0] > 0.1
    env.close()


def test_only_arms_of_aloha_are_operated_one_robot_at_a_time() -> None:
    with pytest.raises(
        UsageError, match=r"not arm-reach: choose one of aloha-transfer"
    ):
        Operator(make_task("arm-reach"), 1, [])
    with pytest.raises(UsageError, match="one environment, got 2"):
        Operator(make_task("aloha-pick"), 2, [])
