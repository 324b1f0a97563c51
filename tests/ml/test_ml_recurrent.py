"""Recurrent networks: padded sequences as if each were alone; a GRU with a memory."""

from typing import Literal

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from assets.errors import UsageError
from ml.networks import GRU, LSTM
from ml.recurrent import SequenceNet
from ml.tiles import run_tiled

Kind = Literal["lstm", "gru"]
LENGTHS = [3, 9, 1, 9, 6]


def net_of(kind: Kind, both: bool = False) -> SequenceNet:
    torch.manual_seed(0)
    return SequenceNet(4, 8, kind=kind, layers=2, bidirectional=both).eval()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("begun", [False, True])
def test_each_sequence_comes_out_as_if_alone(
    kind: Kind, both: bool, begun: bool
) -> None:
    net = net_of(kind, both)
    sequences = [torch.randn(n, 4) for n in LENGTHS]
    x = pad_sequence(sequences, batch_first=True, padding_value=1e3)
    shape = (net.states, 2 * net.directions, len(LENGTHS), 8)
    state = torch.randn(shape) if begun else None
    outputs, after = net(x, torch.tensor(LENGTHS), state)
    assert outputs.shape == (5, 9, 8 * net.directions) and after.shape == shape
    for i, sequence in enumerate(sequences):
        own = None if state is None else state[:, :, i]  # unbatched
        if kind == "lstm":
            given = None if own is None else (own[0], own[1])
            expected, end = net.core(sequence, given)
            end = torch.stack(end)
        else:
            expected, end = net.core(sequence, None if own is None else own[0])
            end = end[None]
        torch.testing.assert_close(outputs[i, : len(sequence)], expected)
        assert (outputs[i, len(sequence) :] == 0).all()
        torch.testing.assert_close(after[:, :, i], end)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_going_on_is_the_whole(kind: Kind) -> None:
    net = net_of(kind)
    x = torch.randn(3, 10, 4)
    whole, end = net(x, torch.tensor([10, 10, 10]))
    first, state = net(x[:, :6], torch.tensor([6, 6, 6]))
    second, after = net(x[:, 6:], torch.tensor([4, 4, 4]), state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole)
    torch.testing.assert_close(after, end)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_summary_is_the_last_output_of_each_direction(kind: Kind) -> None:
    net = net_of(kind, both=True)
    lengths = torch.tensor(LENGTHS)
    outputs, state = net(torch.randn(5, 9, 4), lengths)
    summary = net.summary(state)
    forward = outputs[torch.arange(5), lengths - 1, :8]
    torch.testing.assert_close(summary, torch.cat((forward, outputs[:, 0, 8:]), -1))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_padding_gets_no_gradient(kind: Kind) -> None:
    x = torch.randn(5, 9, 4, requires_grad=True)
    outputs, _ = net_of(kind)(x, torch.tensor(LENGTHS))
    outputs.square().sum().backward()
    assert x.grad is not None
    used = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    assert (x.grad[~used] == 0).all() and (x.grad[used].abs().sum(-1) > 0).all()


def test_it_learns_what_came_first() -> None:
    """The sign of the first element, asked at the end of up to 20 steps of noise."""
    torch.manual_seed(0)
    net, readout = SequenceNet(1, 16, kind="gru"), nn.Linear(16, 1)
    both = [*net.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(both, lr=1e-2)
    for step in range(201):
        x, lengths = torch.randn(128, 20, 1), torch.randint(1, 21, (128,))
        logit = readout(net.summary(net(x, lengths)[1]))[:, 0]
        first = (x[:, 0, 0] > 0).float()
        if step < 200:
            loss = nn.functional.binary_cross_entropy_with_logits(logit, first)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            assert ((logit > 0) == (first > 0)).float().mean() > 0.9


def test_recurrent_nets_refuse() -> None:
    with pytest.raises(UsageError, match="Did you mean 'gru'"):
        SequenceNet(4, 8, kind="grue")  # type: ignore[arg-type]
    net = net_of("lstm")
    for lengths in ([0, 2], [1, 4], [2]):
        with pytest.raises(UsageError, match="each of 2 sequences is from 1 to 3 long"):
            net(torch.zeros(2, 3, 4), torch.tensor(lengths))


@pytest.mark.parametrize("changes", [True, False])
def test_gru_steps_are_its_sequence(changes: bool) -> None:
    torch.manual_seed(0)
    net = GRU(3, 2, (16, 16), changes).eval()
    x = torch.randn(5, 12, 3)
    net.fit_changes(torch.diff(x, dim=1).flatten(0, 1))
    memory = net.memory(5)
    assert memory.shape == (5, 1 + 3 + 2 * 16)
    with torch.no_grad():
        whole = net(x)
        for t in range(12):
            y, memory = net.step(x[:, t], memory)
            torch.testing.assert_close(y, whole[:, t], atol=1e-6, rtol=1e-5)


def test_gru_sees_changes_and_its_gates_remember() -> None:
    torch.manual_seed(0)
    net = GRU(3, 2, (16, 16))
    x = torch.randn(5, 12, 3)
    net.fit_changes(torch.diff(x, dim=1).flatten(0, 1))
    change = torch.diff(x, dim=1, prepend=x[:, :1])
    change = change / torch.diff(x, dim=1).flatten(0, 1).std(0)
    expected, _ = net.gru(torch.cat((x, change), -1))
    torch.testing.assert_close(net(x), net.readout(expected))
    for core in (net.gru, LSTM(3, 2, (16, 16)).lstm, net_of("gru").core):
        for name, bias in core.named_parameters():
            if name.startswith("bias_hh"):
                width = core.hidden_size
                assert (bias[width : 2 * width] == 1).all()
                assert (bias[:width].abs() <= width**-0.5).all()


def test_the_bits_of_a_gru_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    net = GRU(10, 2, (96, 96)).eval()
    net.fit_changes(torch.randn(100, 10))
    x = torch.randn(200, 10)
    memory = torch.randn_like(net.memory(200))
    whole = run_tiled(net.step, x, memory)
    for start, stop in ((0, 1), (13, 90), (97, 200)):
        part = run_tiled(net.step, x[start:stop], memory[start:stop])
        for a, b in zip(part, whole, strict=True):
            assert torch.equal(a, b[start:stop])
