"""One batch of episodes of a policy, remembered frame by frame.

The executed action is the demonstrator's and the disturbance's sum, rounded to the
file's float32 like the action itself (:mod:`policies.tape`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from policies.dart import Disturbance
from policies.tape import Episode, Tape, as_recorded

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from sims.env import Env
    from sims.policy import Policy


class Recorder:
    """Runs a policy in an environment, disturbed or not."""

    def __init__(self, env: "Env", policy: "Policy", seed: int) -> None:
        """Ready for :meth:`run`.

        Args:
            env: not yet reset.
            policy: acts in it.
            seed: of all draws.
        """
        self.env, self.policy, self.seed = env, policy, seed
        self.measured = False
        """Whether the task measured success in any episode so far."""

    @property
    def limited(self) -> bool:
        """Whether the actions have limits."""
        low, high = self.env.action_spec.limits()
        return bool(np.isfinite(high - low).all())

    def run(
        self, ids: np.ndarray, noise: float, writer: "DatasetWriter | None" = None
    ) -> list[Episode]:
        """One episode of each identity.

        Args:
            ids: (num_envs,)
            noise: of the disturbance, as a fraction of the action's limits.
            writer: whose clips take what cameras see, as it comes; None: nobody does.
        """
        env, policy = self.env, self.policy
        obs = env.reset(seed=self.seed, ids=ids)
        if hasattr(policy, "ids"):
            policy.ids = ids  # pyright: ignore[reportAttributeAccessIssue]
        policy.reset()
        disturbance = Disturbance(env, noise)
        disturbance.reset()
        tape = Tape(env, writer)
        try:
            while tape.running.any():
                obs = self._step(obs, disturbance, tape)
        except BaseException:
            tape.discard()
            raise
        self.measured |= tape.measured
        return tape.episodes()

    def _step(
        self, obs: dict[str, Any], disturbance: Disturbance, tape: Tape
    ) -> dict[str, Any]:
        """One control step: remember it, and return what is seen next."""
        wanted, outside = as_recorded(self.env, self.policy.act(obs))
        executed = (wanted + disturbance.next()).astype(np.float32)
        tape.see(obs)
        outcome = self.env.step(executed.astype(np.float64))
        tape.add(wanted, executed, outside, outcome)
        return outcome[0]


def need_success(task: str, measured: bool, keep_failures: bool) -> None:
    """Refuse to keep successes alone where none are measured.

    Raises:
        UsageError: so it is.
    """
    if not measured and not keep_failures:
        raise UsageError(
            f"{task} measures no success: keep failures as well (--keep-failures)"
        )
