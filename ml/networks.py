"""The small networks: a multi-layer perceptron, and an LSTM or GRU for history.

All map (rows, inputs) and a memory (rows, ...) to (rows, outputs) and the next memory,
so that a policy need not know which one it holds; the perceptron's memory has no
elements. The LSTM is that of Hochreiter and Schmidhuber (1997) with the forget gate of
Gers et al. (2000), whose bias starts at 1 (Jozefowicz et al. 2015): remember at first.
So does the GRU's update gate (Cho et al. 2014). Whole batches of sequences of different
lengths are :mod:`ml.recurrent`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with GELU between them."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int]) -> None:
        """Build the layers.

        Args:
            inputs: elements of an input row.
            outputs: elements of an output row.
            hidden: width of each hidden layer.
        """
        super().__init__()
        sizes = [inputs, *hidden, outputs]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.GELU(approximate="tanh")]
        self.layers = nn.Sequential(*layers[:-1])

    def memory(self, rows: int) -> Tensor:
        """(rows, 0): it has none."""
        return torch.zeros(rows, 0)

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One time step: (rows, inputs), memory -> (rows, outputs), memory."""
        return self.layers(x), memory

    def forward(self, x: Tensor) -> Tensor:
        """Any leading dimensions: (..., inputs) -> (..., outputs)."""
        return self.layers(x)


class Recurrent(nn.Module, ABC):
    """Stacked recurrent layers of one width, and a linear read-out.

    Beside its input the first layer sees how much that changed since the last step,
    brought to unit size. At 100 Hz an input moves by a hundredth of its range in a
    step; an LSTM can learn to amplify such differences into velocities, but hardly does
    (``benchmarks/bc.py`` has the figures of both).
    """

    gain: Tensor
    states: ClassVar[int]
    """Vectors that a layer remembers."""

    def __init__(
        self, inputs: int, outputs: int, hidden: Sequence[int], changes: bool = True
    ) -> None:
        """Build the layers.

        Args:
            inputs: elements of an input row.
            outputs: elements of an output row.
            hidden: width of each layer, all equal.
            changes: whether to show it the changes of its inputs.
        """
        super().__init__()
        self.inputs, self.width, self.depth = inputs, hidden[0], len(hidden)
        self.changes = changes
        self._build(2 * inputs if changes else inputs)
        self.readout = nn.Linear(self.width, outputs)
        self.register_buffer("gain", torch.full((inputs,), torch.nan))

    @abstractmethod
    def _build(self, seen: int) -> None:
        """Make the recurrent layers, of rows (..., seen)."""

    @abstractmethod
    def _run(self, seen: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sequences (rows, time, seen) and a state (states, depth, rows, width), None
        for zeros -> (rows, time, width) and the next state."""

    def fit_changes(self, changes: Tensor) -> None:
        """Take the size of the changes from data, (n, inputs); NaN before."""
        self.gain.copy_(unit_gain(changes))

    def memory(self, rows: int) -> Tensor:
        """Zeros (rows, n): whether there was a last input, that input, the layers'."""
        return torch.zeros(rows, 1 + self.inputs + self._size)

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One time step: (rows, inputs), memory -> (rows, outputs), memory."""
        begun, last, state = memory.split([1, self.inputs, self._size], dim=1)
        seen = self._seen(x, begun * (x - last))
        # (rows, states * depth * width) -> (states, depth, rows, width)
        state = state.reshape(-1, self.states, self.depth, self.width)
        y, state = self._run(seen[:, None], state.permute(1, 2, 0, 3))
        state = state.permute(2, 0, 1, 3).flatten(1)
        return self.readout(y[:, 0]), torch.cat(
            (torch.ones_like(begun), x, state), dim=1
        )

    def forward(self, x: Tensor) -> Tensor:
        """Whole sequences from an empty memory: (rows, time, ...), out and in."""
        change = torch.diff(x, dim=1, prepend=x[:, :1])
        return self.readout(self._run(self._seen(x, change), None)[0])

    @property
    def _size(self) -> int:
        return self.states * self.depth * self.width

    def _seen(self, x: Tensor, change: Tensor) -> Tensor:
        return torch.cat((x, change * self.gain), dim=-1) if self.changes else x


class LSTM(Recurrent):
    """Hochreiter and Schmidhuber (1997), with forget gates."""

    states = 2

    def _build(self, seen: int) -> None:
        self.lstm = nn.LSTM(seen, self.width, self.depth, batch_first=True)
        # Gates are stacked as input, forget, cell, output.
        remember(self.lstm, self.width)

    def _run(self, seen: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        given = (
            None if state is None else (state[0].contiguous(), state[1].contiguous())
        )
        y, after = self.lstm(seen, given)
        return y, torch.stack(after)


class GRU(Recurrent):
    """Cho et al. (2014): two gates and one state for the LSTM's three and two."""

    states = 1

    def _build(self, seen: int) -> None:
        self.gru = nn.GRU(seen, self.width, self.depth, batch_first=True)
        # Gates are stacked as reset, update, new; an update gate of 1 keeps the state.
        remember(self.gru, self.width)

    def _run(self, seen: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        y, after = self.gru(seen, None if state is None else state[0].contiguous())
        return y, after[None]


def remember(layers: nn.LSTM | nn.GRU, width: int) -> None:
    """Set the bias of the second gate, the one that keeps the state, to 1."""
    for name, bias in layers.named_parameters():
        if name.startswith("bias_hh"):
            bias.data[width : 2 * width].fill_(1.0)


def unit_gain(changes: Tensor) -> Tensor:
    """(n, size) -> (size,): what brings each column to unit size; 0 where it is 0."""
    size = changes.std(0)
    return torch.where(size > 0, 1 / size, 0.0)
