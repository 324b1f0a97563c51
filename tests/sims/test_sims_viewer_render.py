"""Pictures: the OpenGL back end that is chosen, and what is drawn."""

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from assets import SandbotError, UsageError, load_model
from sims import make_env, opengl
from sims.markers import MAX_SEGMENTS, marker_geoms
from sims.opengl import gl_backend
from sims.render import Renderer, render_model
from sims.task import Marker


@pytest.fixture
def libraries(monkeypatch):
    """Pretend that these libraries are installed, with no variable set."""
    monkeypatch.setattr(opengl.platform, "system", lambda: "Linux")
    for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.setenv(name, "")

    def install(*names):
        monkeypatch.setattr(opengl, "_has_library", lambda name: name in names)

    return install


@pytest.fixture(scope="module")
def arm():
    model = load_model("arm", "free")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def test_the_back_end_is_what_is_there(libraries, monkeypatch):
    libraries("egl", "osmesa")
    assert gl_backend() == "egl" and os.environ["MUJOCO_GL"] == "egl"
    monkeypatch.setenv("MUJOCO_GL", "")
    libraries("osmesa")
    assert gl_backend() == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv("DISPLAY", ":0")
    libraries()
    assert gl_backend() == "glfw"


def test_no_back_end_is_one_clear_error(libraries, monkeypatch):
    libraries()
    with pytest.raises(SandbotError, match="apt-get install libegl1"):
        gl_backend()
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(SandbotError, match=r"MUJOCO_GL=osmesa.*libOSMesa.*apt-get"):
        gl_backend()
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(SandbotError, match="MUJOCO_GL=off switches OpenGL off"):
        gl_backend()


def test_a_picture_is_made_with_no_variable_set():
    """In a new process, since MuJoCo reads the variable when it is imported."""
    script = (
        "import mujoco\n"
        "from assets import load_model\n"
        "from sims.render import render_model\n"
        "model = load_model('arm')\n"
        "data = mujoco.MjData(model)\n"
        "mujoco.mj_forward(model, data)\n"
        "print(render_model(model, data, 'side', 64, 48).std() > 10)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "MUJOCO_GL"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("quality", ["high", "fast"])
def test_markers_are_drawn_where_they_are(arm, quality):
    model, data = arm
    red = (1.0, 0.0, 0.0, 1.0)
    camera = model.camera("side")
    spot = camera.pos + np.array([0.0, 1.5, 0.0])
    marker = Marker(kind="sphere", points=spot[None], size=0.1, rgba=red)
    with Renderer(model, 160, 120, quality=quality) as renderer:
        bare = renderer.render(data, "side")
        drawn = renderer.render(data, "side", [marker])
        again = renderer.render(data, "side")
    assert bare.shape == (120, 160, 3) and bare.dtype == np.uint8
    lost = bare[..., 1].astype(int) - drawn[..., 1] > 60  # red holds no green
    rows, columns = np.nonzero(lost)
    assert 100 < lost.sum() < 600, "a sphere of 1 in 15 of the picture's width"
    assert abs(np.median(columns) - 79.5) < 2
    colour = drawn[rows, columns].mean(axis=0)
    assert colour[0] > 2 * colour[1] and colour[0] > 2 * colour[2]
    np.testing.assert_array_equal(again, bare)


def test_the_model_is_not_written_to(arm):
    model, data = arm
    before = model.vis.global_.offwidth, model.vis.quality.offsamples
    big = render_model(model, data, None, 1500, 100)
    assert big.shape == (100, 1500, 3)
    assert (model.vis.global_.offwidth, model.vis.quality.offsamples) == before


def test_a_picture_of_each_environment():
    env = make_env("arm-reach", num_envs=3)
    env.reset()
    pictures = env.engine.render(["side", "corner"], np.array([0, 2]))
    assert set(pictures) == {"side", "corner"}
    count, height, width, channels = pictures["side"].shape
    assert (count, channels) == (2, 3) and width > height > 100
    assert (pictures["side"][0] != pictures["side"][1]).any()
    env.close()


def test_an_arrow_is_as_long_as_it_says(arm):
    model, data = arm
    ends = np.array([[0.2, 0.0, 1.2], [0.6, 0.0, 1.2]])
    columns = []
    with Renderer(model, 320, 240, quality="fast") as renderer:
        bare = renderer.render(data, "side").astype(int)
        for kind in ("line", "arrow"):
            marker = Marker(kind=kind, points=ends, size=0.01, rgba=(1, 0, 0, 1))
            drawn = renderer.render(data, "side", [marker]).astype(int)
            seen = np.flatnonzero((np.abs(drawn - bare) > 30).any(axis=(0, 2)))
            columns.append((seen[0], seen[-1]))
    assert np.ptp(columns[0]) > 30
    assert np.allclose(columns[0], columns[1], atol=2), "pixels from the left"


def test_wrong_calls_say_what_is_allowed(arm):
    model, data = arm
    with pytest.raises(UsageError, match=r"unknown picture quality 'hihg'.*'high'"):
        Renderer(model, quality="hihg")
    with pytest.raises(UsageError, match="at least 1 x 1 pixels, got 0 x 5"):
        Renderer(model, 0, 5)
    renderer = Renderer(model, 32, 32)
    with pytest.raises(UsageError, match=r"unknown camera 'sied'. Did you mean 'side'"):
        renderer.render(data, "sied")
    renderer.close()
    renderer.close()
    with pytest.raises(SandbotError, match="closed"):
        renderer.render(data)


def test_markers_become_shapes():
    line = Marker(
        kind="line", points=np.random.default_rng(0).random((500, 3)), size=0.1
    )
    sphere = Marker(kind="sphere", points=np.ones((1, 3)), size=0.2)
    arrow = Marker(kind="arrow", points=np.eye(3)[:2], size=0.3)
    geoms = marker_geoms([sphere, line, arrow])
    assert len(geoms) == 1 + MAX_SEGMENTS + 1
    assert geoms[0].pos.tolist() == [1, 1, 1] and geoms[0].size[0] == pytest.approx(0.2)
    assert geoms[-1].type == mujoco.mjtGeom.mjGEOM_ARROW
    for wrong in (
        Marker(kind="arrow", points=np.ones((3, 3)), size=1.0),
        Marker(kind="line", points=np.ones((1, 3)), size=1.0),
        Marker(kind="sphere", points=np.ones(3), size=1.0),
    ):
        with pytest.raises(UsageError, match=r"takes points \(n, 3\) with n"):
            marker_geoms([wrong])
    with pytest.raises(UsageError, match="unknown kind of marker 'cube'"):
        marker_geoms([Marker(kind="cube", points=np.ones((1, 3)), size=1.0)])
