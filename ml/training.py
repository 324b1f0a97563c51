"""One training loop for every network: AdamW, warm-up and cosine, EMA, early stopping.

A killed training that is resumed ends with the same bits as one that was left alone.
For that, each thing a step depends on is either a function of the step (learning rate,
choice of samples) or in the training state (weights, average, optimiser's moments,
random generator, running sums of the log), which is replaced atomically every few
hundred steps. The number of threads is part of the configuration, since it can change
the order of a sum.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import SandbotError, UsageError
from ml.device import find_device
from ml.ema import EMA
from ml.metrics_log import MetricsLog
from ml.samples import Batch, Order, Samples
from ml.schedule import cosine_factor
from ml.state_file import load_state, save_state
from ml.training_setup import STATE, TrainingConfig

FORMAT = 1
"""Of the training state; another number cannot be resumed."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""(model, batch) -> the mean loss, a scalar."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended."""

    steps: int
    """Steps done."""
    best_step: int
    """Step of the lowest validation loss."""
    validation_loss: float
    """Of the averaged weights, at that step."""
    seconds: float
    """Wall-clock time in the loop, over all resumptions [s]."""
    weights: dict[str, Tensor]
    """The averaged weights and buffers of that step."""


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
    ) -> None:
        """Set up at step 0, or where the folder's training state ends.

        Args:
            model: with its initial weights; trained in place.
            loss: of a batch.
            train: samples to learn from.
            validation: samples to stop by.
            folder: of the run, see :func:`ml.training_setup.open_run`.
            config: how to train.
            batch: samples per step (a sample may hold many frames).
            identity: plain data that names what is trained on what; a state with
                another one is not continued.

        Raises:
            UsageError: the state belongs to another configuration or other data.
            SandbotError: the state is damaged.
        """
        self.device = find_device(config.device)
        self.model, self.loss = model.to(self.device), loss
        self.train, self.validation = train, validation
        self.folder, self.config = folder, config
        whole = {"format": FORMAT, "training": asdict(config), **identity}
        self.identity = json.loads(json.dumps(whole))  # as it comes back from a file
        self.order = Order(len(train), batch, config.seed)
        self.ema = EMA(model, max_decay=config.ema_decay)
        self.optimizer = _optimizer(model, config)
        self.step = 0
        self.best = self.ema.state_dict()
        self.best_loss, self.best_step, self.waited = math.inf, 0, 0
        self.loss_sum, self.loss_count, self.seconds = 0.0, 0, 0.0
        if (folder / STATE).is_file():
            self._load()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.step >= self.config.steps or self.waited >= self.config.patience

    def run(
        self, progress: Callable[[int, float], object] | None = None
    ) -> TrainingResult:
        """Train to the end.

        Args:
            progress: told the steps done and the last validation loss, each step.

        Raises:
            SandbotError: the loss or its gradient is no longer finite. The last
                training state stays as it is.
        """
        log = MetricsLog(
            self.folder, step=self.step, tensorboard=self.config.tensorboard
        )
        began = time.perf_counter() - self.seconds
        try:
            while not self.finished:
                loss, norm = self._update()
                self.step += 1
                self._log(log, loss, norm)
                if self._due(self.config.validate_every):
                    self._validate(log)
                self.seconds = time.perf_counter() - began
                if self._due(self.config.checkpoint_every) or self.finished:
                    self._save()
                if progress is not None:
                    progress(self.step, self.best_loss)
        finally:
            log.close()
        return TrainingResult(
            steps=self.step,
            best_step=self.best_step,
            validation_loss=self.best_loss,
            seconds=self.seconds,
            weights=self.best,
        )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _update(self) -> tuple[float, float]:
        """One step of the optimiser; the loss before it, and the gradient's norm."""
        rate = self.config.learning_rate * cosine_factor(
            self.step,
            total=self.config.steps,
            warmup=self.config.warmup_steps,
            floor=self.config.final_rate,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        loss = self.loss(self.model, self._batch(self.train, self.order(self.step)))
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.gradient_clip
        )
        values = loss.item(), norm.item()
        if not all(map(math.isfinite, values)):
            raise self._broken(f"the loss is {values[0]}, its gradient {values[1]}")
        self.optimizer.step()
        self.ema.update(self.model)
        return values

    def _batch(self, samples: Samples, rows: Tensor) -> Batch:
        return {k: v.to(self.device) for k, v in samples.gather(rows).items()}

    def _log(self, log: MetricsLog, loss: float, norm: float) -> None:
        self.loss_sum += loss
        self.loss_count += 1
        if self._due(self.config.log_every):
            log.write(
                self.step,
                train_loss=self.loss_sum / self.loss_count,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                gradient_norm=norm,
            )
            self.loss_sum, self.loss_count = 0.0, 0

    @torch.no_grad()
    def _validate(self, log: MetricsLog) -> None:
        """Judge the averaged weights on the held-out episodes."""
        total = 0.0
        for part in torch.arange(len(self.validation)).split(self.order.batch):
            loss = self.loss(self.ema.module, self._batch(self.validation, part))
            total += loss.item() * len(part)
        loss = total / len(self.validation)
        if not math.isfinite(loss):
            raise self._broken(f"the validation loss is {loss}")
        log.write(self.step, validation_loss=loss)
        self.waited += 1
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.waited = loss, self.step, 0
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

    def _save(self) -> None:
        tensors = {"rng": torch.get_rng_state()}
        for prefix, state in (
            ("model", self.model.state_dict()),
            ("ema", self.ema.state_dict()),
            ("best", self.best),
        ):
            tensors |= {f"{prefix}/{name}": value for name, value in state.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in state.items()}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        numbers |= {"identity": self.identity, "ema_updates": self.ema.updates}
        tensors = {name: value.cpu() for name, value in tensors.items()}
        save_state(self.folder / STATE, tensors, numbers)

    def _load(self) -> None:
        path = self.folder / STATE
        tensors, numbers = load_state(path)
        if numbers.get("identity") != self.identity:
            raise UsageError(
                f"{path} belongs to another training: "
                f"{_difference(numbers.get('identity') or {}, self.identity)}. Resume "
                f"with the same options and data, or train into another folder"
            )
        try:
            self.model.load_state_dict(_part(tensors, "model"))
            self.ema.module.load_state_dict(_part(tensors, "ema"))
            self.best = _part(tensors, "best")
            self._load_optimizer(_part(tensors, "optimizer"))
            torch.set_rng_state(tensors["rng"])
            for name in _NUMBERS:
                setattr(self, name, numbers[name])
            self.ema.updates = numbers["ema_updates"]
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SandbotError(
                f"training state {path} does not fit this network ({reason}): train "
                f"anew into another folder"
            ) from error

    def _load_optimizer(self, flat: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in flat.items():
            index, _, key = name.partition("/")
            state.setdefault(int(index), {})[key] = value
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})


_NUMBERS = ("step", "best_loss", "best_step", "waited", "loss_sum", "loss_count")
_NUMBERS += ("seconds",)


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
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}


def _difference(old: dict[str, Any], new: dict[str, Any], path: str = "") -> str:
    """Which entries of two nested dictionaries differ, in words."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found.append(_difference(a, b, f"{path}{key}."))
        elif a != b:
            found.append(f"{path}{key} was {a!r}, now {b!r}")
    return "; ".join(part for part in found if part)
