"""Ctrl-C without a loss: a training stops where its state is whole.

The first one waits for the end of the control step that is under way, which takes
milliseconds; during an evaluation, which changes nothing, it counts at once, and so
does a second one at any time.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Holds Ctrl-C back inside a ``with``; elsewhere it is Python's own again.

    Only the main thread hears of it, and a process that was told to ignore it (by
    ``nohup``, say) still does.
    """

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.asked = False
        """Whether the training is to stop."""
        self._at_once = False
        self._before: Any = None

    def __enter__(self) -> "Interrupts":
        """Listen."""
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no longer."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def check(self) -> None:
        """See whether to stop, where that is possible.

        Raises:
            KeyboardInterrupt: yes.
        """
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What may be left at any moment."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._at_once:
            raise KeyboardInterrupt
        self.asked = True
