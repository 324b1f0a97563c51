"""From names to tasks and environments."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from assets import ROBOTS, load_model, unknown
from assets.errors import UsageError
from assets.plugins import working
from sims.engines import ENGINES, EngineEntry
from sims.env import Env
from sims.gym_mujoco import GYM_TASKS
from sims.observation import check_preset, has_images
from sims.randomization import Randomization
from sims.tasks import TASKS

if TYPE_CHECKING:
    from sims.engine import Engine
    from sims.task import Task


def make_task(name: str) -> "Task":
    """A fresh task.

    Args:
        name: in ``TASKS`` or :data:`sims.gym_mujoco.GYM_TASKS`, or the id of a
            Gymnasium environment (:mod:`sims.foreign`).

    Raises:
        UsageError: unknown name.
    """
    known: dict[str, Callable[[], Any]] = {**TASKS, **GYM_TASKS}
    if name in known:
        return known[name]()
    from sims.foreign import is_gym_id

    if not is_gym_id(name):
        raise unknown("task", name, known)
    return make_gym_task(name)


def make_gym_task(gym_id: str) -> "Task":
    """The task of that Gymnasium id: ours, or the environment as a task.

    Raises:
        UsageError: unknown id, or an environment that we do not understand.
    """
    from sims.foreign import GymnasiumTask
    from sims.gym_env import register_envs

    for task in working(TASKS).values():
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
    task: "Task",
    engine: str | None,
    num_envs: int,
    threads: int = 0,
    arrays: str = "numpy",
) -> "Engine":
    """The engine of that name with a task's scene.

    Raises:
        UsageError: unknown engine, or a number of environments or a kind of arrays that
            it does not have.
    """
    name, entry = find_engine(task, engine)
    if num_envs < 1:
        raise UsageError(f"num_envs must be at least 1, got {num_envs}")
    if arrays not in entry.arrays:
        raise UsageError(
            f"the arrays of the engine {name!r} are {' or '.join(entry.arrays)}, got "
            f"{arrays!r}: tensors are those of the engine 'warp'"
        )
    model = load_model(task.robot, task.scene) if task.robot else None
    choice = {"arrays": arrays} if len(entry.arrays) > 1 else {}
    return entry.make(model, num_envs, threads=threads, **choice)


def make_env(
    task: "str | Task",
    *,
    engine: str | None = None,
    num_envs: int = 1,
    randomize: str | Randomization = "none",
    seed: int = 0,
    threads: int = 0,
    arrays: str = "numpy",
    autoreset: bool = False,
    observe: str = "state",
    cameras: Sequence[str] | None = None,
    image_size: tuple[int, int] = (320, 240),
    quality: str = "fast",
    depth: bool = False,
    segmentation: bool = False,
) -> Env:
    """An environment from names.

    Args:
        task: a name in ``TASKS``, a Gymnasium id, or a task object.
        engine: a name in ``ENGINES``; None: "mujoco", or the one that the task brings.
        num_envs: how many copies.
        randomize: a profile of the task ("none", "train", "gap"), or a table.
        seed: of all draws.
        threads: of the engine; 0: one per core.
        arrays: what actions, observations and states are: "numpy", or "torch", with
            the engine "warp": tensors on its device, a GPU where there is one, between
            which and the host nothing but the ends of episodes travels in a step.
        autoreset: start ended episodes anew in the same step.
        observe: "state", "proprio", "images", "images+proprio" or "both", see
            :mod:`sims.observation`.
        cameras: whose images, where there are any; None: the robot's.
        image_size: width and height [pixels].
        quality: "fast", or "high" with shadows, reflections and smooth edges.
        depth: whether each camera measures distances, too.
        segmentation: whether each camera names what it sees, too.

    Raises:
        UsageError: a name that does not exist, or a number that is not allowed.
        SandbotError: images are wanted, and cannot be drawn on this machine.
    """
    chosen = make_task(task) if isinstance(task, str) else task
    profile = _profile(chosen, randomize)
    names = camera_choice(chosen, observe, cameras)
    if (depth or segmentation) and not names:
        raise UsageError(
            f"depth and segmentation are of cameras, and observe={observe!r} has none"
        )
    physics = make_engine(chosen, engine, num_envs, threads, arrays)
    rig = None
    try:
        if names:
            from sims.cameras import CameraRig

            rig = CameraRig(
                physics.model,
                names,
                image_size=image_size,
                quality=quality,
                depth=depth,
                segmentation=segmentation,
                terms=profile.images,
            )
        return Env(
            physics,
            chosen,
            profile,
            seed=seed,
            autoreset=autoreset,
            observe=observe,
            cameras=rig,
        )
    except BaseException:
        if rig is not None:
            rig.close()
        physics.close()
        raise


def camera_choice(
    task: "Task", observe: str, cameras: Sequence[str] | None
) -> tuple[str, ...]:
    """Names of the cameras whose images are observed; empty: none are.

    Args:
        task: on whose robot and scene they are.
        observe: a preset of :mod:`sims.observation`.
        cameras: names; None: the robot's own.

    Raises:
        UsageError: unknown names, cameras where no images are asked for, or a task
            that has none.
    """
    check_preset(observe)
    if not has_images(observe):
        if cameras:
            raise UsageError(
                f"cameras ({', '.join(cameras)}) are given, and observe={observe!r} "
                "has no images: take 'images', 'images+proprio' or 'both'"
            )
        return ()
    if not task.robot:
        raise UsageError(
            f"{task.name} is an environment of Gymnasium, and cameras are those of our "
            f"own scenes: observe its 'state'; an environment that observes pictures "
            f"by itself is not understood"
        )
    from sims.cameras import find_cameras

    present = scene_cameras(task)
    return find_cameras(robot_cameras(task) if cameras is None else cameras, present)


def scene_cameras(task: "Task") -> list[str]:
    """Names of all cameras of a task's scene."""
    from sims.render import camera_names

    return camera_names(load_model(task.robot, task.scene))


def robot_cameras(task: "Task") -> tuple[str, ...]:
    """The cameras that a task's robot calls its own, or else all of the scene's."""
    return ROBOTS[task.robot]().cameras or tuple(scene_cameras(task))


def _profile(task: "Task", randomize: str | Randomization) -> Randomization:
    if isinstance(randomize, Randomization):
        return randomize
    if randomize not in task.randomizations:
        raise unknown(f"randomisation of {task.name!r}", randomize, task.randomizations)
    return task.randomizations[randomize]
