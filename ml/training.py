"""One training loop for every network: AdamW, warm-up and cosine, EMA, early stopping.

A killed training that is resumed ends with the same bits as one that was left alone.
For that, each thing a step depends on is either a function of the step (learning rate,
choice of samples, the loss's own draws) or in the training state
(:mod:`ml.training_state`), which is replaced atomically every few hundred steps. The
number of threads is part of the configuration, since it can change the order of a sum.

A loss is given as one sum and one weight per sample, and the loop divides: so a batch
that is spread over processes, or computed in parts, has the gradient of the whole one
also where samples weigh differently (padded chunks, say).
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from assets.errors import SandbotError
from ml.ema import EMA
from ml.metrics_log import MetricsLog
from ml.parallel import Parallel
from ml.samples import Batch, Order, Samples
from ml.schedule import cosine_factor
from ml.step_draws import StepDraws
from ml.training_setup import STATE, TrainingConfig
from ml.training_state import load_training, save_training

FORMAT = 2
"""Of the training state; another number cannot be resumed."""


class Terms(NamedTuple):
    """A loss, sample by sample; that of the batch is ``total.sum() / weight.sum()``."""

    total: Tensor
    """(n,) each sample's loss, summed over what counts in it."""
    weight: Tensor
    """(n,) how much that is."""
    parts: dict[str, Tensor] = {}  # noqa: RUF012  never written to
    """What the total is made of, (n,) each, for the log."""


Loss = Callable[[nn.Module, Batch, StepDraws], Terms]
"""Of a model, on a batch; whatever it draws, it draws from the third."""
Evaluate = Callable[[nn.Module], dict[str, float]]
"""What a model does in its environment: "success" and other figures."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended."""

    steps: int
    """Steps done."""
    best_step: int
    """Step of the chosen weights."""
    validation_loss: float
    """Of the averaged weights, the last one measured up to that step."""
    seconds: float
    """Wall-clock time in the loop, over all resumptions [s]."""
    weights: dict[str, Tensor]
    """The averaged weights and buffers of that step."""
    figures: dict[str, float] = field(default_factory=dict)
    """What the evaluation on the way found of them; empty: there was none."""


class Trainer:
    """Trains one model in one folder. Make it inside
    :func:`ml.training_setup.reproducible`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        train: Samples,
        validation: Samples,
        *,
        folder: Path,
        config: TrainingConfig,
        batch: int,
        identity: dict[str, Any],
        evaluate: Evaluate | None = None,
        parallel: Parallel | None = None,
    ) -> None:
        """Set up at step 0, or where the folder's training state ends.

        Args:
            model: with its initial weights; trained in place.
            loss: of a batch.
            train: samples to learn from.
            validation: samples to stop by.
            folder: of the run, see :func:`ml.training_setup.open_run`.
            config: how to train.
            batch: samples per step (a sample may hold many frames), over all processes.
            identity: plain data that names what is trained on what; a state with
                another one is not continued.
            evaluate: called every ``config.evaluate_every`` steps with the averaged
                weights.
            parallel: the processes; None: joined here.

        Raises:
            UsageError: the state belongs to another configuration or other data.
            SandbotError: the state is damaged.
        """
        self.parallel = parallel or Parallel(config.device, config.precision)
        self.device = self.parallel.device
        self.model, self.loss = model.to(self.device), loss
        self.train, self.validation = train, validation
        self.folder, self.config = folder, config
        self.evaluate = evaluate if config.evaluate_every else None
        whole = {"format": FORMAT, "training": asdict(config), **identity}
        self.identity = json.loads(json.dumps(whole))  # as it comes back from a file
        self.order = Order(len(train), batch, config.seed)
        self.ema = EMA(model, max_decay=config.ema_decay)
        self.weights = [p for p in model.parameters() if p.requires_grad]
        self._objective, self.optimizer = self.parallel.prepare(
            _Objective(model, loss), _optimizer(model, config)
        )
        self.step = 0
        self.best = self.ema.state_dict()
        self.best_score, self.best_step, self.waited = -math.inf, 0, 0
        self.validation_loss, self.figures = math.inf, {}
        self.best_loss, self.best_figures = math.inf, {}
        self.loss_sum, self.loss_count, self.seconds = 0.0, 0, 0.0
        if self.parallel.rank:  # dropout differs from process to process
            torch.manual_seed(config.seed + (self.parallel.rank << 32))
        if (folder / STATE).is_file():
            load_training(self, folder / STATE)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patient = self.waited < self.config.patience
        if self.config.select != "validation":
            patient = True
        return self.step >= self.config.steps or not patient

    def run(
        self, progress: Callable[[int, float], object] | None = None
    ) -> TrainingResult:
        """Train to the end.

        Args:
            progress: told the steps done and the last validation loss, each step.

        Raises:
            SandbotError: the loss or its gradient is no longer finite: the last
                training state stays as it is. With ``config.debug`` also what
                :mod:`ml.debugging` finds.
        """
        log = None
        if self.parallel.main:
            log = MetricsLog(
                self.folder, step=self.step, tensorboard=self.config.tensorboard
            )
        began = time.perf_counter() - self.seconds
        try:
            if self.config.debug and self.step == 0:
                from ml.debugging import examine

                self._write(log, **self.parallel.once(lambda: examine(self)))
            while not self.finished:
                self._advance(log)
                self.seconds = time.perf_counter() - began
                if self._due(self.config.checkpoint_every) or self.finished:
                    save_training(self, self.folder / STATE)
                if progress is not None:
                    progress(self.step, self.validation_loss)
        finally:
            if log is not None:
                log.close()
        return TrainingResult(
            steps=self.step,
            best_step=self.best_step,
            validation_loss=self.best_loss,
            seconds=self.seconds,
            weights=self.best,
            figures=self.best_figures,
        )

    def _advance(self, log: MetricsLog | None) -> None:
        """A step, and what is due after it."""
        loss, norm, parts = self._update()
        self.step += 1
        self.loss_sum += loss
        self.loss_count += 1
        if self._due(self.config.log_every):
            self._write(
                log,
                train_loss=self.loss_sum / self.loss_count,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                gradient_norm=norm,
                **parts,
            )
            self.loss_sum, self.loss_count = 0.0, 0
        if self._due(self.config.validate_every):
            self._validate(log)
        if self.evaluate is not None and self._due(self.config.evaluate_every):
            self._evaluate(log)
        if self.config.select == "last" and self.step == self.config.steps:
            self._choose(0.0)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _update(self) -> tuple[float, float, dict[str, float]]:
        """One step of the optimiser; the loss before it, the gradient's norm, parts."""
        rate = self.config.learning_rate * cosine_factor(
            self.step,
            total=self.config.steps,
            warmup=self.config.warmup_steps,
            floor=self.config.final_rate,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimizer.zero_grad()
        rows = self.order(self.step)
        own = self.parallel.share(len(rows), self.config.accumulate)
        sums = torch.zeros(2, device=self.device)
        parts: dict[str, Tensor] = {}
        for index, part in enumerate(own):
            batch = self._batch(self.train, rows[part])
            with self.parallel.autocast():
                terms = self._objective(batch, self._draws(self.step, part, len(rows)))
            total = terms.total.sum()
            self.parallel.backward(total, self._objective, index == len(own) - 1)
            sums += torch.stack([total.detach(), terms.weight.sum()])
            for name, value in terms.parts.items():
                parts[name] = parts.get(name, 0) + value.detach().sum()
        # What was summed here joins what others summed: loss, weight, and the parts.
        whole = self.parallel.total(torch.stack([*sums, *parts.values()]))
        sums = whole[:2]
        if not sums.isfinite().all():
            raise self._broken(f"the loss is {(sums[0] / sums[1]).item()}")
        factor = self.parallel.size / sums[1]
        norm = self.parallel.clip(
            self.weights, factor, self.config.gradient_clip
        ).item()
        if not math.isfinite(norm) and self.config.precision != "fp16":
            raise self._broken(f"the norm of the loss's gradient is {norm}")
        self.optimizer.step()
        self.ema.update(self.model)
        mean, _, *shown = (whole / sums[1]).tolist()
        return mean, norm, dict(zip(parts, shown, strict=True))

    def _draws(self, step: int, rows: slice, total: int) -> StepDraws:
        return StepDraws(self.config.seed, step, rows, total, self.device)

    def _batch(self, samples: Samples, rows: Tensor) -> Batch:
        return {k: v.to(self.device) for k, v in samples.gather(rows).items()}

    def _write(self, log: MetricsLog | None, **values: float) -> None:
        if log is not None:
            log.write(self.step, **values)

    @torch.no_grad()
    def _validate(self, log: MetricsLog | None) -> None:
        """Judge the averaged weights on the held-out episodes, with the same draws
        each time."""
        sums = torch.zeros(2, device=self.device)
        parts = torch.arange(len(self.validation)).split(self.order.batch)
        for index, rows in enumerate(parts):
            draws = self._draws(-1 - index, slice(0, len(rows)), len(rows))
            terms = self.loss(
                self.ema.module, self._batch(self.validation, rows), draws
            )
            sums += torch.stack([terms.total.sum(), terms.weight.sum()])
        loss = (sums[0] / sums[1]).item()
        if not math.isfinite(loss):
            raise self._broken(f"the validation loss is {loss}")
        self.validation_loss = loss
        self._write(log, validation_loss=loss)
        if self.config.select == "validation":
            self.waited += 1
            if -loss > self.best_score:
                self.waited = 0
                self._choose(-loss)

    def _evaluate(self, log: MetricsLog | None) -> None:
        """Let the averaged weights act."""
        evaluate, module = self.evaluate, self.ema.module
        assert evaluate is not None
        self.figures = self.parallel.once(lambda: evaluate(module))
        self._write(log, **{f"evaluation/{k}": v for k, v in self.figures.items()})
        if self.config.select == "success":
            score = self.figures["success"]
            if score >= self.best_score:  # of equals the longer trained
                self._choose(score)

    def _choose(self, score: float) -> None:
        """The averaged weights, as they are now, are the best so far."""
        self.best_score, self.best_step = score, self.step
        self.best_loss, self.best_figures = self.validation_loss, self.figures
        weights = self.ema.state_dict()
        self.best = {k: v.to("cpu", copy=True) for k, v in weights.items()}

    def _broken(self, what: str) -> SandbotError:
        saved = (self.folder / STATE).is_file()
        last = (
            f"the last good training state is {self.folder / STATE}; " if saved else ""
        )
        return SandbotError(
            f"training broke down at step {self.step}: {what}; {last}lower the "
            f"learning rate ({self.config.learning_rate:g}) or look for outliers in "
            f"the data"
        )


class _Objective(nn.Module):
    """Model and loss as one module, whose call is what processes synchronise on."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch, draws: StepDraws) -> Terms:
        return self.loss(self.model, batch, draws)


def _optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); only matrices decay."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in weights if p.ndim >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, fused=True
    )
