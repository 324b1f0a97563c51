"""What is to be done: the tasks, by name. Each file is one task."""

from collections.abc import Callable
from typing import Any

from assets.plugins import find_plugins, lacking
from sims.task import Task
from sims.tasks.aloha_handover import AlohaHandover
from sims.tasks.aloha_insertion import AlohaPegInsertion
from sims.tasks.aloha_pick import AlohaPick
from sims.tasks.aloha_transfer import AlohaTransferCube
from sims.tasks.arm_press import ArmPress
from sims.tasks.arm_reach import ArmReach
from sims.tasks.arm_track import ArmTrack
from sims.tasks.humanoid_push import HumanoidPush
from sims.tasks.humanoid_reach import HumanoidReach
from sims.tasks.humanoid_stand import HumanoidStand
from sims.tasks.humanoid_terrain import HumanoidTerrain
from sims.tasks.humanoid_walk import HumanoidWalk
from sims.tasks.mobile_fetch import MobileAlohaFetch

TASKS: dict[str, Callable[[], Any]] = {
    task.name: task
    for task in (
        ArmReach,
        ArmTrack,
        ArmPress,
        AlohaTransferCube,
        AlohaPegInsertion,
        AlohaHandover,
        AlohaPick,
        MobileAlohaFetch,
        HumanoidStand,
        HumanoidPush,
        HumanoidWalk,
        HumanoidReach,
        HumanoidTerrain,
    )
}


def _wrong(task: Any, name: str) -> str | None:
    """What is wrong with a task of another package."""
    missing = lacking(task, Task)
    if missing:
        return f"lacks {', '.join(missing)}: sims.task.Task has them all"
    if task.name != name:
        return f"calls itself {task.name!r}: give both the same name"
    return None


TASKS.update(find_plugins("sandbot.tasks", "task", TASKS, _wrong))
