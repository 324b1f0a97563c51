"""Two processes train as one does; killed, they go on to the same bits."""

import signal
import sys
from pathlib import Path

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from assets.errors import SandbotError, UsageError
from ml.metrics_log import read_metrics
from ml.parallel import Parallel
from ml.state_file import load_state
from ml.step_draws import StepDraws
from ml.training_setup import STATE, reproducible
from tests.processes import together

sys.path.insert(0, str(Path(__file__).parent))
from train_parallel import CONFIG, JOBS, Network, loss, make, samples, train, train_all


def run(root: Path, *jobs: str, kill: tuple[int, int] = (-1, 0)) -> list[int]:
    """Two processes on these jobs, one after the other; their exit codes."""
    return together(2, train_all, root, jobs, kill)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All jobs, by two processes; of the last one is killed."""
    root = tmp_path_factory.mktemp("two")
    jobs = [job for job in JOBS if job != "recomputed"]
    assert jobs[-1] == "killed"
    assert run(root, *jobs, kill=(1, 37))[1] == -signal.SIGKILL
    return root


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All jobs, by this process."""
    root = tmp_path_factory.mktemp("one")
    for job in JOBS:
        if job not in ("long", "killed"):
            train(job, root)
    return root


def figures(folder: Path, name: str) -> list[float]:
    """One figure of each step."""
    return [r[name] for r in read_metrics(folder) if name in r]


def apart(a: list[float], b: list[float]) -> float:
    """Largest relative difference."""
    return max(abs(x - y) / abs(y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("job", ["plain", "accumulated", "more parts than samples"])
@pytest.mark.parametrize("name", ["train_loss", "gradient_norm", "first"])
def test_the_loss_of_each_step_is_that_of_one_process(
    one: Path, two: Path, job: str, name: str
) -> None:
    """Also in parts, and what the log says a loss is made of."""
    whole = figures(one / "plain", name)
    assert len(whole) == CONFIG.steps
    assert apart(figures(two / job, name), whole) < 1e-5
    assert apart(figures(one / job, name), whole) < 1e-5


def test_the_comparison_can_fail(one: Path, tmp_path: Path) -> None:
    """One sample fewer in a batch, or other draws, and the losses are others."""
    whole = figures(one / "plain", "train_loss")
    first, last = figures(one / "plain", "validation_loss")
    assert last < first  # it learns
    for changes in ({"seed": 1}, {"batch_size": 9}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(JOBS, "plain", {**changes, "steps": 10, "warmup_steps": 5})
            folder = tmp_path / next(iter(changes))
            train("plain", folder)
        other = figures(folder / "plain", "train_loss")
        assert apart(other, whole[:10]) > 1e-2


def test_half_precision_is_near(one: Path, two: Path) -> None:
    """bf16 has 8 bits: it follows, and is not the same."""
    whole = figures(one / "plain", "train_loss")
    for root in (one, two):
        half = figures(root / "half", "train_loss")
        assert 1e-6 < apart(half, whole) < 0.05


def test_two_processes_that_were_killed_end_with_the_same_bits(two: Path) -> None:
    """Dropout too: each process's generator is in the training state."""
    state = two / "killed" / STATE
    assert load_state(state)[1]["step"] == 30
    with pytest.raises(UsageError, match="saved by 2 processes, and there are 1 now"):
        train("killed", two)
    assert run(two, "killed") == [0, 0]
    (first, _), (second, _) = load_state(state), load_state(two / "long" / STATE)
    assert first.keys() == second.keys()
    assert not torch.equal(first["rng/0"], first["rng/1"])
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert read_metrics(two / "killed") == read_metrics(two / "long")


def _gradients(recompute: bool) -> tuple[list[torch.Tensor], int]:
    """Of one batch, with dropout; and the bytes kept for the way back."""
    torch.manual_seed(0)
    net = Network(recompute, 0.1).train()
    batch = samples(0, 30).gather(torch.arange(32))
    kept = 0

    def keep(x: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += x.numel() * x.element_size()
        return x

    with saved_tensors_hooks(keep, lambda x: x):
        terms = loss(net, batch, StepDraws(0, 0, slice(0, 32), 32))
        total = terms.total.sum()
    held = kept  # afterwards layers are computed again, one at a time
    total.backward()
    return [p.grad.clone() for p in net.parameters() if p.grad is not None], held


def test_layers_that_are_computed_again_give_the_same_gradients(one: Path) -> None:
    """To the bit, dropout included, and much less is kept."""
    (kept, much), (again, little) = _gradients(False), _gradients(True)
    assert len(kept) == len(again) > 20
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    assert little < much / 4
    for name in ("train_loss", "gradient_norm"):
        plain = figures(one / "plain", name)
        assert figures(one / "recomputed", name) == plain


@pytest.mark.parametrize(("total", "parts"), [(10, 3), (1, 4), (64, 1)])
def test_each_row_is_in_one_part_of_one_process(total: int, parts: int) -> None:
    rows = []
    for rank in range(3):
        parallel = Parallel.__new__(Parallel)
        parallel.rank, parallel.size = rank, 3
        shares = parallel.share(total, parts)
        assert len(shares) == parts
        rows += [row for part in shares for row in range(total)[part]]
    assert rows == list(range(total))


def test_precisions_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="fp16 needs a GPU; on the CPU take bf16"):
        Parallel("cpu", "fp16")


def test_an_error_of_the_main_process_is_raised() -> None:
    def fail() -> None:
        raise SandbotError("full disk")

    with pytest.raises(SandbotError, match="full disk"):
        Parallel("cpu", "no").once(fail)


def test_a_trainer_joins_by_itself(tmp_path: Path) -> None:
    with reproducible(CONFIG):
        trainer = make("plain", tmp_path)
    assert trainer.parallel.size == 1 and trainer.parallel.main
