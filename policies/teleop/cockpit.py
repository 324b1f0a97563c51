"""Where a person sits: the guest of a session that operates a robot.

It hands keys and pulls to the inputs, lets an episode wait for the person's first
input, so that no recording begins with nothing, and turns what a person asks of an
episode into what the session does. With a :class:`~policies.teleop.take.Take` the
episodes are recorded.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError
from policies.collect import ATTEMPTS
from policies.teleop.drag import Drag
from policies.teleop.keys import Keys
from policies.teleop.operator import Operator
from policies.teleop.take import Take
from policies.teleop.typist import Typist
from policies.teleop.wish import DISCARD, KEEP, REDO
from sims.task import Marker
from sims.viewers.guest import Command, Guest

if TYPE_CHECKING:
    from sims.arrays import Array, Obs
    from sims.env import Step
    from sims.viewers.loop import Session


class Cockpit(Guest):
    """See the module's top."""

    def __init__(self, operator: Operator, take: Take | None = None) -> None:
        """Sit down.

        Args:
            operator: the policy of the session.
            take: records; None: nothing is recorded.
        """
        self.operator, self.take = operator, take
        sources = operator.sources
        typed = [s for s in sources if isinstance(s, Keys)]
        self._keys = [s for s in typed if not isinstance(s, Typist)]
        self._drags = [s for s in sources if isinstance(s, Drag)]
        self.keys = frozenset().union(*(s.names for s in self._keys))
        self.help = tuple(row for source in sources for row in source.help)
        self.paced = len(self._keys) == len(typed)
        # what is pushed is not in a recording, and would not be in its replay
        self.pushable = take is None
        self.commands = self._commands() if take else ()
        self._waits, self._released, self._over = True, False, False
        self._idle = True

    @property
    def finished(self) -> bool:
        """Whether all episodes that are wanted are recorded."""
        return self.take is not None and self.take.finished

    def start(self, why: str) -> dict[str, Any]:
        """Deal with the last episode."""
        return self.take.start(why) if self.take else {}

    def begin(self, obs: "Obs") -> None:
        """The next one waits."""
        self.operator.begin(obs)
        self._waits, self._released, self._over = True, False, False
        if self.take:
            self.take.begin()

    def tick(self, session: "Session") -> None:
        """Ask the inputs, in a pause as well."""
        self._check_rate()
        wish = self.operator.poll()
        self._idle = wish.idle
        acts = {KEEP: self.keep, DISCARD: discard, REDO: redo}
        for request in wish.requests:
            acts[request](session)

    def ready(self) -> bool:
        """Whether the person has begun.

        What was held when the episode started does not begin it.
        """
        self._released |= self._idle
        if self._released and not self._idle:
            self._waits = False
        return not self._waits

    def act(self, obs: "Obs", action: "Array") -> "Array":
        """The action; where it is recorded, as it will be in the dataset."""
        return self.take.act(obs, action) if self.take else action

    def stepped(self, outcome: "Step") -> None:
        """For the recording."""
        if self.take:
            self.take.stepped(outcome)

    def ended(self) -> None:
        """The episode is pending."""
        self._over = True
        if self.take:
            self.take.ended()

    def hold(self, keys: frozenset[str]) -> None:
        """For those who steer with keys."""
        for source in self._keys:
            source.hold(keys)

    def drag(self, wrenches: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """For those who steer by pulling; other things are pulled as ever."""
        for source in self._drags:
            wrenches = source.pull(wrenches)
        return wrenches

    def keep(self, session: "Session") -> None:
        """The present episode ends here and is kept; a pause ends."""
        if self.take is None or not self.take.frames:
            return
        self.take.keep()
        if self.take.pending:
            session.proceed()
        else:
            session.end()

    def lines(self) -> tuple[str, ...]:
        """The counter, what is going on, and which hand is steered."""
        lines = (self.take.line(), self._state()) if self.take else (self._state(),)
        return (*lines, f"steering: {' and '.join(self.operator.active)}")

    def markers(self) -> list[Marker]:
        """Where the hands want to be."""
        return self.operator.markers()

    def _check_rate(self) -> None:
        """A script that never succeeds would type for ever.

        Raises:
            SandbotError: it is such a one.
        """
        take = self.take
        if take is None or take.wanted is None or self.paced:
            return
        if take.failed >= ATTEMPTS * take.wanted:
            raise SandbotError(
                f"{take.failed} episodes failed and {take.kept} of {take.wanted} are "
                f"kept: give the script more --seconds, or keep failures"
            )

    def _state(self) -> str:
        """What is going on."""
        if self._waits:
            return "waiting for your first input"
        if not self._over:
            return "recording" if self.take else "driving"
        if not self.take:
            return "over"
        if self.take.worth_keeping:
            return "over: will be kept (else Delete or R)"
        return "over, not solved: thrown away (else Enter)"

    def _commands(self) -> tuple[Command, ...]:
        """What a person may ask of an episode."""
        return (
            Command(
                label="Keep",
                keys=("Enter",),
                does="keep; go on",
                tooltip="End the episode here and keep it; in the pause: go on",
                run=self.keep,
            ),
            Command(
                label="Discard",
                keys=("Delete", "Backspace"),
                does="throw away",
                tooltip="Throw this episode away; the next start is another one",
                run=discard,
            ),
            Command(
                label="Redo",
                keys=("R",),
                does="same start again",
                tooltip="Throw this episode away and start it again",
                run=redo,
            ),
        )


def discard(session: "Session") -> None:
    """Throw the present episode away, and start another one."""
    session.reset()


def redo(session: "Session") -> None:
    """Throw the present episode away, and start it again."""
    session.repeat()
