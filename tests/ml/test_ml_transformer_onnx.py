"""Transformers leave for ONNX Runtime, and compute there what they compute here."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ml.transformer import (
    LearnedPositions,
    TransformerConfig,
    TransformerDecoder,
    TransformerEncoder,
    sinusoidal_1d,
    time_embedding,
)

NAMES = ["tokens", "time", "padding"]


class Chunk(nn.Module):
    """What a chunking policy is made of: tokens and a time in, a chunk of queries out,
    with positions, padding and causality."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        config = TransformerConfig(
            width=32, heads=4, layers=1, feedforward=64, norm_first=norm_first
        )
        self.encoder, self.decoder = (
            TransformerEncoder(config),
            TransformerDecoder(config),
        )
        self.queries = LearnedPositions(6, 32)
        self.register_buffer("places", sinusoidal_1d(9, 32))

    def forward(self, tokens: Tensor, time: Tensor, padding: Tensor) -> Tensor:
        places = self.get_buffer("places")
        x = tokens + time_embedding(time, 32)[:, None]
        memory = self.encoder(x, position=places, padding=padding, causal=True)
        memory = self.encoder(memory, causal=True)
        return self.decoder(
            torch.zeros_like(tokens[:, :6]),
            memory,
            position=self.queries(),
            memory_position=places,
            memory_padding=padding,
        )


def _batch(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    lengths = torch.randint(1, 10, (rows, 1))
    return torch.randn(rows, 9, 32), torch.rand(rows), torch.arange(9) >= lengths


def _export(net: Chunk, file: Path, dynamo: bool) -> None:
    if dynamo:
        shapes = {name: {0: torch.export.Dim("batch", max=1024)} for name in NAMES}
        program = torch.onnx.export(
            net, _batch(2), dynamo=True, dynamic_shapes=shapes, verbose=False
        )
        assert program is not None
        program.save(file)
    else:
        torch.onnx.export(
            net,
            _batch(2),
            file,
            dynamo=False,
            input_names=NAMES,
            dynamic_axes={name: {0: "batch"} for name in NAMES},
        )


@pytest.mark.parametrize(
    ("dynamo", "norm_first"), [(False, False), (False, True), (True, True)]
)
def test_onnx_runtime_agrees_for_any_batch(
    dynamo: bool, norm_first: bool, tmp_path: Path
) -> None:
    import onnxruntime

    torch.manual_seed(0)
    net = Chunk(norm_first).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's two exporters, about themselves
        _export(net, tmp_path / "chunk.onnx", dynamo)
    session = onnxruntime.InferenceSession(tmp_path / "chunk.onnx")
    for rows in (1, 2, 5):
        inputs = _batch(rows)
        feed = {k: v.numpy() for k, v in zip(NAMES, inputs, strict=True)}
        got = torch.as_tensor(session.run(None, feed)[0])
        with torch.no_grad():
            expected = net(*inputs)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
