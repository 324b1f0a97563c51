"""Anyone's scenes: opened as they are, in older words, or refused in one line."""

import logging
from pathlib import Path

import mujoco
import numpy as np
import pytest

from assets import SandbotError, UsageError
from assets.old_mjcf import renew
from assets.plugins import tell
from assets.scene_file import load_file
from assets.scene_looks import CAMERA
from benchmarks.mjcf import REFUSED, scene_files

FILES = scene_files()
LOCAL = """<mujoco>
  <compiler inertiafromgeom="true"/>
  <worldbody>
    <body name="a" pos="0.1 0 1">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="r" type="hinge" axis="0 1 0" pos="0 0 0.2"/>
      <geom type="capsule" size="0.05" fromto="0 0 0.2 0.1 0 -0.3"/>
      <body name="b" pos="0 0 -0.4">
        <joint name="k" type="hinge" axis="0 -1 0"/>
        <geom type="box" size="0.05 0.1 0.2" pos="0.02 0 -0.1" euler="0 20 0"/>
        <site name="tip" pos="0 0 -0.3"/>
      </body>
      <body name="c">
        <joint name="l" type="hinge" axis="1 0 0" pos="0 0.2 0"/>
        <geom type="sphere" size="0.08" pos="0 0.4 0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="k"/></actuator>
</mujoco>"""
GLOBAL = """<mujoco>
  <compiler inertiafromgeom="true" coordinate="global"/>
  <worldbody>
    <body name="a" pos="0.1 0 1">
      <joint name="x" type="slide" axis="1 0 0" pos="0.1 0 1"/>
      <joint name="r" type="hinge" axis="0 1 0" pos="0.1 0 1.2"/>
      <geom type="capsule" size="0.05" fromto="0.1 0 1.2 0.2 0 0.7"/>
      <body name="b" pos="0.1 0 0.6">
        <joint name="k" type="hinge" axis="0 -1 0" pos="0.1 0 0.6"/>
        <geom type="box" size="0.05 0.1 0.2" pos="0.12 0 0.5" euler="0 20 0"/>
        <site name="tip" pos="0.1 0 0.3"/>
      </body>
      <body name="c">
        <joint name="l" type="hinge" axis="1 0 0" pos="0.1 0.2 1"/>
        <geom type="sphere" size="0.08" pos="0.1 0.4 1"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="k"/></actuator>
</mujoco>"""
"""The same robot, as MuJoCo 2.3.2 and before could be told it."""


def written(folder: Path, text: str, name: str = "scene.xml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FILES)
def test_the_scenes_of_two_packages_open(name: str) -> None:
    if name not in REFUSED:
        model = load_file(FILES[name])
        assert model.ncam >= 1 and model.ngeom >= 1
        return
    with pytest.raises(SandbotError, match=REFUSED[name]) as refused:
        load_file(FILES[name])
    assert "\n" not in str(refused.value)


def test_global_coordinates_are_the_same_robot(tmp_path: Path) -> None:
    """MuJoCo itself is the reference, given the same robot in local coordinates."""
    with pytest.raises(ValueError, match="global coordinates no longer supported"):
        mujoco.MjModel.from_xml_string(GLOBAL)
    ours = load_file(written(tmp_path, GLOBAL))
    theirs = mujoco.MjModel.from_xml_string(LOCAL)
    rng = np.random.default_rng(0)
    a, b = mujoco.MjData(ours), mujoco.MjData(theirs)
    for _ in range(20):
        a.qpos[:] = b.qpos[:] = rng.uniform(-1, 1, 4)
        a.qvel[:] = b.qvel[:] = rng.uniform(-1, 1, 4)
        masses = []
        for model, data in ((ours, a), (theirs, b)):
            mujoco.mj_forward(model, data)
            full = np.empty((4, 4))
            mujoco.mj_fullM(model, data, full)
            masses.append(full)
        np.testing.assert_allclose(*masses, atol=1e-12)
        np.testing.assert_allclose(a.qfrc_bias, b.qfrc_bias, atol=1e-12)
        np.testing.assert_allclose(a.site("tip").xpos, b.site("tip").xpos, atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name="b" pos="0.1 0 0.6"', 'name="b" pos="0.1 0 0.6" euler="0 10 0"'),
        ("<actuator>", "<equality><weld body1='a' body2='b'/></equality><actuator>"),
        ('<site name="tip" pos="0.1 0 0.3"/>', '<frame><site name="tip"/></frame>'),
    ],
)
def test_global_coordinates_that_would_need_a_guess_stay_an_error(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in GLOBAL
    with pytest.raises(SandbotError, match="global coordinates no longer supported"):
        load_file(written(tmp_path, GLOBAL.replace(old, new)))


BALLS = """<mujoco><option collision="{mode}"/>
<worldbody>
  <geom name="floor" type="plane" size="1 1 1" contype="1"/>
  <body pos="0 0 .1"><freejoint/><geom name="ball" size=".1" conaffinity="1"/></body>
  <body pos="1 0 .1"><freejoint/><geom name="other" size=".1"/></body>
</worldbody>
<contact><pair geom1="floor" geom2="ball"/></contact></mujoco>"""


@pytest.mark.parametrize(
    ("mode", "touching"),
    [
        ("all", {"ball", "other"}),
        ("dynamic", {"ball", "other"}),
        ("predefined", {"ball"}),
    ],
)
def test_the_old_choice_of_collisions(
    tmp_path: Path, mode: str, touching: set[str]
) -> None:
    """As MuJoCo's changelog says to replace it."""
    model = load_file(written(tmp_path, BALLS.format(mode=mode)))
    assert model.npair == (mode != "dynamic")
    data = mujoco.MjData(model)
    data.qpos[[2, 9]] = 0.099
    mujoco.mj_forward(model, data)
    touched = {model.geom(int(max(c.geom))).name for c in data.contact[: data.ncon]}
    assert touched == touching


def test_what_is_renewed_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tell.cache_clear()
    text = """<mujoco><compiler inertiafromgeom="true"/><worldbody>
      <geom type="plane" material="none"/>
      <body><joint type="fixed" name="j"/><geom size=".1"/>
        <body><joint axis="0 1 0"/><geom size=".1" pos=".3 0 0"/><inertial mass="9"/>
      </body></body></worldbody></mujoco>"""
    with caplog.at_level(logging.WARNING):
        model = load_file(written(tmp_path, text))
    assert model.njnt == 1 and model.body_mass[2] < 5
    assert caplog.messages == [
        "scene.xml: joints of the type 'fixed' were left out (1)",
        "scene.xml: inertials without a place that the geoms override were left out "
        "(1)",
        "scene.xml: materials that the file does not define were left out (none)",
        "scene.xml: planes without a size were made endless (1)",
    ]


def test_nothing_is_renewed_that_is_not_old() -> None:
    assert renew(LOCAL)[1] == []
    assert renew("<mujoco")[1] == []
    assert renew("<robot/>")[1] == []
    assert (
        renew('<mujoco><option collision="all"/><include file="x"/></mujoco>')[1] == []
    )


def test_a_renewed_scene_finds_its_pictures(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    text = """<mujoco><option collision="all"/>
      <asset><texture name="t" type="2d" file="red.png"/></asset>
      <worldbody><geom size="1"/></worldbody></mujoco>"""
    model = load_file(written(tmp_path, text))
    assert (model.tex_width == 4).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty file"),
        ("<mujoco><worldbody>", "XML parse error"),
        ("<sdf/>", "model type: 'sdf'"),
        ("\0\1\2", "XML parse error"),
        ("<mujoco/>", "holds no body and no shape: it may be a part"),
        ("<mujoco><default><geom size='1'/></default></mujoco>", "it may be a part"),
        ("<mujoco><worldbody><geom sise='1'/></worldbody></mujoco>", "'sise'"),
        (
            "<mujoco><option collision='all'/><worldbody><body><joint/></body>"
            "</worldbody></mujoco>",
            "mass and inertia of moving bodies",
        ),
        (
            "<mujoco><asset><mesh file='away.stl'/></asset><worldbody>"
            "<geom type='mesh' mesh='away'/></worldbody></mujoco>",
            "away.stl",
        ),
    ],
)
def test_what_cannot_be_opened_is_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SandbotError, match=said) as refused:
        load_file(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no scene at .*away.xml': there is no such"):
        load_file(tmp_path / "away.xml")
    with pytest.raises(UsageError, match="it is a folder"):
        load_file(tmp_path)


URDF = """<robot name="flail"><link name="base"><inertial><mass value="1"/>
<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
<link name="arm"><inertial><origin xyz="0 0 -0.5"/><mass value="1"/>
<inertia ixx=".1" iyy=".1" izz=".1" ixy="0" ixz="0" iyz="0"/></inertial>
<collision><geometry>{shape}</geometry></collision></link>
<joint name="j" type="revolute"><parent link="base"/><child link="arm"/>
<axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="5" velocity="1"/></joint></robot>
"""


def test_a_urdf_opens_and_its_packages_are_folders(tmp_path: Path) -> None:
    box = '<box size="0.1 0.1 1"/>'
    model = load_file(written(tmp_path, URDF.format(shape=box), "flail.urdf"))
    assert model.njnt == 1 and model.nu == 0
    folder = tmp_path / "flail_description" / "urdf"
    folder.mkdir(parents=True)
    mesh = tmp_path / "flail_description" / "arm.obj"
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
    mesh.write_text(corners + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    shape = '<mesh filename="package://flail_description/arm.obj"/>'
    model = load_file(written(folder, URDF.format(shape=shape), "flail.urdf"))
    assert model.nmesh == 1
    shape = '<mesh filename="package://flail_description/away.obj"/>'
    with pytest.raises(SandbotError, match=r"away\.obj"):
        load_file(written(folder, URDF.format(shape=shape), "lost.urdf"))


def test_names_light_sky_and_a_camera_are_added_where_they_lack(tmp_path: Path) -> None:
    text = """<mujoco><worldbody>
      <body name="body_2"><joint/><geom size=".1"/></body>
      <body><joint/><geom size=".1"/></body></worldbody></mujoco>"""
    model = load_file(written(tmp_path, text))
    assert [model.body(i).name for i in range(3)] == ["world", "body_2", "body_2_"]
    assert [model.camera(i).name for i in range(model.ncam)] == [CAMERA]
    assert model.vis.headlight.ambient[0] > 0.3 and model.ntex == 1
    whole = load_file(FILES["Gymnasium/ant.xml"])
    theirs = mujoco.MjModel.from_xml_path(str(FILES["Gymnasium/ant.xml"]))
    assert whole.ncam == theirs.ncam and whole.ntex == theirs.ntex
    np.testing.assert_array_equal(
        whole.vis.headlight.ambient, theirs.vis.headlight.ambient
    )


def test_the_added_camera_goes_along(tmp_path: Path) -> None:
    """A robot without a floor falls, and stays in the middle of the picture."""
    model = load_file(FILES["PyBullet-data/half_cheetah.xml"])
    data = mujoco.MjData(model)
    seen = []
    for _ in range(2):
        mujoco.mj_forward(model, data)
        camera = data.camera(CAMERA)
        com = data.subtree_com[1] - camera.xpos
        seen.append(camera.xmat.reshape(3, 3).T @ com)
        data.qpos[:2] += [5.0, -40.0]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-9)
    right, up, away = seen[0]
    assert away < -1 and abs(right) < 0.3 * -away and abs(up) < 0.3 * -away


def test_the_physics_of_a_dressed_scene_is_its_own() -> None:
    path = FILES["PyBullet-data/striker.xml"]
    paths = []
    for model in (load_file(path), mujoco.MjModel.from_xml_path(str(path))):
        model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        data = mujoco.MjData(model)
        data.ctrl[:] = 0.3
        mujoco.mj_step(model, data, 100)
        paths.append(data.qpos.copy())
    np.testing.assert_array_equal(*paths)
