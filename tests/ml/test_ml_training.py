"""The training loop: learns, stops early, resumes to the bit, and fails clearly."""

import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from ml.metrics_log import read_metrics
from ml.networks import MLP
from ml.samples import Frames
from ml.state_file import load_state, save_state
from ml.step_draws import StepDraws
from ml.training import Trainer, TrainingResult
from ml.training_setup import STATE, TrainingConfig, open_run, reproducible
from tests.processes import start

sys.path.insert(0, str(Path(__file__).parent))
from train_synthetic import CONFIG, loss, samples, train

KILLS = 3


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    """A training that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, train(folder)


def test_it_learns_and_logs_each_step_once(whole: tuple[Path, TrainingResult]) -> None:
    folder, result = whole
    assert result.steps == 1500 and 0 < result.best_step <= 1500
    assert result.validation_loss < 0.25  # a constant prediction has 1.4
    records = read_metrics(folder)
    logged = [r["step"] for r in records if "train_loss" in r]
    assert logged == [*range(40, 1500, 40), 1500]
    validated = {r["step"]: r["validation_loss"] for r in records if len(r) == 2}
    assert list(validated) == list(range(60, 1501, 60))
    assert min(validated.values()) == result.validation_loss
    rates = {r["step"]: r["learning_rate"] for r in records if "train_loss" in r}
    assert rates[40] == pytest.approx(3e-3, rel=1e-2) and rates[1500] < 1e-7


def test_the_best_average_is_kept(tmp_path: Path) -> None:
    """What comes out is the weights that had the validation loss it states."""
    result = train(tmp_path / "run", steps=300)
    model = MLP(4, 2, (32, 32)).eval()
    model.load_state_dict(result.weights)
    held_out = samples(1, 100)
    with torch.no_grad():
        draws = StepDraws(0, -1, slice(0, 100), 100)
        again = loss(model, held_out.gather(torch.arange(100)), draws).total.mean()
    assert again.item() == pytest.approx(result.validation_loss, rel=1e-5)


def test_it_stops_when_nothing_is_gained(tmp_path: Path) -> None:
    few = Frames(*(np.random.default_rng(5).normal(size=(20, n)) for n in (4, 2)))
    result = train(tmp_path / "run", train=few, patience=3)
    assert result.steps < 1500
    assert result.steps == result.best_step + 3 * CONFIG.validate_every
    again = train(tmp_path / "run", train=few, patience=3, resume=True)
    assert again.steps == result.steps and _same(again.weights, result.weights)


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    tmp_path: Path, whole: tuple[Path, TrainingResult]
) -> None:
    elsewhere, expected = whole
    folder = tmp_path / "killed"
    chance = random.Random(0)
    kills, saved = 0, []
    while True:
        process = start(train, folder, resume=folder.exists())
        if kills < KILLS:
            before = _saved_step(folder)
            while process.is_alive() and _saved_step(folder) == before:
                time.sleep(0.005)  # it is at work: now a random moment
            time.sleep(chance.uniform(0, 0.2))
            if process.is_alive():
                process.kill()
                kills += 1
                saved.append(_saved_step(folder))
        process.join()
        if process.exitcode == 0:
            break
    assert kills == KILLS and 0 < saved[0] < saved[-1] < CONFIG.steps
    result = train(folder, resume=True)  # finished: only reads
    assert _same(result.weights, expected.weights)
    assert (result.best_step, result.validation_loss) == (
        expected.best_step,
        expected.validation_loss,
    )
    tensors, _ = load_state(folder / STATE)
    others, _ = load_state(elsewhere / STATE)
    assert _same(tensors, others)  # moments and generator too
    assert read_metrics(folder) == read_metrics(elsewhere)


def _saved_step(folder: Path) -> int:
    """Step of the training state; it is whole at any moment."""
    if not (folder / STATE).is_file():
        return 0
    return load_state(folder / STATE)[1]["step"]


def test_resuming_in_the_same_process_changes_nothing(tmp_path: Path) -> None:
    """Nor does the caller's random generator, or the number of threads around it."""
    whole = train(tmp_path / "whole", steps=300)
    torch.manual_seed(99)
    before = torch.get_rng_state()

    def stop(step: int, _: float) -> None:
        if step == 200:
            raise KeyboardInterrupt

    config = replace(CONFIG, steps=300)
    folder = tmp_path / "run"
    open_run(folder, resume=False)
    with pytest.raises(KeyboardInterrupt), reproducible(config):
        Trainer(
            MLP(4, 2, (32, 32)),
            loss,
            samples(0, 500),
            samples(1, 100),
            folder=folder,
            config=config,
            batch=32,
            identity={"data": "synthetic"},
        ).run(stop)
    assert torch.equal(torch.get_rng_state(), before)
    assert _saved_step(folder) == 140
    assert _same(train(folder, steps=300, resume=True).weights, whole.weights)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    a = train(tmp_path / "a", steps=70)
    b = train(tmp_path / "b", steps=70, seed=1)
    assert not _same(a.weights, b.weights)


def test_a_loss_that_is_not_finite_ends_it(tmp_path: Path) -> None:
    """In one line; the last state stays, and resuming fails at the same place."""
    inputs, targets = (np.zeros((640, n), np.float32) for n in (4, 2))
    targets[-1] = np.nan
    order_hit = None
    for resume in (False, True):
        with pytest.raises(SandbotError, match="broke down at step") as error:
            train(
                tmp_path / "run",
                train=Frames(inputs, targets),
                checkpoint_every=5,
                resume=resume,
            )
        assert "\n" not in str(error.value) and "learning rate" in str(error.value)
        order_hit = order_hit or str(error.value).split(":")[0]
        assert str(error.value).startswith(order_hit)
        tensors, numbers = load_state(tmp_path / "run" / STATE)
        numbers_of = [v for k, v in tensors.items() if not k.startswith("rng")]
        assert all(v.isfinite().all() for v in numbers_of)
        assert numbers["step"] % 5 == 0


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=70)
    content = (tmp_path / "run" / STATE).read_bytes()
    with pytest.raises(UsageError, match="--resume continues"):
        train(tmp_path / "run", steps=70)
    with pytest.raises(UsageError, match="nothing to resume"):
        train(tmp_path / "other", resume=True)
    assert not (tmp_path / "other").exists()
    with pytest.raises(UsageError, match="exclude each other"):
        open_run(tmp_path / "run", resume=True, overwrite=True)
    assert (tmp_path / "run" / STATE).read_bytes() == content
    open_run(tmp_path / "run", resume=False, overwrite=True)
    assert not (tmp_path / "run" / STATE).exists()


def test_overwriting_spares_what_is_no_training(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("words")
    with pytest.raises(UsageError, match="does not look like a training"):
        open_run(precious, resume=False, overwrite=True)
    assert (precious / "chapter.txt").read_text() == "words"


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandbotError, match="cannot write") as error:
        open_run(tmp_path / "file" / "run", resume=False)
    assert "\n" not in str(error.value)


def test_only_the_same_training_is_resumed(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=70)
    with pytest.raises(UsageError, match=r"learning_rate was 0\.003, now 0\.1"):
        train(tmp_path / "run", steps=70, resume=True, learning_rate=0.1)
    with pytest.raises(UsageError, match="data was 'synthetic', now 'other'"):
        train(tmp_path / "run", steps=70, resume=True, identity="other")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: str) -> None:
    train(tmp_path / "run", steps=70)
    path = tmp_path / "run" / STATE
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-100] ^= 1
    path.write_bytes({"cut": content[:-7], "empty": b""}.get(damage, bytes(content)))
    with pytest.raises(SandbotError, match="damaged") as error:
        train(tmp_path / "run", steps=70, resume=True)
    assert "\n" not in str(error.value)


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, {"a": torch.ones(2)}, {"step": 1})
    (tmp_path / "elsewhere").write_text("")
    with pytest.raises(SandbotError, match="cannot write"):
        save_state(tmp_path / "elsewhere" / "s", {"a": torch.zeros(2)}, {"step": 2})
    tensors, numbers = load_state(path)
    assert tensors["a"].tolist() == [1, 1] and numbers == {"step": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", path.name]


def test_a_cut_line_of_the_log_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps({"step": 1, "x": 2.0}) + '\n{"step": 2, "x"')
    assert read_metrics(tmp_path) == [{"step": 1, "x": 2.0}]


def test_tensorboard_has_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path / "run", steps=120, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("train_loss")] == [40, 80, 120]
    assert [e.step for e in events.Scalars("validation_loss")] == [60, 120]


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("learning_rate", -1.0), ("validation_fraction", 1.5), ("seed", -1)],
)
def test_numbers_that_cannot_work_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        replace(TrainingConfig(), **{name: value})
