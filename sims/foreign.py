"""Any Gymnasium environment as a task of ours, in an engine of its own.

``make_task("Pendulum-v1")`` and ``make_task("module:Name-v0")`` give a
:class:`GymnasiumTask`: what is to be done, the physics and the time limit all lie in
the Gymnasium environment, so that this task only passes on what
:class:`~sims.engines.gymnasium.GymnasiumEngine` knows. Everything else of the house
(environment, viewers, evaluation, recording) then works as for a task of ours.

Success is what the environment reports as ``info["is_success"]`` or
``info["success"]``, the last value of an episode; one that never does measures none.
"""

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs
from sims.engines import EngineEntry
from sims.randomization import Randomization
from sims.task import Marker, TaskDefaults, TaskState

if TYPE_CHECKING:
    from sims.draws import Draws

MAX_STEPS = 1000
"""Of an episode, where the environment sets no time limit."""
CONTROL_DT = 1 / 30
"""Of an environment that tells neither ``dt`` nor ``render_fps`` [s]."""
NUM_ENVS = 16
"""Environments at once in batch work; they are stepped one by one."""
_ID = re.compile(r"(?:[\w.]+:)?(?:[\w:.-]+/)?[\w:.-]+-v\d+$")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a look at one environment tells."""

    gym_id: str
    """With its version, and the module that registers it, if one was given."""
    obs_spec: dict[str, ArraySpec]
    action_spec: ArraySpec
    control_dt: float
    """[s]"""
    max_steps: int
    has_scene: bool
    """Whether it is simulated by MuJoCo."""
    make: Callable[[], Any]
    """Makes one more."""


class GymnasiumTask(TaskDefaults):
    """See the module's top; a :class:`~sims.task.Task`."""

    robot = ""
    scene = ""
    expert = ""
    substeps = 1

    def __init__(self, gym_id: str):
        """Make one of it, and look.

        Raises:
            UsageError: no such id, a package is missing, or spaces that are not ours.
        """
        facts = look(gym_id)
        self.name = self.gym_id = facts.gym_id
        self.description = f"the Gymnasium environment {facts.gym_id}"
        self.control_dt = facts.control_dt
        self.max_steps = facts.max_steps
        self.obs_spec = dict(facts.obs_spec)
        self.action_spec = facts.action_spec
        self.randomizations = {"none": Randomization()}
        self.engines = {
            "gymnasium": EngineEntry(
                description=f"what {facts.gym_id} brings",
                make=lambda _, num_envs, threads=0: _engine(facts, num_envs),
                default_num_envs=NUM_ENVS,
            )
        }
        """In place of :data:`sims.ENGINES`."""

    def new_state(self, engine: Any) -> TaskState:
        """The count of steps; the environments remember the rest."""
        return TaskState(steps=np.zeros(engine.num_envs, np.int64))

    def reset(self, engine: Any, state: TaskState, where: Mask, draws: "Draws") -> None:
        """Start episodes, each from a seed of its own."""
        engine.begin(where, draws.bits("gymnasium") >> np.uint64(33))

    def advance(self, engine: Any, state: TaskState, action: Array) -> None:
        """Act, wherever an episode is running."""
        engine.act(action)
        state.steps += 1

    def observe(self, engine: Any, state: TaskState) -> Obs:
        """(num_envs, size) by group."""
        return {group: values.copy() for group, values in engine.obs.items()}

    def reward(self, engine: Any, state: TaskState) -> dict[str, Array]:
        """The environment's own, of whatever scale; 0 after an episode's end."""
        return {"reward": engine.reward.copy()}

    def terminated(self, engine: Any, state: TaskState) -> Mask:
        """(num_envs,) whether the environment ended the episode before its time."""
        return engine.ended & (state.steps < self.max_steps) | engine.terminated

    def success(self, engine: Any, state: TaskState) -> Mask | None:
        """(num_envs,) as last reported; None as long as none of them reported any."""
        return engine.success.copy() if engine.reports_success else None

    def metrics(self, engine: Any, state: TaskState) -> dict[str, Array]:
        """The sum of rewards so far."""
        return {"return": engine.returns.copy()}

    def markers(self, state: TaskState, env: int) -> list[Marker]:
        """Nothing: the environment draws what is to be seen."""
        return []


def is_gym_id(name: str) -> bool:
    """Whether a name has the form of a Gymnasium id, or is registered as one."""
    import gymnasium

    return bool(_ID.match(name)) or name in gymnasium.registry


@lru_cache(maxsize=32)
def look(gym_id: str) -> Facts:
    """Make one environment, and read off what a task says.

    Raises:
        UsageError: no such id, a package is missing, or spaces that are not ours.
    """
    env = _make(gym_id)
    try:
        inner = env.unwrapped
        modes = env.metadata.get("render_modes") or ()
        scene = is_mujoco(inner)
        kwargs = {"render_mode": "rgb_array"} if _draws(modes, scene) else {}
        module, colon, _ = gym_id.rpartition(":")
        dt, fps = getattr(inner, "dt", None), env.metadata.get("render_fps")
        return Facts(
            gym_id=f"{module}{colon}{env.spec.id}",
            obs_spec=_obs_spec(gym_id, env.observation_space),
            action_spec=_action_spec(gym_id, env.action_space),
            control_dt=float(dt or (1 / fps if fps else CONTROL_DT)),
            max_steps=int(env.spec.max_episode_steps or MAX_STEPS),
            has_scene=scene,
            make=lambda: _make(gym_id, **kwargs),
        )
    finally:
        env.close()


def is_mujoco(inner: Any) -> bool:
    """Whether an unwrapped environment holds a model and data of MuJoCo."""
    if not (hasattr(inner, "model") and hasattr(inner, "data")):
        return False
    import mujoco

    return isinstance(inner.model, mujoco.MjModel) and isinstance(
        inner.data, mujoco.MjData
    )


def _draws(modes: Any, scene: bool) -> bool:
    """Whether it is to make pictures itself; a scene of MuJoCo is drawn by us."""
    return not scene and "rgb_array" in modes


def _engine(facts: Facts, num_envs: int) -> Any:
    from sims.engines.gymnasium import GymnasiumEngine

    return GymnasiumEngine(facts, num_envs)


def _make(gym_id: str, **kwargs: Any) -> Any:
    """``gymnasium.make``, with its errors in one line of ours."""
    import gymnasium
    from gymnasium import error

    module, colon, name = gym_id.rpartition(":")
    if colon and not (module and name and ":" not in module):
        raise UsageError(
            f"a Gymnasium id is Name-v0, namespace/Name-v0 or module:Name-v0, got "
            f"{gym_id!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_beside(module)
            return gymnasium.make(gym_id, disable_env_checker=True, **kwargs)
    except error.UnregisteredEnv:
        raise _unknown_id(gym_id) from None
    except (ImportError, error.DependencyNotInstalled) as reason:
        raise UsageError(
            f"{gym_id} needs a package that is not installed: {_one_line(reason)}"
        ) from reason
    except Exception as reason:
        raise UsageError(
            f"{gym_id} cannot be made: {type(reason).__name__}: {_one_line(reason)}"
        ) from reason


def _import_beside(module: str) -> None:
    """Let a module in the present folder be found, as ``python -m`` does."""
    import os
    from importlib.util import find_spec

    if module and "." not in module and find_spec(module) is None:
        sys.path.append(os.getcwd())


def _unknown_id(gym_id: str) -> UsageError:
    """An unknown id, with the closest one that is registered."""
    import difflib

    import gymnasium

    known = sorted(gymnasium.registry)
    spaces = {spec.namespace for spec in gymnasium.registry.values()}
    namespace = gym_id.rpartition(":")[2].rpartition("/")[0]
    close = difflib.get_close_matches(gym_id, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if namespace and namespace not in spaces:
        hint = f" No package that is loaded registers the namespace {namespace!r}."
    return UsageError(
        f"unknown Gymnasium id {gym_id!r}.{hint} {len(known)} are registered "
        f"(gymnasium.registry); one of another package is given with the module that "
        f"registers it, as module:Name-v0"
    )


def _obs_spec(gym_id: str, space: Any) -> dict[str, ArraySpec]:
    """A lone Box is the group "state"; a Dict of them has a group for each key."""
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return {"state": _spec(space, "obs")}
    if isinstance(space, spaces.Dict) and all(
        isinstance(part, spaces.Box) for part in space.values()
    ):
        return {key: _spec(part, key) for key, part in space.items()}
    raise UsageError(
        f"{gym_id} observes {_short(space)}; only a Box, or a Dict of them, is "
        f"understood: wrap it, and register the wrapped one"
    )


def _action_spec(gym_id: str, space: Any) -> ArraySpec:
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return _spec(space, "action")
    raise UsageError(
        f"{gym_id} takes actions from {_short(space)}; only a Box, continuous actions, "
        f"is understood: choose an environment with one"
    )


def _spec(space: Any, stem: str) -> ArraySpec:
    """A Box as a flat array."""
    size = int(np.prod(space.shape))
    low, high = (np.ravel(limit).astype(float) for limit in (space.low, space.high))
    return ArraySpec(
        shape=(size,),
        low=tuple(low.tolist()) if np.isfinite(low).all() else (),
        high=tuple(high.tolist()) if np.isfinite(high).all() else (),
        names=tuple(f"{stem}_{index}" for index in range(size)),
        dtype="float64" if space.dtype == np.float64 else "float32",
    )


def _short(space: Any) -> str:
    text = _one_line(space)
    return text if len(text) <= 80 else f"a {type(space).__name__}"


def _one_line(reason: object) -> str:
    """Without line breaks and colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(reason).split()))
