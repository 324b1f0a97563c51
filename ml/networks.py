"""The small networks: a multi-layer perceptron, and an LSTM for history.

Both map (rows, inputs) and a memory (rows, ...) to (rows, outputs) and the next memory,
so that a policy need not know which one it holds; the perceptron's memory has no
elements. The LSTM is that of Hochreiter and Schmidhuber (1997) with the forget gate of
Gers et al. (2000), whose bias starts at 1 (Jozefowicz et al. 2015): remember at first.
"""

from collections.abc import Sequence
from itertools import pairwise

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


class LSTM(nn.Module):
    """Stacked LSTM layers of one width, and a linear read-out."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int]) -> None:
        """Build the layers; arguments as for :class:`MLP`, all widths equal."""
        super().__init__()
        self.width, self.depth = hidden[0], len(hidden)
        self.lstm = nn.LSTM(inputs, self.width, self.depth, batch_first=True)
        self.readout = nn.Linear(self.width, outputs)
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                # Gates are stacked as input, forget, cell, output.
                bias.data[self.width : 2 * self.width].fill_(1.0)

    def memory(self, rows: int) -> Tensor:
        """Zeros (rows, 2, depth, width): hidden and cell state of each layer."""
        return torch.zeros(rows, 2, self.depth, self.width)

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One time step: (rows, inputs), memory -> (rows, outputs), memory."""
        # (rows, 2, depth, width) -> hidden and cell, (depth, rows, width) each
        hidden, cell = memory.permute(1, 2, 0, 3).contiguous()
        y, (hidden, cell) = self.lstm(x[:, None], (hidden, cell))
        return self.readout(y[:, 0]), torch.stack((hidden, cell)).permute(2, 0, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Whole sequences from an empty memory: (rows, time, ...), out and in."""
        return self.readout(self.lstm(x)[0])


NETWORKS: dict[str, type[MLP] | type[LSTM]] = {"mlp": MLP, "lstm": LSTM}
