"""The loop of a training: act, learn, and now and then look how it goes.

Off policy, all environments take one control step in each round, and the networks take
their updates on what was seen before it (:mod:`policies.rl.trainer`); on policy it is a
roll-out and what is learned from it (:mod:`policies.rl.on_policy`). Between rounds the
training is logged, judged on episodes of its own, and saved. Nothing is read back from
a GPU but for that.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from assets.errors import SandbotError
from ml.training_setup import STATE
from policies.rl import state
from policies.rl.interrupts import Interrupts
from policies.rl.journal import Journal
from policies.rl.stepping import Stepping
from policies.rl.worlds import NotFinite, Worlds

Evaluate = Callable[[], dict[str, float]]
"""How the present policy does: "success", "return" and whatever else."""


class Loop(ABC):
    """One training; what a round is, is a subclass's business."""

    NUMBERS: ClassVar[tuple[str, ...]] = (
        *("vector_steps", "seconds", "figures", "best_figures", "best_steps"),
        *("judged_at", "judged_seconds", "threads"),
    )
    """Attributes that are saved as they are."""
    GENTLER: ClassVar[str]
    """An option to lower where a training breaks down, beside --learning-rate."""
    LESS: ClassVar[str]
    """Options to lower where there is no memory left."""

    def __init__(
        self,
        learner: Any,
        worlds: Worlds,
        config: Any,
        folder: Path,
        evaluate: Evaluate,
        identity: dict[str, Any],
        progress: bool | None = None,
    ) -> None:
        """Ready to begin; or to go on, after :func:`policies.rl.state.load`.

        Args:
            learner: what learns.
            worlds: what it acts in.
            config: how long, how often, how large.
            folder: of the run.
            evaluate: judges the learner as it is, and changes nothing.
            identity: what makes this training this one, plain data.
            progress: whether to draw a progress bar; None: on a terminal.
        """
        self.learner, self.worlds, self.config = learner, worlds, config
        self.folder, self.evaluate, self.identity = folder, evaluate, identity
        self.progress = progress
        self.keeps_replay = False
        """Whether the state has a replay's pieces."""
        self.pieces: list[str] = []
        """Files of the replay that the saved state names."""
        self.vector_steps = 0
        """Control steps of each environment."""
        self.seconds = 0.0
        """Wall-clock time of the training, interruptions aside [s]."""
        self.threads = config.threads
        """Of torch; 0: not measured yet."""
        self.figures: dict[str, float] = {}
        """Of the last evaluation."""
        self.best: dict[str, Tensor] = {}
        """The actor's weights with the best evaluation."""
        self.best_figures: dict[str, float] = {}
        self.best_steps = 0
        self.judged_at = 0
        """Control steps of each environment at the last evaluation."""
        self.judged_seconds = 0.0
        self._whole = True
        """Whether the state is one between two rounds."""

    @property
    def steps(self) -> int:
        """Control steps of all environments."""
        return self.vector_steps * self.worlds.num_envs

    def run(self) -> None:
        """Train to the end; the state is saved on the way, and at the end.

        Raises:
            SandbotError: a loss is not finite, or there is no memory left; the last
                good state stays.
            KeyboardInterrupt: Ctrl-C; its message says how to go on, and the state is
                saved.
        """
        self.threads = self.config.threads or self.threads
        if self.threads:
            torch.set_num_threads(self.threads)
        if not self.vector_steps:
            self.worlds.reset()
        journal = Journal(self, self.folder, self.progress)
        # a GPU has one queue of work, and a graph is recorded by one thread
        overlap = self.config.overlap and self.learner.device.type == "cpu"
        stepping = Stepping(self.worlds, overlap=overlap)
        with Interrupts() as interrupts:
            try:
                self._loop(journal, stepping, interrupts)
            except KeyboardInterrupt:
                if self._whole:
                    self._save()
                raise KeyboardInterrupt(
                    f"training stopped at step {self.steps}; {self._where()}"
                ) from None
            except NotFinite as error:
                raise self.broken(str(error)) from error
            except RuntimeError as error:
                if _no_memory(error):
                    raise self._out_of_memory() from error
                raise
            finally:
                stepping.close()
                journal.close()

    def broken(self, what: str) -> SandbotError:
        """An error for a training that cannot go on."""
        return SandbotError(
            f"training broke down at step {self.steps}: {what}; lower --learning-rate "
            f"({self.config.learning_rate:g}) or {self.GENTLER} in a new one; "
            f"{self._where()}"
        )

    def _loop(
        self, journal: Journal, stepping: Stepping, interrupts: Interrupts
    ) -> None:
        """Round after round, and what is due between them.

        What is due is asked before a round, never after: so a state that was saved
        between the two goes on with what was due.
        """
        config = self.config
        began = time.monotonic() - self.seconds
        logged = saved = time.monotonic()
        while True:
            interrupts.check()
            if self.learner.device.type == "cpu":  # where a look costs nothing
                self._watched()
            if self._due():
                self._judge(journal, interrupts)
            if self._over():
                break
            if time.monotonic() - saved >= config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            self._round(stepping)
            self.seconds = time.monotonic() - began
            if time.monotonic() - logged >= config.log_seconds:
                journal.write(self._watched())
                logged = time.monotonic()
        if self.judged_at != self.vector_steps:
            self._judge(journal, interrupts)
        journal.write(self._watched())
        self.seconds = time.monotonic() - began
        self._save()

    def _save(self) -> None:
        """Write the state, unless something in it is not finite."""
        self._watched()
        state.save(self)

    def _round(self, stepping: Stepping) -> None:
        """Act and learn; :attr:`vector_steps` grows."""
        self._whole = False
        self.play(stepping)
        self._whole = True

    @abstractmethod
    def play(self, stepping: Stepping) -> None:
        """A round."""

    def _over(self) -> bool:
        config = self.config
        if self.steps >= config.steps:
            return True
        if config.minutes and self.seconds >= 60 * config.minutes:
            return True
        return bool(
            config.stop_at
            and self.judged_at == self.vector_steps
            and self.figures.get("success", 0.0) >= config.stop_at
        )

    def _due(self) -> bool:
        """Whether to judge now."""
        config = self.config
        if not self.learner.count or self.judged_at == self.vector_steps:
            return False
        if config.evaluate_steps:
            judged = self.judged_at * self.worlds.num_envs
            # at the same steps wherever a training ended before it was prolonged
            return self.steps // config.evaluate_steps > judged // config.evaluate_steps
        if not config.evaluate_minutes:
            return False
        return self.seconds - self.judged_seconds >= 60 * config.evaluate_minutes

    def _judge(self, journal: Journal, interrupts: Interrupts) -> None:
        """Let the policy act in episodes of its own; keep it, if it is the best."""
        with interrupts.at_once():
            figures = self.evaluate()
        self.figures = figures
        self.judged_at, self.judged_seconds = self.vector_steps, self.seconds
        journal.evaluation(figures)
        if _score(figures) >= _score(self.best_figures):
            weights = self.learner.actor().state_dict()
            self.best = {k: v.detach().clone() for k, v in weights.items()}
            self.best_figures, self.best_steps = figures, self.steps

    def _watched(self) -> dict[str, float]:
        """The learner's own numbers.

        Raises:
            SandbotError: one is not finite.
        """
        values = {k: float(v) for k, v in self.learner.watched().items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise self.broken(f"{name} is {value}")
        return values

    def _out_of_memory(self) -> SandbotError:
        kind = "GPU" if self.learner.device.type == "cuda" else "machine"
        return SandbotError(
            f"the {kind} has no memory left at step {self.steps}: lower "
            f"{self.LESS}; {self._where()}"
        )

    def _where(self) -> str:
        saved = (self.folder / STATE).is_file()
        return (
            f"the last good training state is in {self.folder}: the same command with "
            f"--resume goes on from there"
            if saved
            else "no training state was saved yet"
        )


def _no_memory(error: RuntimeError) -> bool:
    """Whether it is torch's word for that, on a GPU or on a CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error)


def _score(figures: dict[str, float]) -> tuple[float, float]:
    """By which evaluations are compared: success, then return."""
    return figures.get("success", -1.0), figures.get("return", -math.inf)
