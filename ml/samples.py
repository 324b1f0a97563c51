"""What a training draws its batches from, and in which order.

The order is a pure function of (seed, step): each epoch is a fresh permutation keyed by
its number. A training that resumes at step s therefore sees exactly the samples it
would have seen, with nothing to store but s.

Validation is split off by *episode*: frames of one episode are nearly equal to their
neighbours, and a split by frame would measure memory, not learning.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError

Batch = dict[str, Tensor]
Pictures = tuple[np.ndarray, np.ndarray]
"""All pictures, and the place among them of each frame's."""


class Samples(Protocol):
    """A finite collection that can be asked for many of its items at once."""

    def __len__(self) -> int: ...

    def gather(self, indices: Tensor) -> Batch:
        """Items (len(indices), ...), by name."""
        ...


class Frames:
    """Single frames: ``inputs`` and ``targets``, each (frames, size)."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Hold all frames as float32, both (frames, size)."""
        self.inputs = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
        self.targets = torch.from_numpy(np.ascontiguousarray(targets, np.float32))

    def __len__(self) -> int:
        return len(self.inputs)

    def gather(self, indices: Tensor) -> Batch:
        """``inputs`` and ``targets``, (len(indices), size)."""
        return {
            "inputs": self.inputs[indices],
            "targets": self.targets[indices],
        }


class Chunks:
    """Single frames with those before and the actions of the next steps.

    Beyond an episode's end there is none: the last action is repeated, uncounted.
    Before its start the first frame stands in.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        lengths: np.ndarray,
        *,
        chunk: int,
        history: int = 1,
        pictures: Mapping[str, Pictures] | None = None,
    ) -> None:
        """Lay out the chunks.

        Args:
            inputs: (frames, size), episodes on end.
            targets: likewise.
            lengths: (episodes,) frames of each.
            chunk: actions that go with a frame, its own the first.
            history: frames that go with it, its own the last.
            pictures: by name, of the present frame: all there are, (n, 3, height,
                width) uint8, and which of them belongs to a frame, (frames,).
        """
        self._frames = Frames(inputs, targets)
        ends = np.cumsum(lengths)
        last = np.repeat(ends - 1, lengths)
        first = np.repeat(ends - lengths, lengths)
        self._last = torch.from_numpy(last.astype(np.int64))
        self._first = torch.from_numpy(first.astype(np.int64))
        self._ahead = torch.arange(chunk)
        self._behind = torch.arange(1 - history, 1)
        self._pictures = dict(pictures or {})

    def __len__(self) -> int:
        return len(self._frames)

    def gather(self, indices: Tensor) -> Batch:
        """``inputs`` (n, history * size), oldest first, ``targets`` (n, chunk, size),
        ``counts`` (n, chunk), and pictures (n, 3, height, width)."""
        wanted = indices[:, None] + self._ahead
        last = self._last[indices][:, None]
        inside = torch.minimum(wanted, last)
        seen = torch.maximum(
            indices[:, None] + self._behind, self._first[indices][:, None]
        )
        batch = {
            "inputs": self._frames.inputs[seen].flatten(1),
            "targets": self._frames.targets[inside],
            "counts": (wanted <= last).float(),
        }
        for name, (all_of_them, rows) in self._pictures.items():
            chosen = np.asarray(all_of_them[rows[indices.numpy()]])
            batch[name] = torch.from_numpy(chosen)
        return batch


class Windows:
    """Stretches of episodes, for networks that remember (truncated back-propagation).

    A network starts each window with an empty memory. In the middle of an episode its
    first few outputs lack a past that it would have at run time, so ``burn_in`` of them
    do not count; at the start of an episode all count. One window in eight is a start,
    which uniform sampling would hardly ever draw.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        lengths: np.ndarray,
        *,
        window: int,
        burn_in: int,
    ) -> None:
        """Lay out the windows.

        Args:
            inputs: (frames, size), episodes on end.
            targets: likewise.
            lengths: (episodes,) frames of each.
            window: frames of a window; shorter episodes are filled up, uncounted.
            burn_in: frames that do not count, except at an episode's start.
        """
        self._frames = Frames(inputs, targets)
        self._window, self._burn_in = window, burn_in
        self.frames_per_sample = window
        ends = np.cumsum(lengths)
        starts, firsts = [], []
        for end, length in zip(ends, lengths, strict=True):
            inner = max(0, int(length) - window)
            first = int(end - length)
            copies = 1 + inner // 7
            starts.append(first + np.arange(1, inner + 1))
            starts.append(np.full(copies, first))
            firsts.append(np.zeros(inner, bool))
            firsts.append(np.ones(copies, bool))
        self._starts = torch.from_numpy(np.concatenate(starts))
        self._first = torch.from_numpy(np.concatenate(firsts))
        self._ends = torch.from_numpy(np.repeat(ends, lengths))  # of each frame

    def __len__(self) -> int:
        return len(self._starts)

    def gather(self, indices: Tensor) -> Batch:
        """``inputs``, ``targets`` (n, window, size) and ``counts`` (n, window)."""
        start = self._starts[indices][:, None]
        offset = torch.arange(self._window)
        inside = start + offset < self._ends[start]
        counts = inside & (self._first[indices][:, None] | (offset >= self._burn_in))
        rows = torch.where(inside, start + offset, start)
        return {**self._frames.gather(rows), "counts": counts.float()}


class Order:
    """Which samples make up the batch of a step."""

    def __init__(self, size: int, batch: int, seed: int) -> None:
        """Fix the order.

        Args:
            size: number of samples.
            batch: samples per step; at most all of them.
            seed: of the permutations.
        """
        if size < 1:
            raise UsageError("there are no samples to train on")
        self.batch = min(batch, size)
        self.per_epoch = size // self.batch
        self._size, self._seed = size, seed
        self._epoch = -1
        self._permutation = torch.empty(0)

    def __call__(self, step: int) -> Tensor:
        """Indices (batch,) of a step, from 0."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.Philox([self._seed, epoch]))
            self._permutation = torch.from_numpy(generator.permutation(self._size))
            self._epoch = epoch
        return self._permutation[position * self.batch : (position + 1) * self.batch]


def split_episodes(
    episodes: int, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Episodes for training and for validation, at least one each.

    Args:
        episodes: how many there are.
        fraction: of them for validation.
        seed: of the choice.

    Raises:
        UsageError: fewer than two episodes.
    """
    if episodes < 2:
        raise UsageError(
            f"training needs at least 2 episodes, one of them to validate on; the "
            f"dataset has {episodes}"
        )
    held_out = min(max(1, round(episodes * fraction)), episodes - 1)
    generator = np.random.Generator(np.random.Philox([seed, 2**32]))
    shuffled = generator.permutation(episodes)
    return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])
