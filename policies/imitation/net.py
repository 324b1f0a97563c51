"""What a network offers so that it can be trained on demonstrations, and act.

It reads normalised vectors and pictures, and predicts a chunk of normalised actions. In
training it gives a loss, sample by sample; acting, it is asked for a chunk, row by row,
with the noise handed in, so that nothing depends on what else is in the batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ml.lerobot.layout import ACTION
from ml.networks import unit_gain
from ml.normalizer import Normalizer
from ml.samples import Batch
from ml.step_draws import StepDraws
from ml.training import Terms

if TYPE_CHECKING:
    from policies.imitation.config import ImitationConfig

OBSERVATION = "observation"
"""All vectors that it reads, on end, to its normaliser."""
INPUTS, TARGETS, COUNTS = "inputs", "targets", "counts"
"""Of a batch: (n, history * size), (n, chunk, outputs), (n, chunk) 1 inside the
episode."""
IMAGES = "images."
"""Of a batch, with the camera's name: (n, 3, height, width) uint8."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of what goes in and out."""

    groups: dict[str, int]
    """Elements read of each group of vectors."""
    outputs: int
    """Elements of an action."""
    cameras: tuple[str, ...] = ()
    """Names of the cameras looked through."""
    history: int = 1
    """Observations on end in the inputs."""

    @property
    def inputs(self) -> int:
        """Elements of one observation's vectors."""
        return sum(self.groups.values())


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What a prediction has to agree with: the actions that will be executed anyway.

    For real-time chunking (:mod:`policies.execution`).
    """

    actions: Tensor
    """(rows, chunk, outputs): the previous chunk from now on, in the actions' units."""
    weights: Tensor
    """(rows, chunk): how much each has to agree; 0: not at all."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a network is given to act on."""

    inputs: Tensor
    """(rows, history * size)"""
    images: Mapping[str, Tensor] = field(default_factory=dict)
    """By camera, (rows, 3, height, width) uint8."""


class ImitationNet(nn.Module):
    """Base of the networks; a subclass sets the class attributes where it differs."""

    noise_shape: tuple[int, ...] = ()
    """Standard normal numbers that :meth:`predict` is handed per row; (): none."""
    tile = 64
    """Rows that it computes at once when it acts (:mod:`ml.tiles`)."""
    guided = False
    """Whether :meth:`predict` can be told what to agree with."""
    gain: Tensor | None
    """(size,): what makes a change of a normalised vector one of unit size."""

    def __init__(self, sizes: Sizes, config: "ImitationConfig") -> None:
        """Normaliser, not yet fitted, and image encoders."""
        super().__init__()
        self.sizes, self.config = sizes, config
        arrays = {ACTION: sizes.outputs}
        if sizes.inputs:
            arrays[OBSERVATION] = sizes.inputs
        self.normalizer = Normalizer(arrays, config.normalize)
        shown = config.changes and sizes.history > 1 and sizes.inputs
        gain = torch.full((sizes.inputs,), torch.nan) if shown else None
        self.register_buffer("gain", gain)
        self.encoders = nn.ModuleDict()
        for camera in sizes.cameras:
            self.encoders[key_of(camera)] = _encoder(config)

    @property
    def features(self) -> int:
        """Width of :meth:`condition`."""
        pictures = sum(encoder.features for encoder in self.encoders.values())  # pyright: ignore[reportArgumentType,reportCallIssue]
        return self.sizes.history * self.sizes.inputs + int(pictures)

    def fit_changes(self, changes: Tensor) -> None:
        """Take the size of the changes of normalised vectors from data, (n, size)."""
        if self.gain is not None:
            self.gain.copy_(unit_gain(changes))

    def vectors(self, inputs: Tensor) -> Tensor:
        """Normalised, (n, history, size); those before as changes, where so chosen."""
        rows = inputs.unflatten(-1, (self.sizes.history, self.sizes.inputs))
        rows = self.normalizer.normalize(OBSERVATION, rows)
        if self.gain is None:
            return rows
        return torch.cat((torch.diff(rows, dim=1) * self.gain, rows[:, -1:]), dim=1)

    def condition(self, seen: Seen, noise: Tensor | None = None) -> Tensor:
        """All that is seen as one vector, (n, features).

        Args:
            seen: what is given.
            noise: (n, history, size) to add to the normalised vectors; None: nothing.
        """
        parts = []
        if self.sizes.inputs:
            vectors = self.vectors(seen.inputs)
            parts.append((vectors if noise is None else vectors + noise).flatten(1))
        parts += [self.look(camera, seen) for camera in self.sizes.cameras]
        return torch.cat(parts, dim=1)

    def look(self, camera: str, seen: Seen) -> Tensor:
        """Features of what a camera sees, (n, width)."""
        return self.encoders[key_of(camera)](seen.images[camera].float() / 255)

    def learn(self, batch: Batch, draws: StepDraws) -> tuple[Seen, Tensor | None]:
        """What a batch shows, augmented while training; and the vectors' noise."""
        images = {c: batch[IMAGES + c] for c in self.sizes.cameras}
        if self.training and (self.config.image_shift or self.config.image_jitter):
            images = {c: self._augment(c, x, draws) for c, x in images.items()}
        seen = Seen(inputs=batch[INPUTS], images=images)
        if not (self.training and self.config.state_noise):
            return seen, None
        shape = (self.sizes.history, self.sizes.inputs)
        return seen, self.config.state_noise * draws.normal("state_noise", *shape)

    def _augment(self, camera: str, images: Tensor, draws: StepDraws) -> Tensor:
        from ml.augment import jitter, shift

        pixels, span = self.config.image_shift, self.config.image_jitter
        values = images.float() / 255
        if pixels:
            corners = draws.integers(f"shift/{camera}", 0, 2 * pixels + 1, 2)
            values = shift(values, corners, pixels)
        if span:
            drawn = draws.uniform(f"jitter/{camera}", 3)
            values = jitter(values, 1 + span * (2 * drawn - 1))
        return values * 255

    def targets(self, batch: Batch) -> Tensor:
        """Normalised actions to predict, (n, chunk, outputs)."""
        return self.normalizer.normalize(ACTION, batch[TARGETS])

    def memory(self, rows: int) -> Tensor:
        """(rows, ...) what it remembers at an episode's start: most, nothing."""
        return torch.zeros(rows, 0)

    def loss(self, batch: Batch, draws: StepDraws) -> Terms:
        """Of a batch, sample by sample."""
        raise NotImplementedError

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        """A chunk of actions.

        Args:
            seen: what is given.
            memory: (rows, ...) of :meth:`memory`, or what the last call returned.
            noise: (rows, *noise_shape).
            ahead: what to agree with; only where :attr:`guided`.
            how: choices of its own that its ``Execution`` has, such as "steps".

        Returns:
            Actions (rows, chunk, outputs) in their units, and the next memory.
        """
        raise NotImplementedError


def chunk_terms(
    errors: Tensor, counts: Tensor, parts: dict[str, Tensor] | None = None
) -> Terms:
    """The mean over the actions that count.

    Args:
        errors: (n, chunk, outputs) or (n, chunk).
        counts: (n, chunk), 1 inside the episode.
        parts: (n, chunk) each, for the log.
    """
    if errors.ndim == 3:
        errors = errors.mean(-1)
    shown = {k: (v * counts).sum(1) for k, v in (parts or {}).items()}
    return Terms((errors * counts).sum(1), counts.sum(1), shown)


def key_of(camera: str) -> str:
    """Name of a camera's encoder among modules, where no dot is allowed."""
    return camera.replace(".", "/")


def _encoder(config: "ImitationConfig") -> nn.Module:
    from ml.vision import make_encoder

    width, height = config.image_size
    return make_encoder(config.encoder, (3, height, width))
