"""The environment that a policy needs: one that shows what it reads."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.env import Env
    from sims.policy import Policy
    from sims.task import Task

IMAGES = "images."
"""How the name of a group begins that a camera gives."""


def observed_by(policy: "Policy") -> dict[str, Any]:
    """What :func:`sims.make_env` is to show, for a policy to see all that it reads."""
    cameras = {
        group.removeprefix(IMAGES): spec
        for group, spec in policy.obs_spec.items()
        if group.startswith(IMAGES)
    }
    if not cameras:
        return {}
    height, width, _ = next(iter(cameras.values())).shape
    return {
        "observe": "both",
        "cameras": tuple(cameras),
        "image_size": (width, height),
    }


def environment_of(policy: "Policy", task: "Task", **choices: Any) -> "Env":
    """An environment of a task for a policy.

    Args:
        policy: that will act in it.
        task: what is to be done.
        choices: of :func:`sims.make_env`, the observation's aside.
    """
    from sims import make_env

    return make_env(task, **observed_by(policy), **choices)
