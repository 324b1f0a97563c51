"""Our batched environments as stable-baselines3 wants them, and without their reward.

For learning from a reward of one's own. What the environment's task pays is dropped
where it arrives: whoever learns here cannot have read it. Observations are normalised,
and an action is held for some control steps.

An episode's end by its time limit is told apart from one for good, and its last
observation is handed over, so that a value can be bootstrapped there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from assets.errors import UsageError
from sims.gym_env import SandbotVectorEnv

if TYPE_CHECKING:
    from collections.abc import Callable

    from sims.task import Task


class RewardlessVecEnv(VecEnv):
    """``num_envs`` environments side by side; every reward is 0."""

    def __init__(
        self,
        task: "Task",
        num_envs: int,
        *,
        look: "Callable[[dict[str, np.ndarray]], np.ndarray]",
        size: int,
        hold: int,
        seed: int,
    ) -> None:
        """Ready to be reset.

        Args:
            task: what is to be done.
            num_envs: how many.
            look: makes (num_envs, size) of the groups of an observation.
            size: elements of what it makes.
            hold: control steps that an action lasts.
            seed: of the episodes.

        Raises:
            UsageError: the episode does not hold a whole number of actions.
        """
        if task.max_steps % hold:
            raise UsageError(
                f"an episode of {task.name} has {task.max_steps} control steps, and an "
                f"action is to last {hold}: choose a divisor"
            )
        self._env = SandbotVectorEnv(task, num_envs=num_envs, threads=1)  # pyright: ignore[reportArgumentType]
        self._look, self._hold, self._first = look, hold, seed
        super().__init__(
            num_envs,
            spaces.Box(-np.inf, np.inf, (size,), np.float32),
            self._env.single_action_space,
        )
        self._actions = np.zeros(0)

    def reset(self) -> np.ndarray:
        """First observations (num_envs, size) of the seed's first episodes."""
        obs, _ = self._env.reset(seed=self._first)
        return self._seen(obs)

    def step_async(self, actions: np.ndarray) -> None:
        """Take (num_envs, outputs)."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Hold the actions; an episode that ends for good within goes on afresh."""
        n = self.num_envs
        infos: list[dict[str, Any]] = [{} for _ in range(n)]
        done = np.zeros(n, bool)
        obs: Any = None
        for _ in range(self._hold):
            obs, _, terminated, truncated, info = self._env.step(self._actions)
            for i in np.flatnonzero((terminated | truncated) & ~done):
                last = self._seen(_row(info["final_obs"][i]))[0]
                infos[i]["terminal_observation"] = last
                infos[i]["TimeLimit.truncated"] = bool(truncated[i] & ~terminated[i])
            done |= terminated | truncated
        return self._seen(obs), np.zeros(n, np.float32), done, infos

    def close(self) -> None:
        """Release the engine."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Of each environment: none has any but a missing ``render_mode``."""
        return [None] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Nothing can be set."""
        raise UsageError(f"environments in a batch take no {attr_name!r}")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Nothing can be called."""
        raise UsageError(f"environments in a batch have no {method_name!r}")

    def env_is_wrapped(
        self, wrapper_class: type, indices: Any = None
    ) -> Sequence[bool]:  # type: ignore[override]
        """None is."""
        return [False] * len(list(self._get_indices(indices)))

    def _seen(self, obs: Any) -> np.ndarray:
        return self._look(obs if isinstance(obs, dict) else {"state": obs})


def _row(obs: Any) -> Any:
    """One environment's observation as a batch of one."""
    if isinstance(obs, dict):
        return {key: np.asarray(value)[None] for key, value in obs.items()}
    return np.asarray(obs)[None]
