"""A height field is the same ground in every engine: heights, triangles, friction."""

import mujoco
import numpy as np
import pytest

from sims.engine import EngineError
from sims.engines import ENGINES
from sims.engines.bullet_layout import make_layout
from sims.engines.mujoco import MujocoEngine

ROWS, COLUMNS, CELL = 9, 13, 0.1
PLACE = np.array([0.3, -0.2, -0.1])
"""Of the geom; the field reaches 0.6 and 0.4 from it."""
TOP = 0.08
RADIUS = 0.02
SOLE = np.array([0.105, 0.0425, 0.015])
SOLE_AT = PLACE[:2] + np.array([0.13, -0.17])
BALLS = 12
EVERYWHERE = np.ones(1, bool)


def heights() -> np.ndarray:
    """(ROWS, COLUMNS) without any symmetry, from 0 to TOP."""
    drawn = np.random.default_rng(3).random((ROWS, COLUMNS))
    return TOP * (drawn - drawn.min()) / np.ptp(drawn)


def places() -> np.ndarray:
    """(BALLS, 2): in the middle of one or the other triangle of cells."""
    random = np.random.default_rng(4)
    cells = random.choice(36, BALLS, replace=False)
    halves = np.where(np.arange(BALLS) % 2, 0.3, 0.7)
    cell = np.stack([2 + cells % 9, 4 + cells // 9], axis=1)
    return _corner() + CELL * (cell + np.stack([halves, 1 - halves], axis=1))


def _corner() -> np.ndarray:
    return PLACE[:2] - CELL / 2 * np.array([COLUMNS - 1, ROWS - 1])


def ground(points: np.ndarray) -> np.ndarray:
    """Heights at points (n, 2); each cell is cut from its lowest x and y to its
    highest."""
    z = heights() + PLACE[2]
    at = (points - _corner()) / CELL
    i, j = at.astype(int).T
    a, b = (at - at.astype(int)).T
    low, high = z[j, i], z[j + 1, i + 1]
    right = low + a * (z[j, i + 1] - low) + b * (high - z[j, i + 1])
    left = low + b * (z[j + 1, i] - low) + a * (high - z[j + 1, i])
    return np.where(a > b, right, left)


def lowest_places() -> np.ndarray:
    """(BALLS + 1,) where the lowest points of balls and sole have to rest."""
    side = np.linspace(-1, 1, 81)
    square = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    flat = (square**2).sum(axis=1)
    disc, rise = square[flat < 1], RADIUS * (np.sqrt(1 - flat[flat < 1]) - 1)
    found = [(ground(place + RADIUS * disc) + rise).max() for place in places()]
    return np.array([*found, ground(SOLE_AT + SOLE[:2] * square).max()])


def scene(crates: bool = False) -> mujoco.MjModel:
    """Balls and a sole that can only go up and down; or a crate on a slope."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_MULTICCD)
    field = spec.add_hfield(name="field", nrow=ROWS, ncol=COLUMNS)
    drawn = heights()
    if crates:
        drawn = np.repeat(np.linspace(0, 0.36, COLUMNS)[None], ROWS, axis=0)
    field.size = np.array([*(CELL * np.array([6, 4])), np.ptp(drawn), 0.3])
    field.userdata = (drawn / np.ptp(drawn)).ravel().tolist()
    kinds = mujoco.mjtGeom
    spec.worldbody.add_geom(
        name="field",
        type=kinds.mjGEOM_HFIELD,
        hfieldname="field",
        pos=PLACE,
        friction=[0.2, 0.005, 0.0001],
    )
    if crates:
        for i, rough in enumerate((0.2, 0.5)):
            body = spec.worldbody.add_body(
                name=f"crate{i}", pos=[0.3, -0.1 - 0.2 * i, 0.12]
            )
            body.quat = [np.cos(0.1457), 0, -np.sin(0.1457), 0]
            body.add_freejoint()
            geom = body.add_geom(type=kinds.mjGEOM_BOX, size=[0.1, 0.05, 0.03], mass=1)
            geom.friction = [rough, 0.005, 0.0001]
        return spec.compile()
    ball = np.array([RADIUS, 0, 0])
    bodies = [(kinds.mjGEOM_SPHERE, ball, xy) for xy in places()]
    bodies.append((kinds.mjGEOM_BOX, SOLE, SOLE_AT))
    for i, (kind, size, xy) in enumerate(bodies):
        body = spec.worldbody.add_body(name=f"b{i}", pos=[*xy, 0.1])
        slide = mujoco.mjtJoint.mjJNT_SLIDE
        body.add_joint(name=f"j{i}", type=slide, axis=[0, 0, 1], damping=8.0)
        body.add_geom(type=kind, size=size, mass=0.2, contype=2, conaffinity=1)
    return spec.compile()


@pytest.mark.parametrize("engine", ["mujoco", "bullet", "warp"])
def test_balls_and_soles_rest_at_the_same_heights(engine: str) -> None:
    """On both triangles of a cell: cut the other way, balls would be 2 cm off."""
    model = scene()
    made = ENGINES[engine].make(model, 1)
    made.reset(EVERYWHERE, model.qpos0, np.zeros(model.nv))
    made.step(400)
    assert np.abs(made.qvel).max() < 1e-3
    low = np.array([*[RADIUS] * BALLS, SOLE[2]])
    found = 0.1 + np.array(made.qpos[0]) - low
    np.testing.assert_allclose(found, lowest_places(), atol=1.5e-3)
    made.close()


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_friction_on_it_is_the_larger_of_the_two(engine: str) -> None:
    """On a slope of 0.3 a crate slides that is as smooth as the field, 0.2, with the
    acceleration of Coulomb's law; one of 0.5 stays."""
    model = scene(crates=True)
    made = ENGINES[engine].make(model, 1)
    made.reset(EVERYWHERE, model.qpos0, np.zeros(model.nv))
    made.step(40)
    before = made.qvel[0, [0, 6]].copy()
    made.step(40)
    gained = (made.qvel[0, [0, 6]] - before) / 0.2
    angle = np.arctan(0.3)
    slides = 9.81 * (np.sin(angle) - 0.2 * np.cos(angle)) * np.cos(angle)
    assert gained[0] == pytest.approx(-slides, rel=0.05)
    assert abs(made.qvel[0, 6]) < 0.01
    made.close()


def test_bullet_goes_on_from_a_saved_state_on_it() -> None:
    model = scene(crates=True)
    made = ENGINES["bullet"].make(model, 1)
    made.reset(EVERYWHERE, model.qpos0, np.zeros(model.nv))
    made.step(20)
    saved = made.save()
    made.step(20)
    first = made.qpos.copy()
    made.load(saved, EVERYWHERE)
    made.step(20)
    np.testing.assert_array_equal(made.qpos, first)
    made.close()


def test_bullet_refuses_one_that_moves() -> None:
    spec = mujoco.MjSpec()
    field = spec.add_hfield(name="field", nrow=2, ncol=2, size=[1, 1, 1, 1])
    field.userdata = [0.0, 1.0, 0.0, 0.0]
    body = spec.worldbody.add_body(name="raft", mass=1, inertia=[1, 1, 1])
    body.explicitinertial = True
    body.add_freejoint()
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname="field")
    model = spec.compile()
    with pytest.raises(EngineError, match="height fields that move"):
        make_layout(model)
    MujocoEngine(model, 1).close()
