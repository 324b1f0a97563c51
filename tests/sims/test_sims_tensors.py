"""Tasks, sensing and randomisation on tensors do what they do in NumPy.

Both meet the same physics, played back (:mod:`tests.sims.tensor_engine`); what is
drawn, commanded, observed, rewarded, judged and remembered is compared each step,
through restarts.
"""

from typing import Any

import numpy as np
import pytest
import torch

from sims import TASKS
from sims.env import Env
from sims.registry import make_engine, make_task
from sims.tasks import humanoid_reach, humanoid_walk
from sims.tasks.humanoid_reach import HumanoidReach
from sims.tasks.humanoid_terrain import HumanoidTerrain
from tests.sims.tensor_engine import TOLERANCE, Player, Recorder, alike

NUM = 4
ROUGH = {"N": 1e-3, "m/s": 1e-4}
"""By unit: what is small in the difference of large numbers. Single precision tells
forces of 300 N apart by 3e-5 N, and places 20 m from the middle by 2e-6 m, which a foot
that turns by 20 rad/s makes 4e-5 m/s."""
UNITS = {"forces": "N", "slips": "m/s", "velocity": "m/s"}
"""Of such fields of states."""
SHORT = 30
"""Control steps of an episode here, so that some run to their end."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and targets that change often."""
    monkeypatch.setattr(humanoid_walk, "HOLD", (0.3, 0.5))
    monkeypatch.setattr(humanoid_reach, "EACH", 0.3)
    monkeypatch.setattr(humanoid_reach, "HOLD", 0.04)
    monkeypatch.setattr(humanoid_reach, "RADIUS", 0.4)
    monkeypatch.setattr(humanoid_walk, "GRACE", 0.1)


def pair(task: Any, randomize: str) -> tuple[Env, Env, Player]:
    """The same environments, on NumPy and on tensors."""
    engine: Any = make_engine(task, "mujoco", NUM, threads=1)
    record = Recorder(engine)
    player: Any = Player(record)
    profile = task.randomizations[randomize]
    envs = [Env(e, task, profile, seed=2, autoreset=True) for e in (engine, player)]
    for env in envs:
        env.max_steps = SHORT
    return envs[0], envs[1], player


def compare(ours: Any, theirs: Any, what: str, units: Any = UNITS) -> None:
    """All arrays of both, by name."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), what
        for name, values in ours.items():
            inner = units.get(name, units) if isinstance(units, dict) else units
            compare(values, theirs[name], f"{what} {name}", inner)
    elif ours is None:
        assert theirs is None, what
    elif isinstance(units, tuple):  # one for each column
        near = np.array([ROUGH.get(unit, TOLERANCE) for unit in units])
        alike(theirs, ours, what, near)
    else:
        unit = units if isinstance(units, str) else ""
        alike(theirs, ours, what, ROUGH.get(unit, TOLERANCE))


def play(task: Any, randomize: str, steps: int) -> int:
    """Both, side by side; how many episodes ended."""
    here, there, player = pair(task, randomize)
    assert here.on_host and here.device == "cpu" and not there.on_host
    units: dict[str, Any] = {k: spec.units for k, spec in here.obs_spec.items()}
    units = {"obs": units, "info": {"final_obs": units}}
    compare(here.reset(), there.reset(), "first", units["obs"])
    random = np.random.default_rng(0)
    low, high = here.action_spec.limits()
    ended = 0
    for step in range(steps):
        action = 1.1 * random.uniform(low, high, (NUM, len(low)))
        action = action.astype(np.float32)
        action[0] = 0.0  # who does not move stands longer
        mine, other = here.step(action), there.step(torch.from_numpy(action))
        names = ("obs", "reward", "terminated", "truncated", "info")
        for name, one, two in zip(names, mine, other, strict=True):
            compare(one, two, f"step {step}: {name}", units.get(name, {}))
        compare(vars(here.state), vars(there.state), f"step {step}: state")
        compare(
            here.task.metrics(here.engine, here.state),
            there.task.metrics(there.engine, there.state),
            f"step {step}: metrics",
        )
        ended += int((mine[2] | mine[3]).sum())
    assert here.instructions() == there.instructions()
    for env in range(NUM):
        for shown in ("markers", "sights"):
            pairs = (getattr(each, shown)(env) for each in (here, there))
            for one, two in zip(*pairs, strict=True):
                assert one.kind == two.kind
                np.testing.assert_allclose(two.points, one.points, atol=1e-5)
    player.finish()
    here.close()
    return ended


@pytest.mark.parametrize("task", [t for t in TASKS if t.startswith("humanoid")])
def test_humanoid(task: str) -> None:
    assert play(make_task(task), "train", 110) > NUM


@pytest.mark.parametrize("kind", [HumanoidTerrain, HumanoidReach])
def test_curriculum(kind: Any) -> None:
    assert play(kind(curriculum=True), "none", 45) >= NUM


@pytest.mark.parametrize("task", [t for t in TASKS if not t.startswith("humanoid")])
def test_others(task: str) -> None:
    assert play(make_task(task), "train", 40) >= NUM
