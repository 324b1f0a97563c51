"""What a training says while it runs: lines of metrics, and a progress bar."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ml.metrics_log import MetricsLog

if TYPE_CHECKING:
    from policies.rl.loop import Loop


class Journal:
    """Writes ``metrics.jsonl`` and TensorBoard's files; :meth:`close` when done."""

    def __init__(self, trainer: "Loop", folder: Path, progress: bool | None) -> None:
        """Go on after the last line that counts.

        Args:
            trainer: of which it tells.
            folder: of the run.
            progress: whether to draw a progress bar; None: on a terminal.
        """
        from tqdm import tqdm

        self._trainer = trainer
        self._log = MetricsLog(
            folder, step=trainer.steps, tensorboard=trainer.config.tensorboard
        )
        self._bar = tqdm(
            total=trainer.config.steps,
            initial=trainer.steps,
            delay=2,
            disable=None if progress is None else not progress,
            unit="step",
        )
        self._last = self._counts()

    def close(self) -> None:
        """Flush and close."""
        self._log.close()
        self._bar.close()

    def write(self, values: dict[str, float]) -> None:
        """Add a line.

        Args:
            values: that the learner watches.
        """
        trainer = self._trainer
        before, self._last = self._last, self._counts()
        steps, updates, seconds = (
            new - old for new, old in zip(self._last, before, strict=True)
        )
        episodes = trainer.worlds.tally.read()
        values = values | {
            "updates": trainer.learner.count,
            "seconds": round(trainer.seconds, 2),
            "steps_per_second": steps / max(seconds, 1e-9),
            "updates_per_second": updates / max(seconds, 1e-9),
            "threads": trainer.threads,
        }
        level = getattr(trainer.worlds.env.state, "level", None)
        if level is not None:
            values["level"] = float(torch.as_tensor(level).float().mean())
        values |= {f"episodes/{k}": v for k, v in episodes.items()}
        self._log.write(trainer.steps, **values)
        self._bar.update(trainer.steps - self._bar.n)
        shown = {k: round(v, 3) for k, v in episodes.items() if k != "episodes"}
        self._bar.set_postfix(shown, refresh=False)

    def evaluation(self, figures: dict[str, float]) -> None:
        """Add a line about an evaluation."""
        named = {f"evaluation/{k}": v for k, v in figures.items()}
        self._log.write(self._trainer.steps, **named)

    def _counts(self) -> tuple[int, int, float]:
        trainer = self._trainer
        return trainer.steps, trainer.learner.count, trainer.seconds
