"""Our environments for Stable-Baselines3: a batch of ours is a ``VecEnv`` of theirs.

    from stable_baselines3 import PPO
    from sims.sb3 import make_sb3

    PPO("MlpPolicy", make_sb3("arm-reach", num_envs=64)).learn(100_000)

Any task in any engine: all environments are stepped at once, by the engine's threads or
on a GPU, where their ``DummyVecEnv`` steps one after the other and their
``SubprocVecEnv`` sends each step through a pipe. A lone observation group "state" goes
with their ``MlpPolicy``, several with ``MultiInputPolicy``.

An episode that ends starts anew in the same step; where it ended is in
``info["terminal_observation"]``, and whether its time was over in
``info["TimeLimit.truncated"]``, so that their algorithms tell a time limit from an end.
Returns of episodes are logged by their ``VecMonitor`` around it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from assets.errors import UsageError
from sims.env import Env
from sims.gym_env import box, check_render_mode, dress, entropy, first_camera, obs_space
from sims.registry import make_env


def make_sb3(
    task: Any, *, render_mode: str | None = None, camera: str = "", **choices: Any
) -> "SB3VecEnv":
    """Environments of a task for Stable-Baselines3.

    Args:
        task: a name, a Gymnasium id, or a task object.
        render_mode: "rgb_array", for their ``render`` and video recorder; None: none.
        camera: to look through; empty: the scene's first.
        choices: of :func:`sims.make_env`: num_envs, engine, randomize, threads ...

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
    """
    check_render_mode(render_mode)
    env = make_env(task, autoreset=True, **choices)
    return SB3VecEnv(env, render_mode=render_mode, camera=camera)


class SB3VecEnv(VecEnv):
    """An :class:`~sims.env.Env` with ``autoreset``, in their clothes."""

    def __init__(
        self, env: Env, *, render_mode: str | None = None, camera: str = ""
    ) -> None:
        """Wrap it; :meth:`close` closes it.

        Args:
            env: made with ``autoreset``.
            render_mode: see :func:`make_sb3`.
            camera: likewise.

        Raises:
            UsageError: an environment without ``autoreset``, or another render mode.
        """
        check_render_mode(render_mode)
        if not env.autoreset:
            raise UsageError(
                "Stable-Baselines3's environments start anew by themselves: "
                "make_env(..., autoreset=True)"
            )
        self.env = env
        self.render_mode = render_mode
        self.camera = camera or first_camera(env, render_mode)
        super().__init__(env.num_envs, obs_space(env.obs_spec), box(env.action_spec))
        self._seeded = False
        self._given: Any = None
        self._like: Any = None

    def reset(self) -> Any:
        """Start an episode everywhere.

        :meth:`seed` before it makes it, and those after it, repeatable: one seed serves
        all environments, whose draws differ by their index. Without one, a seed is
        taken from the operating system the first time.
        """
        seed = self._seeds[0]
        if seed is None and not self._seeded:
            seed = entropy()
        self._seeded = True
        self._reset_seeds()
        self._reset_options()
        obs = self.env.reset(seed=seed)
        self._like = next(iter(obs.values()))
        return self._rows(obs)

    def step_async(self, actions: np.ndarray) -> None:
        """Remember the actions, (num_envs, action)."""
        self._given = np.asarray(actions, float)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Advance all by one control step.

        Returns:
            Observations, rewards (num_envs,), ends (num_envs,), and a dictionary for
            each environment.
        """
        given = self._given
        if not isinstance(self._like, np.ndarray):
            given = self._like.new_tensor(given)
        obs, reward, terminated, truncated, info = self.env.step(given)
        terminated, truncated = _numpy(terminated), _numpy(truncated)
        ended = terminated | truncated
        over = truncated & ~terminated
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": bool(t)} for t in over]
        if info["success"] is not None:
            for row, solved in zip(infos, _numpy(info["success"]), strict=True):
                row["is_success"] = bool(solved)
        if "final_obs" in info:
            last = self._rows(info["final_obs"])
            for i in np.flatnonzero(ended):
                infos[i]["terminal_observation"] = (
                    {key: values[i] for key, values in last.items()}
                    if isinstance(last, dict)
                    else last[i]
                )
        return self._rows(obs), _numpy(reward).astype(np.float32), ended, infos

    def close(self) -> None:
        """Release the engine."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture (height, width, 3) of each environment; None: no render mode."""
        if self.render_mode is None:
            return [None] * self.num_envs
        ids = np.arange(self.num_envs)
        return list(self.env.engine.render([self.camera], ids)[self.camera])

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of this object, of the environments, or of their task.

        All environments are one object, so that each is given the same.

        Raises:
            AttributeError: none of them has it.
        """
        value = getattr(self._owner(attr_name), attr_name)
        return [value] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environments.

        Raises:
            UsageError: of some of them only.
        """
        if len(set(self._get_indices(indices))) != self.num_envs:
            raise UsageError(
                f"all {self.num_envs} environments are one object, so {attr_name!r} is "
                f"set for all or none, got indices {indices}: leave them out"
            )
        try:
            owner = self._owner(attr_name)
        except AttributeError:
            owner = self.env
        setattr(owner, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments, or of their task, once.

        All environments are one object, so that each is given the same answer.

        Raises:
            AttributeError: none of them has it.
        """
        answer = getattr(self._owner(method_name), method_name)(*method_args, **kwargs)
        return [answer] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No: they are in none of Gymnasium's wrappers."""
        return [False] * len(list(self._get_indices(indices)))

    def _owner(self, name: str) -> Any:
        """Who has an attribute of that name."""
        if name in vars(self):  # its methods are not the environments'
            return self
        for owner in (self.env, self.env.task):
            if hasattr(owner, name):
                return owner
        raise AttributeError(
            f"neither the environments of {self.env.task.name!r} nor their task have "
            f"an attribute {name!r}"
        )

    def _rows(self, obs: dict[str, Any]) -> Any:
        """A batch of observations as their spaces have it, in memory of its own."""
        copies = {group: _numpy(values).copy() for group, values in obs.items()}
        return dress(copies, self.env.obs_spec)


def _numpy(values: Any) -> np.ndarray:
    """NumPy's, wherever an engine keeps it."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
