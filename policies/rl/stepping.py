"""A control step of all environments while the networks learn: two cores, one result.

The action is chosen before, and what it brought is learned from after, so that the two
touch nothing in common, and whether they run at once or in turn changes no bit.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from policies.rl.worlds import Transition, Worlds


class Stepping:
    """Steps environments in a thread of its own, or when it is asked for the result."""

    def __init__(self, worlds: Worlds, *, overlap: bool) -> None:
        """Get ready.

        Args:
            worlds: to step.
            overlap: whether to use a thread.
        """
        self._worlds = worlds
        self._pool = ThreadPoolExecutor(1) if overlap else None
        self._running: Future[Transition] | None = None
        self._action: Tensor | None = None

    def begin(self, action: Tensor) -> None:
        """Act, (num_envs, action)."""
        if self._pool is not None:
            self._running = self._pool.submit(self._worlds.step, action)
        else:
            self._action = action

    def end(self) -> Transition:
        """What that brought."""
        if self._running is not None:
            return self._running.result()
        assert self._action is not None  # begin comes first
        return self._worlds.step(self._action)

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()
