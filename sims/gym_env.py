"""Our environments in Gymnasium's clothes: one (``gym.make``) or a batch
(``gym.make_vec``).

A lone observation group "state" becomes a ``Box``, anything else a ``Dict``, with a
``Box`` of bytes for each camera (``observe="images+proprio"``, ``cameras=("top",)``,
``image_size=(84, 84)``; see :mod:`sims.observation`). Keys of a ``Dict`` have no dots,
since networks are named after them: "images.top" is "images_top".

Until a seed is given, a fresh one is taken from the operating system, as Gymnasium
does.
"""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from assets.errors import UsageError
from assets.plugins import tell, working
from ml.spec import ArraySpec
from sims.arrays import Array, Obs
from sims.env import Env
from sims.registry import make_env
from sims.tasks import TASKS

METADATA = {"render_modes": ["rgb_array"], "render_fps": 100}


def box(spec: ArraySpec) -> spaces.Box:
    """The space of one row."""
    low, high = spec.limits()
    return spaces.Box(low, high, spec.shape, np.dtype(spec.dtype).type)


def obs_space(specs: dict[str, ArraySpec]) -> spaces.Space:
    """The space of one environment's observation."""
    if _is_lone(specs):
        return box(specs["state"])
    return spaces.Dict({_key(name): box(spec) for name, spec in specs.items()})


def _is_lone(specs: dict[str, ArraySpec]) -> bool:
    """Whether there is nothing but the vector "state"."""
    return list(specs) == ["state"]


def _key(group: str) -> str:
    """A group's key in a Dict."""
    return group.replace(".", "_")


def dress(obs: Obs, specs: dict[str, ArraySpec]) -> Any:
    """A batch of observations as its space has them."""
    typed = {
        _key(group): values.astype(specs[group].dtype, copy=False)
        for group, values in obs.items()
    }
    return typed["state"] if _is_lone(specs) else typed


def first_camera(env: Env, render_mode: str | None) -> str:
    """What is shown where no camera is asked for; empty: nothing can be.

    Raises:
        UsageError: pictures are wanted, and the scene has no camera.
    """
    from sims.render import camera_names

    model: Any = env.engine.model  # None where Gymnasium's environment has no scene
    cameras = camera_names(model) if model is not None else []
    if render_mode is not None and not cameras:
        raise UsageError(
            f"the scene of {env.task.name!r} has no camera to render through: give it "
            f"a <camera>, or leave render_mode out"
        )
    return next(iter(cameras), "")


def entropy() -> int:
    """A seed from the operating system."""
    return int(np.random.SeedSequence().generate_state(1)[0])


class SandbotEnv(gym.Env):
    """One environment."""

    metadata = METADATA

    def __init__(
        self,
        task: str,
        engine: str = "mujoco",
        randomize: str = "none",
        render_mode: str | None = None,
        camera: str | None = None,
        **observed: Any,
    ):
        """See :func:`sims.make_env`, which takes what is ``observed``: ``observe``,
        ``cameras``, ``image_size``, ``quality``, ``depth`` and ``segmentation``;
        :meth:`render` looks through ``camera``, or else the scene's first."""
        check_render_mode(render_mode)
        self.env: Env = make_env(task, engine=engine, randomize=randomize, **observed)
        self.render_mode = render_mode
        self.camera = camera or first_camera(self.env, render_mode)
        self.observation_space = obs_space(self.env.obs_spec)
        self.action_space = box(self.env.action_spec)
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; a seed makes it, and those after it, repeatable."""
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = entropy()
        self._seeded = True
        return self._row(self.env.reset(seed=seed)), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        obs, reward, terminated, truncated, info = self.env.step(
            np.asarray(action, float)[None]
        )
        success = info["success"]
        extra: dict[str, Any] = {
            "terms": {k: float(v[0]) for k, v in info["terms"].items()}
        }
        if success is not None:
            extra["is_success"] = bool(success[0])
        return (
            self._row(obs),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            extra,
        )

    def render(self) -> np.ndarray | None:
        """(height, width, 3) uint8, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self.env.engine.render([self.camera], np.array([0]))[self.camera][0]

    def close(self) -> None:
        """Release the engine."""
        self.env.close()

    def _row(self, obs: Obs) -> Any:
        dressed = dress(obs, self.env.obs_spec)
        if isinstance(dressed, dict):
            return {key: values[0] for key, values in dressed.items()}
        return dressed[0]


class SandbotVectorEnv(VectorEnv):
    """A batch of environments in one engine; ended ones restart in the same step."""

    metadata: ClassVar[dict[str, Any]] = {
        **METADATA,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        engine: str = "mujoco",
        randomize: str = "none",
        render_mode: str | None = None,
        camera: str | None = None,
        threads: int = 0,
        **observed: Any,
    ):
        """See :func:`sims.make_env`, and :class:`SandbotEnv`."""
        check_render_mode(render_mode)
        self.env = make_env(
            task,
            engine=engine,
            num_envs=num_envs,
            randomize=randomize,
            threads=threads,
            autoreset=True,
            **observed,
        )
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.camera = camera or first_camera(self.env, render_mode)
        self.single_observation_space = obs_space(self.env.obs_spec)
        self.single_action_space = box(self.env.action_spec)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeded = False

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode everywhere. One seed serves all; each environment's draws
        differ by its index."""
        if isinstance(seed, list):
            raise UsageError(
                f"one integer seeds all environments, got a list of {len(seed)}: their "
                f"draws differ by environment"
            )
        if seed is None and not self._seeded:
            seed = entropy()
        self._seeded = True
        return self._rows(self.env.reset(seed=seed)), {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        """Advance all by one control step."""
        obs, reward, terminated, truncated, info = self.env.step(
            np.asarray(actions, float)
        )
        extra: dict[str, Any] = {}
        if info["success"] is not None:
            extra["is_success"] = info["success"].copy()
        ended: Array = terminated | truncated
        if "final_obs" in info:
            final = self._rows(info["final_obs"])
            rows = np.full(self.num_envs, None, object)
            for i in np.flatnonzero(ended):
                if isinstance(final, dict):
                    rows[i] = {key: values[i] for key, values in final.items()}
                else:
                    rows[i] = final[i]
            extra |= {"final_obs": rows, "_final_obs": ended}
            extra |= {
                "final_info": {
                    k: v.copy() for k, v in extra.items() if k == "is_success"
                },
                "_final_info": ended,
            }
        return self._rows(obs), reward, terminated, truncated, extra

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture (height, width, 3) of each environment."""
        if self.render_mode is None:
            return None
        ids = np.arange(self.num_envs)
        return tuple(self.env.engine.render([self.camera], ids)[self.camera])

    def close_extras(self, **_: Any) -> None:
        """Release the engine."""
        self.env.close()

    def _rows(self, obs: Obs) -> Any:
        return dress(obs, self.env.obs_spec)


def check_render_mode(render_mode: str | None) -> None:
    """See that it is one that we draw in.

    Raises:
        UsageError: it is not.
    """
    if render_mode not in (None, "rgb_array"):
        raise UsageError(
            f"render_mode is 'rgb_array' or None, got {render_mode!r}; for a window or "
            f"a browser use `sandbot play`"
        )


def register_envs() -> None:
    """Register every task with Gymnasium; importing this module calls it.

    A task whose ``gym_id`` is taken or malformed is told, and left out.
    """
    for name, task in working(TASKS).items():
        known = gym.registry.get(task.gym_id)
        if known is None:
            _register(name, task.gym_id)
        elif known.kwargs.get("task") != name:
            tell(
                f"the task {name!r} is not registered with Gymnasium, since its gym_id "
                f"{task.gym_id!r} is another environment's: give it one of its own"
            )


def _register(name: str, gym_id: str) -> None:
    try:
        gym.register(
            gym_id,
            entry_point="sims.gym_env:SandbotEnv",
            vector_entry_point="sims.gym_env:SandbotVectorEnv",
            kwargs={"task": name},
        )
    except gym.error.Error as error:
        tell(
            f"the task {name!r} is not registered with Gymnasium, since its gym_id "
            f"{gym_id!r} is not like 'package/Name-v0': {error}"
        )


register_envs()
