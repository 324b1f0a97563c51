"""A training by trial and error that was interrupted ends with the same bits."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from assets.errors import SandbotError, UsageError
from ml.metrics_log import read_metrics
from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl import state
from policies.rl.fastsac import FastSAC
from policies.rl.trainer import Trainer
from tests.policies.rl_runs import (
    SMALL,
    assert_same,
    at_step,
    interrupt,
    replay_of,
    run,
    short,  # noqa: F401
)

OFTEN: dict[str, Any] = {"checkpoint_seconds": 1e-9, "log_seconds": 1e9}
"""Saved after each round."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder, log_seconds=1e9)
    return folder


@pytest.mark.parametrize("task", ["arm-reach", "humanoid-walk"])
def test_interrupted_or_not_at_once_or_in_turn(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", task, overlap=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        at_step(patch, 33, interrupt)
        run(tmp_path / "cut", task, overlap=False)
    assert str(stopped.value) == (
        f"training stopped at step 132; the last good training state is in "
        f"{tmp_path / 'cut'}: the same command with --resume goes on from there"
    )
    run(tmp_path / "cut", task, overlap=False, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_killed_and_resumed(whole: Path, tmp_path: Path) -> None:
    """By kill -9, at whatever moment."""
    folder = tmp_path / "run"
    code = f"""
from pathlib import Path
from tests.policies.rl_runs import run, short
patched = short.__wrapped__()
next(patched)
run(Path({str(folder)!r}), **{OFTEN!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 300  # for its start, where others are at work
    while _saved(folder) < 60 and process.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 60 <= _saved(folder) < SMALL["steps"]
    run(folder, resume=True, log_seconds=1e9)
    assert_same(whole, folder)


def _saved(folder: Path) -> int:
    file = folder / STATE
    return 4 * load_state(file)[1]["vector_steps"] if file.is_file() else 0


def test_a_crash_between_a_piece_of_the_replay_and_the_state(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The piece is of later steps than the state: it is made again, and not read."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        _crash_while_saving(patch, 20, after=False)
        run(folder, **OFTEN)
    pieces = folder / state.PIECES
    _, saved = load_state(folder / STATE)
    (stray,) = {path.name for path in pieces.iterdir()} - {*saved["pieces"]}
    # what is in it is another training's, and of more steps than the next piece
    stray = (pieces / stray).rename(pieces / "5-900.safetensors")
    half = pieces / ".19-20.safetensors.7.tmp"
    half.write_bytes(b"half")
    run(folder, resume=True, log_seconds=1e9)
    assert_same(whole, folder)
    assert not stray.exists()
    assert not half.exists()


def test_a_crash_between_the_state_and_the_removal_of_old_pieces(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        _crash_while_saving(patch, 40, after=True)
        run(folder, **OFTEN)
    run(folder, resume=True, log_seconds=1e9)
    assert_same(whole, folder)


def test_a_crash_before_the_first_state(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All there is, is a piece of the replay, which does not count."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        _crash_while_saving(patch, 1, after=False)
        run(folder, seed=1)
    assert [path.name for path in (folder / state.PIECES).iterdir()]
    assert not (folder / STATE).exists()
    run(folder, resume=True, log_seconds=1e9)
    assert_same(whole, folder)


def _crash_while_saving(
    monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    """At that writing of a state: before it, or after it."""
    usual, count = state.save_state, 0

    def crashing(path: Path, *given: Any) -> None:
        nonlocal count
        count += path.name == Path(STATE).name
        there = path.name == Path(STATE).name and count == number
        if there and not after:
            raise OSError("power cut")
        usual(path, *given)
        if there:
            raise OSError("power cut")

    monkeypatch.setattr(state, "save_state", crashing)


def test_interrupted_while_it_is_judged(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation is broken off, and done again."""
    from policies.rl import judge

    folder, tried = tmp_path / "run", judge.try_out

    def interrupted(*given: Any, **choices: Any) -> Any:
        interrupt(given[0])
        return tried(*given, **choices)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(judge, "try_out", interrupted)
        run(folder, log_seconds=1e9)
    assert not read_metrics(folder)
    run(folder, resume=True, log_seconds=1e9)
    assert_same(whole, folder)


def test_interrupted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops inside the round, of which nothing is saved."""
    usual = FastSAC.learn_values

    def impatient(self: FastSAC, *given: Any) -> None:
        usual(self, *given)
        if self.count == 22:
            interrupt(given[0])
            interrupt(given[0])

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        patch.setattr(FastSAC, "learn_values", impatient)
        run(tmp_path / "run", checkpoint_seconds=1e9)
    assert str(stopped.value) == (
        "training stopped at step 96; no training state was saved yet"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ended_training_goes_on_to_more_steps(whole: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=100, log_seconds=1e9)
    run(tmp_path / "run", resume=True, log_seconds=1e9)
    tensors = [load_state(folder / STATE)[0] for folder in (whole, tmp_path / "run")]
    for name, value in tensors[0].items():
        if not name.startswith("best/"):  # it was judged once more
            assert torch.equal(value, tensors[1][name]), name
    judged = [
        [line["step"] for line in read_metrics(folder) if "evaluation/return" in line]
        for folder in (whole, tmp_path / "run")
    ]
    assert judged == [[64, 128, 192, 200], [64, 100, 128, 192, 200]]


def test_large_pieces_are_written_in_parts(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "PIECE_BYTES", 5000)
    run(tmp_path / "run", steps=100, log_seconds=1e9)
    run(tmp_path / "run", resume=True, log_seconds=1e9)
    _, saved = load_state(tmp_path / "run" / STATE)
    assert len(saved["pieces"]) == 3
    for name, value in replay_of(whole).items():
        assert torch.equal(value, replay_of(tmp_path / "run")[name])


def test_an_environment_of_gymnasium_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is the episodes' actions, which are more and more."""
    run(tmp_path / "whole", "Pendulum-v1", evaluate_steps=0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        at_step(patch, 33, interrupt)
        run(tmp_path / "cut", "Pendulum-v1", evaluate_steps=0)
    run(tmp_path / "cut", "Pendulum-v1", evaluate_steps=0, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_without_its_replay_a_training_fills_it_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, whose replay is not saved."""
    begin = Trainer.__init__

    def forgetful(self: Trainer, *given: Any) -> None:
        begin(self, *given)
        self.keeps_replay = False

    monkeypatch.setattr(Trainer, "__init__", forgetful)
    run(tmp_path / "run", steps=100, evaluate_steps=0)
    sizes: list[int] = []
    learn = Trainer._learn

    def spy(self: Trainer) -> None:
        sizes.append(len(self.replay))
        learn(self)

    monkeypatch.setattr(Trainer, "_learn", spy)
    result = run(tmp_path / "run", resume=True, evaluate_steps=0)
    assert sizes[0] == SMALL["warmup"]
    assert result.updates == int(1.5 * (15 + len(sizes)))


def test_another_training_is_not_continued(whole: Path) -> None:
    with pytest.raises(UsageError) as refused:
        run(whole, resume=True, gamma=0.5, hidden=(8,))
    message = str(refused.value)
    assert "config.gamma was 0.97, now 0.5; config.hidden was [16], now [8]" in message
    assert "Resume with the same task and options" in message
    with pytest.raises(UsageError, match="task was 'arm-reach', now 'arm-track'"):
        run(whole, "arm-track", resume=True)
    with pytest.raises(UsageError, match="--resume continues the training in it"):
        run(whole)


def test_a_damaged_piece(whole: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    _, saved = load_state(folder / STATE)
    piece = folder / state.PIECES / saved["pieces"][0]
    content = bytearray(piece.read_bytes())
    content[-5] ^= 1
    piece.write_bytes(content)
    with pytest.raises(SandbotError, match="damaged"):
        run(folder, resume=True, steps=300)
    piece.unlink()
    with pytest.raises(SandbotError, match="cannot be read"):
        run(folder, resume=True, steps=300)


def test_a_state_of_another_network(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    (folder / STATE).parent.mkdir(parents=True)
    tensors, saved = load_state(whole / STATE)
    lacking: dict[str, Tensor] = {
        k: v for k, v in tensors.items() if not k.startswith("nets/actor")
    }
    state.save_state(folder / STATE, lacking, saved)
    with pytest.raises(SandbotError, match="does not fit"):
        run(folder, resume=True)
