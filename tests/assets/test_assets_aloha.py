"""ALOHA is the robot of gym-aloha: the same places, masses and limits.

The other side is the XML of gym-aloha 0.1.5 itself, which ``make test`` unpacks next to
the virtual environment's packages; it cannot be installed, as it wants an old MuJoCo.
"""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from assets import ROBOTS, load_model, load_spec
from benchmarks.gym_aloha import _angle, apart, scene_path

SCENES = [(r, s) for r in ("aloha", "mobile-aloha") for s in ROBOTS[r]().scenes]
SIDES = ("left", "right")
HINGES = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
FINGERS = ("left_finger", "right_finger")
LINKS = ("shoulder_link", "upper_arm", "upper_forearm", "lower_forearm", "wrist")


@pytest.fixture(scope="module")
def theirs() -> mujoco.MjModel:
    """gym-aloha's scene of the cube's transfer."""
    return mujoco.MjModel.from_xml_path(str(scene_path()))


@pytest.fixture(scope="module")
def ours() -> mujoco.MjModel:
    return load_model("aloha", "transfer")


def test_grippers_and_tips_are_where_gym_alohas_are(
    ours: mujoco.MjModel, theirs: mujoco.MjModel
) -> None:
    """To 1 mm, over 200 postures anywhere within the joints' limits."""
    distances, angles = apart(ours, theirs, 200)
    assert distances.shape == (200, 4) and distances.max() < 1e-3
    assert angles.max() < 1e-3


def test_arms_that_stand_elsewhere_are_noticed(theirs: mujoco.MjModel) -> None:
    spec = load_spec("aloha", "transfer")
    spec.body("left/base").pos += [0.002, 0, 0]
    distances, _ = apart(spec.compile(), theirs, 3)
    np.testing.assert_allclose(distances[:, :2], 0.002, atol=1e-4)
    assert distances[:, 2:].max() < 1e-3


def test_the_angle_between_two_orientations() -> None:
    turned = Rotation.from_rotvec([[0.3, -0.2, 0.5], [0.1, 0.7, -0.4]])
    one, other = turned.as_matrix().reshape(2, 9)
    expected = (turned[0].inv() * turned[1]).magnitude()
    assert _angle(one, other) == pytest.approx(expected, abs=1e-12)


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
