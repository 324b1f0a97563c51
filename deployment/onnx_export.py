"""A checkpoint as one ONNX file, from what is seen to a chunk of actions.

Normaliser, encoders, network and, where actions come from noise, all steps of the
sampler are inside: who runs it needs neither torch nor this project. It computes one
row, a robot's: with fixed shapes the run time can plan its memory beforehand.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from assets.errors import SandbotError
from ml.files import write_file
from policies.imitation.checkpoint import load_net
from policies.imitation.net import IMAGES, INPUTS, OBSERVATION, Seen

if TYPE_CHECKING:
    from policies.imitation.net import ImitationNet

NOISE, MEMORY = "noise", "memory"
ACTIONS, NEXT_MEMORY = "actions", "next_memory"
OPSET = 18


class Chunker(nn.Module):
    """A network as a function of tensors alone: what is exported."""

    def __init__(self, net: "ImitationNet") -> None:
        """Wrap it, ready to act.

        Args:
            net: with its weights.
        """
        super().__init__()
        self.net = net.eval()
        self.names = tuple(example(net))
        """Of the tensors that :meth:`forward` takes, in order."""
        self.remembers = MEMORY in self.names

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """One tensor per name; actions (1, chunk, outputs), and a memory if any."""
        given = dict(zip(self.names, tensors, strict=True))
        images = {c: given[IMAGES + c] for c in self.net.sizes.cameras}
        seen = Seen(inputs=given.get(INPUTS, torch.zeros(1, 0)), images=images)
        noise = given.get(NOISE, torch.zeros(1, 0))
        memory = given.get(MEMORY, self.net.memory(1))
        actions, memory = self.net.predict(seen, memory, noise, None)
        return (actions, memory) if self.remembers else actions


def example(net: "ImitationNet", seed: int = 0) -> dict[str, Tensor]:
    """One row of everything that a network reads, by the names of the export.

    ``inputs`` (1, history * size), ``images.<camera>`` (1, 3, height, width) uint8,
    ``memory`` and ``noise``; each only where there is such a thing.

    Args:
        net: a network.
        seed: vectors and noise are standard normal around the middle of the data.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes, config = net.sizes, net.config
    found: dict[str, Tensor] = {}
    if sizes.inputs:
        drawn = torch.randn(1, sizes.history, sizes.inputs, generator=generator)
        found[INPUTS] = net.normalizer.unnormalize(OBSERVATION, drawn).flatten(1)
    width, height = config.image_size
    for camera in sizes.cameras:
        shape = (1, 3, height, width)
        picture = torch.randint(0, 256, shape, generator=generator)
        found[IMAGES + camera] = picture.to(torch.uint8)
    if (memory := net.memory(1)).numel():
        found[MEMORY] = memory
    if net.noise_shape:
        found[NOISE] = torch.randn(1, *net.noise_shape, generator=generator)
    return found


def export(folder: Path, out: Path) -> Path:
    """Write a checkpoint's network as an ONNX file.

    Args:
        folder: the checkpoint.
        out: the file.

    Returns:
        ``out``. Its inputs are those of :func:`example`, its outputs ``actions`` (1,
        chunk, outputs), in their units and not yet within the limits, and of a network
        with a memory ``next_memory``.

    Raises:
        UsageError: no checkpoint.
        SandbotError: it is damaged, ONNX is not installed, or the file cannot be
            written.
    """
    try:
        import onnxscript  # noqa: F401  what the exporter needs and does not bring
    except ImportError as error:
        raise SandbotError(
            "exporting needs the package onnxscript: pip install 'sandbot[deploy]'"
        ) from error
    _, net, _ = load_net(Path(folder))
    module = Chunker(net)
    outputs = [ACTIONS, NEXT_MEMORY] if module.remembers else [ACTIONS]

    given = tuple(example(net).values())

    def write(temporary: Path) -> None:
        with quiet(), torch.no_grad():
            module(*given)  # what is computed once is computed outside of the graph
            program = torch.onnx.export(
                module,
                given,
                dynamo=True,
                verbose=False,
                input_names=list(module.names),
                output_names=outputs,
                opset_version=OPSET,
            )
            assert program is not None
            program.save(temporary)

    out = Path(out)
    write_file(out, write)
    return out


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporter says about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    loggers.append(logging.getLogger("onnx_ir"))
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
