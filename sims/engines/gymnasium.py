"""The engine of a Gymnasium environment: the environment itself, several times over.

Physics, control and reward are one object in Gymnasium, so this engine cannot be given
another task, nor its environment another engine. It begins episodes, acts, and shows:
MuJoCo's own model and data where the environment is simulated by MuJoCo, otherwise the
pictures that the environment draws itself.

An episode follows from its seed and its actions. So a saved state is these, and to
load it is to play them again; one that then looks different is refused.
"""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError, UsageError
from sims.arrays import Array, Mask
from sims.contacts import Contact, mujoco_contacts
from sims.engine import (
    EngineError,
    EngineState,
    check_state,
    find_frame,
    render_snapshots,
)
from sims.foreign import Facts, is_mujoco

if TYPE_CHECKING:
    import mujoco

_SUCCESS = ("is_success", "success")
"""Keys of ``info`` that report success, the first one that is there."""


class GymnasiumEngine:
    """``num_envs`` environments of one id, stepped one by one."""

    name = "gymnasium"
    device = "cpu"
    fields: tuple[str, ...] = ()

    def __init__(self, facts: Facts, num_envs: int):
        """Make the environments; :meth:`begin` starts their episodes.

        Args:
            facts: of one of them.
            num_envs: how many.
        """
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame opens no window
        self.num_envs = num_envs
        self.dt = facts.control_dt
        self.version = f"gymnasium {version('gymnasium')}"
        """Control step [s]; the physics step lies inside the environment."""
        self.gym_id = facts.gym_id
        self.envs = [facts.make() for _ in range(num_envs)]
        self.model: Any = self.envs[0].unwrapped.model if facts.has_scene else None
        """MuJoCo's; None where the environment is not simulated by it."""
        self.qpos = self.qvel = self.ctrl = np.zeros((num_envs, 0))
        """None are shown: the environments keep theirs to themselves."""
        self.obs = {
            group: np.zeros((num_envs, spec.size), spec.dtype)
            for group, spec in facts.obs_spec.items()
        }
        """By group, (num_envs, size)."""
        self.reward, self.returns = np.zeros(num_envs), np.zeros(num_envs)
        self.ended, self.terminated, self.success = (
            np.zeros(num_envs, bool) for _ in range(3)
        )
        self.reports_success = False
        """Whether any of the environments ever reported success, or its lack."""
        self._space = self.envs[0].action_space
        self._max_steps = facts.max_steps
        self._seeds = np.zeros(num_envs, np.int64)
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]
        self._closed = False

    def begin(self, where: Mask, seeds: Array) -> None:
        """Start episodes.

        Args:
            where: (num_envs,) which environments.
            seeds: (num_envs,) of the episodes.
        """
        for i in map(int, np.flatnonzero(where)):
            self._seeds[i] = int(seeds[i])
            self._actions[i] = []
            self.reward[i] = self.returns[i] = 0.0
            self.ended[i] = self.terminated[i] = self.success[i] = False
            obs, info = self._call(i, "reset", seed=int(seeds[i]))
            self._note(i, obs, info)

    def act(self, actions: Array) -> None:
        """One control step of each environment whose episode is running.

        Args:
            actions: (num_envs, size); clipped to the limits, as Gymnasium demands.
        """
        for i in range(self.num_envs):
            if self.ended[i]:
                self.reward[i] = 0.0
            else:
                self._act(i, np.asarray(actions[i], float))

    def diverged(self) -> Mask:
        """(num_envs,) whether an observation is not finite."""
        finite = [np.isfinite(values).all(axis=1) for values in self.obs.values()]
        return ~np.logical_and.reduce(finite)

    def snapshot(self, env: int = 0) -> "tuple[mujoco.MjModel, mujoco.MjData]":
        """MuJoCo's own model and data of one environment.

        Raises:
            EngineError: it is not simulated by MuJoCo.
        """
        self._need_scene("has no scene to show")
        inner = self.envs[env].unwrapped
        return inner.model, inner.data

    def contacts(self, env: int = 0) -> list[Contact]:
        """The contacts of one environment that press, as of its last step."""
        return mujoco_contacts(*self.snapshot(env))

    def pose(self, frame: str) -> tuple[Array, Array]:
        """Position (num_envs, 3) [m] and orientation (num_envs, 4) of a frame."""
        import mujoco

        self._need_scene("has no frames")
        kind, index = find_frame(self.model, frame)
        views = [getattr(self.snapshot(i)[1], kind)(index) for i in self._all()]
        quaternions = np.zeros((self.num_envs, 4))
        for row, view in zip(quaternions, views, strict=True):
            mujoco.mju_mat2Quat(row, np.asarray(view.xmat, float).ravel())
        return np.stack([np.array(view.xpos, float) for view in views]), quaternions

    def apply_wrench(self, body: str, wrench: Array, where: Mask) -> None:
        """Push a body at its centre of mass until told otherwise or reset."""
        self._need_scene("cannot be pushed")
        index = self.model.body(body).id
        for i in np.flatnonzero(where):
            self.snapshot(int(i))[1].xfrc_applied[index] = wrench[i]

    def render(self, cameras: list[str], ids: Array) -> dict[str, Array]:
        """Pictures (len(ids), height, width, 3) uint8, by camera.

        An environment that draws itself has one view, whatever the camera is called.

        Raises:
            SandbotError: it cannot draw.
        """
        if self.model is not None:
            return render_snapshots(self, cameras, ids)  # pyright: ignore[reportArgumentType]
        pictures = np.stack([self._picture(int(i)) for i in ids])
        return dict.fromkeys(cameras, pictures)

    def save(self) -> EngineState:
        """Seeds and actions of the running episodes.

        There is room for as many actions as an episode has, so that states of different
        moments have one shape, which a training's state relies on.
        """
        longest = max(self._max_steps, *map(len, self._actions))
        actions = np.zeros((self.num_envs, longest, int(np.prod(self._space.shape))))
        for i, taken in enumerate(self._actions):
            if taken:
                actions[i, : len(taken)] = taken
        return EngineState(
            engine=self.name,
            arrays={
                "seed": self._seeds.copy(),
                "count": np.array([len(taken) for taken in self._actions]),
                "actions": actions,
                **{f"obs:{group}": values.copy() for group, values in self.obs.items()},
            },
        )

    def load(self, state: EngineState, where: Mask) -> None:
        """Play the saved episodes again, up to where they were.

        Raises:
            EngineError: another engine's state, or an environment that does not repeat
                itself.
        """
        check_state(self, state, state.arrays.get("seed"), self._seeds)  # pyright: ignore[reportArgumentType]
        self.begin(where, state.arrays["seed"])
        for i in np.flatnonzero(where):
            for action in state.arrays["actions"][i, : state.arrays["count"][i]]:
                self._act(int(i), action)
            for group, values in self.obs.items():
                saved = state.arrays[f"obs:{group}"][i]
                if not np.array_equal(values[i], saved, equal_nan=True):
                    raise EngineError(
                        f"{self.gym_id} does not repeat itself from its seed and the "
                        f"same actions, so a saved moment cannot be loaded"
                    )

    def close(self) -> None:
        """Close the environments; may be called twice."""
        if not self._closed:
            self._closed = True
            for env in self.envs:
                env.close()

    def _act(self, i: int, action: np.ndarray) -> None:
        """One step of one environment; ``action`` is flat."""
        self._actions[i].append(action.copy())
        shaped = action.reshape(self._space.shape)
        clipped = np.clip(shaped, self._space.low, self._space.high)
        obs, reward, terminated, truncated, info = self._call(
            i, "step", clipped.astype(self._space.dtype)
        )
        self._note(i, obs, info)
        self.reward[i] = float(reward)
        self.returns[i] += self.reward[i]
        self.terminated[i] = bool(terminated)
        self.ended[i] = bool(terminated or truncated)

    def _note(self, i: int, obs: Any, info: dict[str, Any]) -> None:
        """Keep what an environment said."""
        for group, values in self.obs.items():
            part = obs[group] if isinstance(obs, dict) else obs
            values[i] = np.ravel(part)
        for key in _SUCCESS:
            if key in info:
                self.reports_success = True
                self.success[i] = bool(info[key])
                return

    def _call(self, i: int, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call an environment; what it raises is told as its failure."""
        try:
            return getattr(self.envs[i], method)(*args, **kwargs)
        except Exception as error:
            raise EngineError(
                f"{self.gym_id} failed in its {method}: {type(error).__name__}: {error}"
            ) from error

    def _picture(self, i: int) -> np.ndarray:
        """(height, width, 3) uint8, as the environment draws itself."""
        if self.envs[i].render_mode is None:
            raise UsageError(
                f"{self.gym_id} draws no pictures (rgb_array); play it "
                f"with --viewer none, evaluate it with --no-videos"
            )
        try:
            picture = np.asarray(self.envs[i].render())
        except Exception as error:
            raise SandbotError(
                f"{self.gym_id} cannot draw itself: {' '.join(str(error).split())}"
            ) from error
        return picture[..., :3].astype(np.uint8)

    def _all(self) -> range:
        return range(self.num_envs)

    def _need_scene(self, what: str) -> None:
        if self.model is None or not is_mujoco(self.envs[0].unwrapped):
            raise EngineError(
                f"{self.gym_id} is not simulated by MuJoCo, so it {what} here"
            )
