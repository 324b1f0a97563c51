"""Engines agree where physics says they must: the benchmark's figures, within bars."""

import numpy as np
import pytest

from benchmarks.engine_agreement import QUANTITIES, agreement, link_frame_error
from benchmarks.engine_motion import contact, energy_drift, free_swing


@pytest.fixture(scope="module")
def errors() -> dict[str, dict[str, float]]:
    return agreement(1000, seed=0)


@pytest.mark.parametrize("source", ["bullet", "closed form", "pinocchio"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_rigid_body_quantities_agree(
    errors: dict[str, dict[str, float]], source: str, quantity: str
) -> None:
    assert errors[source][quantity] < 1e-9


def test_link_frames_of_pybullet_are_single_precision() -> None:
    assert 1e-9 < link_frame_error(50, seed=0) < 5e-7


@pytest.mark.parametrize("damping", [False, True])
@pytest.mark.parametrize("integrator", ["euler", "implicitfast"])
def test_free_swings_are_the_same(integrator: str, damping: bool) -> None:
    assert free_swing(20, 0, integrator, damping=damping) < 1e-10


def test_rk4_conserves_energy() -> None:
    assert energy_drift("mujoco", "rk4", 0.002, 20, seed=0).max() < 1e-3


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_energy_drift_falls_with_the_step(engine: str) -> None:
    drifts = [
        energy_drift(engine, "implicitfast", dt, 8, seed=0, seconds=4.0)
        for dt in (0.004, 0.002, 0.001)
    ]
    worst = [drift.max() for drift in drifts]
    assert worst[0] > worst[1] > worst[2]
    assert np.median(drifts[2]) < 0.05


def test_wall_carries_what_the_torques_say() -> None:
    """In contact bullet lacks armature; the torque makes good for it (see its top)."""
    rows = contact(15.0, 20e3)
    for engine in ("mujoco", "bullet"):
        assert abs(rows[engine]["steady_error"]) < 0.01
    naive = rows["bullet, contact not counted on"]["steady_error"]
    assert naive < -0.2  # what the correction is for
    impulses = [rows[e]["impulse_50ms_Ns"] for e in ("mujoco", "bullet")]
    assert impulses[1] == pytest.approx(impulses[0], rel=0.05)
