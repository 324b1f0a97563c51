"""ALOHA is the robot of gym-aloha: the same places, masses and limits.

The other side is the XML of gym-aloha 0.1.5 itself, which ``make test`` unpacks next to
the virtual environment's packages; it cannot be installed, as it wants an old MuJoCo.
"""

import os
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from assets import ROBOTS, load_model

SCENES = [(r, s) for r in ("aloha", "mobile-aloha") for s in ROBOTS[r]().scenes]
SIDES = ("left", "right")
HINGES = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
FINGERS = ("left_finger", "right_finger")
LINKS = ("shoulder_link", "upper_arm", "upper_forearm", "lower_forearm", "wrist")
SCENE = "bimanual_viperx_transfer_cube.xml"


@pytest.fixture(scope="module")
def theirs() -> mujoco.MjModel:
    """gym-aloha's scene of the cube's transfer."""
    unpacked = Path(sys.prefix) / "gym-aloha"
    folder = Path(os.environ.get("SANDBOT_GYM_ALOHA", unpacked))
    path = folder / "gym_aloha" / "assets" / SCENE
    if not path.exists():
        pytest.fail(
            f"{path} is missing: `make test` fetches it, or unpack gym-aloha yourself, "
            "`pip download --no-deps gym-aloha==0.1.5 && python -m zipfile -e "
            "gym_aloha-0.1.5-*.whl FOLDER`, and set SANDBOT_GYM_ALOHA=FOLDER"
        )
    return mujoco.MjModel.from_xml_path(str(path))


@pytest.fixture(scope="module")
def ours() -> mujoco.MjModel:
    return load_model("aloha", "transfer")


def test_grippers_and_tips_are_where_gym_alohas_are(
    ours: mujoco.MjModel, theirs: mujoco.MjModel
) -> None:
    """To 1 mm, over 200 postures anywhere within the joints' limits."""
    rng = np.random.default_rng(0)
    mine, peer = mujoco.MjData(ours), mujoco.MjData(theirs)
    for _ in range(200):
        for side in SIDES:
            for joint in HINGES:
                angle = rng.uniform(*ours.joint(f"{side}/{joint}").range)
                mine.joint(f"{side}/{joint}").qpos = angle
                peer.joint(f"vx300s_{side}/{joint}").qpos = angle
        mujoco.mj_kinematics(ours, mine)
        mujoco.mj_kinematics(theirs, peer)
        for side in SIDES:
            hand, link = f"{side}/gripper", f"vx300s_{side}/gripper_link"
            pairs = (
                (mine.body(hand), peer.body(link)),
                (mine.site(f"{side}/tip"), peer.site(f"cali_{side}_site1")),
            )
            for one, other in pairs:
                assert np.linalg.norm(one.xpos - other.xpos) < 1e-3
            turns = mine.body(hand).xmat - peer.body(link).xmat
            np.testing.assert_allclose(turns, 0, atol=1e-3)


def test_links_weigh_what_is_published(
    ours: mujoco.MjModel, theirs: mujoco.MjModel
) -> None:
    """Ours has one body where gym-aloha has the gripper and its propeller."""
    for side in SIDES:
        peer = f"vx300s_{side}"
        masses = {link: theirs.body(f"{peer}/{_link(link)}").mass for link in LINKS}
        masses |= {name: theirs.body(f"{peer}/{name}_link").mass for name in FINGERS}
        parts = (f"{peer}/gripper_link", f"{peer}/gripper_prop_link")
        masses["gripper"] = sum(theirs.body(part).mass for part in parts)
        for name, mass in masses.items():
            np.testing.assert_allclose(
                ours.body(f"{side}/{name}").mass, mass, rtol=1e-9
            )
    assert load_model("viperx").body_mass.sum() == pytest.approx(2.773, abs=1e-3)


def test_joints_have_the_published_limits(
    ours: mujoco.MjModel, theirs: mujoco.MjModel
) -> None:
    for side in SIDES:
        for joint in (*HINGES, *FINGERS):
            published = theirs.joint(f"vx300s_{side}/{joint}").range
            np.testing.assert_array_equal(
                ours.joint(f"{side}/{joint}").range, published
            )


@pytest.mark.parametrize(("robot", "scene"), SCENES)
def test_contacts_are_those_of_gym_alohas_time(robot: str, scene: str) -> None:
    """MuJoCo 3.8 and later find several contacts per pair unless told not to."""
    model = load_model(robot, scene)
    assert model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_MULTICCD.value
    assert model.neq == 0


def _link(name: str) -> str:
    return name if name.endswith("_link") else f"{name}_link"
