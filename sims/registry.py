"""From names to tasks and environments."""

from typing import TYPE_CHECKING

from assets import load_model, unknown
from assets.errors import UsageError
from sims.engines import ENGINES
from sims.env import Env
from sims.randomization import Randomization
from sims.tasks import TASKS

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.task import Task


def make_task(name: str) -> "Task":
    """A fresh task.

    Raises:
        UsageError: unknown name.
    """
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]()


def make_engine(task: "Task", engine: str, num_envs: int, threads: int = 0) -> "Engine":
    """The engine of that name with a task's scene.

    Raises:
        UsageError: unknown engine, or a number of environments that it does not take.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    model = load_model(task.robot, task.scene)
    return ENGINES[engine].make(model, num_envs, threads=threads)


def make_env(
    task: "str | Task",
    *,
    engine: str = "mujoco",
    num_envs: int = 1,
    randomize: str | Randomization = "none",
    seed: int = 0,
    threads: int = 0,
    autoreset: bool = False,
) -> Env:
    """An environment from names.

    Args:
        task: a name in ``TASKS``, or a task object.
        engine: a name in ``ENGINES``.
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
