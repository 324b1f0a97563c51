"""Walking over terrain: starts, heights above the ground, what counts, the levels."""

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest

from assets import terrain
from sims.ground import Ground
from sims.observation import PRIVILEGED
from sims.randomization import roughness
from sims.tasks.humanoid_feet import SIDES
from sims.tasks.humanoid_sight import look
from sims.tasks.humanoid_terrain import AHEAD as SCANNED
from sims.tasks.humanoid_terrain import ASIDE, HumanoidTerrain
from tests.sims.humanoid_motions import Carried, Motion, everywhere, started, still

ROUGH, SLOPE = terrain.centres()[5, 0], terrain.centres()[5, 1]
"""The roughest and the steepest tile."""
GENTLE = terrain.centres()[1, 1]
"""A slope of 0.06."""


def test_heights_are_those_that_rays_hit() -> None:
    """On all tiles, between the points of the field, and around it."""
    task = HumanoidTerrain()
    data = mujoco.MjData(task.model)
    mujoco.mj_forward(task.model, data)
    random = np.random.default_rng(0)
    x, y = random.uniform([-6, -18], [36, 18], (400, 2)).T
    down, hit = np.array([0.0, 0, -1]), np.zeros(1, np.int32)
    ground = np.array([1, 0, 0, 0, 0, 0], np.uint8)
    seen = [
        5
        - mujoco.mj_ray(
            task.model, data, np.array([*at, 5.0]), down, ground, 1, -1, hit
        )
        for at in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(task.ground(x, y), seen, atol=1e-6)
    assert Ground(task.model, "floor")(np.nan, np.inf) == 0, "nowhere is no crash"


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_it_starts_on_the_ground_and_can_stand_there(engine: str) -> None:
    num = 60 if engine == "mujoco" else 2
    env = started(HumanoidTerrain(), num, engine=engine, seed=3)
    state = env.state
    np.testing.assert_allclose(state.soles, 0, atol=1e-4)
    np.testing.assert_allclose(state.height, env.task.stature, atol=1e-4)
    for i in range(0, num, 4):
        _, data = env.engine.snapshot(i)
        assert all(c.dist > -1e-3 for c in data.contact)
    at = terrain.centres()[state.tile[:, 0], state.tile[:, 1]]
    assert np.abs(state.place[:, :2] - at).max() <= 0.2
    if engine == "mujoco":
        assert set(state.tile[:, 0]) == set(range(6))
        assert set(state.tile[:, 1]) == set(range(5))
    for _ in range(40):
        env.step(still(env))
    assert state.standing.all() and not state.fallen.any()
    np.testing.assert_allclose(state.soles, 0, atol=2e-3)
    env.close()


def test_feet_stand_on_a_slope_alike_in_both_engines() -> None:
    """Put down on a slope of 0.06 it leans with it, and half a second later is as far
    in both; its soles, which lie on the slope, are at height 0."""
    for yaw in (np.pi / 2, -np.pi / 2):
        found = []
        for engine in ("mujoco", "bullet"):
            env = started(HumanoidTerrain(), engine=engine)
            place(env, GENTLE[0], GENTLE[1] + 1.6, yaw)
            for _ in range(25):
                env.step(still(env))
            assert env.state.standing.all()
            assert np.abs(env.state.soles).max() < 2e-3
            found.append([*env.engine.qpos[0, :3], *env.state.gravity[0]])
            env.close()
        np.testing.assert_allclose(found[1], found[0], atol=0.03)
        assert abs(found[0][3]) > 0.05


def place(env: Any, x: float, y: float, yaw: float) -> None:
    """Put all robots there in their posture, just above the ground, and look."""
    task, ground = env.task, env.task.ground
    qpos = np.repeat(task.model.key_qpos, env.num_envs, axis=0)
    around = np.array([[a, b] for a in (-0.15, 0, 0.15) for b in (-0.2, 0, 0.2)])
    qpos[:, :2] = x, y
    qpos[:, 2] += np.max(ground(x + around[:, 0], y + around[:, 1])) + 0.005
    qpos[:, 3], qpos[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
    env.engine.reset(everywhere(env), qpos, np.zeros((env.num_envs, 35)))
    look(task, env.engine, env.state)
    task._look_around(env.state)


def test_soles_are_as_high_as_their_lowest_point_above_the_ground() -> None:
    """Of corners and middle; in poses with tipped feet, over bumps and slopes."""
    env = started(HumanoidTerrain(), 4)
    task, random = env.task, np.random.default_rng(1)
    qpos = np.repeat(task.model.key_qpos, 4, axis=0)
    qpos[:, :2] = [*(ROUGH + random.uniform(-2, 2, (2, 2))), SLOPE + 1.5, SLOPE - 1.2]
    qpos[:, 2] += task.ground(*qpos[:, :2].T) + 0.2
    qpos[:, 3:7] = random.normal([1, 0, 0, 0], 0.1, (4, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    qpos[:, 7:19] += random.uniform(-0.2, 0.2, (4, 12))
    env.engine.reset(everywhere(env), qpos, np.zeros((4, 35)))
    look(task, env.engine, env.state)
    for i in range(4):
        model, data = env.engine.snapshot(i)
        for side, name in enumerate(SIDES):
            sole, size = data.geom(f"{name}_sole"), model.geom(f"{name}_sole").size
            points = [[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]] * size[:2]
            local = np.column_stack([points, np.full(5, -size[2])])
            x, y, z = (sole.xpos + local @ sole.xmat.reshape(3, 3).T).T
            clearance = (z - task.ground(x, y)).min()
            assert env.state.soles[i, side] == pytest.approx(clearance, abs=1e-9)


def test_the_scan_sees_stairs_ahead_and_is_the_critics_alone() -> None:
    env = started(HumanoidTerrain(), 1)
    names = env.obs_spec[PRIVILEGED].names[-35:]
    assert not [n for n in env.obs_spec["state"].names if "ground" in n]
    x, y = terrain.centres()[5, 3]
    place(env, x, y, np.pi / 2)
    seen = dict(zip(names, env.task.hidden(env.state)[0], strict=True))
    assert seen["ground_+0.4_middle_0.0"] == pytest.approx(0, abs=1e-6)
    assert seen["ground_+0.8_left_0.4"] == pytest.approx(0.1, abs=1e-6)
    assert (
        list(seen.values())
        == env.task.observe(env.engine, env.state)[PRIVILEGED][0, -35:].tolist()
    )
    grid = env.state.scan[0].reshape(len(SCANNED), len(ASIDE))
    for row, ahead in enumerate(SCANNED):
        for column, aside in enumerate(ASIDE):
            there = env.task.ground(x - aside, y + ahead) - env.task.ground(x, y)
            assert grid[row, column] == pytest.approx(there, abs=1e-9)


def test_a_mirror_swaps_the_scans_sides() -> None:
    """To the left of a ridge and to its right."""
    env = started(HumanoidTerrain(), 1)
    seen = []
    for aside in (0.9, -0.9):
        place(env, SLOPE[0] + 0.4, SLOPE[1] + aside, 0.0)
        seen.append(env.task.observe(env.engine, env.state)[PRIVILEGED][:, -35:])
    mirror = env.task.mirror[PRIVILEGED]
    image = mirror(np.concatenate([np.zeros((1, 14)), seen[0]], axis=1))[:, -35:]
    assert np.ptp(seen[0]) > 0.1
    np.testing.assert_allclose(image, seen[1], atol=1e-6)


MOTIONS = {
    "walks": (Motion(), 0.5, 0.0, set()),
    "stands": (Motion(speed=0.0, lift=(0, 0)), 0.5, 0.0, {"far", "steps"}),
    "slides": (Motion(lift=(0, 0), planted=False), 0.5, 0.0, {"steps"}),
    "is slow": (Motion(speed=0.42), 0.5, 0.0, set()),
    "is too slow": (Motion(speed=0.38), 0.5, 0.0, {"far"}),
    "goes backwards": (Motion(speed=-0.5), 0.5, 0.0, {"far"}),
    "does not turn": (Motion(), 0.5, 0.4, {"turns"}),
}
"""By what it does: motion, commands ahead [m/s] and turning, and what is not right."""


class CarriedHere(HumanoidTerrain):
    """HumanoidTerrain along given motions, on the flat ground to the west."""

    def __init__(self, motions: list[Motion], **given: Any) -> None:
        super().__init__(**given)
        self.motions = motions

    def move(self, engine: Any, state: Any) -> None:
        Carried.move(self, engine, state)  # pyright: ignore[reportArgumentType]
        qpos = engine.qpos.copy()
        qpos[:, 0] -= 20.0
        engine.reset(np.ones(engine.num_envs, bool), qpos, engine.qvel.copy())


def test_what_counts_as_walking_over_terrain() -> None:
    task = CarriedHere([motion for motion, *_ in MOTIONS.values()], curriculum=True)
    env = started(task, len(MOTIONS))
    env.state.level[:] = 4
    env.state.commands[:] = 0.0
    for row, (_, ahead, turning, _) in enumerate(MOTIONS.values()):
        env.state.commands[row] = [ahead, 0.0, turning]
    env.state.command[:] = env.state.commands[:, 0]
    for _ in range(env.max_steps):
        *_, info = env.step(still(env))
    for row, (name, (*_, wrong)) in enumerate(MOTIONS.items()):
        found = {what for what, right in info["outcomes"].items() if not right[row]}
        assert found == wrong, name
        assert info["success"][row] == (not wrong), name
    state = env.state
    np.testing.assert_allclose(state.due, 0.5 * 18, atol=1e-9)
    np.testing.assert_allclose(state.walked[:2], [0.5 * 18, 0], atol=1e-6)
    risen = {"walks": 5, "stands": 3, "is too slow": 4, "goes backwards": 3}
    for name, level in risen.items():
        assert state.level[list(MOTIONS).index(name)] == level, name


def test_the_level_chooses_the_tile_and_outlives_resets() -> None:
    env = started(HumanoidTerrain(curriculum=True), 240)
    assert not env.state.tile[:, 0].any()
    env.state.level[:] = np.repeat([0, 1, 3, 4, 9, 10], 40)
    env.reset()
    tiles = env.state.tile[:, 0].reshape(6, 40)
    assert (tiles[:5].T == [0, 0, 1, 2, 4]).all()
    assert set(tiles[5]) == set(range(6)), "at the top every level is drawn"
    saved = env.save()
    env.state.level[:] = 0
    env.load(saved)
    assert env.state.level[-1] == 10
    env.state.fallen[:] = False
    qpos = env.engine.qpos.copy()
    qpos[:, 2] -= 0.4
    env.engine.reset(everywhere(env), qpos, np.zeros((240, 35)))
    env.step(still(env))
    assert env.state.fallen.all()
    np.testing.assert_array_equal(env.state.level[::40], [0, 0, 2, 3, 8, 9])


def test_tiles_are_drawn_for_the_episode_and_by_the_profiles_roughness() -> None:
    many = started(HumanoidTerrain(), 30, seed=9)
    few = started(HumanoidTerrain(), 2, seed=9)
    few.reset(seed=9, ids=np.array([17, 4]))
    np.testing.assert_array_equal(few.state.tile, many.state.tile[[17, 4]])
    np.testing.assert_array_equal(few.state.place, many.state.place[[17, 4]])
    flat = replace(many.task.randomizations["none"], task=(roughness(0.0, 0.03),))
    env = started(HumanoidTerrain(), 40, randomize=flat)
    assert set(env.state.tile[:, 0]) == {0, 1}


def test_warp_sees_what_mujoco_sees_and_lets_it_lie() -> None:
    """Standing a few control steps; and lying on the roughest tile, where most geoms
    touch the field, no buffer runs over. Single precision, and at most four contacts
    of a foot with a field where MuJoCo has twelve."""
    envs = [started(HumanoidTerrain(), 2, engine=e, seed=4) for e in ("mujoco", "warp")]
    for k in range(6):
        wave = 0.05 * np.sin(0.3 * k + np.arange(29))
        seen = [env.step(np.tile(wave, (2, 1)))[:2] for env in envs]
    (ours, reward), (theirs, other) = seen
    names = envs[0].obs_spec["state"].names
    still_there = [i for i, n in enumerate(names) if "angle" in n or "gravity" in n]
    np.testing.assert_allclose(
        theirs["state"][:, still_there], ours["state"][:, still_there], atol=5e-3
    )
    np.testing.assert_allclose(envs[1].state.soles, envs[0].state.soles, atol=1e-3)
    np.testing.assert_allclose(envs[1].state.scan, envs[0].state.scan, atol=0.01)
    np.testing.assert_allclose(other, reward, atol=0.02)
    for env in envs:
        qpos = np.repeat(env.task.model.key_qpos, 2, axis=0)
        qpos[:, :3] = *ROUGH, 0.3
        qpos[:, :2] += [[1.0, 1.0], [-1.0, 0.5]]
        qpos[:, 3:7] = [[0.7, 0, 0.714, 0], [0.7, 0.714, 0, 0]]
        env.engine.reset(everywhere(env), qpos, np.zeros((2, 35)))
        env.engine.step(80)
        assert not env.engine.diverged().any()
        assert (np.array(env.engine.qpos)[:, 2] > 0.04).all()
        env.close()
