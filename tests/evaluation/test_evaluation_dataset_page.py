"""The page of a dataset: self-contained, and what it draws is what was recorded."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import SandbotError, UsageError
from evaluation.dataset_page import write_page
from evaluation.dataset_plots import BOTTOM, HEIGHT, TOP, panels, thinned
from ml.lerobot import DatasetWriter, read_dataset
from ml.spec import ArraySpec
from policies.collect import collect

NAMES = tuple(
    f"{side}/{part}"
    for side in ("left", "right")
    for part in ("waist", "elbow", "grip")
)
UNITS = ("rad", "rad", "1") * 2
TEXTS = ("put <red> in the bowl", "put blue in the bowl")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes of two arms, with a camera."""
    folder = tmp_path_factory.mktemp("page") / "bowls"
    arm = ArraySpec(shape=(6,), names=NAMES, units=UNITS)
    with DatasetWriter(
        folder,
        observations={
            "state": arm,
            "environment_state": ArraySpec(
                shape=(2,), names=("cube_x", "cube_y"), units=("m",)
            ),
            "images.top": ArraySpec(shape=(32, 48, 3), dtype="uint8"),
        },
        action=arm,
        control_dt=0.02,
        robot="aloha",
        about={"task": "bowls"},
    ) as writer:
        for index in range(3):
            n = 400 + index
            wave = np.sin(np.arange(n) / 30 + index)[:, None] * np.arange(1, 7)
            writer.add_episode(
                {
                    "state": wave,
                    "environment_state": np.zeros((n, 2)),
                    "images.top": np.zeros((n, 32, 48, 3), np.uint8),
                },
                wave + 0.1,
                instruction=TEXTS[index % 2],
                reward=np.zeros(n),
                success=np.arange(n) > (300 if index else 999),
                outcomes={"both_hold": index > 1},
                seed=5,
                identity=index,
            )
    return folder


def test_the_page_needs_nothing_else(data: Path, tmp_path: Path) -> None:
    page = write_page(data, (), tmp_path / "page.html")
    text = page.path.read_text()
    assert page.episodes == [0, 1, 2] and page.warnings == []
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:video/mp4;base64,") == 3
    assert "put &lt;red&gt; in the bowl" in text and "<red>" not in text
    assert text.count('class="pill good"') == 2 and text.count('class="pill bad"') == 1
    assert "both hold" in text and "67%" in text
    assert "prefers-color-scheme: dark" in text


def test_limbs_and_units_have_plots_of_their_own(data: Path) -> None:
    drawn = panels(read_dataset(data), [0])
    titles = [(panel.title, panel.unit, len(panel.lines)) for panel in drawn]
    assert titles == [
        ("state, left, action dashed", "rad", 4),
        ("state, right, action dashed", "rad", 4),
        ("state, action dashed", "1", 4),
        ("environment state", "m", 2),
        ("reward", "1", 1),
    ]


def test_a_thing_is_on_one_plot_that_names_it(tmp_path: Path) -> None:
    collect("aloha-pick", "expert", episodes=1, noise=0, out=tmp_path / "d", threads=1)
    drawn = panels(read_dataset(tmp_path / "d"), [0])
    by_title = {(p.title, p.unit): p for p in drawn}
    two = by_title["environment state, red cube, green cube", "m"]
    assert [line.label for line in two.lines][2:5] == [
        "red_cube_z",
        "green_cube_x",
        "green_cube_y",
    ]
    assert ("environment state, target", "1") in by_title
    shown = [line.column for p in drawn for line in p.lines if "env" in line.feature]
    assert sorted(shown) == list(range(6 * 7 + 4 + 6))


def test_a_curve_is_the_data(data: Path, tmp_path: Path) -> None:
    write_page(data, [1], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    svg = re.findall(r"<svg.*?</svg>", text, re.S)[0]
    low, high = (
        float(re.findall(rf'data-{n}="(.*?)"', svg)[0]) for n in ("low", "high")
    )
    points = re.findall(r'class="line series-1" points="(.*?)"', svg)[0].split()
    y = np.array([float(point.split(",")[1]) for point in points])
    values = low + (HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP) * (high - low)
    wave = 2 * np.sin(np.arange(401) / 30 + 1)
    np.testing.assert_allclose(values, wave[thinned(wave)], atol=0.06)
    assert values.max() == pytest.approx(wave.max(), abs=0.02)


def test_thinning_keeps_the_extremes() -> None:
    values = np.zeros(5000)
    values[[777, 3210]] = 5, -7
    kept = thinned(values)
    assert {0, 777, 3210, 4999} <= set(kept.tolist()) and len(kept) < 400
    assert (np.diff(kept) > 0).all()
    assert thinned(values[:20]).tolist() == list(range(20))


def test_what_is_missing_is_said(data: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(data, tmp_path / "d")
    next((tmp_path / "d/videos").rglob("file-001.mp4")).unlink()
    page = write_page(tmp_path / "d", [1, 2], tmp_path / "p.html")
    assert "episode 1, top: there is no video" in page.warnings[0]
    assert "No video: episode 1, top" in page.path.read_text()
    with pytest.raises(UsageError, match="episodes 0 to 2, got 3"):
        write_page(data, [3], tmp_path / "q.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(SandbotError, match="cannot write"):
        write_page(data, [0], tmp_path / "file/p.html")


def test_success_that_was_not_measured_is_not_shown(tmp_path: Path) -> None:
    call: dict[str, Any] = {"episodes": 1, "keep_failures": True, "out": tmp_path / "d"}
    collect("Pendulum-v1", "random", **call)
    text = write_page(tmp_path / "d", (), tmp_path / "p.html").path.read_text()
    assert 'class="pill' not in text and "green" not in text.split("<body>")[1]
