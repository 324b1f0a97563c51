"""results.json and the page: complete, self-contained, whole or absent."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from assets.errors import SandbotError
from evaluation.cards import BEGIN, update_card
from evaluation.files import writable_folder
from evaluation.report import Written, p_text, render_page, write_report
from evaluation.results import rows
from evaluation.rollout import Rollout, evaluate
from ml.statistics import wilson_interval

COMMAND = "sandbot eval arm-reach --policy computed-torque zero"
FIELDS = {
    "task",
    "policy",
    "engine",
    "randomize",
    "n",
    "successes",
    "success_rate",
    "ci_low",
    "ci_high",
    "seed",
    "command",
    "commit",
    "versions",
}


class Page(HTMLParser):
    """Elements and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results() -> list[Rollout]:
    return evaluate(
        "arm-reach",
        ["computed-torque", "zero"],
        engines=["mujoco", "bullet"],
        episodes=4,
        seed=2,
    )


@pytest.fixture(scope="module")
def written(
    results: list[Rollout], tmp_path_factory: pytest.TempPathFactory
) -> Written:
    return write_report(tmp_path_factory.mktemp("report") / "new", results, COMMAND)


def test_results_have_every_field(written: Written, results: list[Rollout]) -> None:
    table = json.loads(written.results.read_text())
    assert len(table) == 4
    for row, result in zip(table, results, strict=True):
        assert set(row) >= FIELDS
        assert row["n"] == 4
        assert row["successes"] == result.successes == row["success_rate"] * 4
        low, high = wilson_interval(row["successes"], 4)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
        assert (row["seed"], row["command"]) == (2, COMMAND)
        assert row["versions"]["mujoco"]


def test_page_asks_the_network_for_nothing(written: Written) -> None:
    text = written.page.read_text()
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)
    assert "url(" not in text
    assert "@import" not in text
    assert not {"script", "iframe", "object"} & set(page.tags)


def test_page_shows_what_was_measured(written: Written) -> None:
    page = Page(written.page.read_text())
    words = " ".join(page.text.split())
    for row in written.rows:
        assert f"{100 * row['success_rate']:.1f}%" in words
        interval = f"{100 * row['ci_low']:.1f}% – {100 * row['ci_high']:.1f}%"  # noqa: RUF001
        assert interval in words
    assert COMMAND in words
    assert written.rows[0]["commit"] in words
    assert "McNemar" in words
    assert page.tags.count("polyline") == 4
    for name, version in written.rows[0]["versions"].items():
        assert f"{name} {version}" in words


def test_page_has_a_video_of_each_outcome_that_plays(
    written: Written, tmp_path: Path
) -> None:
    import imageio.v3 as iio

    assert written.warning is None
    text = written.page.read_text()
    captions = re.findall(
        r"<figcaption><span.*?>(\w+)</span>\s*· ([\w-]+) · (\w+)", text
    )
    assert set(captions) == {
        ("success", "computed-torque", "mujoco"),
        ("success", "computed-torque", "bullet"),
        ("failure", "zero", "mujoco"),
        ("failure", "zero", "bullet"),
    }
    video = re.findall(r'src="data:video/mp4;base64,([^"]+)"', text)[0]
    path = tmp_path / "clip.mp4"
    path.write_bytes(base64.b64decode(video))
    frames = iio.imread(path)
    assert 95 <= len(frames) <= 105
    assert frames[0].std() > 5, "an empty picture"
    assert (frames[0] != frames[-1]).any()
    assert len(text) < 2_000_000


@pytest.mark.parametrize(
    ("commit", "words"),
    [
        ("0123abc", "at this commit produces the figures"),
        ("0123abc+dirty", "cannot be reproduced with certainty"),
        ("unknown", "cannot be reproduced with certainty"),
    ],
)
def test_the_page_promises_no_more_than_it_can(
    commit: str, words: str, written: Written, results: list[Rollout]
) -> None:
    table = [{**row, "commit": commit} for row in written.rows]
    page = render_page(results, table, written.gaps)
    assert words in " ".join(page.split())


def test_names_are_escaped(results: list[Rollout], tmp_path: Path) -> None:
    from dataclasses import replace

    evil = [replace(results[0], policy="<script>alert(1)</script>")]
    text = write_report(tmp_path, evil, "<b>", videos=False).page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_nothing_is_left_where_nothing_can_be_written(
    results: list[Rollout], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(SandbotError, match="cannot write"):
        write_report(file / "report", results, COMMAND)
    with pytest.raises(SandbotError, match="cannot write"):
        writable_folder("/proc/report")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "mine"


def test_a_report_leaves_two_whole_files(written: Written) -> None:
    names = sorted(path.name for path in written.page.parent.iterdir())
    assert names == ["index.html", "results.json"]
    assert written.page.read_text().rstrip().endswith("</html>")


def test_without_opengl_the_page_says_why_it_has_no_videos(
    results: list[Rollout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    made = write_report(tmp_path, results, COMMAND)
    assert made.warning is not None
    assert "MUJOCO_GL=disabled" in made.warning
    assert "MUJOCO_GL=disabled" in made.page.read_text()
    assert "<video" not in made.page.read_text()


def test_the_model_card_gets_the_latest_table(written: Written, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    assert not update_card(tmp_path, written.rows)
    card.write_text("# bc\n\nTrained on 200 episodes.\n\n## Use\n\nLike this.\n")
    assert update_card(tmp_path, written.rows)
    once = card.read_text()
    assert "Trained on 200 episodes." in once
    assert "| arm-reach | mujoco | none | 100.0% | 4 | 51.0% to 100.0% |" in once
    card.write_text(once + "\n## After\n")
    assert update_card(tmp_path, written.rows[2:])
    twice = card.read_text()
    assert twice.count(BEGIN) == 1
    assert "100.0%" not in twice.replace("to 100.0%", "")
    assert "Like this." in twice
    assert twice.endswith("## After\n")


def test_p_values_read_well() -> None:
    texts = [p_text(p) for p in (1.0, 0.034, 0.0034, 1e-9)]
    assert texts == ["1.00", "0.03", "0.0034", "< 0.0001"]


def test_a_published_benchmarks_success_stands_beside_the_strict_one() -> None:
    results = evaluate("aloha-transfer-cube", ["expert"], episodes=2)
    table = rows(results, COMMAND)
    low, high = wilson_interval(2, 2)
    assert table[0]["benchmark_success_rate"] == 1.0
    assert (table[0]["benchmark_ci_low"], table[0]["benchmark_ci_high"]) == (low, high)
    assert table[0]["outcomes"]["lifted"]["success_rate"] == 1.0
    assert table[0]["engine_version"].endswith("multiccd off")
    page = Page(render_page(results, table, []))
    assert "benchmark" in page.text and "both hold" in page.text


def test_the_strict_success_is_not_the_benchmarks() -> None:
    mild = Rollout(
        task="t",
        policy="p",
        engine="e",
        randomize="none",
        seed=0,
        control_dt=0.1,
        success=np.array([True, False, False, False]),
        returns=np.zeros(4),
        lengths=np.ones(4, int),
        diverged=np.zeros(4, bool),
        outcomes={"benchmark_success": np.array([True, True, True, False])},
    )
    row = rows([mild], COMMAND)[0]
    assert (row["success_rate"], row["benchmark_success_rate"]) == (0.25, 0.75)
    assert row["outcomes"] == {}
