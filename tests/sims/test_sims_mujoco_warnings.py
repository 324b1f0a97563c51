"""Every warning of MuJoCo is counted: against MuJoCo's own cry, heard one by one."""

from collections import Counter
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from sims.engines.mujoco import MujocoEngine
from sims.engines.mujoco_warnings import KINDS, WarningCount

PENDULUM = """<mujoco><option timestep="0.002"/><worldbody>
  <geom type="plane" size="1 1 1"/>
  <body pos="0 0 1"><freejoint/><geom type="box" size=".1 .1 .1"/></body>
</worldbody></mujoco>"""
HEAP = (
    '<mujoco><size memory="{memory}K"/><worldbody><geom type="plane" size="5 5 1"/>'
    + "".join(
        f'<body pos="{0.3 * i} 0 0.0999"><freejoint/>'
        '<geom type="box" size="0.1 0.1 0.1"/></body>'
        for i in range(6)
    )
    + "</worldbody></mujoco>"
)
"""Six boxes on a floor: 24 contacts."""


@pytest.fixture
def heard() -> Iterator[Counter]:
    """How often MuJoCo said each warning; it says one once per reset of its data."""
    said: Counter = Counter()

    def hear(text: str) -> None:
        for kind in range(len(KINDS)):
            start = mujoco.mju_warningText(kind, 0).split(" 0")[0].split("= 0")[0]
            if text.startswith(start):
                said[KINDS[kind]] += 1

    mujoco.set_mju_user_warning(hear)
    yield said
    mujoco.set_mju_user_warning(None)


def test_breakdowns_are_counted_over_resets(heard: Counter) -> None:
    engine = MujocoEngine(mujoco.MjModel.from_xml_string(PENDULUM), 8, threads=2)
    assert engine.warnings == {}
    for step in range(6):
        engine.qvel[step] = 1e12
        if step == 3:
            engine.qpos[7, 2] = np.nan
        engine.step(3)
        engine.reset(engine.diverged(), engine.model.qpos0, np.zeros(6))
    assert engine.warnings == {"BADQVEL": 6, "BADQPOS": 1} == dict(heard)
    engine.step()
    assert engine.warnings == {"BADQVEL": 6, "BADQPOS": 1}


def test_contacts_that_find_no_room_are_counted_and_are_no_breakdown(
    heard: Counter,
) -> None:
    roomy = MujocoEngine(mujoco.MjModel.from_xml_string(HEAP.format(memory=900)), 2)
    roomy.step(10)
    assert roomy.warnings == {} and not heard
    model = mujoco.MjModel.from_xml_string(HEAP.format(memory=18))
    tight = MujocoEngine(model, 2)
    tight.step(10)
    assert not tight.diverged().any()
    assert set(heard) == {"CNSTRFULL"}
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    mujoco.mj_step(model, data, 10)
    mujoco.mj_step1(model, data)
    alone = int(data.warning[int(mujoco.mjtWarning.mjWARN_CNSTRFULL)].number)
    assert alone >= 10 and tight.warnings == {"CNSTRFULL": 2 * alone}


def test_a_state_that_is_loaded_brings_no_new_warnings(heard: Counter) -> None:
    engine = MujocoEngine(mujoco.MjModel.from_xml_string(PENDULUM), 2)
    engine.qvel[1] = 1e12
    engine.step()
    saved = engine.save()
    everywhere = np.ones(2, bool)
    engine.reset(everywhere, engine.model.qpos0, np.zeros(6))
    engine.load(saved, everywhere)
    assert engine.diverged().tolist() == [False, True]
    assert engine.warnings == {"BADQVEL": 1} == dict(heard)


def test_a_count_that_falls_has_begun_anew() -> None:
    """As MuJoCo does when it resets an environment within a step."""
    warning = np.zeros((2, len(KINDS), 2), np.int32)
    count = WarningCount(warning)
    full, bad = KINDS.index("CONTACTFULL"), KINDS.index("BADQACC")
    warning[0, full, 1] = 5
    count.note()
    warning[0, full, 1] = 0
    warning[0, bad, 1] = 1
    warning[1, full, 1] = 2
    count.note()
    assert count.by_kind() == {"CONTACTFULL": 7, "BADQACC": 1}
    warning[0, full, 1] = 3
    count.note()
    assert count.by_kind() == {"CONTACTFULL": 10, "BADQACC": 1}
