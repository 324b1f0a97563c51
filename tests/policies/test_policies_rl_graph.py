"""Recording updates: what happens when, on any machine, and the numbers on a GPU."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from policies.rl import graph
from policies.rl.fastsac import FastSAC, FastSACConfig
from policies.rl.graph import WARM_UP, Updates, put
from policies.rl.replay import Batch
from policies.rl.worlds import Sizes

SIZES = Sizes(actor=3, critic=5, action=2)


def learner(device: str, **changes: Any) -> FastSAC:
    torch.manual_seed(0)
    options: dict[str, Any] = {"hidden": (8,), "critic_hidden": (8,), "atoms": 11}
    options |= {"actor_every": 3, **changes}
    config = FastSACConfig(**options)
    return FastSAC(SIZES, config, torch.device(device))


def batches(count: int, device: str) -> list[Batch]:
    draws = torch.Generator().manual_seed(1)
    shapes = {"obs": (16, 5), "action": (16, 2), "reward": (16,), "next_obs": (16, 5)}
    made = []
    for _ in range(count):
        rows = {k: torch.randn(*v, generator=draws) for k, v in shapes.items()}
        rows["discount"] = torch.rand(16, generator=draws)
        made.append(Batch(**{k: v.to(device) for k, v in rows.items()}))
    return made


class FakeGraph:
    """Does an update again from the memory that it was recorded with."""

    def __init__(self, sac: FastSAC) -> None:
        self.sac, self.replays = sac, 0
        self.batch: Batch | None = None

    def replay(self) -> None:
        self.replays += 1
        assert self.batch is not None
        self.sac.update(self.batch)
        self.sac.count -= 1  # which the update itself counts, and a graph does not


class Recorder:
    """In the place of CUDA: takes down an update between begin and end, undone."""

    def __init__(self, sac: FastSAC, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sac = sac
        self.graphs: list[FakeGraph] = []
        self.recording: FakeGraph | None = None
        self.error: Exception | None = None
        usual = sac.update

        def update(batch: Batch) -> None:
            if self.recording is None:
                usual(batch)
                return
            sac.count += 1
            if self.error is not None:
                raise self.error
            self.recording.batch = batch

        monkeypatch.setattr(sac, "update", update)
        monkeypatch.setattr(graph, "new_graph", self.new)
        monkeypatch.setattr(torch.cuda, "graph", self.record)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)

    def new(self, generator: torch.Generator) -> FakeGraph:
        assert generator is self.sac.generator
        self.graphs.append(FakeGraph(self.sac))
        return self.graphs[-1]

    @contextlib.contextmanager
    def record(self, made: FakeGraph) -> Iterator[None]:
        self.recording = made
        try:
            yield
        finally:
            self.recording = None


def recording(sac: FastSAC) -> Updates:
    updates = Updates(sac, sac.config)
    updates._records = True  # as on a GPU
    return updates


def assert_equal(one: FastSAC, two: FastSAC, rtol: float = 0, atol: float = 0) -> None:
    assert one.count == two.count
    for name, value in one.nets.state_dict().items():
        torch.testing.assert_close(
            value, two.nets.state_dict()[name], rtol=rtol, atol=atol
        )


def test_each_kind_is_recorded_once_and_replayed_with_new_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, sac = learner("cpu"), learner("cpu")
    recorder = Recorder(sac, monkeypatch)
    updates = recording(sac)
    for batch in batches(20, "cpu"):
        plain.update(batch)
        updates(batch)
    assert_equal(plain, sac)
    assert sac.count == 20
    # of 20 updates 6 are with the actor
    assert [made.replays for made in recorder.graphs] == [14 - WARM_UP, 6 - WARM_UP]
    assert recorder.graphs[0].batch is recorder.graphs[1].batch


def test_where_recording_fails_updates_go_on_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, sac = learner("cpu"), learner("cpu")
    recorder = Recorder(sac, monkeypatch)
    recorder.error = RuntimeError("operation not permitted when stream is capturing\n.")
    updates = recording(sac)
    with caplog.at_level(logging.WARNING):
        for batch in batches(12, "cpu"):
            plain.update(batch)
            updates(batch)
    assert_equal(plain, sac)
    assert len(recorder.graphs) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "updates are not recorded as a graph, and go on slower: operation not "
        "permitted when stream is capturing ."
    )


def test_on_the_cpu_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    sac = learner("cpu")
    recorder = Recorder(sac, monkeypatch)
    updates = Updates(sac, sac.config)
    for batch in batches(12, "cpu"):
        updates(batch)
    assert sac.count == 12
    assert not recorder.graphs


@pytest.mark.parametrize("changes", [{"graph": False}, {}])
def test_who_is_recorded_on_a_gpu(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sac = learner("cpu", **changes)
    sac.device = torch.device("cuda")
    assert Updates(sac, sac.config)._records == (not changes)
    monkeypatch.setattr(FastSAC, "recordable", False)
    assert not Updates(sac, sac.config)._records


def test_a_batch_stays_where_it_was_put() -> None:
    first, second = batches(2, "cpu")
    there = put(first, None)
    places = [value.data_ptr() for value in there.tensors()]
    assert put(second, there) is there
    assert [value.data_ptr() for value in there.tensors()] == places
    for one, two in zip(there.tensors(), second.tensors(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.obs, second.obs)  # which was copied, not written to


def test_compiling_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, sac, asked = learner("cpu"), learner("cpu", compile=True), []

    def compiled(function: Any) -> Any:
        asked.append(function.__name__)
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    updates = Updates(sac, sac.config)
    assert asked == ["learn_values", "learn_actions"]
    for batch in batches(3, "cpu"):
        plain.update(batch)
        updates(batch)
    assert_equal(plain, sac)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_recorded_updates_are_those_of_a_gpu(precision: str) -> None:
    plain, sac = (learner("cuda", precision=precision) for _ in range(2))
    updates = Updates(sac, sac.config)
    for batch in batches(40, "cuda"):
        plain.update(batch)
        updates(batch)
        assert torch.equal(plain.generator.get_state(), sac.generator.get_state())
    assert set(updates._graphs) == {True, False}
    assert_equal(plain, sac, rtol=1e-3, atol=1e-4)
