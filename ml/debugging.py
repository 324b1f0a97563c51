"""Before the first step of a training: is there anything wrong with it?

Three questions that find most faults of networks before hours are spent on them:

- Are the gradients those of the loss? (:mod:`ml.gradient_check`)
- Can one small batch be learned by heart? What cannot do that will not learn more.
- How large are gradients and updates, layer by layer, and which units do not work?

Everything happens on copies and with draws of its own: the training that follows has
the same bits as one that was not looked at.
"""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets.errors import SandbotError
from ml.files import write_json
from ml.gradient_check import check_gradients, without_dropout
from ml.samples import Batch
from ml.step_draws import StepDraws

if TYPE_CHECKING:
    from ml.training import Loss, Trainer
    from ml.training_setup import TrainingConfig

FILE = "debug.json"
"""In the run's folder: the report."""
ROWS = 8
"""Samples of the batch that all this is done with."""
STEPS = 300
"""In which it has to be learned by heart; it ends as soon as it is."""
FRACTION = 0.25
"""Of the first loss, that it has to fall below. Blind to its inputs, a perceptron that
clones an arm's controller gets to 0.58, seeing to 0.02."""
SATURATED = 0.99
"""Size of an output of tanh from which on it counts as saturated."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One batch, learned by heart."""

    first: float
    """The loss before."""
    last: float
    """And after the last step."""
    steps: int
    """How many there were."""
    enough: bool
    """Whether it is learned by heart."""
    update_to_weight: dict[str, float]
    """Of each layer: length of the last update over that of its weights. About 1e-3 is
    usual; 1e-1 tears a layer apart, 1e-6 leaves it where it was."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What there is to say of a training before it begins."""

    parameters: int
    """Numbers to learn."""
    dead_parameters: tuple[str, ...]
    """Weights on which the loss does not depend."""
    gradient_error: float
    """Largest difference of a gradient to the differences of the loss, relative."""
    gradients: dict[str, float]
    """Of each layer: length of the gradient at the initial weights."""
    activations: dict[str, dict[str, float]]
    """Of each layer with a non-linearity: "mean", "std", and the fractions of "dead"
    units, which are 0 for all samples, and of "saturated" outputs."""
    learned: Learned
    """One batch by heart."""

    def figures(self) -> dict[str, float]:
        """All of it as named numbers, for the log."""
        found = {
            "parameters": float(self.parameters),
            "dead_parameters": float(len(self.dead_parameters)),
            "gradient_error": self.gradient_error,
            "loss_before": self.learned.first,
            "loss_by_heart": self.learned.last,
            "steps_by_heart": float(self.learned.steps),
        }
        for layer, values in self.activations.items():
            found |= {f"{what}/{layer}": value for what, value in values.items()}
        found |= {f"gradient/{k}": v for k, v in self.gradients.items()}
        updates = self.learned.update_to_weight
        found |= {f"update_to_weight/{k}": v for k, v in updates.items()}
        return {f"debug/{name}": value for name, value in found.items()}


def examine(trainer: "Trainer") -> dict[str, float]:
    """Examine a training at its start, and write the report into its folder.

    Returns:
        The report's figures, for the log.

    Raises:
        SandbotError: a gradient is wrong, or one batch cannot be learned by heart.
    """
    rows = trainer.order(0)[:ROWS]
    gathered = trainer.train.gather(rows)
    batch = {k: v.to(trainer.device) for k, v in gathered.items()}
    report = debug(trainer.model, trainer.loss, batch, trainer.config)
    write_json(Path(trainer.folder) / FILE, asdict(report))
    return report.figures()


def debug(
    model: nn.Module, loss: "Loss", batch: Batch, config: "TrainingConfig"
) -> Report:
    """The report on a model and its loss; the model stays as it is.

    Args:
        model: with its initial weights.
        loss: of a batch.
        batch: a few samples.
        config: for the learning rate and the seed.

    Raises:
        SandbotError: a gradient is wrong, or one batch cannot be learned by heart.
    """
    check = check_gradients(model, loss, batch, seed=config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        gradients, activations = look(model, loss, batch, config.seed)
        learned = learn_by_heart(model, loss, batch, config)
    if not learned.enough:
        raise _not_learned(learned, config, check.dead)
    return Report(
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        dead_parameters=check.dead,
        gradient_error=check.worst,
        gradients=gradients,
        activations=activations,
        learned=learned,
    )


def learn_by_heart(
    model: nn.Module,
    loss: "Loss",
    batch: Batch,
    config: "TrainingConfig",
    steps: int = STEPS,
) -> Learned:
    """Train a copy on one batch with the same draws, at the full learning rate.

    Args:
        model: with the weights to begin with.
        loss: of a batch.
        batch: a few samples.
        config: for the learning rate, the clipping of gradients and the seed.
        steps: of the optimiser, at most.
    """
    model = without_dropout(copy.deepcopy(model)).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=config.learning_rate)
    draws = _draws(batch, config.seed)
    value = _mean(model, loss, batch, draws)
    first = last = value.item()
    # Also where a loss is negative, as a logarithm of a density may be.
    wanted = first - (1 - FRACTION) * abs(first)
    before, step = {}, 0
    while step < steps and not last < wanted:
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(weights, config.gradient_clip)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimizer.step()
        value = _mean(model, loss, batch, draws)
        last, step = value.item(), step + 1
    moved, size = {}, {}
    for name, p in model.named_parameters():
        moved[name], size[name] = p.detach() - before[name], before[name]
    lengths, sizes = _by_layer(moved), _by_layer(size)
    ratios = {k: v / max(sizes[k], 1e-12) for k, v in lengths.items()}
    return Learned(
        first=first,
        last=last,
        steps=step,
        enough=last < wanted,
        update_to_weight=ratios,
    )


def look(
    model: nn.Module, loss: "Loss", batch: Batch, seed: int = 0
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Gradients and activations of one batch, layer by layer.

    Returns:
        Length of the gradient of each layer with weights; and what comes out of each
        non-linearity, see :class:`Report`.
    """
    model = without_dropout(copy.deepcopy(model)).train()
    outputs: dict[str, list[Tensor]] = {}
    for name, module in model.named_modules():
        if type(module) in _WATCHED:
            module.register_forward_hook(_keep(outputs.setdefault(name, [])))
    _mean(model, loss, batch, _draws(batch, seed)).backward()
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    kinds = dict(model.named_modules())
    seen = {k: _activity(kinds[k], v) for k, v in outputs.items() if v}
    return _by_layer(gradients), seen


_WATCHED = (nn.ReLU, nn.GELU, nn.Mish, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid)


def _keep(outputs: list[Tensor]) -> Any:
    return lambda module, given, output: outputs.append(output.detach())


def _activity(module: nn.Module, outputs: list[Tensor]) -> dict[str, float]:
    """What a non-linearity gives out; called several times, all calls together."""
    # (rows, units ...): convolutions have their channels second, all else last
    calls = [y.movedim(1, -1) if y.ndim == 4 else y for y in outputs]
    flat = torch.cat([y.reshape(-1, y.shape[-1]) for y in calls]).float()
    found = {"mean": flat.mean().item(), "std": flat.std(correction=0).item()}
    if isinstance(module, nn.ReLU):
        found["dead"] = (flat == 0).all(0).float().mean().item()
    if isinstance(module, nn.Tanh):
        found["saturated"] = (flat.abs() > SATURATED).float().mean().item()
    if isinstance(module, nn.Sigmoid):
        found["saturated"] = ((2 * flat - 1).abs() > SATURATED).float().mean().item()
    return found


def _by_layer(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Length of all that belongs to a layer."""
    sums: dict[str, float] = {}
    for name, value in tensors.items():
        layer = name.rpartition(".")[0] or name
        sums[layer] = sums.get(layer, 0.0) + value.double().square().sum().item()
    return {layer: total**0.5 for layer, total in sums.items()}


def _draws(batch: Batch, seed: int) -> StepDraws:
    first = next(iter(batch.values()))
    return StepDraws(seed, -1, slice(0, len(first)), len(first), first.device)


def _mean(model: nn.Module, loss: "Loss", batch: Batch, draws: StepDraws) -> Tensor:
    terms = loss(model, batch, draws)
    return terms.total.sum() / terms.weight.sum()


def _not_learned(
    learned: Learned, config: "TrainingConfig", dead: tuple[str, ...]
) -> SandbotError:
    cut = f" Its loss does not depend on {', '.join(dead[:5])}." if dead else ""
    return SandbotError(
        f"one batch of {ROWS} samples cannot be learned by heart: in {STEPS} steps the "
        f"loss went from {learned.first:.4g} to {learned.last:.4g}, and has to lose "
        f"{1 - FRACTION:.0%}.{cut} Look whether the outputs depend on the inputs, and "
        f"the targets on what is observed, whether something limits the outputs (a "
        f"tanh, a clip), and whether the learning rate ({config.learning_rate:g}) is "
        f"far too low or too high"
    )
