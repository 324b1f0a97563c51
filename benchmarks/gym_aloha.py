"""Our ALOHA against gym-aloha's own XML: the same arms, at the same places?

python -m benchmarks.gym_aloha

- The same joint angles, drawn anywhere within the limits, put both grippers and their
  tips at the same place in both scenes, and turn them the same way.
- Each scene of gym-aloha loads as it is, and `sandbot play --mjcf` drives it.

``make test`` unpacks gym-aloha beside the virtual environment's packages; it cannot be
installed, as it wants an old MuJoCo.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np

from assets import load_model
from benchmarks.record import record
from sims.tasks.aloha import JOINTS, SIDES

BAR = 1.0
"""Of a distance [mm]."""
SCENES = (
    "bimanual_viperx_transfer_cube.xml",
    "bimanual_viperx_insertion.xml",
    "bimanual_viperx_end_effector_transfer_cube.xml",
    "bimanual_viperx_end_effector_insertion.xml",
)


def scene_path(scene: str = SCENES[0]) -> Path:
    """Where one of gym-aloha's scenes lies.

    Raises:
        FileNotFoundError: nowhere; the message says how to get it.
    """
    unpacked = os.environ.get("SANDBOT_GYM_ALOHA", Path(sys.prefix) / "gym-aloha")
    path = Path(unpacked) / "gym_aloha" / "assets" / scene
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: `make test` fetches it, or unpack gym-aloha yourself, "
            "`pip download --no-deps gym-aloha==0.1.5 && python -m zipfile -e "
            "gym_aloha-0.1.5-*.whl FOLDER`, and set SANDBOT_GYM_ALOHA=FOLDER"
        )
    return path


def apart(
    ours: mujoco.MjModel, theirs: mujoco.MjModel, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """How far grippers and tips are from gym-aloha's, at random joint angles.

    Args:
        ours: our scene of the cube's transfer.
        theirs: gym-aloha's.
        count: how many configurations.
        seed: of their draws, each joint's within its limits.

    Returns:
        Distances (count, 4) [m] of left gripper and tip, right gripper and tip, and
        angles (count, 2) [rad] between the grippers.
    """
    rng = np.random.default_rng(seed)
    mine, peer = mujoco.MjData(ours), mujoco.MjData(theirs)
    distances, angles = np.empty((count, 4)), np.empty((count, 2))
    for i in range(count):
        for side in SIDES:
            for joint in JOINTS:
                angle = rng.uniform(*ours.joint(f"{side}/{joint}").range)
                mine.joint(f"{side}/{joint}").qpos = angle
                peer.joint(f"vx300s_{side}/{joint}").qpos = angle
        mujoco.mj_kinematics(ours, mine)
        mujoco.mj_kinematics(theirs, peer)
        for k, side in enumerate(SIDES):
            hand = mine.body(f"{side}/gripper")
            link = peer.body(f"vx300s_{side}/gripper_link")
            tip, site = mine.site(f"{side}/tip"), peer.site(f"cali_{side}_site1")
            distances[i, 2 * k] = np.linalg.norm(hand.xpos - link.xpos)
            distances[i, 2 * k + 1] = np.linalg.norm(tip.xpos - site.xpos)
            angles[i, k] = _angle(hand.xmat, link.xmat)
    return distances, angles


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    """Between two orientations (9,) [rad]: of |R_a - R_b| = 2 sqrt(2) sin(a / 2)."""
    chord = np.linalg.norm(one - other) / np.sqrt(8)
    return float(2 * np.arcsin(min(1.0, chord)))


def plays(scene: str, steps: int) -> bool:
    """Whether ``sandbot play`` drives a scene of gym-aloha for so many steps."""
    words = ["play", "--mjcf", str(scene_path(scene)), "--steps", str(steps)]
    words += ["--policy", "random", "--viewer", "none", "--speed", "8"]
    call = [sys.executable, "-m", "sandbot.main", *words]
    done = subprocess.run(call, capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines()
    print(f"{scene}: {said[-1] if said else 'nothing said'}")
    return done.returncode == 0 and f"{steps * 0.02:.1f} s simulated" in done.stdout


def main() -> None:
    """Compare, play, print, record."""
    parser = argparse.ArgumentParser(description="our ALOHA against gym-aloha's XML")
    parser.add_argument("--configurations", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=100, help="of each scene")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    theirs = mujoco.MjModel.from_xml_path(str(scene_path()))
    ours = load_model("aloha", "transfer")
    distances, angles = apart(ours, theirs, options.configurations, options.seed)
    driven = {scene: plays(scene, options.steps) for scene in SCENES}
    worst, most = 1e3 * float(distances.max()), float(angles.max())
    bars = [
        {
            "what": "grippers and tips, ours and gym-aloha's, most apart in "
            f"{options.configurations:,} configurations [mm]",
            "figure": worst,
            "bar": f"<= {BAR:g}",
            "met": worst <= BAR,
        },
        {
            "what": "the same, grippers' orientations [rad]",
            "figure": most,
            "bar": "<= 0.001",
            "met": most <= 0.001,
        },
        {
            "what": "gym-aloha's scenes that `sandbot play --mjcf` drives, of "
            f"{len(SCENES)}",
            "figure": sum(driven.values()),
            "bar": f">= {len(SCENES)}",
            "met": all(driven.values()),
        },
    ]
    for bar in bars:
        print(f"{bar['what']}: {bar['figure']:.3g} ({bar['bar']})")
    result = {
        "gym_aloha": "0.1.5",
        "configurations": options.configurations,
        "seed": options.seed,
        "mean_mm": 1e3 * float(distances.mean()),
        "played": driven,
        "bars": bars,
    }
    path = record("gym_aloha", result)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
