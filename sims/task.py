"""What is to be done? A task reads and drives an engine, and has no engine branch.

A task object is stateless and shared; its memory (command, time held, curriculum) is a
:class:`TaskState`, batched, saved and loaded with the engine's state. ``advance`` alone
changes the state; the other methods are pure.

A task computes with the functions of its arrays' namespace (:mod:`sims.arrays`), so
that it runs on NumPy and, beside an engine on a GPU, on tensors there. What is for
people (instructions, markers, sights) gets the state as :meth:`TaskState.on_host`.
"""

import copy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs, assign, host, is_host
from sims.dials import Dial

if TYPE_CHECKING:
    from sims.draws import Draws
    from sims.engine import Engine
    from sims.randomization import Randomization


@dataclass
class TaskState:
    """Arrays (num_envs, ...); a task adds its own in a subclass."""

    steps: Array
    """Control steps since the reset, (num_envs,) int64."""

    def copy(self) -> "TaskState":
        """A deep copy."""
        return copy.deepcopy(self)

    def load(self, other: "TaskState", where: Mask) -> None:
        """Take over some environments' rows of another state, in place."""
        for f in fields(self):
            assign(getattr(self, f.name), getattr(other, f.name), where)

    def on_host(self) -> Self:
        """The same in NumPy's arrays, for people's eyes: itself, where it has those."""
        if is_host(self.steps):
            return self
        return replace(
            self, **{f.name: host(getattr(self, f.name)) for f in fields(self)}
        )


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Something to draw that is not in the scene: a target, a path, a force."""

    kind: str
    """"sphere", "line" or "arrow"."""
    points: Any
    """(1, 3) for a sphere, (n, 3) for a line, (2, 3) from tail to head [m]."""
    size: float
    """Radius [m]."""
    rgba: tuple[float, float, float, float] = field(default=(0.2, 0.7, 0.3, 0.6))


class Task(Protocol):
    """See the module's top."""

    name: str
    """Name on the command line, such as "arm-reach"."""
    gym_id: str
    """Name in Gymnasium, such as "sandbot/ArmReach-v0"."""
    description: str
    """One line for ``sandbot list``."""
    robot: str
    scene: str
    expert: str
    """Name of the policy that solves it."""
    substeps: int
    """Physics steps per control step."""
    control_dt: float
    """Time from one action to the next: ``substeps`` physics steps [s]."""
    max_steps: int
    """Control steps per episode."""
    obs_spec: dict[str, ArraySpec]
    action_spec: ArraySpec
    randomizations: dict[str, "Randomization"]
    """By profile: "none" (what the task itself varies), "train", "gap"."""
    parameters: tuple[str, ...]
    """Names of the numbers that it asks for by :meth:`sims.draws.Draws.within`, whose
    ranges a randomisation may change."""
    dials: tuple[Dial, ...]
    """Numbers of its state that a person may set while watching."""

    def new_state(self, engine: "Engine") -> TaskState:
        """Memory for an engine's environments, where its arrays are, not yet reset."""
        ...

    def reset(
        self, engine: "Engine", state: TaskState, where: Mask, draws: "Draws"
    ) -> None:
        """Start an episode in some environments; draws are keyed by
        (term, environment, episode)."""
        ...

    def advance(self, engine: "Engine", state: TaskState, action: Array) -> None:
        """Act, step the engine through one control step, and remember."""
        ...

    def observe(self, engine: "Engine", state: TaskState) -> Obs: ...

    def reward(self, engine: "Engine", state: TaskState) -> dict[str, Array]:
        """Named terms (num_envs,); their sum, in [0, 1], is the reward."""
        ...

    def terminated(self, engine: "Engine", state: TaskState) -> Mask:
        """(num_envs,) whether the episode ended for good (a fall), time-out aside."""
        ...

    def success(self, engine: "Engine", state: TaskState) -> Mask | None:
        """(num_envs,) whether the task is solved so far; None: it measures none."""
        ...

    def outcomes(self, engine: "Engine", state: TaskState) -> dict[str, Mask]:
        """Other notions of success so far, (num_envs,) each: stages on the way, a
        published benchmark's criterion ("benchmark_success")."""
        ...

    def instructions(self, state: TaskState) -> list[str]:
        """What each environment's robot is asked to do, in words; of NumPy's arrays."""
        ...

    def metrics(self, engine: "Engine", state: TaskState) -> dict[str, Array]:
        """Figures (num_envs,) to draw over time, such as "tip_error [m]"."""
        ...

    def markers(self, state: TaskState, env: int) -> list[Marker]:
        """What to draw beside the scene, for people; of NumPy's arrays."""
        ...

    def sights(self, state: TaskState, env: int) -> list[Marker]:
        """What the environment's cameras see beside the scene: things that the task is
        about and the physics does not have; of NumPy's arrays."""
        ...


class TaskDefaults:
    """What most tasks do where they have nothing special to say; to inherit from."""

    description: str
    parameters: tuple[str, ...] = ()
    dials: tuple[Dial, ...] = ()
    """Nothing that a person may set."""

    def outcomes(self, engine: "Engine", state: TaskState) -> dict[str, Mask]:
        """No other notion of success than the one."""
        return {}

    def instructions(self, state: TaskState) -> list[str]:
        """The description, for all."""
        return [self.description] * len(state.steps)

    def sights(self, state: TaskState, env: int) -> list[Marker]:
        """Nothing beside the scene."""
        return []
