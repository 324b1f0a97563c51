"""What is to be done: the tasks, by name. Each file is one task."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from sims.tasks.aloha_handover import AlohaHandover
from sims.tasks.aloha_insertion import AlohaPegInsertion
from sims.tasks.aloha_pick import AlohaPick
from sims.tasks.aloha_transfer import AlohaTransferCube
from sims.tasks.arm_press import ArmPress
from sims.tasks.arm_reach import ArmReach
from sims.tasks.arm_track import ArmTrack
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
    )
}
TASKS.update({e.name: e.load() for e in entry_points(group="sandbot.tasks")})
