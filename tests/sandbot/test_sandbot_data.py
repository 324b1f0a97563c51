"""``sandbot data`` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ml.lerobot import read_dataset
from policies.collect import collect
from sandbot.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four demonstrations."""
    out = tmp_path_factory.mktemp("data") / "arm"
    collect("arm-reach", "expert", episodes=4, out=out, noise=0.05, threads=1)
    return out


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Exit code and output of a call."""

    def call(*words: object) -> tuple[int, str]:
        code = main(["data", *map(str, words)])
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return call


Says = Callable[..., tuple[int, str]]


def test_show_writes_a_page(says: Says, data: Path, tmp_path: Path) -> None:
    code, said = says("show", data, "--episodes", 0, 2, "--out", tmp_path / "p.html")
    assert code == 0 and "2 episodes drawn" in said
    text = (tmp_path / "p.html").read_text()
    assert 'id="episode-2"' in text and 'id="episode-1"' not in text
    assert says("show", data)[0] == 0
    assert data.with_name("arm.html").is_file()


def test_check_tells_and_its_code_too(says: Says, data: Path, tmp_path: Path) -> None:
    import shutil

    code, said = says("check", data)
    assert code == 0 and "4 episodes, 1600 frames" in said and "nothing found" in said
    shutil.copytree(data, tmp_path / "d")
    stats = json.loads((tmp_path / "d/meta/stats.json").read_text())
    stats["action"]["max"][1] = 99
    (tmp_path / "d/meta/stats.json").write_text(json.dumps(stats))
    code, said = says("check", tmp_path / "d", "--no-videos")
    assert code == 1 and "statistics: action: max[1] is 99" in said
    assert "1 found" in said and "videos not decoded" in said


def test_replay_is_the_same_bits(says: Says, data: Path) -> None:
    code, said = says("replay", data)
    assert code == 0 and "4 of 4 episodes are the same bits, 1600 frames" in said


def test_merge_and_split(says: Says, data: Path, tmp_path: Path) -> None:
    x, y, m = (tmp_path / name for name in "xym")
    code, said = says("split", data, "--parts", 0.75, 0.25, "--out", x, y)
    assert code == 0 and "x: 3 episodes" in said and "y: 1 episodes" in said
    assert says("merge", x, y, "--out", m)[0] == 0
    assert len(read_dataset(m).episodes) == 4
    code, said = says("split", data, "--episodes", "1:3", "--out", x)
    assert code == 2 and "exists" in said
    code, said = says("split", data, "--episodes", "1:3", "--out", x, "--overwrite")
    assert code == 0 and "x: 2 episodes" in said
    code, said = says("split", data, "--by-success", "--out", x, y, "--overwrite")
    assert code == 2 and "no episode is left" in said
    assert len(read_dataset(x).episodes) == 2, "nothing was touched"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("shwo", "unknown command of sandbot data 'shwo'"),
        ("show {tmp}/none", "is not a dataset"),
        ("check {tmp}/none", "there is no such folder"),
        ("replay {tmp}/none", "is not a dataset"),
        ("merge {data} --out {tmp}/m", "at least two datasets, got 1"),
        ("merge --out {tmp}/m", "at least two datasets, got 0"),
        ("split {data} --out {tmp}/m", "give one of --parts, --episodes and"),
        ("split {data} --parts 2 --out {tmp}/m", "at most 1 together, got 2"),
        ("split {data} --parts 0.5 0.5 --out {tmp}/m", "need as many folders, got 1"),
        ("split {data} --by-success --seed 1 --out {tmp}/m", "with --parts, and with"),
        ("show {data} --episodes 9 --out {tmp}/p", "episodes 0 to 3, got 9"),
    ],
)
def test_wrong_calls(
    says: Says, data: Path, tmp_path: Path, words: str, message: str
) -> None:
    code, said = says(*words.format(data=data, tmp=tmp_path).split())
    assert code == 2 and message in said
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_commands(says: Says) -> None:
    code, said = says("--help")
    assert code == 0
    assert all(f"  {name}" in said for name in ("show", "check", "merge", "split"))
    assert says()[0] == 2
