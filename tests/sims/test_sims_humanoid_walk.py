"""Walking: what counts as it and what does not, and the mirror image of a motion."""

from typing import Any

import numpy as np
import pytest

from assets import UsageError
from sims.tasks import humanoid_walk
from sims.tasks.humanoid_gait import LIFT, PERIOD, SWING, wanted_soles
from sims.tasks.humanoid_mirror import mirror_by_name
from sims.tasks.humanoid_push import HumanoidPush
from sims.tasks.humanoid_sight import look
from sims.tasks.humanoid_stand import HumanoidStand
from sims.tasks.humanoid_walk import HumanoidWalk
from tests.sims.humanoid_motions import (
    Carried,
    Motion,
    Posed,
    everywhere,
    started,
    still,
)

TASKS = (HumanoidStand, HumanoidPush, HumanoidWalk)
WALKER = Motion()
MOTIONS = {
    "walks": (WALKER, 0.5, {}),
    "walks faster": (Motion(speed=0.8, period=0.7), 0.8, {}),
    "stands": (Motion(speed=0.0, lift=(0, 0)), 0.5, {"tracks", "steps", "grips"}),
    "marches on the spot": (Motion(speed=0.0), 0.5, {"tracks"}),
    "slides": (Motion(planted=False, lift=(0, 0)), 0.5, {"steps", "grips"}),
    "slides, lifting its feet": (Motion(planted=False), 0.5, {"grips"}),
    "shuffles": (Motion(lift=(0.025, 0.025)), 0.5, {"steps", "grips"}),
    "limps": (Motion(lift=(0.06, 0.02)), 0.5, {"steps", "grips"}),
    "hops on the left leg": (Motion(raised=(0, 0.1)), 0.5, {"steps", "grips"}),
    "jumps with both": (Motion(shift=0.0), 0.5, {"steps", "grips"}),
    "is too slow": (Motion(speed=0.25), 0.5, {"tracks"}),
    "does not turn": (WALKER, 0.5, {"tracks"}),
}
"""By what it does: motion, command ahead [m/s], and what is not right about it."""


@pytest.fixture(scope="module")
def carried() -> tuple[Any, dict[str, Any]]:
    """The environment after an episode of each motion, and its last ``info``."""
    env = started(Carried([motion for motion, *_ in MOTIONS.values()]), len(MOTIONS))
    env.state.commands[:] = 0.0
    env.state.commands[:, :, 0] = [[ahead] for _, ahead, _ in MOTIONS.values()]
    env.state.commands[list(MOTIONS).index("does not turn"), :, 2] = 0.3
    env.state.command[:] = env.state.commands[:, 0]
    for _ in range(env.max_steps):
        *_, truncated, info = env.step(still(env))
    assert truncated.all()
    return env, info


@pytest.mark.parametrize("name", MOTIONS)
def test_what_counts_as_walking(carried: tuple[Any, dict], name: str) -> None:
    env, info = carried
    here = list(MOTIONS).index(name)
    wrong = {what for what, right in info["outcomes"].items() if not right[here]}
    assert wrong == set(MOTIONS[name][2]), figures(env, here)
    assert info["success"][here] == (not wrong)


def figures(env: Any, here: int) -> str:
    state = env.state
    means = state.errors[here] / state.counted[here]
    return (
        f"errors {means}, {state.turns[here]} steps, "
        f"longest pause {state.longest[here] * 0.02:.2f} s, "
        f"slipped {state.slipped[here]:.3f} m"
    )


def test_steps_are_counted_as_they_are(carried: tuple[Any, dict]) -> None:
    """Two a stride, from the third second on."""
    env, _ = carried
    state, walks = env.state, list(MOTIONS).index("walks")
    strides = 8 / WALKER.period
    assert state.turns[walks] == pytest.approx(2 * strides, abs=1)
    assert state.longest[walks] * 0.02 == pytest.approx(WALKER.period / 2, abs=0.03)
    slides = list(MOTIONS).index("slides")
    assert state.slipped[slides] == pytest.approx(2 * 0.5 * 8, rel=0.01)
    assert state.slipped[walks] < 0.005 * state.turns[walks]


def test_a_success_is_not_one_before_the_end() -> None:
    env = started(Carried([WALKER]))
    env.state.commands[:] = [WALKER.speed, 0.0, 0.0]
    env.state.command[:] = env.state.commands[:, 0]
    for _ in range(200):
        info = env.step(still(env))[4]
    assert all(right[0] for right in info["outcomes"].values())
    assert not info["success"][0]


def test_commands_change_within_their_ranges_and_are_told() -> None:
    class Frozen(HumanoidWalk):
        def move(self, engine: Any, state: Any) -> None:
            """No physics."""

    env = started(Frozen(), 300)
    names = env.obs_spec["state"].names
    columns = [names.index(f"target_{n}") for n in ("ahead", "aside", "turning")]
    state, commands = env.state, env.state.commands
    low, high = commands.min(axis=(0, 1)), commands.max(axis=(0, 1))
    np.testing.assert_allclose(low, [0.3, -0.2, -0.5], atol=0.01)
    np.testing.assert_allclose(high, [1.0, 0.2, 0.5], atol=0.01)
    holds = np.diff(state.switches, axis=1) * env.control_dt
    assert holds.min() >= 3.98 and holds.max() <= 8.02
    told = []
    for _ in range(450):
        told.append(env.step(still(env))[0]["state"][:, columns])
    changes = (np.diff(told, axis=0) != 0).any(axis=2)
    assert changes.sum(axis=0).min() >= 1
    first = changes.argmax(axis=0) + 2
    np.testing.assert_array_equal(first, state.switches[:, 1])


def test_velocities_are_by_the_heading() -> None:
    """A robot that faces +y and moves along +y walks ahead."""

    def change(qpos: np.ndarray) -> None:
        qpos[3], qpos[6] = np.cos(np.pi / 4), np.sin(np.pi / 4)

    env = started(Posed(change))
    env.step(still(env))
    qvel = np.zeros((1, 35))
    qvel[0, :6] = [0.1, 0.7, 0.2, 0.0, 0.0, 0.4]
    env.engine.reset(everywhere(env), env.engine.qpos.copy(), qvel)
    look(env.task, env.engine, env.state)
    np.testing.assert_allclose(env.state.velocity, [[0.7, -0.1, 0.2]], atol=1e-12)
    np.testing.assert_allclose(env.state.turning, [0.4], atol=1e-12)
    np.testing.assert_allclose(env.state.heading, [[0.0, 1.0]], atol=1e-12)


def test_the_arrows_show_command_and_velocity() -> None:
    env = started(HumanoidWalk(), 2)
    env.state.command[1] = [0.5, 0.1, 0.4]
    env.state.velocity[1] = [0.3, 0.0, 0.0]
    command, arc, velocity = env.task.markers(env.state, 1)
    sizes = [np.linalg.norm(m.points[1] - m.points[0]) for m in (command, velocity)]
    np.testing.assert_allclose(sizes, 0.6 * np.array([np.hypot(0.5, 0.1), 0.3]))
    assert (command.points[:, 2] > env.state.place[1, 2] + 0.5).all()
    assert arc.kind == "line"


def test_what_the_clock_wants() -> None:
    phase = np.linspace(0, 2 * np.pi, 4001)
    left, right = wanted_soles(phase).T
    np.testing.assert_allclose(left, np.roll(right, 2000)[: len(left)], atol=1e-3)
    assert left.max() == pytest.approx(SWING)
    assert not (left * right).any(), "never both"
    assert 0.1 < ((left + right) == 0).mean() < 0.2, "between them both stand"
    assert (left > LIFT).mean() > 0.2
    speed = np.gradient(left, phase * PERIOD / (2 * np.pi))  # [m/s]
    low = (left > 0) & (left < 0.002)
    assert low.any()
    assert np.abs(speed[low]).max() < 0.25, "soft landings"
    assert np.abs(speed).max() > 0.5


def test_period_and_grace_are_whole_control_steps() -> None:
    dt = HumanoidWalk().control_dt
    for time in (PERIOD, humanoid_walk.GRACE, humanoid_walk.PAUSE):
        assert time / dt == pytest.approx(round(time / dt))


@pytest.mark.parametrize("make", TASKS)
def test_the_mirror_image_of_a_motion_is_a_motion(make: Any) -> None:
    """The mirrored state under mirrored actions gives the mirrored next state."""
    env = started(make(), 8, seed=5)
    task, state, engine = env.task, env.state, env.engine
    rng = np.random.default_rng(1)
    angles, speeds = rng.uniform(-0.2, 0.2, (4, 29)), rng.normal(0, 0.5, (4, 35))
    qpos = np.repeat(task.model.key_qpos, 8, axis=0)
    qpos[:4, 7:] += angles
    qpos[:4, 3:7] += rng.normal(0, 0.1, (4, 4))
    qpos[:4, 3:7] /= np.linalg.norm(qpos[:4, 3:7], axis=1, keepdims=True)
    qpos[1:4, 2] += [0.0, 0.02, 0.1]
    flip = task.mirror["action"]
    qpos[4:, :3] = qpos[:4, :3] * [1, -1, 1]
    qpos[4:, 3:7] = qpos[:4, 3:7] * [1, -1, 1, -1]
    qpos[4:, 7:] = flip(qpos[:4, 7:])
    spin = np.array([1, -1, 1, -1, 1, -1])
    qvel = np.concatenate([speeds, np.empty_like(speeds)])
    qvel[4:, :6], qvel[4:, 6:] = speeds[:, :6] * spin, flip(speeds[:, 6:])
    engine.reset(everywhere(env), qpos, qvel)
    mirror_memory(state)
    for k in range(6):
        action = rng.uniform(-0.5, 0.5, (4, 29))
        obs, reward, *_ = env.step(np.concatenate([action, flip(action)]))
        # differences grow with each contact, from where the solver stops
        close = 1e-6 * 4**k
        for group, values in obs.items():
            image = task.mirror[group](values[:4])
            np.testing.assert_allclose(values[4:], image, rtol=close, atol=close * 10)
        np.testing.assert_allclose(reward[4:], reward[:4], rtol=close)
    assert state.standing.any() and not state.standing.all()


def mirror_memory(state: Any) -> None:
    """Environments 4 .. 7 are told the mirror image of what 0 .. 3 are told."""
    signs = {"command": [1, -1, -1], "commands": [1, -1, -1], "pushes": [1, -1]}
    if hasattr(state, "begins"):
        state.begins[:4, 0] = 1
    for name in ("begins", "pushes", "commands", "command", "switches", "phase"):
        if hasattr(state, name):
            values = getattr(state, name)
            values[4:] = values[:4] * np.array(signs.get(name, 1))
    if hasattr(state, "phase"):
        state.phase[4:] += np.pi


@pytest.mark.parametrize("make", TASKS)
def test_a_mirror_is_its_own_inverse(make: Any) -> None:
    import torch

    task = make()
    specs = {**task.obs_spec, "action": task.action_spec}
    assert set(task.mirror) == set(specs)
    for name, flip in task.mirror.items():
        values = np.random.default_rng(0).normal(size=(3, specs[name].size))
        image = flip(values)
        assert not np.allclose(image, values)
        np.testing.assert_array_equal(flip(image), values)
        tensor = flip(torch.as_tensor(values, dtype=torch.float32))
        assert tensor.dtype == torch.float32
        np.testing.assert_allclose(tensor.numpy(), image, rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "flipped"),
    [
        (("left_foot", "right_foot", "left_hand"), ()),
        (("left_x", "right_x"), ("left_x",)),
    ],
)
def test_elements_without_a_mirror_image_are_refused(names: Any, flipped: Any) -> None:
    with pytest.raises(
        UsageError, match=r"has no mirror image '\w+'.*both sides alike"
    ):
        mirror_by_name(names, flipped)
