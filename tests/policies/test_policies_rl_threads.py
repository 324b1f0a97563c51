"""How many threads are used, and what Ctrl-C does and does not."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ml.checkpoint import read_config
from ml.metrics_log import read_metrics
from policies.rl import trainer
from policies.rl.interrupts import Interrupts
from policies.rl.threads import ROUNDS, choose_threads, neighbour
from tests.policies.rl_runs import assert_same, at_step, interrupt, run, short  # noqa: F401


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Leave torch as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Work:
    """Takes so long with one thread, and with two, by a clock of its own."""

    def __init__(self, one: float, *two: float) -> None:
        self.now, self.costs, self.calls = 0.0, {1: [one], 2: list(two)}, [0, 0]

    def __call__(self) -> None:
        count = torch.get_num_threads()
        self.calls[count - 1] += 1
        costs = self.costs[count]
        self.now += costs.pop(0) if len(costs) > 1 else costs[0]

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("work", "best"),
    [
        (Work(0.01, 0.005), 2),
        (Work(0.01, 0.008), 1),  # not worth a core
        (Work(0.01, 0.15), 1),  # as where another process holds the second core
        (Work(3.0, 1.0), 2),  # one call is longer than the time to measure
    ],
)
def test_the_faster_number_of_threads(work: Work, best: int) -> None:
    assert choose_threads(work, 0.2, work.clock) == best
    assert torch.get_num_threads() == best


def test_two_that_lose_once_are_not_tried_again() -> None:
    work = Work(0.01, 0.15)
    choose_threads(work, 0.2, work.clock)
    assert work.calls[1] == 3  # once to warm up, and 0.3 s
    steady = Work(0.125, 0.0625)
    choose_threads(steady, 0.25, steady.clock)
    assert steady.calls == [ROUNDS * 3, ROUNDS * 5]


def test_a_neighbour_who_comes_later_counts() -> None:
    fast, slow = [0.05] * 5, [0.5] * 100
    work = Work(0.1, *fast, *slow)
    assert choose_threads(work, 0.2, work.clock) == 1


def test_a_neighbour_works_while_we_do_and_no_longer() -> None:
    """As much of the processor as it gets, with Python's lock left to us."""
    with neighbour():
        (thread,) = (t for t in threading.enumerate() if t.name == "neighbour")
        before = time.process_time()
        deadline = time.monotonic() + 30
        while time.process_time() - before < 0.1:  # ours while asleep is none
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not thread.is_alive()


@pytest.mark.parametrize("overlap", [False, True])
def test_it_is_measured_beside_a_neighbour_where_worlds_will_be_one(
    overlap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[set[str]] = []

    def measured(_: object) -> int:
        names.append({thread.name for thread in threading.enumerate()})
        return 1

    monkeypatch.setattr(trainer, "choose_threads", measured)
    run(tmp_path / "run", threads=0, overlap=overlap, steps=60, evaluate_steps=0)
    (found,) = names
    assert ("neighbour" in found) == overlap


def test_measuring_changes_nothing_and_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(work: object) -> int:
        assert callable(work)
        for _ in range(5):
            work()
        return 2

    torch.set_num_threads(1)
    said: list[int] = []  # and not done: two are slow where others are at work
    monkeypatch.setattr(torch, "set_num_threads", said.append)
    monkeypatch.setattr(trainer, "choose_threads", measured)
    run(tmp_path / "told", threads=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        at_step(patch, 33, interrupt)
        run(tmp_path / "found", threads=0)
    monkeypatch.setattr(trainer, "choose_threads", None)  # not measured again
    said.clear()
    run(tmp_path / "found", threads=0, resume=True)
    assert 2 in said
    assert_same(tmp_path / "told", tmp_path / "found")
    lines = [line for line in read_metrics(tmp_path / "found") if "threads" in line]
    assert lines[-1]["threads"] == 2
    assert read_config(tmp_path / "found")["threads"] == 2


def test_the_real_thing_is_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured for real, in short: one or two come out, and training goes on."""
    monkeypatch.setattr(
        trainer, "choose_threads", lambda work: choose_threads(work, 0.01)
    )
    run(tmp_path / "run", threads=0, steps=60, evaluate_steps=0)
    assert read_config(tmp_path / "run")["threads"] in (1, 2)


def _ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_and_the_second_does_not() -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        _ctrl_c()
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            _ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_counts_at_once_where_nothing_is_lost() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            _ctrl_c()
        assert not interrupts.asked
        _ctrl_c()
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            raise AssertionError("it was asked to stop before")


def test_a_process_that_ignores_ctrl_c_still_does() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            _ctrl_c()
            assert not interrupts.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_than_the_first_hear_nothing() -> None:
    found: list[bool] = []

    def work() -> None:
        with Interrupts() as interrupts:
            found.append(interrupts.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
