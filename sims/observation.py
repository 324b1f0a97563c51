"""Which groups of observations an environment gives: what is asked for, by one word.

Vectors are the task's business, pictures the environment's (:mod:`sims.cameras`). A
group is named as in a dataset: "state" is what the robot senses itself, any other
vector (such as "environment_state", where the objects are) is known in simulation
alone, "images.<camera>" is what a camera sees.
"""

from typing import TYPE_CHECKING

from assets.errors import UsageError, unknown

if TYPE_CHECKING:
    from sims.task import Task

PRESETS = {
    "state": "all vectors: the robot's own state, and that of the objects",
    "proprio": "the robot's own state alone",
    "images": "cameras alone",
    "images+proprio": "cameras, and the robot's own state",
    "both": "cameras, and all vectors",
}
"""What can be asked for, each with one line."""
OWN = "state"
"""The group that a robot senses by itself."""
PRIVILEGED = "privileged"
"""The group that is for a critic in training alone: the truth, without noise or
delay."""


def check_preset(observe: str) -> str:
    """The preset, if there is one of that name.

    Raises:
        UsageError: there is none; the message lists the ones there are.
    """
    if observe not in PRESETS:
        raise unknown("choice of observations", observe, PRESETS)
    return observe


def has_images(observe: str) -> bool:
    """Whether a preset has pictures."""
    return observe not in ("state", "proprio")


def vector_groups(task: "Task", observe: str) -> tuple[str, ...]:
    """The task's groups that a preset has, in the task's order.

    Raises:
        UsageError: an unknown preset, or a task without a state of the robot's own.
    """
    check_preset(observe)
    if observe == "images":
        return ()
    if observe in ("state", "both"):
        return tuple(task.obs_spec)
    if OWN not in task.obs_spec:
        raise UsageError(
            f"{observe!r} needs the group {OWN!r}, and {task.name} observes "
            f"{', '.join(task.obs_spec)}: choose 'state', which is all of them"
        )
    return (OWN,)
