"""Any MJCF or URDF file as a task without an aim: drive its actuators, and watch.

The action is the actuators' controls within their ranges, held through a control step
of about 20 ms; the observation is all positions and velocities. An episode starts from
the file's first keyframe, where it has one, has no end of its own and no success.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.scene_file import load_file
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs, assign, zeros
from sims.engines import ENGINES, EngineEntry
from sims.randomization import Randomization
from sims.task import Marker, TaskDefaults, TaskState

if TYPE_CHECKING:
    import mujoco

    from sims.draws import Draws
    from sims.engine import Engine

CONTROL_DT = 0.02
"""Wanted from one action to the next; at least one physics step [s]."""
MAX_STEPS = 1_000_000
"""Of an episode: five and a half hours, which stand for no end."""


class MjcfTask(TaskDefaults):
    """See the module's top; a :class:`~sims.task.Task`."""

    robot = ""
    scene = ""
    expert = ""
    gym_id = ""
    max_steps = MAX_STEPS

    def __init__(self, path: str | Path):
        """Read the file.

        Raises:
            UsageError: there is no such file.
            SandbotError: MuJoCo cannot read it, see :mod:`assets.scene_file`.
        """
        model = load_file(path)
        self.name = Path(path).stem
        self.description = f"the scene of {Path(path).name}"
        self.substeps = max(1, round(CONTROL_DT / model.opt.timestep))
        self.control_dt = self.substeps * float(model.opt.timestep)
        self.obs_spec = {"state": _state_spec(model)}
        self.action_spec = _action_spec(model)
        self.randomizations = {"none": Randomization()}
        self.engines = {
            "mujoco": EngineEntry(
                description="MuJoCo, for which the file is written",
                make=lambda _, num_envs, threads=0: ENGINES["mujoco"].make(
                    model, num_envs, threads=threads
                ),
                default_num_envs=1,
            )
        }
        """In place of :data:`sims.ENGINES`."""
        has_key = model.nkey > 0
        self._qpos = model.key_qpos[0].copy() if has_key else model.qpos0.copy()
        self._qvel = model.key_qvel[0].copy() if has_key else np.zeros(model.nv)
        self._ctrl = model.key_ctrl[0].copy() if has_key else np.zeros(model.nu)

    def new_state(self, engine: "Engine") -> TaskState:
        """The count of steps."""
        return TaskState(steps=zeros(engine.qpos, dtype=int))

    def reset(
        self, engine: "Engine", state: TaskState, where: Mask, draws: "Draws"
    ) -> None:
        """Start from the first keyframe, or else from the model's own posture."""
        rows = (engine.num_envs, 1)
        engine.reset(where, np.tile(self._qpos, rows), np.tile(self._qvel, rows))
        assign(engine.ctrl, np.tile(self._ctrl, rows), where)
        assign(state.steps, 0, where)

    def advance(self, engine: "Engine", state: TaskState, action: Array) -> None:
        """Hold the controls through a control step."""
        engine.ctrl[:] = np.clip(action, *self.action_spec.limits())
        engine.step(self.substeps)
        state.steps += 1

    def observe(self, engine: "Engine", state: TaskState) -> Obs:
        """All positions, then all velocities."""
        return {"state": np.concatenate([engine.qpos, engine.qvel], axis=1)}

    def reward(self, engine: "Engine", state: TaskState) -> dict[str, Array]:
        """None to be had."""
        return {"reward": np.zeros(engine.num_envs)}

    def terminated(self, engine: "Engine", state: TaskState) -> Mask:
        """Never."""
        return np.zeros(engine.num_envs, bool)

    def success(self, engine: "Engine", state: TaskState) -> Mask | None:
        """Measures none."""
        return None

    def metrics(self, engine: "Engine", state: TaskState) -> dict[str, Array]:
        """The largest speed of any degree of freedom."""
        return {"fastest": np.abs(engine.qvel).max(axis=1, initial=0)}

    def markers(self, state: TaskState, env: int) -> list[Marker]:
        """Nothing beside the scene."""
        return []


def _state_spec(model: "mujoco.MjModel") -> ArraySpec:
    names = [f"qpos_{i}" for i in range(model.nq)]
    names += [f"qvel_{i}" for i in range(model.nv)]
    return ArraySpec(shape=(len(names),), names=tuple(names))


def _action_spec(model: "mujoco.MjModel") -> ArraySpec:
    """The actuators by name; those without a range may be driven by anything."""
    ranges: Any = model.actuator_ctrlrange.copy()
    ranges[model.actuator_ctrllimited == 0] = (-np.inf, np.inf)
    names = (model.actuator(i).name or f"actuator_{i}" for i in range(model.nu))
    bounded = bool(np.isfinite(ranges).any())
    return ArraySpec(
        shape=(model.nu,),
        low=tuple(ranges[:, 0].tolist()) if bounded else (),
        high=tuple(ranges[:, 1].tolist()) if bounded else (),
        names=tuple(names),
    )
