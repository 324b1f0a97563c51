"""Gymnasium's MuJoCo environments as batched tasks: the same numbers, hundreds at once.

``gym-humanoid`` is ``Humanoid-v5`` and ``gym-half-cheetah`` is ``HalfCheetah-v5``, in
Gymnasium's own scenes, on the engine ``mujoco`` with its threads. From the same state
and the same actions, observations, rewards, their terms and ends are Gymnasium's to
rounding error, and so are the names of what is observed: a policy that was trained here
acts there (``--env Humanoid-v5``). Starts have Gymnasium's distribution; the draws are
ours.

The rewards are foreign ones and do not lie in [0, 1], as those of this house do:
``Humanoid-v5`` pays 5 for each step on its feet and 1.25 for each metre per second.
There is no success.

``gym-humanoid-no-forces`` is ``Humanoid-v5`` made with
``include_cfrc_ext_in_observation=False, contact_cost_weight=0``: without the forces of
contact, which cost about 6% of a step (:mod:`sims.engines.mujoco_late`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs
from sims.engines import EngineEntry
from sims.randomization import Randomization
from sims.task import Marker, TaskDefaults, TaskState

if TYPE_CHECKING:
    import mujoco

    from sims.draws import Draws

_ALL = slice(None)


@dataclass(frozen=True, kw_only=True)
class GymMujoco:
    """What makes one of Gymnasium's environments."""

    name: str
    """Ours, on the command line."""
    gym_id: str
    """Gymnasium's."""
    description: str
    """One line for ``sandbot list``."""
    scene: str
    """File among Gymnasium's assets."""
    substeps: int
    """Physics steps per control step; Gymnasium's ``frame_skip``."""
    hidden: int
    """Leading positions that are not observed: where in the world it is."""
    derived: tuple[tuple[str, int], ...] = ()
    """Fields of ``MjData`` that are observed after positions and velocities, each with
    the number of leading rows that are not."""
    by_centre: bool = False
    """Whether its centre of mass counts as where it is, or else its first position."""
    forward: float = 1.0
    """Paid for a speed of 1 m/s along x."""
    ctrl: float = 0.1
    """Price of the controls' sum of squares."""
    alive: float = 0.0
    """Paid for a step within :attr:`heights`."""
    heights: tuple[float, float] = (-np.inf, np.inf)
    """Of the third position, which it must stay between [m]; else the episode ends."""
    contact: float = 0.0
    """Price of the contact forces' sum of squares."""
    most_contact: float = 10.0
    """The highest price of contact forces."""
    noise: float
    """Start: half the range of positions' uniform noise, and scale of velocities'."""
    normal_speed: bool = False
    """Whether velocities' noise is normal, or else uniform, too."""


_HUMANOID = GymMujoco(
    name="gym-humanoid",
    gym_id="Humanoid-v5",
    description="run ahead, as Gymnasium's Humanoid-v5",
    scene="humanoid.xml",
    substeps=5,
    hidden=2,
    derived=(("cinert", 1), ("cvel", 1), ("qfrc_actuator", 6), ("cfrc_ext", 1)),
    by_centre=True,
    forward=1.25,
    alive=5.0,
    heights=(1.0, 2.0),
    contact=5e-7,
    noise=0.01,
)
_NO_FORCES = GymMujoco(
    **vars(_HUMANOID)
    | {
        "name": "gym-humanoid-no-forces",
        "description": "the same without contact forces: a little faster",
        "derived": _HUMANOID.derived[:-1],
        "contact": 0.0,
    }
)
_CHEETAH = GymMujoco(
    name="gym-half-cheetah",
    gym_id="HalfCheetah-v5",
    description="run ahead, as Gymnasium's HalfCheetah-v5",
    scene="half_cheetah.xml",
    substeps=5,
    hidden=1,
    noise=0.1,
    normal_speed=True,
)


@dataclass
class GymMujocoState(TaskState):
    """What the environment last said."""

    observed: Array
    """(num_envs, size)."""
    place: Array
    """(num_envs,) along x [m]."""
    speed: Array
    """(num_envs,) along x, over the last control step [m/s]."""


class GymMujocoTask(TaskDefaults):
    """See the module's top; a :class:`~sims.task.Task`."""

    robot = ""
    scene = ""
    expert = ""
    max_steps = 1000

    def __init__(self, what: GymMujoco):
        """Nothing is loaded before it is needed.

        Args:
            what: which one it is.
        """
        self.what = what
        self.name, self.gym_id = what.name, what.gym_id
        self.description = what.description
        self.substeps = what.substeps
        self.randomizations = {"none": Randomization()}

    @cached_property
    def engines(self) -> dict[str, EngineEntry]:
        """In place of :data:`sims.ENGINES`."""
        return {
            "mujoco": EngineEntry(
                description="MuJoCo on CPU threads, derived quantities as Gymnasium's",
                make=lambda _, num_envs, threads=0: self._engine(num_envs, threads),
                default_num_envs=256,
            )
        }

    @cached_property
    def model(self) -> "mujoco.MjModel":
        """Gymnasium's scene, whose old-fashioned attributes are its own business."""
        import warnings

        import mujoco

        found = find_spec("gymnasium")
        assert found is not None and found.origin is not None
        folder = Path(found.origin).parent / "envs" / "mujoco" / "assets"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mujoco.MjModel.from_xml_path(str(folder / self.what.scene))

    @cached_property
    def control_dt(self) -> float:
        """[s]"""
        return self.substeps * float(self.model.opt.timestep)

    @cached_property
    def obs_spec(self) -> dict[str, ArraySpec]:
        """Named and typed as Gymnasium's is by :mod:`sims.foreign`."""
        import mujoco

        data = mujoco.MjData(self.model)
        size = data.qpos.size - self.what.hidden + data.qvel.size
        for field, first in self.what.derived:
            size += getattr(data, field)[first:].size
        names = tuple(f"obs_{index}" for index in range(size))
        return {"state": ArraySpec(shape=(size,), names=names, dtype="float64")}

    @cached_property
    def action_spec(self) -> ArraySpec:
        """Torques in units of each motor's gear; limits are Gymnasium's, in float32."""
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T
        names = tuple(f"action_{index}" for index in range(self.model.nu))
        return ArraySpec(
            shape=(self.model.nu,),
            low=tuple(low.astype(float).tolist()),
            high=tuple(high.astype(float).tolist()),
            names=names,
        )

    def new_state(self, engine: Any) -> GymMujocoState:
        """Memory for so many environments, not yet reset."""
        num_envs, size = engine.num_envs, self.obs_spec["state"].size
        return GymMujocoState(
            steps=np.zeros(num_envs, np.int64),
            observed=np.zeros((num_envs, size)),
            place=np.zeros(num_envs),
            speed=np.zeros(num_envs),
        )

    def reset(
        self, engine: Any, state: GymMujocoState, where: Mask, draws: "Draws"
    ) -> None:
        """Start near the scene's own posture, nearly at rest."""
        model, noise = self.model, self.what.noise
        rows = np.flatnonzero(where)
        drawn, qpos, qvel = draws.at(rows), engine.qpos.copy(), engine.qvel.copy()
        offsets = drawn.uniform("start_qpos", -noise, noise, (model.nq,))
        qpos[rows] = model.qpos0 + offsets
        if self.what.normal_speed:
            qvel[rows] = noise * drawn.normal("start_qvel", (model.nv,))
        else:
            qvel[rows] = drawn.uniform("start_qvel", -noise, noise, (model.nv,))
        engine.reset(where, qpos, qvel)
        self.note(engine, state, rows)
        state.speed[rows] = 0.0

    def advance(self, engine: Any, state: GymMujocoState, action: Array) -> None:
        """Hold the torques through a control step. Like Gymnasium, a cost counts what
        was commanded, and the engine clips what is done."""
        before = state.place.copy()
        engine.ctrl[:] = action
        engine.step(self.substeps)
        state.steps += 1
        self.note(engine, state)
        state.speed[:] = (state.place - before) / self.control_dt

    def note(
        self, engine: Any, state: GymMujocoState, rows: slice | np.ndarray = _ALL
    ) -> None:
        """Keep what is observed now, since a step of the engine overwrites it, and a
        loaded state does not have it.

        Args:
            engine: to read from.
            state: to write to.
            rows: of which environments.
        """
        what = self.what
        parts = [engine.qpos[rows, what.hidden :], engine.qvel[rows]]
        for field, first in what.derived:
            values = engine.derived(field)[rows, first:]
            parts.append(values.reshape(len(values), -1))
        state.observed[rows] = np.concatenate(parts, axis=1)
        place = engine.derived("subtree_com")[:, 0] if what.by_centre else engine.qpos
        state.place[rows] = place[rows, 0]

    def observe(self, engine: Any, state: GymMujocoState) -> Obs:
        """The group ``state``."""
        return {"state": state.observed.copy()}

    def reward(self, engine: Any, state: GymMujocoState) -> dict[str, Array]:
        """Gymnasium's own terms."""
        what = self.what
        terms = {
            "forward": what.forward * state.speed,
            "ctrl": -what.ctrl * (engine.ctrl**2).sum(axis=1),
        }
        if what.alive:
            terms["survive"] = what.alive * self.upright(engine)
        if what.contact:
            forces = engine.derived("cfrc_ext").reshape(engine.num_envs, -1)
            price = what.contact * (forces**2).sum(axis=1)
            terms["contact"] = -np.minimum(price, what.most_contact)
        return terms

    def upright(self, engine: Any) -> Mask:
        """(num_envs,) whether the height is a healthy one."""
        low, high = self.what.heights
        height = engine.qpos[:, 2]
        return (low < height) & (height < high)

    def terminated(self, engine: Any, state: GymMujocoState) -> Mask:
        """(num_envs,) whether it has fallen, or jumped too high."""
        return ~self.upright(engine)

    def success(self, engine: Any, state: GymMujocoState) -> Mask | None:
        """Measures none."""
        return None

    def metrics(self, engine: Any, state: GymMujocoState) -> dict[str, Array]:
        """How fast it runs."""
        return {"speed [m/s]": state.speed.copy()}

    def markers(self, state: GymMujocoState, env: int) -> list[Marker]:
        """Nothing beside the scene."""
        return []

    def _engine(self, num_envs: int, threads: int) -> Any:
        from sims.engines.mujoco_late import LateMujocoEngine

        forces = "cfrc_ext" in dict(self.what.derived)
        return LateMujocoEngine(self.model, num_envs, threads=threads, forces=forces)


GYM_TASKS: dict[str, Callable[[], GymMujocoTask]] = {
    what.name: partial(GymMujocoTask, what)
    for what in (_HUMANOID, _NO_FORCES, _CHEETAH)
}
"""By name; :func:`sims.make_task` knows them beside ``TASKS``, whose members are judged
by this house's rules (a success, rewards in [0, 1], other engines), which these are
not."""
