"""Do the engines agree where physics says they must, and how far apart are they else?

    python -m benchmarks.engines

prints the figures and writes ``benchmarks/results/engines.json``. What each figure
is stands with the function that measures it, in ``engine_agreement`` and
``engine_motion``.
"""

import argparse
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.engine_agreement import QUANTITIES, agreement, link_frame_error
from benchmarks.engine_motion import contact, energy_drift, free_swing, speed
from benchmarks.record import record
from sims.engines.bullet_shapes import BULLET_CONTACT_VERSION, CONTACT_PARAMETERS

STEPS = (0.002, 0.001, 0.0005)
"""[s]"""
DRIFTS = (
    ("mujoco", "rk4"),
    ("mujoco", "euler"),
    ("mujoco", "implicitfast"),
    ("bullet", "euler"),
    ("bullet", "implicitfast"),
)
PRESSES = ((5.0, 10e3), (15.0, 20e3), (20.0, 40e3))
"""Force [N] and stiffness of the wall [N/m]."""
Bar = tuple[str, float, float]
"""What, the figure, the largest that is allowed."""


def statics(n: int, seed: int) -> tuple[dict[str, Any], list[Bar]]:
    """Rigid-body quantities over random states and masses."""
    errors = agreement(n, seed)
    print(f"relative to mujoco, {n} states and masses: {', '.join(QUANTITIES)}")
    for source, row in errors.items():
        print(f"  {source:14s} " + "  ".join(f"{row[what]:.1e}" for what in QUANTITIES))
    single = link_frame_error(n, seed)
    print(f"  getLinkState's link frame (single precision): {single:.1e} m")
    bars = [
        (f"{name} against mujoco: dynamics, tip, Jacobian", max(row.values()), 1e-9)
        for name, row in errors.items()
    ]
    return {"agreement": errors, "single_precision_frame_m": single}, bars


def swings(n: int, seed: int) -> tuple[dict[str, Any], list[Bar]]:
    """Free swings of both engines, side by side."""
    rows = {
        f"{integrator}, {'damped' if damping else 'undamped'}": free_swing(
            n, seed, integrator, damping=damping
        )
        for integrator in ("euler", "implicitfast")
        for damping in (False, True)
    }
    print(f"bullet against mujoco, {n} free swings of 1 s at 1 ms [rad]")
    for name, error in rows.items():
        print(f"  {name:24s} {error:.1e}")
    return {"free_swing_rad": rows}, [
        ("bullet against mujoco: 1 s of free swing [rad]", max(rows.values()), 1e-10)
    ]


def drifts(n: int, seed: int) -> tuple[dict[str, Any], list[Bar]]:
    """Energy over 10 s, at three steps."""
    rows, bars = [], []
    print(f"energy drift over 10 s / largest kinetic energy, {n} states: worst, median")
    for engine, integrator in DRIFTS:
        worst = []
        for dt in STEPS:
            drift = energy_drift(engine, integrator, dt, n, seed)
            worst.append(float(drift.max()))
            rows.append(
                {
                    "engine": engine,
                    "integrator": integrator,
                    "dt_s": dt,
                    "worst": worst[-1],
                    "median": float(np.median(drift)),
                }
            )
            print(
                f"  {engine:7s} {integrator:13s} {dt * 1e3:4.1f} ms  {drift.max():.2e}"
                f"  {np.median(drift):.2e}"
            )
        falls = max(b / a for a, b in pairwise(worst))
        bars.append(
            (f"energy drift, {engine} {integrator}: half step / step", falls, 1.0)
        )
        if integrator == "rk4":
            bars.append(("energy drift in 10 s, mujoco RK4 at 2 ms", worst[0], 1e-3))
    return {"energy_drift": rows}, bars


def presses() -> tuple[dict[str, Any], list[Bar]]:
    """Contact with the wall: where the engines differ."""
    rows, bars = [], []
    print("pushing the wall open-loop: steady force, its error, impact peak, impulse")
    for force, stiffness in PRESSES:
        for name, row in contact(force, stiffness).items():
            rows.append({"force_N": force, "stiffness": stiffness, "run": name, **row})
            print(
                f"  {force:4.0f} N, {stiffness / 1e3:2.0f} kN/m  {name:36s}"
                f"{row['steady_force_N']:7.3f} N {row['steady_error']:+7.2%} "
                f"{row['impact_peak_N']:6.1f} N {row['impulse_50ms_Ns']:.3f} Ns"
            )
            if name == "bullet":
                error = abs(row["steady_error"])
                bars.append(
                    (f"bullet: error of a steady force of {force:.0f} N", error, 0.01)
                )
    return {"contact": rows}, bars


def speeds() -> dict[str, Any]:
    """Time per physics step."""
    rows = {}
    for scene in ("free", "wall"):
        for num_envs in (1, 16):
            row = speed(scene, num_envs)
            rows[f"{scene} x {num_envs}"] = row
            print(
                f"bullet, {scene} x {num_envs}: {row['us_per_step']:.1f} us a step, "
                f"Bullet's bare step {row['us_bare_bullet']:.1f} us"
            )
    return {"speed": rows}


def main() -> None:
    """Measure, print, record; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="do the engines agree?")
    parser.add_argument("--states", type=int, default=1000, help="random states")
    parser.add_argument("--swings", type=int, default=20, help="free swings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    result: dict[str, Any] = {
        "n": args.states,
        "swings": args.swings,
        "seed": args.seed,
        "bullet_contact_version": BULLET_CONTACT_VERSION,
        "bullet_contact_parameters": CONTACT_PARAMETERS,
        **speeds(),
    }
    bars: list[Bar] = []
    for rows, more in (
        statics(args.states, args.seed),
        swings(args.swings, args.seed),
        drifts(args.swings, args.seed),
        presses(),
    ):
        result |= rows
        bars += more
    result["bars"] = [
        {"what": what, "figure": figure, "bar": f"< {bar:g}", "met": figure < bar}
        for what, figure, bar in bars
    ]
    for what, figure, bar in bars:
        print(
            f"{what:52s} {figure:.2e} < {bar:g} {'met' if figure < bar else 'MISSED'}"
        )
    path = record("engines", result)
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(line["met"] for line in result["bars"]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
