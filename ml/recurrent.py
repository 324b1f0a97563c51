"""Recurrent networks over sequences of different lengths, in one batch.

Sequences are padded to one length to be a tensor. A recurrent network that ran on into
the padding would end in a state of no meaning, and one that runs backwards would begin
in it; torch's packed sequences leave the padding out, so that each sequence comes out
as if it were alone. For policies that take one step at a time see :mod:`ml.networks`,
whose start of the gates is used here too.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from assets.errors import UsageError, unknown
from ml.networks import remember

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}


class SequenceNet(nn.Module):
    """An LSTM or a GRU over padded batches."""

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        kind: Literal["lstm", "gru"] = "lstm",
        layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        """Build with torch's random weights and gates that remember at first.

        Args:
            inputs: elements of an input row.
            width: of each layer, in each direction.
            kind: of recurrent network.
            layers: on top of each other.
            dropout: between layers, in training.
            bidirectional: whether it reads backwards as well, for sequences that are
                known as a whole.

        Raises:
            UsageError: an unknown kind.
        """
        super().__init__()
        if kind not in KINDS:
            raise unknown("recurrent network", kind, KINDS)
        self.layers, self.directions = layers, 2 if bidirectional else 1
        self.states = 2 if kind == "lstm" else 1
        self.core = KINDS[kind](
            inputs,
            width,
            layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        remember(self.core, width)

    def forward(
        self, x: Tensor, lengths: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run each sequence to its own end.

        Args:
            x: (batch, time, inputs); what follows a sequence's end is not read.
            lengths: (batch,) int64 of the sequences, from 1 to ``time``.
            state: to begin with, as returned; None: zeros.

        Returns:
            Outputs (batch, time, directions * width), zeros after a sequence's end, and
            the state at the ends, (states, layers * directions, batch, width): hidden
            and, of an LSTM, cell.

        Raises:
            UsageError: lengths that do not fit.
        """
        batch, time = x.shape[:2]
        ends = lengths.cpu()
        if ends.shape != (batch,) or not ((ends >= 1) & (ends <= time)).all():
            raise UsageError(
                f"each of {batch} sequences is from 1 to {time} long, got lengths "
                f"{ends.tolist()}"
            )
        packed = pack_padded_sequence(x, ends, batch_first=True, enforce_sorted=False)
        if self.states == 2:
            given = None if state is None else (state[0], state[1])
            y, after = self.core(packed, given)
            after = torch.stack(after)
        else:
            y, after = self.core(packed, None if state is None else state[0])
            after = after[None]
        outputs, _ = pad_packed_sequence(y, batch_first=True, total_length=time)
        return outputs, after

    def summary(self, state: Tensor) -> Tensor:
        """(batch, directions * width): a whole sequence as one vector, the hidden state
        of the last layer where each direction ends."""
        last = state[0][-self.directions :]  # (directions, batch, width)
        return last.transpose(0, 1).flatten(1)
