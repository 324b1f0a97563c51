"""Random numbers of a training step that do not depend on how the step is spread.

Noise of a diffusion, a latent's sample, a crop: whatever a loss draws, it draws here,
one row for each sample of the whole batch, by a generator that is keyed by (seed, step,
term). A process that computes some of the rows cuts out its own. So two processes, or
one that takes the batch in several parts, see the numbers of one that takes it whole,
and a training that resumes needs no state of the generator.
"""

from collections.abc import Callable
from hashlib import blake2b

import torch
from torch import Tensor


class StepDraws:
    """The draws of one step, for some rows of its batch."""

    def __init__(
        self,
        seed: int,
        step: int,
        rows: slice,
        total: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Key the draws.

        Args:
            seed: of the training.
            step: from 0; validations take negative ones.
            rows: which of the batch's samples are asked for.
            total: samples of the whole batch.
            device: where the numbers go.
        """
        self._key = f"{seed}/{step}/"
        self._rows, self._total = rows, total
        self.device = torch.device(device)

    @property
    def rows(self) -> int:
        """How many samples are asked for."""
        return len(range(self._total)[self._rows])

    def generator(self, term: str) -> torch.Generator:
        """Of a term of this step; for all rows, on the CPU."""
        digest = blake2b((self._key + term).encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)

    def of(self, term: str, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        """(rows, ...) of what a function draws.

        Args:
            term: what it is for.
            draw: (number of all rows, generator) -> (all rows, ...).
        """
        drawn = draw(self._total, self.generator(term))
        return drawn[self._rows].to(self.device)

    def normal(self, term: str, *shape: int) -> Tensor:
        """(rows, *shape), standard normal."""
        return self.of(term, lambda n, g: torch.randn(n, *shape, generator=g))

    def uniform(self, term: str, *shape: int) -> Tensor:
        """(rows, *shape), from 0 to 1."""
        return self.of(term, lambda n, g: torch.rand(n, *shape, generator=g))

    def integers(self, term: str, low: int, high: int, *shape: int) -> Tensor:
        """(rows, *shape) int64, from ``low`` to ``high`` - 1."""
        return self.of(
            term, lambda n, g: torch.randint(low, high, (n, *shape), generator=g)
        )
