"""Updates, one after the other: as they are, compiled, or recorded as CUDA graphs.

An update is a few hundred small kernels, which a GPU finishes sooner than Python can
ask for them. Recorded once, they are launched together. What is recorded reads its
batch from the same memory each time, draws from the learner's generator, which moves on
at each launch, and does no more than the update does; the first updates of each kind
are real ones, which warm up what has to be there before.

On the CPU, and for learners that do not say that they can be recorded, updates are just
called.
"""

import logging
from collections.abc import Hashable
from typing import Any

import torch

from policies.rl.config import OffPolicyConfig
from policies.rl.learner import OffPolicyLearner
from policies.rl.replay import Batch

log = logging.getLogger(__name__)

WARM_UP = 3
"""Updates of each kind before it is recorded."""


class Updates:
    """Calls a learner's update."""

    def __init__(self, learner: OffPolicyLearner, config: OffPolicyConfig) -> None:
        """Ready.

        Args:
            learner: that learns.
            config: whether to record, whether to compile.
        """
        self._learner = learner
        if config.compile:
            learner.compile()
        self._records = (
            config.graph and learner.recordable and learner.device.type == "cuda"
        )
        self._done: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, Any] = {}
        self._batch: Batch | None = None

    def __call__(self, batch: Batch) -> None:
        """Learn from a batch."""
        learner = self._learner
        kind = learner.next_kind()
        done = self._done.get(kind, 0)
        self._done[kind] = done + 1
        if not self._records or done < WARM_UP:
            learner.update(batch)
            return
        self._batch = put(batch, self._batch)
        if kind not in self._graphs and not self._record(kind, self._batch):
            learner.update(batch)
            return
        self._graphs[kind].replay()
        learner.count += 1

    def _record(self, kind: Hashable, batch: Batch) -> bool:
        """Record an update of a kind; nothing is computed yet.

        Returns:
            Whether that was possible.
        """
        learner = self._learner
        count, draws = learner.count, learner.generator.get_state()
        try:
            graph = new_graph(learner.generator)
            torch.cuda.synchronize(learner.device)
            with torch.cuda.graph(graph):
                learner.update(batch)
        except RuntimeError as error:
            # the old one may wait for the recording's end, and refuse to draw
            learner.generator = torch.Generator(learner.device)
            learner.generator.set_state(draws)
            log.warning(
                "updates are not recorded as a graph, and go on slower: %s",
                " ".join(str(error).split())[:300],
            )
            self._records = False
            self._graphs.clear()  # whose generator is the old one
            return False
        finally:
            learner.count = count
        self._graphs[kind] = graph
        return True


def new_graph(generator: torch.Generator) -> Any:
    """An empty graph; its launches draw from a generator, which moves on."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    return graph


def put(batch: Batch, there: Batch | None) -> Batch:
    """A batch in the memory of another, which is overwritten; None: in memory of its
    own."""
    if there is None:
        return Batch(**{k: v.clone() for k, v in vars(batch).items()})
    for old, new in zip(there.tensors(), batch.tensors(), strict=True):
        old.copy_(new)
    return there
