"""Depth in metres and point clouds, against MuJoCo's rays and the shapes themselves."""

from typing import Any

import mujoco
import numpy as np
import pytest

from assets import UsageError
from sims import make_env
from sims.pointcloud import PointCloud, pinhole, point_cloud
from sims.render import Renderer, clip_planes

SCENE = """
<mujoco>
  <visual>
    <map znear="0.01" zfar="30"/>
    <quality numslices="128" numstacks="64"/>
  </visual>
  <statistic extent="1.2" center="0 0 0"/>
  <worldbody>
    <light pos="0 0 3"/>
    <geom name="floor" type="plane" size="3 3 .1" rgba=".2 .3 .4 1"/>
    <geom name="box" type="box" size=".1 .15 .2" pos=".1 .05 .2" euler="0 0 30"/>
    <geom name="ball" type="sphere" size=".12" pos="-.3 .1 .12" rgba="1 0 0 1"/>
    <camera name="fov" pos="0.2 -1.2 .9" xyaxes="1 .1 0 -.05 .5 .8" fovy="50"/>
    <camera name="sensor" pos="0.2 -1.2 .9" xyaxes="1 .1 0 -.05 .5 .8"
            resolution="160 120" focal="0.004 0.0045" sensorsize="0.006 0.0045"
            principal="0.0004 -0.0003"/>
    <camera name="flat" pos="0 -1 1" projection="orthographic"/>
  </worldbody>
</mujoco>"""
BALL = np.array([-0.3, 0.1, 0.12])


@pytest.fixture(scope="module")
def scene():
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def cast(model, data, camera):
    """Depth [m] and geom of each pixel, by rays through its middle."""
    rays = camera.directions().reshape(-1, 3)
    length = np.linalg.norm(rays, axis=1)
    geom, distance = np.zeros(len(rays), np.int32), np.zeros(len(rays))
    mujoco.mj_multiRay(
        model,
        data,
        camera.position,
        (rays / length[:, None]).ravel(),
        None,
        1,
        -1,
        geom,
        distance,
        None,
        len(rays),
        1e3,
    )
    depth = np.where(geom >= 0, distance / length, camera.far)
    shape = (camera.height, camera.width)
    return depth.reshape(shape), geom.reshape(shape)


@pytest.mark.parametrize("quality", ["fast", "high"])
@pytest.mark.parametrize("name", ["fov", "sensor"])
@pytest.mark.parametrize("size", [(160, 120), (90, 110)])
def test_depth_and_segmentation_are_what_rays_meet(scene, name, size, quality):
    """With and without a sensor, stretched or not, smooth edges or not."""
    model, data = scene
    camera = pinhole(model, data, name, size)
    depth, geom = cast(model, data, camera)
    with Renderer(model, *size, quality=quality) as renderer:
        shot: Any = renderer.capture(data, name, depth=True, segmentation=True)
    same = shot.segmentation == geom
    assert same.mean() > 0.999, "all but pixels that a border runs through"
    error = np.abs(shot.depth - depth)
    flat = same & (geom >= 0) & (geom < 2)
    assert error[flat].max() < 1e-4
    assert error[same & (geom == 2)].max() < 2e-3, "facets of a ball"
    assert shot.depth[geom < 0] == pytest.approx(clip_planes(model)[1])


@pytest.mark.parametrize("name", ["fov", "sensor"])
def test_points_lie_on_the_surfaces(scene, name):
    model, data = scene
    size = (160, 120)
    with Renderer(model, *size, quality="fast") as renderer:
        shot: Any = renderer.capture(data, name, depth=True, segmentation=True)
    cloud: Any = point_cloud(
        shot.depth, pinhole(model, data, name, size), shot.image, shot.segmentation
    )
    assert len(cloud) == (shot.depth < 35).sum() == len(cloud.colours)
    floor, box, ball = (cloud.take(cloud.labels == geom) for geom in range(3))
    assert np.abs(floor.points[:, 2]).max() < 1e-4
    assert np.abs(np.linalg.norm(ball.points - BALL, axis=1) - 0.12).max() < 1e-3
    turn = data.geom_xmat[1].reshape(3, 3)
    own = np.abs((box.points - data.geom_xpos[1]) @ turn) / [0.1, 0.15, 0.2]
    assert np.abs(own.max(axis=1) - 1).max() < 1e-3, "on one of its faces"
    assert (ball.colours[:, 0] > 3 * ball.colours[:, 1].astype(int)).all(), "red"


def test_pixels_are_the_inverse_of_directions(scene):
    camera = pinhole(scene[0], scene[1], "sensor", (40, 30))
    points = camera.position + 0.7 * camera.directions()[11, 23]
    pixel, depth = camera.pixels(points[None])
    np.testing.assert_allclose(pixel, [[23.5, 11.5]], atol=1e-9)
    assert depth == pytest.approx([0.7])
    # the picture's upper left corner shows what lies to the upper left
    corner = camera.directions()[0, 0] @ camera.rotation
    assert corner[0] < 0 < corner[1] and abs(corner[2] + 1) < 1e-9


def test_clouds_are_cropped_and_thinned():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (4000, 3))
    colours = (127 * points + 128).astype(np.uint8)
    cloud = PointCloud(points=points, colours=colours, labels=np.arange(4000))
    part = cloud.crop(np.array([0, -1, -1]), np.array([1, 1, 0.5]))
    assert part.points.min(axis=0)[0] >= 0 and part.points.max(axis=0)[2] <= 0.5
    assert len(part) == ((points[:, 0] >= 0) & (points[:, 2] <= 0.5)).sum()
    thin = cloud.thin(0.5)
    assert len(thin) == 64, "cubes of half a metre in a box of two"
    assert len(np.unique(np.floor(thin.points / 0.5), axis=0)) == 64
    few = cloud.farthest(50)
    assert len(few) == 50 and few.labels is not None and few.labels[0] == 0
    for kept in (part, thin, few):
        np.testing.assert_array_equal(kept.points, points[kept.labels])
        np.testing.assert_array_equal(kept.colours, colours[kept.labels])
    spread = np.linalg.norm(few.points[:, None] - few.points, axis=-1)
    covered = np.linalg.norm(points[:, None] - few.points, axis=-1).min(axis=1).max()
    assert covered <= np.sort(spread, axis=1)[:, 1].min() + 1e-12, "greedy, as it is"
    assert cloud.farthest(9000) is cloud


def test_a_cloud_of_an_environments_camera():
    """Through make_env, where the camera moves with the hand."""
    env = make_env(
        "aloha-transfer-cube",
        observe="both",
        cameras=("left/wrist", "top"),
        image_size=(80, 60),
        depth=True,
        segmentation=True,
    )
    obs = env.reset(seed=0)
    assert env.cameras is not None
    model, data = env.engine.snapshot()
    table = model.geom("table")
    height = data.geom_xpos[table.id][2] + table.size[2]
    for camera in ("left/wrist", "top"):
        name = camera.replace("/", "_")
        cloud = point_cloud(
            obs[f"depth.{name}"][0],
            env.cameras.pinhole(env.engine, camera),
            obs[f"images.{name}"][0],
            obs[f"segmentation.{name}"][0],
        )
        top = cloud.points[cloud.labels == table.id]
        upper = top[np.abs(top[:, 2] - height) < 2e-4]
        assert len(upper) > 0.8 * len(top) > 80, "but for its edges"
    env.close()


def test_what_is_no_pinhole_is_refused(scene):
    with pytest.raises(UsageError, match="no perspective"):
        pinhole(scene[0], scene[1], "flat", (4, 4))
    with pytest.raises(UsageError, match=r"unknown camera 'fow'. Did you mean 'fov'"):
        pinhole(scene[0], scene[1], "fow", (4, 4))
    camera = pinhole(scene[0], scene[1], "fov", (4, 3))
    with pytest.raises(UsageError, match=r"3 x 4 pixels.*the depth image 4 x 3"):
        point_cloud(np.zeros((4, 3)), camera)
    with pytest.raises(UsageError, match=r"the image 4 x 3 x 3"):
        point_cloud(np.zeros((3, 4)), camera, np.zeros((4, 3, 3)))
    cloud = PointCloud(points=np.zeros((3, 3)))
    with pytest.raises(UsageError, match="larger than 0 m, got 0"):
        cloud.thin(0)
    with pytest.raises(UsageError, match="at least 1 point"):
        cloud.farthest(0)
