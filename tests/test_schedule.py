"""How xdist's workers share the tests."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.schedule import LONGEST, Schedule, group

SHORT = [f"tests/a/test_short.py::test_{i}" for i in range(9)]
LONG = [f"tests/a/{LONGEST[2]}::test_long", f"tests/a/{LONGEST[3]}::test_longer"]
WARP = ["tests/a/test_protocol.py::test_it[warp-mass]", "tests/a/test_sims_warp.py::x"]
OTHER = ["tests/a/test_protocol.py::test_it[mujoco-mass]"]


class Worker:
    """Notes which tests it is given."""

    def __init__(self, tests: list[str]) -> None:
        self.tests, self.given = tests, []
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += [self.tests[i] for i in indices]

    def shutdown(self) -> None:
        self.shutting_down = True


def test_the_longest_begin_and_files_stay_together() -> None:
    tests = SHORT + OTHER + LONG + WARP
    option = SimpleNamespace(loadscopereorder=True)
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen", "popen"], option=option)
    schedule, workers = Schedule(config), [Worker(tests), Worker(tests)]
    nodes: list[Any] = list(workers)
    for node in nodes:
        schedule.add_node(node)
        schedule.add_node_collection(node, tests)
    schedule.schedule()
    assert workers[0].given == [*WARP, LONG[1]]  # few: the next one is there in time
    assert workers[1].given == [LONG[0], *SHORT]
    while any(worker.given for worker in workers):
        for node, worker in zip(nodes, workers, strict=True):
            done, worker.given = worker.given, []
            for test in done:
                schedule.mark_test_complete(node, tests.index(test))
            assert not {*done} & {*SHORT} or {*SHORT} <= {*done}
    assert schedule.tests_finished


def test_groups_are_files_that_exist() -> None:
    assert {group(test) for test in (*WARP, *OTHER)} == {
        "warp",
        "tests/a/test_protocol.py",
    }
    files = {path.name for path in Path(__file__).parent.rglob("test_*.py")}
    assert {*LONGEST} - {"warp"} <= files
