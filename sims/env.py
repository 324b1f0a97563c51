"""An environment is an engine, a task and a randomisation, batched.

The order of one :meth:`Env.step`: the action arrives (perhaps late), what varies within
episodes is drawn, pushes are set, the task acts and advances the engine by one control
step, outcomes are judged, the policy's view is made. With ``autoreset`` an environment
that ended starts its next episode in the same step, and its last observation is in
``info`` (Gymnasium's ``SAME_STEP``).

Arrays are those of the engine: NumPy's, or tensors on its device. On a device the host
asks once per step, at its end, where episodes ended and whether the actions were
finite; randomised model fields, restarts of few tasks (AlohaHandover) and cameras are
the host's work, and wait for the device, too.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError, unknown
from sims.arrays import (
    Array,
    Chosen,
    Mask,
    Obs,
    copied,
    host,
    is_host,
    like,
    maybe,
    namespace,
    sent,
)
from sims.dials import Holds
from sims.draws import Draws, check_seed
from sims.engine import Engine
from sims.field_randomizer import FieldRandomizer
from sims.observation import has_images, vector_groups
from sims.randomization import Randomization
from sims.sensing import Pusher, Sensing
from sims.task import Marker, Task, TaskState

if TYPE_CHECKING:
    from sims.cameras import CameraRig

Step = tuple[Obs, Array, Mask, Mask, dict[str, Any]]


class Env:
    """``num_envs`` copies of a task in an engine."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        randomization: Randomization,
        *,
        seed: int = 0,
        autoreset: bool = False,
        observe: str = "state",
        cameras: "CameraRig | None" = None,
    ):
        """Wire the parts; the first episode starts with :meth:`reset`.

        Args:
            engine: built from the task's scene; closed by :meth:`close`.
            task: what is to be done.
            randomization: what varies; :func:`sims.make_env` takes a profile's name.
            seed: of all draws.
            autoreset: whether episodes that end start anew in the same step.
            observe: which groups :attr:`obs_spec` has, see
                :data:`sims.observation.PRESETS`.
            cameras: of the engine, where ``observe`` has images; closed by
                :meth:`close`.

        Raises:
            UsageError: a seed that is not an integer, terms that do not fit, or a
                choice of observations that this task or these cameras do not offer.
            EngineError: the engine cannot vary what a term is about.
        """
        self._groups = vector_groups(task, observe)
        self.cameras = cameras
        """What draws the images; None: none are observed."""
        if (cameras is not None) != has_images(observe):
            raise UsageError(
                f"observe={observe!r} goes {'without' if cameras else 'with'} cameras: "
                f"'state' and 'proprio' have none, the others do"
            )
        self.engine = engine
        self.task = task
        self.num_envs = engine.num_envs
        self.obs_spec = {group: task.obs_spec[group] for group in self._groups}
        if cameras is not None:
            self.obs_spec |= cameras.specs
        self.action_spec = task.action_spec
        self.control_dt = task.control_dt
        self.max_steps = task.max_steps
        self.autoreset = autoreset
        # an engine of others, such as Gymnasium's, need not show positions
        self._beside = getattr(engine, "qpos", np.zeros(0))
        self.on_host = is_host(self._beside)
        """Whether arrays are NumPy's; else they are tensors on :attr:`device`."""
        self.device = "cpu" if self.on_host else engine.device
        """Where the arrays of observations, actions, rewards and states are."""
        self.state: TaskState = task.new_state(engine)
        self.holds = Holds(task.dials, self.state)
        """What a person tells the robots in place of what was drawn."""
        self.draws: Draws
        """Of everybody's present episode, where the arrays are."""
        self._broken: Array = 0
        self._seed = check_seed(seed)
        self._ids = np.arange(self.num_envs)
        self._episode = np.full(self.num_envs, -1)
        self._fields = FieldRandomizer(
            engine.model, randomization.fields, self.control_dt
        )
        self._fields.check(engine)
        self._has_fields = bool(randomization.fields)
        self._ranges = _task_ranges(task, randomization)
        self._sensing = Sensing(
            randomization,
            task.obs_spec,
            task.action_spec,
            self.num_envs,
            self._beside,
        )
        push = randomization.push
        self._pusher = Pusher(push, self.control_dt) if push is not None else None
        self._shape = (self.num_envs, *task.action_spec.shape)
        self._low, self._high = task.action_spec.limits()

    @property
    def diverged_count(self) -> int:
        """Environments that broke down and were ended since this object was made."""
        return int(self._broken)

    def reset(self, *, seed: int | None = None, ids: np.ndarray | None = None) -> Obs:
        """Start an episode everywhere.

        With a seed or ids it is each environment's episode 0, otherwise its next one.

        Args:
            seed: of all draws from now on; None: as before.
            ids: (num_envs,) who each environment is, to its draws; evaluation gives
                episode ``i`` the id ``i``, so that it meets the same world in every
                engine, with every policy, in batches of any size. None: as before.

        Returns:
            The first observations.
        """
        if seed is not None:
            self._seed = check_seed(seed)
        if ids is not None:
            self._ids = np.asarray(ids)
            if self._ids.shape != (self.num_envs,):
                raise UsageError(
                    f"ids names each of the {self.num_envs} environments, got an array "
                    f"of shape {self._ids.shape}"
                )
        if seed is not None or ids is not None:
            self._episode[:] = -1
        return self._begin(np.ones(self.num_envs, bool), {})

    def step(self, action: Array) -> Step:
        """Advance by one control step.

        Args:
            action: (num_envs, action_dim), in the units of ``action_spec``; the engine
                clips it to its actuators' limits.

        Returns:
            ``(obs, reward, terminated, truncated, info)``, each (num_envs, ...).
            ``info`` has "success" and "diverged" (num_envs,), "outcomes" (the task's
            other notions of success) and "terms" of the reward by name, "clipped"
            (num_envs,), how many elements of the action lay outside of their limits,
            and where episodes ended under ``autoreset`` "final_obs".

        Raises:
            UsageError: an action of the wrong shape, or not finite; on a device the
                latter is found after the step.
        """
        engine, task, state = self.engine, self.task, self.state
        action = given = self._check(action)
        low, high = like(self._low, action), like(self._high, action)
        outside = (action < low) | (action > high)
        action = self._sensing.act(action)
        if self._fields.timed:
            self._fields.advance(engine, host(state.steps), self._host_draws)
        if self._pusher is not None:
            self._pusher.apply(engine, state.steps, self.draws)
        task.advance(engine, state, action)
        self.holds.apply()
        terms = task.reward(engine, state)
        reward: Array = sum(terms.values())
        diverged = engine.diverged()
        terminated = task.terminated(engine, state)
        if maybe(diverged):
            reward = namespace(reward).where(diverged, 0.0, reward)
            terminated = terminated | diverged
        truncated = state.steps >= self.max_steps
        info: dict[str, Any] = {
            "terms": terms,
            "success": task.success(engine, state),
            "outcomes": task.outcomes(engine, state),
            "diverged": diverged,
            "clipped": outside.sum(axis=1),
        }
        truth = task.observe(engine, state)
        if self._sensing.active:
            self._sensing.advance(truth)
        obs = self._sense(truth)
        if self.cameras is not None:
            obs |= self._pictures()
        ended = self._told(terminated | truncated, given)
        if self.autoreset and ended.any():
            self._broken = self._broken + diverged.sum()
            info["final_obs"] = obs
            if info["success"] is not None:
                info["success"] = copied(info["success"])
            info["outcomes"] = {k: copied(v) for k, v in info["outcomes"].items()}
            obs = self._begin(ended, obs)
        return obs, reward, terminated, truncated, info

    def save(self) -> dict[str, Any]:
        """All that :meth:`load` needs to continue from here with the same bits."""
        import copy

        state = self.state.copy()
        self.holds.undo(state)
        return {
            "engine": self.engine.save(),
            "task": state,
            "draws": (self._seed, self._ids.copy(), self._episode.copy()),
            "sensing": copy.deepcopy(self._sensing),
        }

    def load(self, saved: dict[str, Any]) -> Obs:
        """Go back to a saved moment; returns the observations of then."""
        import copy

        everywhere = np.ones(self.num_envs, bool)
        self.engine.load(saved["engine"], everywhere)
        self.state.load(saved["task"], sent(everywhere, self._beside))
        self.holds.begin(everywhere)
        seed, ids, episode = saved["draws"]
        self._seed, self._ids, self._episode = seed, ids.copy(), episode.copy()
        self._make_draws()
        self._fields.forget()
        self._sensing = copy.deepcopy(saved["sensing"])
        if self.cameras is not None:
            self.cameras.begin(everywhere, self._host_draws)
        return self._view(self.task.observe(self.engine, self.state), everywhere, {})

    def instructions(self) -> list[str]:
        """What each environment's robot is asked to do, in words."""
        return self.task.instructions(self.state.on_host())

    def markers(self, env: int) -> list[Marker]:
        """What to draw beside the scene of an environment, for people."""
        return self.task.markers(self.state.on_host(), env)

    def sights(self, env: int) -> list[Marker]:
        """What the cameras of an environment see beside the scene."""
        return self.task.sights(self.state.on_host(), env)

    def close(self) -> None:
        """Release the cameras and the engine."""
        if self.cameras is not None:
            self.cameras.close()
        self.engine.close()

    def _begin(self, where: np.ndarray, last: Obs) -> Obs:
        """Start the next episode in some environments; observations of all.

        Args:
            where: (num_envs,) which environments, on the host.
            last: what was observed just now, which still holds for the others.
        """
        self._episode[where] += 1
        self._make_draws()
        if self._has_fields:
            self._fields.reset(self.engine, where, self._host_draws)
        if self.cameras is not None:
            self.cameras.begin(where, self._host_draws)
        there = sent(where, self._beside)
        Chosen(there).put(self.state.steps, 0)
        self.task.reset(self.engine, self.state, there, self.draws)
        self.holds.begin(where)
        self._sensing.reset(there, self.draws)
        truth = self.task.observe(self.engine, self.state)
        self._sensing.start(truth, there)
        return self._view(truth, where, last)

    def _view(self, truth: Obs, where: np.ndarray, last: Obs) -> Obs:
        """Observations of all, made anew where they are not as in ``last``."""
        everywhere = bool(where.all())
        obs = self._sense(truth) if everywhere else self._update(truth, where, last)
        if self.cameras is None:
            return obs
        return obs | self._pictures(where, {} if everywhere else last)

    def _pictures(self, where: Mask = None, last: Obs | None = None) -> Obs:
        """What the cameras see, of all; where that is not as in ``last``, if it is
        given. They are drawn on the host, and sent."""
        cameras, engine, steps = self.cameras, self.engine, host(self.state.steps)
        assert cameras is not None
        if last:
            before = {group: host(last[group]) for group in cameras.specs}
            seen = cameras.update(engine, before, where, steps, self.sights)
        else:
            ids = range(self.num_envs)
            seen = cameras.render(engine, ids, steps, sights=self.sights)
        return {group: sent(rows, self._beside) for group, rows in seen.items()}

    def _make_draws(self) -> None:
        """Of everybody's present episode, on the host and where the arrays are."""
        self._host_draws = Draws(self._seed, self._ids, self._episode, self._ranges)
        self.draws = self._host_draws.beside(self._beside)

    def _sense(self, truth: Obs) -> Obs:
        """The policy's view of the task's vectors."""
        if self._sensing.active:
            truth = self._sensing.read(truth, self.state.steps, self.draws)
        return {group: truth[group] for group in self._groups}

    def _update(self, truth: Obs, where: np.ndarray, last: Obs) -> Obs:
        """The same, where all but some environments are as in ``last``."""
        if not self._sensing.active:
            return self._sense(truth)
        chosen = Chosen(sent(where, self._beside))
        part = {group: chosen.of(truth[group]) for group in self._groups}
        draws, steps = chosen.draws(self.draws), chosen.of(self.state.steps)
        obs: Obs = {}
        for group, seen in self._sensing.read(part, steps, draws, chosen).items():
            obs[group] = copied(last[group])
            chosen.put(obs[group], seen)
        return obs

    def _check(self, action: Array) -> Array:
        """The action where the arrays are, if it may be one."""
        if np.shape(action) != self._shape:
            raise UsageError(
                f"{self.task.name} takes actions of shape {self._shape} (num_envs, "
                f"{', '.join(self.action_spec.names)}), got {np.shape(action)}"
            )
        if self.on_host:
            self._refuse(np.isfinite(action), action)
        return action if self.on_host else sent(action, self._beside)

    def _told(self, ended: Mask, action: Array) -> np.ndarray:
        """(num_envs,) where episodes ended, on the host, which waits for a device only
        here.

        Args:
            ended: (num_envs,) where they did.
            action: of this step; on a device it is judged here.
        """
        if self.on_host:
            return ended
        import torch

        fine = torch.isfinite(action)
        ended, finite = host(torch.stack([ended, fine.all(dim=1)]))
        if not finite.all():
            self._refuse(host(fine), host(action))
        return ended

    def _refuse(self, finite: np.ndarray, action: np.ndarray) -> None:
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=1))
            raise UsageError(
                f"the action of environment {bad[0]} is not finite: {action[bad[0]]}; "
                f"check the policy that made it"
            )


def _task_ranges(
    task: Task, randomization: Randomization
) -> dict[str, tuple[float, float]]:
    """Ranges of the numbers that a task asks for, by name.

    Raises:
        UsageError: the task asks for no number of such a name.
    """
    for term in randomization.task:
        if term.name not in task.parameters:
            raise unknown(f"number of the task {task.name}", term.name, task.parameters)
    return {term.name: (term.low, term.high) for term in randomization.task}
