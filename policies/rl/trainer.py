"""The loop of a training: act, learn, and now and then look how it goes.

Off policy, all environments take one control step in each round, and the networks take
their updates on what was seen before it (:mod:`policies.rl.stepping`); on policy it is
a roll-out and what is learned from it (:mod:`policies.rl.on_policy`). Between rounds
the training is logged, judged on episodes of its own, and saved. Nothing is read back
from a GPU but for that.
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
from ml.metrics_log import MetricsLog
from ml.training_setup import STATE
from policies.rl import state
from policies.rl.config import OffPolicyConfig
from policies.rl.learner import OffPolicyLearner
from policies.rl.replay import Replay
from policies.rl.stepping import Stepping
from policies.rl.threads import choose_threads
from policies.rl.worlds import Worlds

Evaluate = Callable[[], dict[str, float]]
"""How the present policy does: "success", "return" and whatever else."""


class Loop(ABC):
    """One training; what a round is, is a subclass's business."""

    NUMBERS: ClassVar[tuple[str, ...]] = (
        *("vector_steps", "seconds", "figures", "best_figures", "best_steps"),
        *("judged_at", "judged_seconds"),
    )
    """Attributes that are saved."""
    GENTLER: ClassVar[str] = "--learning-rate"
    """Options to lower where a training breaks down."""
    LESS: ClassVar[str] = "--num-envs"
    """Likewise where memory runs out."""

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
            evaluate: judges the learner as it is.
            identity: what makes this training this one, plain data.
            progress: whether to draw a progress bar; None: on a terminal.
        """
        self.learner, self.worlds, self.config = learner, worlds, config
        self.folder, self.evaluate, self.identity = folder, evaluate, identity
        self.progress = progress
        self.keeps_replay = False
        """Whether the state has a replay's pieces."""
        self.vector_steps = 0
        """Control steps of each environment."""
        self.seconds = 0.0
        """Wall-clock time of the training, interruptions aside [s]."""
        self.figures: dict[str, float] = {}
        """Of the last evaluation."""
        self.best: dict[str, Tensor] = {}
        """The actor's weights with the best evaluation."""
        self.best_figures: dict[str, float] = {}
        self.best_steps = 0
        self.judged_at = 0
        """Control steps of each environment at the last evaluation."""
        self.judged_seconds = 0.0

    @property
    def steps(self) -> int:
        """Control steps of all environments."""
        return self.vector_steps * self.worlds.num_envs

    def run(self) -> None:
        """Train to the end; the state is saved on the way, and at the end.

        Raises:
            SandbotError: a loss is not finite, or a GPU has no memory left; the last
                good state stays.
        """
        from tqdm import tqdm

        config, worlds = self.config, self.worlds
        if not self.vector_steps:
            worlds.reset()
        log = MetricsLog(self.folder, step=self.steps, tensorboard=config.tensorboard)
        # a GPU has one queue of work, and a graph is recorded by one thread
        overlap = config.overlap and self.learner.device.type == "cpu"
        stepping = Stepping(worlds, overlap=overlap)
        clock = _Clock(self.seconds)
        logged, saved = time.monotonic(), time.monotonic()
        self._last = self.steps, self.learner.count, self.seconds
        quiet = None if self.progress is None else not self.progress
        bar = tqdm(
            total=config.steps, initial=self.steps, delay=2, disable=quiet, unit="step"
        )
        try:
            while not self._over():
                self._round(stepping)
                self.seconds = clock.read()
                now = time.monotonic()
                if now - logged >= config.log_seconds:
                    logged = now
                    bar.update(self.steps - bar.n)
                    bar.set_postfix(self._log(log), refresh=False)
                if self._due():
                    self._judge(log)
                if now - saved >= config.checkpoint_seconds:
                    state.save(self)
                    saved = time.monotonic()
            if self.judged_at != self.vector_steps:
                self._judge(log)
            self._log(log)
            self.seconds = clock.read()
            state.save(self)
        except torch.OutOfMemoryError as error:
            raise SandbotError(
                f"the GPU has no memory left at step {self.steps}: lower {self.LESS}; "
                f"{self._where()}"
            ) from error
        finally:
            stepping.close()
            log.close()
            bar.close()

    def broken(self, what: str) -> SandbotError:
        """An error for a training that cannot go on."""
        return SandbotError(
            f"training broke down at step {self.steps}: {what}; lower {self.GENTLER} "
            f"(the rate is {self.config.learning_rate:g}); {self._where()}"
        )

    @abstractmethod
    def _round(self, stepping: Stepping) -> None:
        """Act and learn; :attr:`vector_steps` grows."""

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
        if not self.learner.count:
            return False
        if config.evaluate_steps:
            since = (self.vector_steps - self.judged_at) * self.worlds.num_envs
            return since >= config.evaluate_steps
        if not config.evaluate_minutes:
            return False
        return self.seconds - self.judged_seconds >= 60 * config.evaluate_minutes

    def _judge(self, log: MetricsLog) -> None:
        """Let the policy act in episodes of its own; keep it, if it is the best."""
        self.figures = self.evaluate()
        self.judged_at, self.judged_seconds = self.vector_steps, self.seconds
        log.write(self.steps, **{f"evaluation/{k}": v for k, v in self.figures.items()})
        if _score(self.figures) >= _score(self.best_figures):
            weights = self.learner.actor().state_dict()
            self.best = {k: v.detach().clone() for k, v in weights.items()}
            self.best_figures, self.best_steps = self.figures, self.steps

    def _log(self, log: MetricsLog) -> dict[str, float]:
        """Write a line; what of it a progress bar shows."""
        values = self._watched()
        steps, updates, seconds = self._last
        self._last = self.steps, self.learner.count, self.seconds
        past = max(self.seconds - seconds, 1e-9)
        episodes = self.worlds.tally.read()
        values |= {
            "updates": self.learner.count,
            "seconds": round(self.seconds, 2),
            "steps_per_second": (self.steps - steps) / past,
            "updates_per_second": (self.learner.count - updates) / past,
        }
        level = getattr(self.worlds.env.state, "level", None)
        if level is not None:
            values["level"] = float(torch.as_tensor(level).float().mean())
        values |= {f"episodes/{k}": v for k, v in episodes.items()}
        log.write(self.steps, **values)
        return {k: round(v, 3) for k, v in episodes.items() if k != "episodes"}

    def _watched(self) -> dict[str, float]:
        """The learner's numbers, all of them finite."""
        values = {k: float(v) for k, v in self.learner.watched().items()}
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise self.broken(f"{bad[0]} is {values[bad[0]]}")
        return values

    def _where(self) -> str:
        saved = (self.folder / STATE).is_file()
        return (
            f"the last good training state is in {self.folder}: --resume goes on "
            f"from there"
            if saved
            else "no training state was saved yet"
        )


class Trainer(Loop):
    """Off policy: from a replay, one control step a round."""

    NUMBERS = (*Loop.NUMBERS, "owed")
    GENTLER = "--learning-rate or --updates"
    LESS = "--replay, --batch-size or --num-envs"

    learner: OffPolicyLearner
    config: OffPolicyConfig

    def __init__(
        self,
        learner: OffPolicyLearner,
        worlds: Worlds,
        config: OffPolicyConfig,
        *rest: Any,
        **options: Any,
    ) -> None:
        """As :class:`Loop`, and take the replay's memory.

        Raises:
            SandbotError: the replay does not fit into the memory.
        """
        super().__init__(learner, worlds, config, *rest, **options)
        slots = max(2, config.replay // worlds.num_envs)
        self.replay = Replay(slots, worlds.num_envs, worlds.sizes, learner.device)
        # on a GPU it is too large to be saved each minute, and filled again soon
        self.keeps_replay = learner.device.type == "cpu"
        self.owed = 0.0
        """Updates that are due."""

    def _round(self, stepping: Stepping) -> None:
        """One control step of all environments, and the updates that it pays for."""
        config, learner, worlds = self.config, self.learner, self.worlds
        warm = self.steps >= config.warmup
        if warm or not config.random_start:
            action = learner.explore(worlds.obs)
        else:
            size = worlds.num_envs, worlds.sizes.action
            drawn = torch.rand(
                *size, generator=learner.generator, device=learner.device
            )
            action = 2 * drawn - 1
        stepping.begin(action)
        try:
            if warm and len(self.replay):
                self._learn()
        finally:
            step = stepping.end()
        self.replay.add(step)
        learner.seen(step)
        self.vector_steps += 1

    def _learn(self) -> None:
        config, learner = self.config, self.learner
        if not config.threads and not learner.count and learner.device.type == "cpu":
            self._find_threads()
        self.owed += config.updates
        rows = config.batch_size
        if getattr(config, "symmetry", False) and learner.mirror is not None:
            rows //= 2
        for _ in range(int(self.owed)):
            batch = self.replay.sample(
                rows, config.gamma, config.n_step, learner.generator
            )
            learner.update(batch)
        self.owed -= int(self.owed)

    def _find_threads(self) -> None:
        """Measured on a product of the size of an update, which changes nothing."""
        config = self.config
        width = max(*config.critic_hidden, self.worlds.sizes.critic)
        a = torch.zeros(2, config.batch_size, width)
        b = torch.zeros(2, width, width)
        choose_threads(lambda: [torch.bmm(a, b) for _ in range(8)])


class _Clock:
    """Seconds of this training, those of earlier sessions included."""

    def __init__(self, before: float) -> None:
        self._began = time.monotonic() - before

    def read(self) -> float:
        return time.monotonic() - self._began


def _score(figures: dict[str, float]) -> tuple[float, float]:
    """By which evaluations are compared: success, then return."""
    return figures.get("success", -1.0), figures.get("return", -math.inf)
