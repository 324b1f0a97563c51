"""What is examined before a training finds what is broken, and changes nothing."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from assets.errors import SandbotError
from ml.debugging import FILE, FRACTION, STEPS, debug, learn_by_heart, look
from ml.gradient_check import check_gradients, without_dropout
from ml.metrics_log import read_metrics
from ml.networks import MLP
from ml.samples import Batch, Frames
from ml.state_file import load_state
from ml.step_draws import StepDraws
from ml.training import Terms, Trainer
from ml.training_setup import STATE, open_run, reproducible
from ml.transformer import TransformerConfig, TransformerEncoder

sys.path.insert(0, str(Path(__file__).parent))
from train_synthetic import CONFIG, loss, samples

BATCH = samples(0, 8).gather(torch.arange(8))


class Reversed(torch.autograd.Function):
    """The identity, with a backward that has the wrong sign."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return -gradient


class Network(nn.Module):
    """Two branches that are added; one may have a fault."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.straight, self.bent = MLP(4, 2, (16,)), MLP(4, 2, (16,))
        self.spare = nn.Linear(2, 2) if fault == "unused" else None
        self.constant = nn.Parameter(torch.zeros(2))
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        bent = self.bent(x)
        if self.fault == "sign":
            bent = Reversed.apply(bent)
        if self.fault == "small sign":  # lost among all weights, seen alone
            bent = 1e-5 * Reversed.apply(bent)
        if self.fault == "detached":
            bent = bent.detach()
        if self.fault == "infinite":
            bent = bent * (bent * 0).sqrt()
        y = self.straight(x) + bent + self.constant
        return 0 * y + self.constant if self.fault == "constant" else y


def make(fault: str = "") -> Network:
    torch.manual_seed(0)
    return Network(fault)


def test_right_gradients_agree_to_many_digits() -> None:
    found = check_gradients(make(), loss, BATCH)
    assert found.worst < 1e-6 and found.dead == ()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("sign", r"gradient of bent\.layers\.0\.weight is not that of the loss"),
        ("small sign", r"gradient of bent\.layers\.0\.weight is not that"),
        ("detached", r"bent\.layers\..*learns nothing: look for a detach\(\)"),
        ("infinite", r"gradients are not finite in .*bent"),
    ],
)
def test_wrong_gradients_are_found(fault: str, message: str) -> None:
    with pytest.raises(SandbotError, match=message):
        check_gradients(make(fault), loss, BATCH)


def test_a_part_that_is_not_used_is_named() -> None:
    found = check_gradients(make("unused"), loss, BATCH)
    assert found.dead == ("spare.weight", "spare.bias")


def test_absolute_errors_and_relus_pass_in_spite_of_their_kinks() -> None:
    """Also a transformer with dropout, which is off meanwhile; the copy alone."""
    torch.manual_seed(0)
    shape = TransformerConfig(width=8, heads=2, layers=1, feedforward=16, dropout=0.3)
    net = nn.Sequential(nn.Linear(4, 8), TransformerEncoder(shape), nn.Linear(8, 2))

    def absolute(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
        error = (model(batch["inputs"]) - batch["targets"]).abs().mean((1, 2))
        return Terms(error, torch.ones_like(error))

    batch = {k: v.expand(8, *v.shape).clone() for k, v in BATCH.items()}
    assert check_gradients(net, absolute, batch).worst < 1e-4
    dropouts = [m for m in net.modules() if isinstance(m, nn.Dropout)]
    assert dropouts and all(m.p == 0.3 for m in dropouts)
    calm = without_dropout(net)
    x = torch.randn(3, 5, 4)
    assert torch.equal(calm.train()(x), calm(x))


def test_pictures_are_made_double_on_the_way() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 2))

    def seen(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
        error = (model(batch["picture"].float() / 255) - draws.normal("y", 2)).square()
        return Terms(error.sum(1), torch.ones(len(error)))

    drawn = torch.randint(0, 255, (4, 3, 8, 8), dtype=torch.uint8)
    assert check_gradients(net, seen, {"picture": drawn}).worst < 1e-6


def test_one_batch_is_learned_by_heart() -> None:
    learned = learn_by_heart(make(), loss, BATCH, CONFIG)
    assert learned.enough and 0 < learned.steps < STEPS
    assert learned.last < FRACTION * learned.first
    ratios = learned.update_to_weight
    assert set(ratios) >= {"straight.layers.0", "bent.layers.2"}
    assert 1e-5 < ratios["straight.layers.0"] < 0.1


def test_a_constant_output_cannot_learn() -> None:
    with pytest.raises(SandbotError, match="cannot be learned by heart") as error:
        debug(make("constant"), loss, BATCH, CONFIG)
    assert "straight.layers.0.weight" in str(error.value)  # without influence
    assert "outputs depend on the inputs" in str(error.value)


def test_a_learning_rate_far_too_low_or_high_is_found() -> None:
    for rate in (1e-7, 100.0):
        with pytest.raises(SandbotError, match=r"learning rate \(.* too low or too hi"):
            debug(make(), loss, BATCH, replace(CONFIG, learning_rate=rate))


def test_a_loss_below_zero_can_be_learned() -> None:
    """As a density's logarithm: what counts is how far it falls."""

    def likely(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
        terms = loss(model, batch, draws)
        return Terms(terms.total - 5, terms.weight)

    learned = learn_by_heart(make(), likely, BATCH, CONFIG, steps=100)
    assert learned.first < 0 and learned.last < learned.first and not learned.enough


def test_gradients_and_activations_are_those_of_the_batch() -> None:
    """By hand: one unit never works, one always, one output in two is saturated."""
    first, second = nn.Linear(1, 2), nn.Linear(2, 2)
    net = nn.Sequential(first, nn.ReLU(), second, nn.Tanh())
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        first.bias.zero_()
        second.weight.copy_(torch.tensor([[9.0, 0.0], [0.1, 0.0]]))
        second.bias.zero_()

    def total(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
        y = model(batch["x"]).sum(1)
        return Terms(y, torch.ones_like(y))

    gradients, seen = look(net, total, {"x": torch.tensor([[1.0], [2.0]])})
    assert seen["1"]["dead"] == 0.5 and seen["1"]["mean"] == 0.75
    assert seen["3"]["saturated"] == 0.5
    through = np.array([[1 - np.tanh(s * x) ** 2 for s in (9, 0.1)] for x in (1, 2)])
    by_weight = (through * np.array([[1], [2]])).mean(0)  # of the unit that works
    expected = np.sqrt((by_weight**2).sum() + (through.mean(0) ** 2).sum())
    assert gradients["2"] == pytest.approx(expected, rel=1e-5)


def _run(folder: Path, debugged: bool, model: nn.Module | None = None):
    config = replace(CONFIG, steps=120, debug=debugged)
    open_run(folder, resume=False)
    with reproducible(config):
        made = MLP(4, 2, (32, 32)) if model is None else model
        trainer = Trainer(
            made,
            loss,
            samples(0, 500),
            samples(1, 100),
            folder=folder,
            config=config,
            batch=config.batch_size,
            identity={},
        )
        return trainer.run()


def test_a_training_has_the_same_bits_with_and_without(tmp_path: Path) -> None:
    for debugged in (False, True):
        _run(tmp_path / str(debugged), debugged)
    (plain, _), (examined, _) = (
        load_state(tmp_path / str(debugged) / STATE) for debugged in (False, True)
    )
    assert plain.keys() == examined.keys()
    assert all(torch.equal(plain[k], examined[k]) for k in plain)
    report = json.loads((tmp_path / "True" / FILE).read_text())
    assert report["parameters"] == 4 * 32 + 32 + 32 * 32 + 32 + 32 * 2 + 2
    assert report["learned"]["last"] < FRACTION * report["learned"]["first"]
    first, *others = read_metrics(tmp_path / "True")
    assert first["step"] == 0 and first["debug/gradient_error"] < 1e-4
    assert first["debug/gradient/layers.0"] > 0
    assert others == read_metrics(tmp_path / "False")


def test_a_broken_training_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(SandbotError, match="not that of the loss"):
        _run(tmp_path / "run", True, make("sign"))
    assert not (tmp_path / "run" / STATE).exists()
    assert read_metrics(tmp_path / "run") == []


def test_targets_without_a_cause_are_told_from_a_small_batch() -> None:
    """Two equal inputs with opposite targets: nothing could learn that."""
    inputs = np.zeros((8, 4), np.float32)
    targets = np.tile([[1.0, -1.0], [-1.0, 1.0]], (4, 1)).astype(np.float32)

    def quiet(model: nn.Module, batch: Batch, draws: StepDraws) -> Terms:
        error = (model(batch["inputs"]) - batch["targets"]).square().mean(-1)
        return Terms(error, torch.ones_like(error))

    batch = Frames(inputs, targets).gather(torch.arange(8))
    with pytest.raises(SandbotError, match="the targets on what is observed"):
        debug(make(), quiet, batch, CONFIG)
