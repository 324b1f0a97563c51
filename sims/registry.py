"""From names to tasks and environments."""

from typing import TYPE_CHECKING

from assets import load_model, unknown
from assets.errors import UsageError
from sims.engines import ENGINES, EngineEntry
from sims.env import Env
from sims.randomization import Randomization
from sims.tasks import TASKS

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.task import Task


def make_task(name: str) -> "Task":
    """A fresh task.

    Args:
        name: in ``TASKS``, or the id of a Gymnasium environment (:mod:`sims.foreign`).

    Raises:
        UsageError: unknown name.
    """
    if name in TASKS:
        return TASKS[name]()
    from sims.foreign import is_gym_id

    if not is_gym_id(name):
        raise unknown("task", name, TASKS)
    return make_gym_task(name)


def make_gym_task(gym_id: str) -> "Task":
    """The task of that Gymnasium id: ours, or the environment as a task.

    Raises:
        UsageError: unknown id, or an environment that we do not understand.
    """
    from sims.foreign import GymnasiumTask
    from sims.gym_env import register_envs

    for factory in TASKS.values():
        task = factory()
        if task.gym_id == gym_id:
            return task
    register_envs()  # our ids are among those that an unknown one is compared with
    return GymnasiumTask(gym_id)


def engines_of(task: "Task") -> dict[str, EngineEntry]:
    """The engines that a task runs in, the usual one first."""
    return getattr(task, "engines", ENGINES)


def find_engine(task: "Task", engine: str | None) -> tuple[str, EngineEntry]:
    """An engine's name and entry; None: the task's usual one.

    Raises:
        UsageError: an unknown one, or one that the task does not run in.
    """
    engines = engines_of(task)
    name = next(iter(engines)) if engine is None else engine
    if name in engines:
        return name, engines[name]
    if engines is not ENGINES and name in ENGINES:
        raise UsageError(
            f"{task.name} brings its own engine, {', '.join(engines)}, and runs in no "
            f"other, got {name!r}: leave --engine out"
        )
    raise unknown("engine", name, engines)


def make_engine(
    task: "Task", engine: str | None, num_envs: int, threads: int = 0
) -> "Engine":
    """The engine of that name with a task's scene.

    Raises:
        UsageError: unknown engine, or a number of environments that it does not take.
    """
    _, entry = find_engine(task, engine)
    if num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    model = load_model(task.robot, task.scene) if task.robot else None
    return entry.make(model, num_envs, threads=threads)


def make_env(
    task: "str | Task",
    *,
    engine: str | None = None,
    num_envs: int = 1,
    randomize: str | Randomization = "none",
    seed: int = 0,
    threads: int = 0,
    autoreset: bool = False,
) -> Env:
    """An environment from names.

    Args:
        task: a name in ``TASKS``, a Gymnasium id, or a task object.
        engine: a name in ``ENGINES``; None: "mujoco", or the one that the task brings.
        num_envs: how many copies.
        randomize: a profile of the task ("none", "train", "gap"), or a table.
        seed: of all draws.
        threads: of the engine; 0: one per core.
        autoreset: start ended episodes anew in the same step.

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
    """
    chosen = make_task(task) if isinstance(task, str) else task
    return Env(
        make_engine(chosen, engine, num_envs, threads),
        chosen,
        _profile(chosen, randomize),
        seed=seed,
        autoreset=autoreset,
    )


def _profile(task: "Task", randomize: str | Randomization) -> Randomization:
    if isinstance(randomize, Randomization):
        return randomize
    if randomize not in task.randomizations:
        raise unknown(f"randomisation of {task.name!r}", randomize, task.randomizations)
    return task.randomizations[randomize]
