"""``sandbot diverge``, and the page that it and ``sandbot eval`` write."""

import json
from pathlib import Path

import pytest

from evaluation.divergence_page import counts_text, length_text
from sandbot.main import main

PRESS = "arm-press --engine mujoco bullet --episodes 2 --num-envs 2"


def run(call: str) -> int:
    return main(call.split())


def test_where_two_engines_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(f"diverge {PRESS} --steps 200 --out {out}") == 0
    text = capsys.readouterr().out
    assert "arm-press, mujoco and bullet: 2 of 2 episodes part" in text
    assert "by fore: contact" in text
    assert "wall on fore" in text
    assert sorted(p.name for p in out.iterdir()) == [
        "divergence.html",
        "divergence.json",
    ]
    facts = json.loads((out / "divergence.json").read_text())
    assert facts["command"] == f"sandbot diverge {PRESS} --steps 200 --out {out}"
    assert facts["engines"] == ["mujoco", "bullet"]
    assert len(facts["engine_versions"]) == 2
    assert facts["tolerances"] == {"position": 1e-3, "angle": 1e-2}
    for episode in facts["episodes"]:
        (part,) = episode["parts"]
        assert part["cause"]["kind"] == "contact"
        assert sum(part["cause"]["shares"].values()) == pytest.approx(1)
        assert part["time"] == pytest.approx(part["frame"] * facts["control_dt"])
    assert [term["name"] for term in facts["terms"]] == ["force"]
    page = (out / "divergence.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 6
    assert page.count('class="level"') == 2
    for words in ("mujoco and bullet part", "wall on fore", "reward: force"):
        assert words in page


def test_one_engine_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = "arm-reach --policy random --engine mujoco mujoco --episodes 3 --steps 50"
    assert run(f"diverge {call} --out {tmp_path}") == 0
    text = capsys.readouterr().out
    assert "first mujoco and second mujoco: 0 of 3 episodes part" in text
    assert text.count("never beyond the tolerance") == 3
    page = (tmp_path / "divergence.html").read_text()
    assert "No body is ever beyond the tolerance" in page


def test_a_tolerance_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    call = f"{PRESS} --steps 200 --position-tolerance 0.5 --angle-tolerance 0.5"
    assert run(f"diverge {call}") == 0
    assert "0 of 2 episodes part" in capsys.readouterr().out


def test_recorded_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    assert run(f"collect arm-reach --episodes 3 --seed 7 --noise 0 --out {data}") == 0
    call = f"diverge arm-reach --data {data} --engine mujoco mujoco --episodes 2"
    assert run(f"{call} --out {tmp_path / 'out'}") == 0
    assert "0 of 2 episodes part" in capsys.readouterr().out
    facts = json.loads((tmp_path / "out/divergence.json").read_text())
    assert (facts["policy"], facts["seed"]) == ("actions of data", 7)
    assert [one["steps"] for one in facts["episodes"]] == [400, 400]
    assert all(one["solved"] == [True, True] for one in facts["episodes"])


def test_eval_links_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = "eval arm-reach --policy zero --engine mujoco bullet --episodes 1"
    assert run(f"{call} --report {tmp_path} --no-videos --diverge") == 0
    assert (tmp_path / "divergence.html").is_file()
    assert 'href="divergence.html"' in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("diverge", "give a task or --env"),
        ("diverge arm-rech", "Did you mean 'arm-reach'?"),
        ("diverge arm-reach --engine mujoco", "two engines are compared, got 1"),
        ("diverge arm-reach --engine mujoco bulet", "Did you mean 'bullet'?"),
        ("diverge arm-reach --policy impedence", "Did you mean 'impedance'?"),
        ("diverge arm-reach --randomize trian", "Did you mean 'train'?"),
        ("diverge arm-reach --steps 0", "steps must be at least 1, got 0"),
        ("diverge arm-reach --episodes 0", "episodes must be at least 1, got 0"),
        ("diverge arm-reach --num-envs 0", "num_envs must be at least 1, got 0"),
        ("diverge arm-reach --angle-tolerance 0", "tolerances must be above 0"),
        ("diverge arm-reach --position-tolerance x", "wants a number"),
        ("diverge --env Reacher-v5", "brings its own engine, gymnasium"),
        ("diverge arm-reach --policy zero --data d", "both were given"),
        ("diverge arm-reach --data nowhere", "nowhere"),
        ("eval arm-reach --diverge", "--engine mujoco bullet --report out/"),
    ],
)
def test_a_wrong_call(
    call: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(call) == 2
    error = capsys.readouterr().err
    assert error.startswith("sandbot: ") and error.count("\n") == 1
    assert words in error


def test_an_engine_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    assert run("diverge arm-reach --engine mujoco warp --episodes 1") == 1
    assert "the engine 'warp' needs MuJoCo Warp" in capsys.readouterr().err


def test_actions_of_another_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert run(f"collect arm-reach --episodes 1 --noise 0 --out {data}") == 0
    capsys.readouterr()
    assert run(f"diverge arm-track --data {data}") == 2
    error = capsys.readouterr().err
    assert "holds actions of arm-reach, and arm-track was asked for" in error


def test_figures_as_people_write_them() -> None:
    assert [length_text(x) for x in (2.5, 0.00123, 0.0000999, 2.4e-7)] == [
        "2.50 m",
        "1.23 mm",
        "0.0999 mm",
        "0.24 µm",
    ]
    assert counts_text({"a": 3}) == "a" and counts_text({"a": 3, "b": 1}) == "a 3, b 1"
