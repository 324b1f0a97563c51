"""A gamepad: sticks move and turn, triggers open and close, buttons keep and discard.

SDL's controller mapping knows hundreds of pads, so that the left stick is the left
stick on all of them; pygame brings SDL along. No window is needed: SDL's "dummy" video
driver pumps its events. The pad is read once in each control period.
"""

import os
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets.errors import SandbotError
from policies.teleop.wish import (
    DISCARD,
    DRIVE,
    GRIP,
    KEEP,
    MOVE,
    REDO,
    TURN,
    Twist,
    View,
    Wish,
    turn_axes,
)

if TYPE_CHECKING:
    from sims.arrays import Obs

LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y, LEFT_TRIGGER, RIGHT_TRIGGER = range(6)
"""SDL_GameControllerAxis."""
A, B, X, Y = range(4)
"""SDL_GameControllerButton: by place, below, right, left, above."""
LEFT_BUMPER, RIGHT_BUMPER = 9, 10
UP, DOWN, LEFT, RIGHT = 11, 12, 13, 14
FULL = 32767
"""An axis at its end."""
DEAD = 0.15
"""A stick nearer to its middle is at rest, as a fraction of its way."""
REQUESTS = {A: KEEP, B: DISCARD, Y: REDO}
HELP = (
    ("pad left stick", "left, right, away, back"),
    ("pad right stick", "up, down, turn"),
    ("pad left bumper", "left stick rolls, tilts"),
    ("pad triggers", "open, close"),
    ("pad right bumper", "other hand, or both"),
)
DRIVE_HELP = ("pad cross", "drive the base")
REQUEST_HELP = ("pad A B Y", "keep, discard, redo")


class Device(Protocol):
    """What pygame's controller has of which we make use."""

    def get_axis(self, axis: int) -> int: ...
    def get_button(self, button: int) -> bool: ...
    def attached(self) -> bool: ...


class Gamepad:
    """See the module's top; a :class:`~policies.teleop.wish.Source`."""

    def __init__(self, device: Device, *, drives: bool = False) -> None:
        """Take a pad in hand.

        Args:
            device: the pad.
            drives: whether there is a base to drive.
        """
        self.help = (*HELP, *((DRIVE_HELP,) if drives else ()), REQUEST_HELP)
        self._device, self._drives = device, drives
        self._down: frozenset[int] = frozenset()

    def begin(self, obs: "Obs") -> None:
        """Nothing to forget."""

    def read(self, view: View) -> Wish:
        """Of the pad as it is now.

        Raises:
            SandbotError: it is not there any more.
        """
        device = self._device
        if not device.attached():
            raise SandbotError(
                "the gamepad is gone: plug it in again, then play on (Space)"
            )
        left, right = self._stick(LEFT_X, LEFT_Y), self._stick(RIGHT_X, RIGHT_Y)
        turns = bool(device.get_button(LEFT_BUMPER))
        move = np.array([0.0, 0.0, right[1]] if turns else [*left, right[1]])
        turn = np.array([left[0], left[1], -right[0]] if turns else [0, 0, -right[0]])
        grip = self._trigger(LEFT_TRIGGER) - self._trigger(RIGHT_TRIGGER)
        pressed = self._presses()
        return Wish(
            hands={
                side: Twist(
                    velocity=view.axes @ (MOVE * move),
                    turning=turn_axes(view.hands[side].target.rotation) @ (TURN * turn),
                    grip=GRIP * grip,
                )
                for side in view.active
            },
            drive=self._cross() if self._drives else np.zeros(2),
            next_hand=RIGHT_BUMPER in pressed,
            requests=tuple(REQUESTS[b] for b in REQUESTS if b in pressed),
        )

    def _stick(self, x: int, y: int) -> np.ndarray:
        """(2,) to the right and up, of length 0 to 1; 0 within the dead zone."""
        way = np.array([self._device.get_axis(x), -self._device.get_axis(y)]) / FULL
        return way * live(float(np.linalg.norm(way)))

    def _trigger(self, axis: int) -> float:
        """0 to 1."""
        way = max(self._device.get_axis(axis), 0) / FULL
        return way * live(way)

    def _cross(self) -> np.ndarray:
        """(2,) of the base: along [m/s], about [rad/s]."""
        up, down, left, right = (
            float(self._device.get_button(b)) for b in (UP, DOWN, LEFT, RIGHT)
        )
        return DRIVE * [up - down, left - right]

    def _presses(self) -> frozenset[int]:
        """Buttons that went down since the last time."""
        watched = (*REQUESTS, RIGHT_BUMPER)
        down = frozenset(b for b in watched if self._device.get_button(b))
        pressed, self._down = down - self._down, down
        return pressed


def live(way: float) -> float:
    """By what a way is multiplied, so that it starts from 0 where the dead zone ends.

    Args:
        way: from the middle, 0 to 1, somewhat more in a square stick's corners.
    """
    if way <= DEAD:
        return 0.0
    return min((way - DEAD) / (1 - DEAD), 1.0) / way


class _Controller:
    """pygame's first controller; one that was unplugged is looked for again."""

    def __init__(self, controller: "Device") -> None:
        self._controller = controller

    def get_axis(self, axis: int) -> int:
        return self._controller.get_axis(axis)

    def get_button(self, button: int) -> bool:
        return self._controller.get_button(button)

    def attached(self) -> bool:
        import pygame

        pygame.event.pump()
        if not self._controller.attached():
            self._controller = _first() or self._controller
        return self._controller.attached()


def find_gamepad(*, drives: bool = False) -> Gamepad | None:
    """The first gamepad that is plugged in; None: there is none.

    Args:
        drives: whether there is a base to drive.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")  # else Ctrl-C is SDL's
    import pygame
    from pygame._sdl2 import controller

    driver = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        pygame.display.init()
    finally:
        if driver is None:
            del os.environ["SDL_VIDEODRIVER"]
        else:
            os.environ["SDL_VIDEODRIVER"] = driver
    controller.init()
    pygame.event.pump()
    device = _first()
    return Gamepad(_Controller(device), drives=drives) if device else None


def _first() -> Device | None:
    """The first controller that SDL knows."""
    from pygame._sdl2 import controller

    for index in range(controller.get_count()):
        if controller.is_controller(index):
            return controller.Controller(index)
    return None
