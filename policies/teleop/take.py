"""A person's episodes, one after the other: kept, thrown away, made again.

An episode that has ended is *pending*. A person who asks for the next start throws it
away (discard), or for the same start (redo); otherwise it is written when the next one
begins, if it is worth keeping: it succeeded, or the person said so, or failures are
kept as well.

Each start has an identity of its own, by which it can be repeated; those of episodes
that were thrown away are not used again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from policies.collect import FIRST_ID
from policies.tape import Tape, as_recorded
from sims.viewers.guest import NEXT, REPEAT

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from sims.arrays import Array, Obs
    from sims.env import Env, Step


class Take:
    """Turns the steps of a session into episodes of a dataset."""

    def __init__(
        self,
        env: "Env",
        writer: "DatasetWriter",
        *,
        seed: int,
        episodes: int | None = None,
        keep_failures: bool = False,
        notify: Callable[[str], object] = lambda line: None,
    ) -> None:
        """Go on where the dataset ends.

        Args:
            env: of one environment.
            writer: takes the episodes.
            seed: of all draws.
            episodes: how many the dataset is to hold; None: as many as come.
            keep_failures: whether to keep episodes that the person did not bring to an
                end, too.
            notify: told what became of each episode.
        """
        self.env, self.writer = env, writer
        self.seed, self.wanted = seed, episodes
        self.discarded = self.failed = 0
        """Of this session: thrown away by the person; not worth keeping."""
        self.pending = False
        """Whether an episode has ended and is not yet written."""
        self._keep_failures, self._notify = keep_failures, notify
        last = writer.rows[-1]["id"] + 1 - FIRST_ID if writer.rows else 0
        self._starts = max(last, writer.about.get("attempts", 0))
        self._tape: Tape | None = None
        self._kept_by_hand = self._broke = self._solved = False
        self._action = np.empty(0, np.float32)
        self._outside = np.empty(0)

    @property
    def kept(self) -> int:
        """Episodes in the dataset."""
        return self.writer.episodes

    @property
    def finished(self) -> bool:
        """Whether all that are wanted are in the dataset."""
        return self.wanted is not None and self.kept >= self.wanted

    @property
    def frames(self) -> int:
        """Of the present episode."""
        return int(self._tape.lengths[0]) if self._tape else 0

    @property
    def worth_keeping(self) -> bool:
        """Whether the present episode is written if nobody says otherwise."""
        wanted = self._kept_by_hand or self._solved or self._keep_failures
        return bool(self.frames) and wanted and not self._broke

    def start(self, why: str) -> dict[str, Any]:
        """Deal with the last episode, and say how the environment is reset."""
        if why == NEXT:
            self.settle()
        else:
            self.discard()
        if why != REPEAT:
            self._starts += 1
            self.writer.about["attempts"] = self._starts
        return {"seed": self.seed, "ids": np.array([self._identity])}

    def begin(self) -> None:
        """An episode begins."""
        self._tape = Tape(self.env, self.writer)
        self.pending = self._kept_by_hand = self._broke = self._solved = False

    def act(self, obs: "Obs", action: "Array") -> np.ndarray:
        """What is executed, exactly as it will be in the dataset."""
        assert self._tape is not None
        self._action, self._outside = as_recorded(self.env, action)
        self._tape.see(obs)
        return self._action.astype(np.float64)

    def stepped(self, outcome: "Step") -> None:
        """That was executed."""
        assert self._tape is not None
        self._tape.add(self._action, self._action, self._outside, outcome)
        success, broke = outcome[4]["success"], bool(outcome[4]["diverged"][0])
        self._broke |= broke
        self._solved = success is not None and bool(success[0]) and not broke

    def ended(self) -> None:
        """The episode is over."""
        self.pending = True

    def keep(self) -> None:
        """It is worth keeping, whatever the task says."""
        self._kept_by_hand = True

    def settle(self) -> None:
        """Write the pending episode if it is worth keeping, else drop it."""
        if not self.pending:
            self.discard()
        elif not self.worth_keeping:
            why = "the simulation broke down" if self._broke else "not solved"
            self.failed += 1
            self._drop(f"{why}: thrown away")
        else:
            assert self._tape is not None
            seconds = self.frames * self.env.control_dt
            episode = self._tape.episodes()[0]
            episode.write(self.writer, self.seed, self._identity)
            self._tape, self.pending = None, False
            self.writer.commit()
            self._notify(f"episode {self.kept} kept, {seconds:.1f} s")

    def discard(self) -> None:
        """Throw the present episode away, if there is one."""
        if self.frames:
            self.discarded += 1
            self._drop("thrown away")
        elif self._tape is not None:
            self._tape.discard()
            self._tape = None

    def close(self) -> None:
        """The session ends: a pending episode is settled, a running one is lost."""
        if self.pending:
            self.settle()
        self.discard()

    def line(self) -> str:
        """Where the recording stands."""
        number = min(self.kept + 1, self.wanted or self.kept + 1)
        of = "" if self.wanted is None else f" of {self.wanted}"
        seconds = self.frames * self.env.control_dt
        line = f"episode {number}{of}, {seconds:.1f} s, kept {self.kept}"
        line += f", discarded {self.discarded}"
        return line + (f", failed {self.failed}" if self.failed else "")

    @property
    def _identity(self) -> int:
        """Of the present start."""
        return FIRST_ID + self._starts - 1

    def _drop(self, why: str) -> None:
        """Throw the present episode away, and see that its identity stays used."""
        assert self._tape is not None
        seconds = self.frames * self.env.control_dt
        self._tape.discard()
        self._tape, self.pending = None, False
        if self.kept:
            self.writer.commit()
        self._notify(f"an episode of {seconds:.1f} s: {why}")
