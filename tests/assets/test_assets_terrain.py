"""The ground has what its documentation says: roughness, slopes, steps, by level."""

import mujoco
import numpy as np
import pytest

from assets import load_model, terrain
from assets.robots import ROBOTS


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load_model("humanoid", "terrain")


def tile(kind: str, level: int) -> np.ndarray:
    """(61, 61) heights."""
    row, cells = terrain.KINDS.index(kind), terrain.CELLS
    return terrain.heights()[
        row * cells : (row + 1) * cells + 1, level * cells : (level + 1) * cells + 1
    ]


def test_it_is_the_same_every_time() -> None:
    """Results are compared over it; the sum is that of the seed's roughness."""
    np.testing.assert_array_equal(terrain.heights(), terrain.heights())
    assert tile("rough", 5).sum() == pytest.approx(158.5443248, abs=1e-6)


@pytest.mark.parametrize("kind", terrain.KINDS)
def test_tiles_join_at_height_zero_around_a_flat_start(kind: str) -> None:
    for level in range(terrain.LEVELS):
        heights = tile(kind, level)
        edge = [heights[0], heights[-1], heights[:, 0], heights[:, -1]]
        assert not np.concatenate(edge).any()
        start = heights[24:37, 24:37]
        assert np.ptp(start) == 0
        assert np.ptp(heights) == 0 if level == 0 else np.ptp(heights) > 0.01


def test_each_kind_has_what_it_is_named_for() -> None:
    for level in range(1, terrain.LEVELS):
        share = level / 5
        rough = tile("rough", level)
        assert rough.min() == 0
        assert 0.98 * 0.1 * share < rough.max() <= 0.1 * share
        across = tile("slope_up", level)[30, 36:59]
        np.testing.assert_allclose(np.diff(across), 0.3 * share * 0.1, atol=1e-12)
        climb = tile("stairs_up", level)[30, 36:]
        fronts = np.diff(climb)
        np.testing.assert_allclose(fronts[fronts != 0], 0.1 * share, atol=1e-12)
        assert np.flatnonzero(fronts).tolist() == [0, 4, 8, 12, 16]
        for kind in ("slope", "stairs"):
            up, down = tile(f"{kind}_up", level), tile(f"{kind}_down", level)
            np.testing.assert_array_equal(up, -down)
            assert up[30, 30] == up.min() < 0


def test_mujoco_has_these_heights_at_these_places(model: mujoco.MjModel) -> None:
    """By rays from above at points of the grid, and around the field."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    heights = terrain.heights()
    random = np.random.default_rng(0)
    down, hit = np.array([0.0, 0, -1]), np.zeros(1, np.int32)
    environment = np.array([1, 0, 0, 0, 0, 0], np.uint8)

    def ground(x: float, y: float) -> float:
        start = np.array([x, y, 5.0])
        return 5.0 - mujoco.mj_ray(model, data, start, down, environment, 1, -1, hit)

    for row, column in random.integers(1, (300, 360), (50, 2)):
        x = terrain.CORNER[0] + 0.1 * column + 1e-6
        y = terrain.CORNER[1] + 0.1 * row + 1e-6
        assert ground(x, y) == pytest.approx(heights[row, column], abs=1e-5)
    for x, y in ((-3.5, 0), (34, 3), (15, 16), (15, -16), (-20, -30)):
        assert ground(x, y) == pytest.approx(0, abs=1e-9)


def test_centres_are_on_platforms_and_the_first_is_the_origin() -> None:
    centres = terrain.centres()
    assert centres.shape == (6, 5, 2)
    np.testing.assert_array_equal(centres[0, 2], 0)
    cells = np.round((centres - terrain.CORNER) / 0.1).astype(int)
    heights = terrain.heights()
    for level in range(terrain.LEVELS):
        for row, kind in enumerate(terrain.KINDS):
            x, y = cells[level, row]
            assert heights[y, x] == tile(kind, level)[30, 30]


def test_the_robot_is_the_one_that_walks_on_the_flat(model: mujoco.MjModel) -> None:
    flat = load_model("humanoid", "flat")
    for field in ("body_mass", "body_inertia", "jnt_range", "actuator_gainprm"):
        np.testing.assert_array_equal(getattr(model, field), getattr(flat, field))
    np.testing.assert_array_equal(model.key_qpos, flat.key_qpos)
    for field in ("timestep", "integrator", "cone", "impratio", "disableflags"):
        assert getattr(model.opt, field) == getattr(flat.opt, field)
    ours, theirs = model.geom("floor"), flat.geom("floor")
    np.testing.assert_array_equal(ours.friction, theirs.friction)
    assert "terrain" in ROBOTS["humanoid"]().scenes
