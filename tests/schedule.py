"""Which tests go to one worker of xdist, and which of them begin.

A file goes to one worker as a whole, so that what its tests share is made once. Those
of MuJoCo Warp go to one together: its kernels are compiled or loaded once. The longest
begin, so that no worker is left alone with one of them at the end.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

LONGEST = (
    "test_policies_bc.py",
    "warp",
    "test_policies_pretrained.py",
    "test_policies_teleop_web.py",
    "test_policies_imitation.py",
    "test_sims_tasks.py",
    "test_sims_cameras.py",
    "test_policies_controllers.py",
    "test_sims_aloha_pick.py",
    "test_deployment_onnx_export.py",
    "test_sims_env.py",
    "test_policies_collect.py",
    "test_sims_viewer_web.py",
    "test_evaluation_report.py",
    "test_sandbot_torchrun.py",
    "test_ml_training.py",
)
"""In the order in which they begin; the others follow, those with most tests first."""


def group(nodeid: str) -> str:
    """The group that a test is in: its file, or "warp"."""
    file, _, test = nodeid.partition("::")
    return "warp" if "_warp.py" in file or "[warp" in test else file


class Schedule(LoadScopeScheduling):
    """Hands out one group after the other, the longest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_place), last=False)
        super()._assign_work_unit(node)


def _place(name: str) -> int:
    file = name.rsplit("/", 1)[-1]
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)
