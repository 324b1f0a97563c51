"""Whatever draws the handover shows the box as large as its episode drew it."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import sims
from controllers.so3 import from_quaternion
from sims.engine import render_snapshots
from sims.pictures import open_pictures
from sims.viewers.stage import Stage

make_env: Any = sims.make_env
"""Untyped: these tests reach into the task's own model."""
WIDTH, HEIGHT = 640, 480


def silhouette(model: Any, data: Any, pose: np.ndarray, half: np.ndarray) -> float:
    """How many pixels a box covers in the camera "top", by projecting its corners."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = pose[:3] + (signs * half) @ from_quaternion(pose[None, 3:])[0].T
    camera = data.camera("top")
    seen = (corners - camera.xpos) @ camera.xmat.reshape(3, 3)
    fovy = np.radians(model.camera("top").fovy[0])
    focal = HEIGHT / 2 / np.tan(fovy / 2)
    return float(ConvexHull(focal * seen[:, :2] / -seen[:, 2:]).volume)


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_pictures_show_the_size_that_was_drawn(engine: str) -> None:
    env = make_env(
        "aloha-handover",
        engine=engine,
        num_envs=6,
        threads=1,
        observe="both",
        cameras=("top",),
        image_size=(WIDTH, HEIGHT),
        segmentation=True,
    )
    obs = env.reset(seed=0)
    known = obs["environment_state"]
    model, data = env.engine.snapshot(0)
    covered = (obs["segmentation.top"] == model.geom("box").id).sum(axis=(1, 2))
    sizes = known[:, 7:10]
    expected = [
        silhouette(model, data, pose, half)
        for pose, half in zip(known[:, :7], sizes, strict=True)
    ]
    assert np.ptp(expected) > 0.3 * np.mean(expected)
    np.testing.assert_allclose(covered, expected, rtol=0.04)
    env.close()


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_films_and_snapshots_show_it_too(engine: str) -> None:
    """They are the environment's own pictures, to the last bit."""
    env = make_env(
        "aloha-handover",
        engine=engine,
        num_envs=3,
        threads=1,
        observe="both",
        cameras=("top",),
        image_size=(WIDTH, HEIGHT),
        quality="high",
    )
    own = env.reset(seed=0)["images.top"]
    with open_pictures(env.engine, WIDTH, HEIGHT) as pictures:
        films = [pictures.render(i, "top") for i in range(3)]
    ids = np.arange(3)
    shots = render_snapshots(env.engine, ["top"], ids, WIDTH, HEIGHT)["top"]
    np.testing.assert_array_equal(films, own)
    np.testing.assert_array_equal(shots, own)
    env.close()


def test_viewers_show_it_and_are_told_of_another() -> None:
    env = make_env("aloha-handover", num_envs=2, threads=1)
    env.reset()
    stage = Stage(env.engine.model, env.task.robot, env.task.scene)
    for i in range(2):
        model, data = env.engine.snapshot(i)
        assert stage.update(model, data), "a viewer has to load the model anew"
        np.testing.assert_array_equal(stage.model.geom_size, model.geom_size)
        assert not stage.update(model, data)
    env.close()
